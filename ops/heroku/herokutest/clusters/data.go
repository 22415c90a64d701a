package clusters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/cluster"
)

// data is one database in a cluster of its own.
type data struct {
	s          *Storage
	cluster    *cluster.Cluster
	err        error // why there is no cluster
	user, name string
	ready      chan struct{} // closed when it was started, or not

	mu          sync.Mutex
	credentials *credentials // its leader's while it follows
	leader      *data
	look        herokutest.Look
	sampled     time.Time
	stalled     chan struct{} // not nil: an upgrade waits until it is closed
	doomed      bool          // its upgrade is to fail
	dropped     bool
}

func (d *data) set(change func(*herokutest.Look)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.look)
}

func (d *data) version() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.look.Version
}

func (d *data) following() *data {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leader
}

func (d *data) URL(credential string) string {
	user := d.user
	if credential != "" {
		user = credential
	}
	port := 0
	if d.cluster != nil {
		port = d.cluster.Port()
	}
	// localhost by name: for any other host the CLI's pg:psql wants TLS.
	return fmt.Sprintf("postgres://%s:%s@localhost:%d/%s", user, d.roles().of(credential), port, d.name)
}

// Pooler is the database itself: there is none in front.
func (d *data) Pooler() string { return d.URL("") }

func (d *data) roles() *credentials {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.credentials
}

// Credential adds a role that may connect and, until its owner grants more, no
// more than that.
func (d *data) Credential(name string) error {
	role, password := pgx.Identifier{name}.Sanitize(), newPassword()
	err := d.change("create a role", fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", role, password),
		fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", d.name, role))
	if err == nil {
		d.roles().set(name, password)
	}
	return err
}

// Revoke gives what the role has made to the owner and removes it.
func (d *data) Revoke(name string) error {
	role := pgx.Identifier{name}.Sanitize()
	return d.change("remove a role", "REASSIGN OWNED BY "+role+" TO "+d.user, "DROP OWNED BY "+role, "DROP ROLE "+role)
}

// Rotate changes the one password that a role has, forced or not.
func (d *data) Rotate(name string, _ bool) error {
	password := newPassword()
	err := d.change("change a password", fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", pgx.Identifier{cmp.Or(name, d.user)}.Sanitize(), password))
	if err == nil {
		d.roles().set(name, password)
	}
	return err
}

// change runs statements in its database though the database may be fenced.
func (d *data) change(verb string, statements ...string) error {
	ctx, cancel := context.WithTimeout(d.s.ctx, 15*time.Second)
	defer cancel()
	switch {
	case d.following() != nil:
		return errors.New(verb + ": a follower's roles are its leader's")
	case d.cluster == nil:
		return d.err
	}
	if err := d.cluster.Do(ctx, d.name, append([]string{"SET default_transaction_read_only = off"}, statements...)...); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// stale is after how long a sample says nothing any more.
const stale = 2 * time.Second

func (d *data) Look(time.Time) herokutest.Look {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.look
	if time.Since(d.sampled) > stale {
		l.Ready, l.Behind, l.BehindKnown = false, 0, false
	}
	return l
}

func (d *data) Unfollow(time.Time) {
	d.s.wg.Go(func() {
		<-d.ready
		if d.cluster == nil {
			return
		}
		if err := d.cluster.Promote(d.s.ctx); err != nil {
			d.s.log.Error("a promotion failed", "database", d.name, "error", err)
			return
		}
		d.standsAlone()
	})
}

func (d *data) standsAlone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leader != nil {
		d.credentials = d.credentials.clone()
	}
	d.leader = nil
	d.look.Following, d.look.Behind, d.look.BehindKnown = false, 0, false
}

func (d *data) Upgrade(major string, _ time.Time) {
	d.set(func(l *herokutest.Look) {
		l.Ready, l.Upgrade = false, herokutest.UpgradeLook{To: major, Step: cluster.PhasePrepare}
	})
	d.s.wg.Go(func() {
		<-d.ready
		if d.cluster == nil {
			return
		}
		if err := d.doom(); err != nil {
			d.s.log.Error("an upgrade cannot be made to fail", "database", d.name, "error", err)
		}
		took, err := d.cluster.Upgrade(d.s.ctx, d.s.install(major), d.phase)
		d.standsAlone()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.look.Upgrade.Took, d.look.Upgrade.Ended = took, true
		if err != nil {
			d.s.log.Warn("an upgrade failed", "database", d.name, "error", err)
			d.look.Upgrade.Failed = err.Error()
			return
		}
		d.look.Version = d.cluster.Install().Version
	})
}

// doom gives a database that is to fail its upgrade what pg_upgrade refuses: a
// table with numbers of functions, which are others in the new cluster. It comes
// when nobody can look any more, since a check of the leader would find it and
// the upgrade would not begin.
func (d *data) doom() error {
	d.mu.Lock()
	doomed := d.doomed
	d.mu.Unlock()
	if !doomed {
		return nil
	}
	if err := d.cluster.Promote(d.s.ctx); err != nil {
		return err
	}
	return d.cluster.Do(d.s.ctx, d.name, "SET default_transaction_read_only = off", "SET ROLE "+d.user, "CREATE TABLE IF NOT EXISTS jobs (id bigint PRIMARY KEY, handler regproc)")
}

// phase tells how far the upgrade is, and never returns when it is to stall.
func (d *data) phase(ctx context.Context, phase int) error {
	d.mu.Lock()
	d.look.Upgrade.Step = phase
	stall := d.stalled
	d.mu.Unlock()
	if stall == nil || phase != cluster.PhaseUpgrade {
		return nil
	}
	select {
	case <-stall:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *data) Reset(time.Time) {
	d.s.wg.Go(func() {
		<-d.ready
		err := d.cluster.Do(d.s.ctx, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> '"+cluster.Superuser+"'")
		if err != nil {
			d.s.log.Warn("sessions were not ended", "database", d.name, "error", err)
		}
	})
}

// Break makes something go wrong for real.
func (d *data) Break(what, _ string, _ time.Time) error {
	ctx, cancel := context.WithTimeout(d.s.ctx, 15*time.Second)
	defer cancel()
	leader := d.following()
	switch what {
	case herokutest.FailUpgrade:
		d.mu.Lock()
		defer d.mu.Unlock()
		d.doomed = true
		return nil
	case herokutest.StallUpgrade:
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.stalled == nil {
			d.stalled = make(chan struct{})
		}
		return nil
	case herokutest.GoOn:
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.stalled != nil {
			close(d.stalled)
			d.stalled = nil
		}
		return nil
	case herokutest.KeepVersion:
		return fmt.Errorf("%s: pg_upgrade cannot be made to say that it upgraded and not to have done it; --postgres=off plays that", what)
	}
	if leader == nil {
		return fmt.Errorf("%s: it follows no database", what)
	}
	switch what {
	case herokutest.CutLink:
		return d.cluster.CutLink(ctx)
	case herokutest.MendLink:
		return d.cluster.MendLink(ctx, leader.cluster)
	case herokutest.HoldReplay, herokutest.RaiseLag: // it rises with every write
		return d.cluster.HoldReplay(ctx)
	case herokutest.ResumeReplay, herokutest.LetLagFall:
		return d.cluster.ResumeReplay(ctx)
	}
	return fmt.Errorf("%s: no such fault", what)
}

// Held reads the rows, as runs of consecutive numbers.
func (d *data) Held(ctx context.Context) (herokutest.Ledger, error) {
	conn, err := d.cluster.Admin(ctx, d.name)
	if err != nil {
		return nil, fmt.Errorf("read the rows: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `
		SELECT writer, min(id), max(id)
		FROM (SELECT writer, id, id - row_number() OVER (PARTITION BY writer ORDER BY id) AS run FROM written) r
		GROUP BY writer, run ORDER BY writer, min(id)`)
	if err != nil {
		return nil, fmt.Errorf("read the rows: %w", err)
	}
	out := herokutest.Ledger{}
	var writer string
	var first, last int64
	_, err = pgx.ForEachRow(rows, []any{&writer, &first, &last}, func() error {
		r := out[writer]
		r.Add(first, last)
		out[writer] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the rows: %w", err)
	}
	return out, nil
}

func (d *data) Drop() {
	d.mu.Lock()
	d.dropped = true
	d.mu.Unlock()
	if d.cluster == nil {
		return
	}
	d.s.wg.Go(func() {
		if err := d.cluster.Drop(); err != nil {
			d.s.log.Error("a cluster was not removed", "database", d.name, "error", err)
		}
	})
}
