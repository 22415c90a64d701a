package pg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Server says what the database is. It is also the cheapest way to find out
// whether it can be reached.
func (d *Database) Server(ctx context.Context) (ops.Server, error) {
	var s ops.Server
	err := d.read(ctx, "read server", func(tx pgx.Tx) error {
		var err error
		s, err = server(ctx, tx)
		return err
	})
	return s, err
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func server(ctx context.Context, q querier) (s ops.Server, err error) {
	err = q.QueryRow(ctx, `
		SELECT split_part(current_setting('server_version'), ' ', 1),
		       current_setting('server_version_num')::int / 10000,
		       pg_is_in_recovery(),
		       (SELECT system_identifier::text FROM pg_control_system()),
		       pg_has_role(datdba, 'USAGE'),
		       pg_has_role('pg_read_all_stats', 'USAGE'),
		       pg_postmaster_start_time()
		FROM pg_database WHERE datname = current_database()`).
		Scan(&s.Version, &s.Major, &s.Follower, &s.System, &s.Owner, &s.AllStats, &s.Started)
	return s, err
}

// Position reads where the database stands in the write-ahead log.
func (d *Database) Position(ctx context.Context) (ops.Position, error) {
	var p ops.Position
	err := d.read(ctx, "read WAL position", func(tx pgx.Tx) error {
		s, err := server(ctx, tx)
		if err != nil {
			return err
		}
		p.System, p.Follower = s.System, s.Follower
		if s.Follower {
			var received, replayed *string // null before the first of each
			err := tx.QueryRow(ctx, `SELECT clock_timestamp(), pg_last_wal_receive_lsn()::text, pg_last_wal_replay_lsn()::text, pg_is_wal_replay_paused()`).
				Scan(&p.At, &received, &replayed, &p.Paused)
			if err != nil {
				return err
			}
			if p.Received, err = lsn(received); err != nil {
				return err
			}
			p.Replayed, err = lsn(replayed)
			return err
		}
		var end *string
		var page, segment int64
		// Where the next record will be put, not what was written or flushed
		// already: with synchronous_commit off, commits that the app was told of
		// can be beyond those.
		err = tx.QueryRow(ctx, `SELECT clock_timestamp(), pg_current_wal_insert_lsn()::text, current_setting('wal_block_size')::bigint, pg_size_bytes(current_setting('wal_segment_size'))`).
			Scan(&p.At, &end, &page, &segment)
		if err != nil {
			return err
		}
		p.End, err = lsn(end)
		p.End = lastEnd(p.End, page, segment)
		return err
	})
	return p, err
}

func lsn(s *string) (ops.LSN, error) {
	if s == nil {
		return 0, nil
	}
	return ops.ParseLSN(*s)
}

// lastEnd turns the place of the next record into the end of the last one. They
// differ where a page ended: the next record begins behind the page's header,
// which no follower replays up to until there is one. Header sizes are those of
// xlog_internal.h: 40 bytes on a segment's first page, 24 on others.
func lastEnd(l ops.LSN, page, segment int64) ops.LSN {
	const long, short = 40, 24
	switch {
	case int64(l)%segment == long:
		return l - long
	case int64(l)%segment > page && int64(l)%page == short:
		return l - short
	}
	return l
}

// Activity takes one sample of everything that moves. It reads catalogues and
// counters only, so it counts as no use of any table.
func (d *Database) Activity(ctx context.Context) (ops.Activity, error) {
	var a ops.Activity
	err := d.read(ctx, "read activity", func(tx pgx.Tx) error {
		var err error
		a, err = activity(ctx, tx)
		return err
	})
	return a, err
}

func activity(ctx context.Context, tx pgx.Tx) (ops.Activity, error) {
	s, err := server(ctx, tx)
	if err != nil {
		return ops.Activity{}, err
	}
	a := ops.Activity{Major: s.Major, System: s.System, Follower: s.Follower, Tables: map[string]ops.TableCounts{}}

	// The open transactions first, the newest ended one after them, in
	// statements of their own: one that ends in between is seen by the second.
	// Locks of other roles' transactions are visible to everybody, their
	// activity is not.
	if err := tx.QueryRow(ctx, `
		SELECT (SELECT count(DISTINCT virtualtransaction) FROM pg_locks WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted AND pid IS NOT NULL),
		       (SELECT count(*) FROM pg_prepared_xacts)`).Scan(&a.Writing, &a.Prepared); err != nil {
		return a, err
	}
	var next string
	if err := tx.QueryRow(ctx, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text`).Scan(&next); err != nil {
		return a, err
	}
	if a.NextXID, err = xid(next); err != nil {
		return a, err
	}
	// A crash or a failover drops the counters without a trace in pg_stat_database,
	// but not in the background writer's (pgstat_reset_after_failure).
	if err := tx.QueryRow(ctx, `
		SELECT concat_ws(' ', b.stats_reset, coalesce(d.stats_reset::text, 'never'), (SELECT timeline_id FROM pg_control_checkpoint())),
		       coalesce((to_jsonb(d) ->> 'sessions')::bigint, 0), clock_timestamp()
		FROM pg_stat_bgwriter b, pg_stat_database d WHERE d.datname = current_database()`).Scan(&a.Reset, &a.Opened, &a.At); err != nil {
		return a, err
	}
	counts, err := rows[struct {
		Name string
		ops.TableCounts
	}](ctx, tx, `
		SELECT format('%I.%I', n.nspname, c.relname), c.oid, c.relfilenode,
		       pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
		  AND (`+users+` OR c.oid IN ('pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass))`)
	if err != nil {
		return a, err
	}
	for _, c := range counts {
		a.Tables[c.Name] = c.TableCounts
	}
	if a.Scans, err = scalar[int64](ctx, tx, `
		SELECT coalesce(sum(pg_stat_get_numscans(c.oid)), 0)::bigint
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm', 'i') AND c.relpersistence <> 't' AND `+users); err != nil {
		return a, err
	}
	a.Sessions, err = sessions(ctx, tx)
	return a, err
}

// users is the condition on pg_namespace n for what is not the server's own.
const users = `(n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)')`

func sessions(ctx context.Context, tx pgx.Tx) ([]ops.Session, error) {
	type row struct {
		PID               int32
		Role, App         string
		Seen              bool
		State             string
		Began, Since      *time.Time
		Platform, Writing bool
	}
	found, err := rows[row](ctx, tx, `
		SELECT a.pid, coalesce(r.rolname, ''), coalesce(a.application_name, ''),
		       a.state IS NOT NULL AND a.state <> 'disabled' AND a.backend_start IS NOT NULL, coalesce(a.state, ''), a.backend_start, a.state_change,
		       coalesce(r.rolsuper, true), a.backend_xid IS NOT NULL
		FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
		WHERE a.datname = current_database() AND NOT (coalesce(a.application_name, '') = $1 AND r.rolname IS NOT DISTINCT FROM current_user)
		ORDER BY a.pid`, AppName)
	if err != nil {
		return nil, err
	}
	out := make([]ops.Session, 0, len(found))
	for _, f := range found {
		s := ops.Session{PID: f.PID, Role: f.Role, App: f.App, Seen: f.Seen, Platform: f.Platform, Writing: f.Writing}
		if f.Seen {
			s.State, s.Began = f.State, *f.Began
			if s.Since = s.Began; f.Since != nil {
				s.Since = *f.Since
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// Stillness takes two samples, ops.MinGap apart by the database's clock, and
// compares them. fence is the fence as it stands (Fence or Fenced returned it).
func (d *Database) Stillness(ctx context.Context, fence ops.DBFence) (ops.Stillness, error) {
	a, err := d.Activity(ctx)
	if err != nil {
		return ops.Stillness{}, err
	}
	gap := time.NewTimer(ops.MinGap + 100*time.Millisecond)
	defer gap.Stop()
	select {
	case <-ctx.Done():
		return ops.Stillness{}, d.failed("wait between samples", ctx.Err())
	case <-gap.C:
	}
	b, err := d.Activity(ctx)
	if err != nil {
		return ops.Stillness{}, err
	}
	return ops.StillBetween(fence, a, b), nil
}
