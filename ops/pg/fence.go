package pg

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Fenced reads the database's read-only default from pg_db_role_setting, and
// who is connected. Read before the fence, it is what Clear restores; read
// while the fence stands, it tells which sessions the fence does not stop.
func (d *Database) Fenced(ctx context.Context) (ops.DBFence, error) {
	var f ops.DBFence
	err := d.read(ctx, "read fence", func(tx pgx.Tx) error {
		var err error
		f, err = fenced(ctx, tx)
		return err
	})
	return f, err
}

func fenced(ctx context.Context, tx pgx.Tx) (f ops.DBFence, err error) {
	type row struct {
		Role    string
		Setting string
	}
	// A role's setting for this database, or for all, is stronger than the database's.
	settings, err := rows[row](ctx, tx, `
		SELECT coalesce(r.rolname, ''), substr(c.setting, length('default_transaction_read_only=') + 1)
		FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS c(setting)
		WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
		  AND NOT (s.setdatabase = 0 AND s.setrole = 0)
		  AND c.setting LIKE 'default\_transaction\_read\_only=%'
		ORDER BY 1, 2`)
	if err != nil {
		return f, err
	}
	for _, s := range settings {
		if s.Role == "" {
			f.Setting = s.Setting
		} else {
			f.Overrides = append(f.Overrides, fmt.Sprintf("%s: %s", s.Role, s.Setting))
		}
	}
	sv, err := server(ctx, tx)
	if err != nil {
		return f, err
	}
	f.Owner = sv.Owner && !sv.Follower
	there, err := sessions(ctx, tx)
	if err != nil {
		return f, err
	}
	for _, s := range there {
		f.PIDs = append(f.PIDs, s.PID)
	}
	f.At, err = scalar[time.Time](ctx, tx, `SELECT clock_timestamp()`)
	return f, err
}

// Fence makes new sessions read-only unless they ask otherwise, and returns the
// fence as it stands. recorded is what Fenced said before, and must be kept by
// then: it is what Clear restores. When something else is set by now, nothing is
// done and the error is ops.ErrStale. Any other error may have come after it took
// effect: Fenced tells. Safe to call twice.
func (d *Database) Fence(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error) {
	return d.change(ctx, "put up fence", recorded, true)
}

// Clear restores what was recorded before the fence, which need not be "nothing
// set", and returns what stands. Where it stands already nothing is done; where
// neither the fence nor the recorded setting stands, somebody else changed it,
// nothing is done and the error is ops.ErrStale. Safe to call twice.
func (d *Database) Clear(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error) {
	return d.change(ctx, "clear fence", recorded, false)
}

func (d *Database) change(ctx context.Context, what string, recorded ops.DBFence, on bool) (ops.DBFence, error) {
	if recorded.At.IsZero() {
		return ops.DBFence{}, fmt.Errorf("%s: what was set before was not recorded", what)
	}
	stale := false
	err := d.act(ctx, what, func(c *pgx.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			now, err := fenced(ctx, tx)
			if err != nil {
				return err
			}
			switch {
			case on && now.On(), !on && now.Same(recorded):
				return nil
			case on && !now.Same(recorded), !on && !now.On():
				stale = true
				return nil
			case !now.Owner:
				return fmt.Errorf("the credential does not own the database, or it is a follower")
			}
			name, err := scalar[string](ctx, tx, `SELECT current_database()`)
			if err != nil {
				return err
			}
			alter := "ALTER DATABASE " + pgx.Identifier{name}.Sanitize()
			switch {
			case on:
				alter += " SET default_transaction_read_only = on"
			case recorded.Setting == "":
				alter += " RESET default_transaction_read_only"
			default:
				// As a literal: it is what the server itself had stored.
				quoted, err := scalar[string](ctx, tx, `SELECT quote_literal($1::text)`, recorded.Setting)
				if err != nil {
					return err
				}
				alter += " SET default_transaction_read_only = " + quoted
			}
			_, err = tx.Exec(ctx, alter)
			return err
		})
	})
	if err != nil {
		return ops.DBFence{}, err
	}
	if stale {
		return ops.DBFence{}, fmt.Errorf("%s: default_transaction_read_only was set by somebody else: %w", what, ops.ErrStale)
	}
	// Read after the commit: whoever connects from here on gets the new default.
	return d.Fenced(ctx)
}

// EndSessions ends the sessions that may be older than the fence, as far as the
// credential may: its own role's and those of roles that it is a member of. It
// waits a few seconds until they are gone. Those that are left need Heroku's
// connection_reset.
func (d *Database) EndSessions(ctx context.Context, fence ops.DBFence) (ops.Ended, error) {
	if !fence.On() {
		return ops.Ended{}, fmt.Errorf("end sessions: no fence stands, so they would come back as they were")
	}
	var ended ops.Ended
	err := d.act(ctx, "end sessions", func(c *pgx.Conn) error {
		pids := []int32{}
		patience := time.NewTimer(endLimit)
		defer patience.Stop()
		for {
			var left []ops.Session
			err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
				all, err := sessions(ctx, tx)
				if err != nil {
					return err
				}
				left = ops.OlderThanFence(fence, all)
				if len(pids) > 0 {
					return nil
				}
				for _, s := range left {
					pids = append(pids, s.PID)
				}
				// In one statement that looks again: a pid may be somebody else's by now.
				pids, err = scalar[[]int32](ctx, tx, `
					SELECT coalesce(array_agg(pid), '{}') FROM (
						SELECT a.pid FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
						WHERE a.pid = ANY ($1::int[]) AND a.pid <> pg_backend_pid() AND a.datname = current_database() AND NOT r.rolsuper
						  AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
						OFFSET 0) s
					WHERE pg_terminate_backend(pid)`, pids)
				ended.Ended = len(pids)
				return err
			})
			if err != nil {
				return err
			}
			if ended.Left = without(left, pids); len(ended.Left) == len(left) {
				return nil // all that were told to end are gone
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-patience.C:
				ended.Left = left
				return nil
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return ended, err
}

// endLimit is how long a session gets to notice that it was ended.
const endLimit = 5 * time.Second

func without(all []ops.Session, pids []int32) []ops.Session {
	var out []ops.Session
next:
	for _, s := range all {
		for _, p := range pids {
			if s.PID == p {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}
