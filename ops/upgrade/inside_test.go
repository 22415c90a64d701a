package upgrade_test

import (
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
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
