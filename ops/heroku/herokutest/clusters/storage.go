// Package clusters holds the data of the Heroku stand-in's databases in real
// PostgreSQL clusters: the leader is a cluster, the follower a streaming standby,
// an unfollow a promotion, an upgrade pg_upgrade --link, and the config vars lead
// there.
package clusters

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/cluster"
)

// Storage is a herokutest.Storage of real clusters.
type Storage struct {
	fleet *cluster.Fleet
	log   *slog.Logger

	ctx  context.Context // ends everything in the background
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// New returns a storage whose clusters are in a fleet.
func New(fleet *cluster.Fleet, log *slog.Logger) *Storage {
	ctx, stop := context.WithCancel(context.Background())
	return &Storage{fleet: fleet, log: log, ctx: ctx, stop: stop}
}

// Close ends every session and cluster and removes them.
func (s *Storage) Close() error {
	s.stop()
	err := s.fleet.Close()
	s.wg.Wait()
	return err
}

// Majors are the installed ones.
func (s *Storage) Majors() []string {
	var out []string
	for major := range s.fleet.Installs() {
		out = append(out, strconv.Itoa(major))
	}
	slices.Sort(out)
	return out
}

// Play does nothing: clusters go on by themselves.
func (s *Storage) Play(_, _ time.Time) {}

// install is the major that is asked for, or the oldest: an app of the story may
// have a version that is not installed.
func (s *Storage) install(version string) cluster.Install {
	major, _, _ := strings.Cut(version, ".")
	all := s.Majors()
	if !slices.Contains(all, major) {
		major = all[0]
	}
	n, _ := strconv.Atoi(major) // it was a number
	return s.fleet.Installs()[n]
}

// Create begins a cluster with an owner's role and database, as Heroku gives
// them: the owner is no superuser.
func (s *Storage) Create(spec herokutest.DataSpec, _ time.Time) herokutest.Data {
	i := s.install(spec.Version)
	d := &data{s: s, user: "u" + spec.ID[:6], name: "d" + spec.ID[:8], credentials: &credentials{passwords: map[string]string{"": newPassword()}}, look: herokutest.Look{Version: i.Version}}
	d.cluster, d.err = s.fleet.New(i)
	d.begin(func(ctx context.Context) error {
		if err := d.cluster.Start(ctx); err != nil {
			return err
		}
		if err := d.cluster.Do(ctx, "postgres",
			fmt.Sprintf("CREATE ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '%s'", d.user, d.credentials.of("")),
			fmt.Sprintf("CREATE DATABASE %s OWNER %s", d.name, d.user),
			fmt.Sprintf("REVOKE CONNECT ON DATABASE %s FROM PUBLIC", d.name),
			"REVOKE CONNECT ON DATABASE postgres FROM PUBLIC",
		); err != nil {
			return err
		}
		return d.cluster.Do(ctx, d.name, "SET ROLE "+d.user,
			"CREATE TABLE written (writer text NOT NULL, id bigint NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (writer, id))")
	})
	return d
}

// Follow begins a streaming standby.
func (s *Storage) Follow(leader herokutest.Data, spec herokutest.DataSpec, _ time.Time) herokutest.Data {
	l := leader.(*data)
	d := &data{s: s, user: l.user, name: l.name, credentials: l.roles(), leader: l, look: herokutest.Look{Version: l.version(), Following: true}}
	if l.cluster == nil {
		d.err = l.err
	} else {
		d.cluster, d.err = l.cluster.Follower()
	}
	d.begin(func(ctx context.Context) error {
		select {
		case <-l.ready:
			return d.cluster.Fill(ctx, l.cluster)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return d
}

// begin does what makes the data usable, and watches it from then on.
func (d *data) begin(do func(ctx context.Context) error) {
	d.ready = make(chan struct{})
	if d.err != nil { // no folder or no port
		d.look.Broken = d.err.Error()
		close(d.ready)
		return
	}
	d.s.wg.Go(func() {
		defer close(d.ready)
		if err := do(d.s.ctx); err != nil {
			if !errors.Is(err, cluster.ErrGone) && d.s.ctx.Err() == nil {
				d.s.log.Error("a cluster did not start", "database", d.name, "error", err)
			}
			d.set(func(l *herokutest.Look) { l.Broken = err.Error() })
			return
		}
		d.s.wg.Go(d.watch)
	})
}

// credentials are the roles of a leader and of whatever was made of it.
type credentials struct {
	mu        sync.Mutex
	passwords map[string]string
}

func (c *credentials) of(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passwords[name]
}

func (c *credentials) set(name, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passwords[name] = password
}

func newPassword() string { return "pw" + strings.ToLower(rand.Text()) }

func (c *credentials) clone() *credentials {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &credentials{passwords: maps.Clone(c.passwords)}
}
