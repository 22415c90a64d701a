package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// insides is the stand-in's model with what SQL shows of it: each database has a
// read-only default, row counters that its writers move, a transaction id, a
// position, and sessions that keep the default they were opened with. A follower
// has its leader's default, and an upgrade keeps it.
type insides struct {
	*herokutest.Model
	now func() time.Time

	mu      sync.Mutex
	all     []*inside
	clients []*insideClient
	pids    int32
	before  string                  // the default that each database is created with
	reached map[string]int          // how often a leader's position was read since its fence, by add-on
	away    func(addon string) bool // it cannot be reached by SQL
}

// inside is one database.
type inside struct {
	herokutest.Data
	m       *insides
	id      string
	system  string
	leader  *inside
	setting string
	reset   string
	tables  map[string]ops.TableCounts
	xid     uint64
	end     ops.LSN
}

func newInsides(now func() time.Time) *insides {
	return &insides{Model: herokutest.NewModel(times()), now: now, reached: map[string]int{}}
}

func (m *insides) add(d herokutest.Data, id string, leader *inside) *inside {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := &inside{Data: d, m: m, id: id, leader: leader, system: "s-" + id, setting: m.before, reset: "r-" + id, tables: emptyTables(), xid: 700, end: 1000}
	if leader != nil {
		x.system = leader.system
	}
	m.all = append(m.all, x)
	return x
}

func emptyTables() map[string]ops.TableCounts {
	return map[string]ops.TableCounts{"public.rows": {OID: 1, File: 1}}
}

func (m *insides) Create(spec herokutest.DataSpec, now time.Time) herokutest.Data {
	return m.add(m.Model.Create(spec, now), spec.ID, nil)
}

func (m *insides) Follow(leader herokutest.Data, spec herokutest.DataSpec, now time.Time) herokutest.Data {
	l := leader.(*inside)
	return m.add(m.Model.Follow(l.Data, spec, now), spec.ID, l)
}

func (m *insides) Play(from, now time.Time) {
	m.Model.Play(from, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.clients {
		c.session(now)
	}
}

func (m *insides) Connect(at string, s herokutest.Session, j *herokutest.Journal) herokutest.Client {
	c := &insideClient{Client: m.Model.Connect(at, s, j), m: m, url: at, s: s, j: j}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients = append(m.clients, c)
	c.session(m.now())
	return c
}

func hostOf(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// on returns the database on a host.
func (m *insides) on(host string) *inside {
	for _, d := range m.all {
		if hostOf(d.URL("")) == host {
			return d
		}
	}
	return nil
}

// of returns the database of an add-on.
func (m *insides) of(addon string) *inside {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.all {
		if d.id == addon {
			return d
		}
	}
	return nil
}

// set is the read-only default as it stands: a follower's is its leader's.
func (d *inside) set() string {
	if d.leader != nil {
		return d.leader.set()
	}
	return d.setting
}

func (d *inside) leave() {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.leader != nil {
		d.setting, d.leader = d.leader.set(), nil
	}
}

func (d *inside) Unfollow(now time.Time) { d.leave(); d.Data.Unfollow(now) }

// Upgrade makes another server of it, whose counters begin anew.
func (d *inside) Upgrade(major string, now time.Time) {
	d.leave()
	d.m.mu.Lock()
	d.system, d.reset, d.tables = d.system+"-"+major, d.reset+"-"+major, emptyTables()
	d.m.mu.Unlock()
	d.Data.Upgrade(major, now)
}

func (d *inside) Reset(now time.Time) {
	d.Data.Reset(now)
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	for _, c := range d.m.clients {
		if c.at == d {
			c.end(now)
		}
	}
}

func (d *inside) Drop() {
	d.Data.Drop()
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.m.all = slices.DeleteFunc(d.m.all, func(x *inside) bool { return x == d })
}

// fence is the read-only default of an add-on's database.
func (m *insides) fence(addon string) (ops.DBFence, bool) {
	d := m.of(addon)
	if d == nil {
		return ops.DBFence{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return ops.DBFence{Setting: d.set()}, true
}

// insideClient is a program's session.
type insideClient struct {
	herokutest.Client
	m    *insides
	url  string
	s    herokutest.Session
	j    *herokutest.Journal
	at   *inside // nil: not connected
	pid  int32
	only bool // its default is read-only
	seen ops.Session
	gone time.Time // when its session was ended
}

// session opens one where there is none, as the program does after a moment.
func (c *insideClient) session(now time.Time) *inside {
	if c.at != nil || !c.gone.IsZero() && (c.s.Once || now.Before(c.gone.Add(time.Second))) {
		return c.at
	}
	d := c.m.on(hostOf(c.url))
	if d == nil || !d.Look(now).Ready {
		return nil
	}
	c.m.pids++
	c.at, c.pid, c.only = d, c.m.pids, ops.DBFence{Setting: d.set()}.On() && !c.s.ReadWrite
	c.seen = ops.Session{PID: c.pid, Role: "u1", App: c.j.Writer(), Seen: true, State: "idle", Began: now, Since: now}
	return d
}

func (c *insideClient) end(now time.Time) { c.at, c.gone = nil, now }

func (c *insideClient) Write(n int, now time.Time) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	d := c.session(now)
	if d == nil || c.only || d.leader != nil {
		c.j.Take(int64(n)) // tried, and refused
		return
	}
	was := c.j.Acknowledged()
	c.Client.Write(n, now)
	is := c.j.Acknowledged()
	if wrote := is.Count() - was.Count(); wrote > 0 {
		t := d.tables["public.rows"]
		t.Ins += wrote
		d.tables["public.rows"] = t
		d.xid++
		d.end += ops.LSN(100 * wrote)
		c.seen.Since = now
	}
}

func (c *insideClient) Close() {
	c.Client.Close()
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.m.clients = slices.DeleteFunc(c.m.clients, func(x *insideClient) bool { return x == c })
}

// reached is SQL as the procedure has it: what a config var leads to.
type reach struct {
	w *world
	m *insides
}

var errUnreached = errors.New("the database does not answer")

func (r reach) find(ctx context.Context, at ops.Place) (*inside, error) {
	hosts, err := r.w.runner.Heroku.ConfigHosts(ctx, at.App)
	if err != nil {
		return nil, err
	}
	r.m.mu.Lock()
	d := r.m.on(hosts[at.Var].Host)
	r.m.mu.Unlock()
	if d == nil || d.id != at.AddonID {
		return nil, fmt.Errorf("%s of %s does not lead to %s", at.Var, at.App, at.AddonID)
	}
	return d, nil
}

func (r reach) Open(ctx context.Context, at ops.Place) (upgrade.Database, error) {
	d, err := r.find(ctx, at)
	if err != nil {
		return nil, err
	}
	return insideOf{d, r.w}, nil
}

// Compare compares the rows themselves.
func (r reach) Compare(ctx context.Context, first, second ops.Place, _ ops.CompareLimits) ([]ops.RowsCompared, error) {
	a, err := r.find(ctx, first)
	if err != nil {
		return nil, err
	}
	b, err := r.find(ctx, second)
	if err != nil {
		return nil, err
	}
	has, err := a.Held(ctx)
	if err != nil {
		return nil, err
	}
	got, err := b.Held(ctx)
	if err != nil {
		return nil, err
	}
	c := ops.RowsCompared{Table: "public.rows", Whole: true}
	for writer, rows := range has {
		c.Rows += rows.Count()
		if n := rows.Missing(got[writer]); n > 0 {
			c.Differs = fmt.Sprintf("has %d rows less", n)
		}
	}
	return []ops.RowsCompared{c}, nil
}

// insideOf is one database as the procedure has it.
type insideOf struct {
	d *inside
	w *world
}

// ask reads, or fails where the database is not there or out of reach.
func ask[T any](x insideOf, read func(now time.Time) T) (v T, err error) {
	now := x.d.m.now()
	if away := x.d.m.away; away != nil && away(x.d.id) || !x.d.Look(now).Ready {
		return v, errUnreached
	}
	x.d.m.mu.Lock()
	defer x.d.m.mu.Unlock()
	return read(now), nil
}

func (x insideOf) server(now time.Time) ops.Server {
	l := x.d.Look(now)
	s := ops.Server{Version: l.Version, Follower: x.d.leader != nil, System: x.d.system, Timeline: 1, Owner: true, AllStats: true}
	fmt.Sscan(ops.Major(l.Version), &s.Major)
	return s
}

func (x insideOf) Server(context.Context) (ops.Server, error) { return ask(x, x.server) }

func (x insideOf) Position(context.Context) (ops.Position, error) {
	return ask(x, func(now time.Time) ops.Position {
		d := x.d
		p := ops.Position{At: now, System: d.system, Follower: d.leader != nil}
		if !p.Follower {
			p.End = d.end
			d.m.reached[d.id]++
			return p
		}
		l := d.Look(now)
		p.Replayed = max(1, d.leader.end-ops.LSN(min(int64(d.leader.end)-1, 100*int64(l.Behind))))
		p.Received = p.Replayed
		return p
	})
}

func (x insideOf) activity(now time.Time) ops.Activity {
	d := x.d
	a := ops.Activity{At: now, Major: x.server(now).Major, System: d.system, Follower: d.leader != nil, NextXID: d.xid, Tables: maps.Clone(d.tables), Reset: d.reset}
	for _, c := range d.m.clients {
		if c.at == d {
			a.Sessions = append(a.Sessions, c.seen)
		}
	}
	return a
}

func (x insideOf) Activity(context.Context) (ops.Activity, error) { return ask(x, x.activity) }

func (x insideOf) Reading(context.Context) (ops.Reading, error) {
	return ask(x, func(now time.Time) ops.Reading {
		return ops.Reading{Activity: x.activity(now), Sequences: ops.Known(map[string]ops.Sequence{}), Schema: ops.Known(map[string]string{"table public.rows": "1"})}
	})
}

func (x insideOf) fence(now time.Time) ops.DBFence {
	f := ops.DBFence{At: now, Setting: x.d.set(), Owner: x.d.leader == nil}
	for _, c := range x.d.m.clients {
		if c.at == x.d {
			f.PIDs = append(f.PIDs, c.pid)
		}
	}
	return f
}

func (x insideOf) Fenced(context.Context) (ops.DBFence, error) { return ask(x, x.fence) }

func (x insideOf) Objects(context.Context) (map[string]int64, error) {
	return ask(x, func(time.Time) map[string]int64 { return map[string]int64{"tables": 1} })
}

func (x insideOf) SequencesBehind(context.Context) ([]ops.SequenceBehind, error) { return nil, nil }

func (x insideOf) Busiest(context.Context, int) ([]string, error) {
	return []string{"public.rows"}, nil
}

var errNotModelled = errors.New("what the checks look for inside is not modelled")

func (x insideOf) Inside(context.Context, bool) (ops.Inside, error) {
	return ops.Inside{}, errNotModelled
}
func (x insideOf) Holding(context.Context) (ops.Inside, error) { return ops.Inside{}, errNotModelled }

// acts makes a change, with a moment before and after it.
func acts[T any](x insideOf, ctx context.Context, kind ops.ActKind, do func(now time.Time) (T, error)) (T, error) {
	return call(calls{w: x.w}, ctx, kind, x.d.id, func() (T, error) {
		var failed error
		v, err := ask(x, func(now time.Time) (v T) {
			v, failed = do(now)
			return v
		})
		return v, errors.Join(err, failed)
	})
}

func (x insideOf) change(kind ops.ActKind, ctx context.Context, recorded ops.DBFence, on bool) (ops.DBFence, error) {
	return acts(x, ctx, kind, func(now time.Time) (ops.DBFence, error) {
		f := x.fence(now)
		switch {
		case on && f.On(), !on && f.Same(recorded):
			return f, nil
		case on && !f.Same(recorded), !on && !f.On():
			return f, ops.ErrStale
		case !f.Owner:
			return f, errors.New("it is a follower")
		case on:
			x.d.setting = "on"
			x.d.m.reached[x.d.id] = 0
		default:
			x.d.setting = recorded.Setting
		}
		return x.fence(now), nil
	})
}

func (x insideOf) Fence(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error) {
	return x.change(ops.ActFenceDB, ctx, recorded, true)
}

func (x insideOf) Clear(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error) {
	return x.change(ops.ActClearDB, ctx, recorded, false)
}

// EndSessions leaves those of other credentials to Heroku.
func (x insideOf) EndSessions(ctx context.Context, fence ops.DBFence) (ops.Ended, error) {
	return acts(x, ctx, ops.ActEndSessions, func(now time.Time) (e ops.Ended, _ error) {
		for _, c := range x.d.m.clients {
			if c.at != x.d || len(ops.OlderThanFence(fence, []ops.Session{c.seen})) == 0 {
				continue
			}
			if c.s.Once {
				e.Left = append(e.Left, c.seen)
				continue
			}
			c.end(now)
			e.Ended++
		}
		return e, nil
	})
}

func (x insideOf) Writable(ctx context.Context) (ops.Writable, error) {
	return acts(x, ctx, ops.ActProve, func(now time.Time) (ops.Writable, error) {
		f := x.fence(now)
		return ops.Writable{Server: x.server(now), Fence: f, Wrote: x.d.leader == nil, Default: !f.On()}, nil
	})
}

func (x insideOf) Analyze(ctx context.Context, first []string, _ time.Duration, _ func(int, int, string)) (ops.Analyzed, error) {
	return acts(x, ctx, ops.ActAnalyze, func(time.Time) (ops.Analyzed, error) { return ops.Analyzed{Done: first}, nil })
}
