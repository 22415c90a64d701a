package herokutest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Model is a storage in memory, on the stand-in's clock: durations and lag are
// scripted, rows and positions are kept. A commit is a row.
type Model struct {
	times Times

	mu      sync.Mutex
	data    []*modelData
	clients []*modelClient
}

// NewModel returns a model without databases.
func NewModel(t Times) *Model { return &Model{times: t} }

var minors = map[string]string{"14": ".18", "15": ".13", "16": ".9", "17": ".5", "18": ".1"}

// Majors are all that Heroku has offered lately.
func (m *Model) Majors() []string { return []string{"14", "15", "16", "17", "18"} }

// modelData is one database. A follower has its leader's rows but for those it
// has not received; what it received it need not have replayed.
type modelData struct {
	m        *Model
	spec     DataSpec
	roles    *modelRoles
	version  string
	bytes    int64
	dropped  bool
	rows     Ledger // received
	written  time.Time
	sessions map[*modelClient]bool
	reset    time.Time // when sessions were last ended

	leader     *modelData
	unreceived []modelRows // committed at the leader, oldest first
	waiting    int64       // how many those are
	unreplayed int64       // received while replay was held
	history    int64       // commits before those, when the link was cut

	cut, held, rising bool

	upgradeTo            string
	upgradeBegun         time.Time
	upgraded             bool
	failing              string
	stalled, keepVersion bool
}

// modelRoles are the roles of a leader and of those that follow it.
type modelRoles struct {
	user, name string              // the owner, and the database
	passwords  map[string][]string // by credential; the first is the one that URLs have
	rotations  int
}

func (r *modelRoles) clone() *modelRoles {
	out := *r
	out.passwords = map[string][]string{}
	for name, all := range r.passwords {
		out.passwords[name] = slices.Clone(all)
	}
	return &out
}

type modelRows struct {
	writer      string
	first, last int64
	at          time.Time
}

// Create makes a database, usable at once.
func (m *Model) Create(spec DataSpec, now time.Time) Data { return m.add(nil, spec) }

// Follow makes a follower, which has the rows of this instant and falls behind
// from then on.
func (m *Model) Follow(leader Data, spec DataSpec, now time.Time) Data {
	return m.add(leader.(*modelData), spec)
}

func (m *Model) add(leader *modelData, spec DataSpec) *modelData {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := &modelData{m: m, spec: spec, version: spec.Version, bytes: spec.Bytes, rows: Ledger{}, sessions: map[*modelClient]bool{},
		roles: &modelRoles{user: "u" + spec.ID[:6], name: "d" + spec.ID[:8], passwords: map[string][]string{"": {"pw" + spec.ID[:12]}}}}
	if leader != nil {
		d.leader, d.rows, d.version, d.bytes, d.roles = leader, leader.rows.clone(), leader.version, leader.bytes, leader.roles
	}
	m.data = append(m.data, d)
	return d
}

func (d *modelData) host() string {
	return cmp.Or(d.spec.Host, "ec2-"+d.spec.ID[:8]+".compute.example")
}

// The model's pooler listens elsewhere than its database, as Heroku's do.
const modelPort, modelPooler = 5432, 6432

func (d *modelData) at(credential, password string, port int) string {
	host := d.host()
	if !strings.Contains(host, ":") {
		host = fmt.Sprintf("%s:%d", host, port)
	}
	return fmt.Sprintf("postgres://%s:%s@%s/%s", cmp.Or(credential, d.roles.user), password, host, d.roles.name)
}

func (d *modelData) URL(credential string) string {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.at(credential, d.roles.password(credential), modelPort)
}

func (d *modelData) Pooler() string {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.at("", d.roles.password(""), modelPooler)
}

// password is of a credential, or nothing where it was removed.
func (r *modelRoles) password(credential string) string {
	if all := r.passwords[credential]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// lets reports whether a URL leads here and its password is right.
func (d *modelData) lets(url string) bool {
	if !strings.Contains(url, "@"+d.host()) {
		return false // the rest is slow
	}
	for name, all := range d.roles.passwords {
		for _, password := range all {
			if url == d.at(name, password, modelPort) || name == "" && url == d.at("", password, modelPooler) {
				return true
			}
		}
	}
	return false
}

func (d *modelData) Credential(name string) error {
	return d.change(func(r *modelRoles) error {
		if r.passwords[name] != nil {
			return fmt.Errorf("the role %s exists", name)
		}
		r.passwords[name] = []string{r.password("") + name}
		return nil
	})
}

func (d *modelData) Revoke(name string) error {
	return d.change(func(r *modelRoles) error { delete(r.passwords, name); return nil })
}

func (d *modelData) Rotate(name string, forced bool) error {
	return d.change(func(r *modelRoles) error {
		r.rotations++
		was := r.password(name)
		r.passwords[name] = []string{fmt.Sprintf("pw%s%s%d", d.spec.ID[:12], name, r.rotations)}
		if !forced {
			r.passwords[name] = append(r.passwords[name], was)
		}
		return nil
	})
}

// change changes the roles. A follower's are its leader's.
func (d *modelData) change(how func(*modelRoles) error) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.leader != nil {
		return fmt.Errorf("a follower's roles are its leader's")
	}
	return how(d.roles)
}

// Play moves what followers have received and replayed, and lets programs
// connect anew.
func (m *Model) Play(_, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.data {
		d.receive(now)
		if d.upgradeTo != "" && !d.upgraded && !d.stalled && d.failing == "" && !now.Before(d.upgradeBegun.Add(m.times.Upgrade)) {
			d.upgraded = true
			if !d.keepVersion {
				d.version = d.upgradeTo + minors[d.upgradeTo]
			}
		}
	}
	for _, c := range m.clients {
		if !c.s.Once {
			c.connect(now)
		}
	}
}

// shipping is how many commits are on their way: many at first, few while there
// are writers, and none a second after the last write.
func (d *modelData) shipping(now time.Time) int64 {
	since := now.Sub(d.spec.Usable)
	if d.rising {
		return 500 + int64(since.Seconds()*20)
	}
	left := 1 - since.Seconds()/d.m.times.CatchUp.Seconds()
	behind := int64(0)
	if left > 0 {
		behind = int64(48_000 * math.Pow(left, 1.4))
	}
	if quiet := now.Sub(d.leader.written); quiet < time.Second {
		behind += 3 + int64(17*(1+math.Sin(since.Seconds()*1.7)))
	}
	return behind
}

// receive takes all but the commits that are still on their way.
func (d *modelData) receive(now time.Time) {
	if d.leader == nil || d.cut {
		return
	}
	over := d.waiting - d.shipping(now)
	caughtUp := !d.rising && now.Sub(d.spec.Usable) > d.m.times.CatchUp
	for len(d.unreceived) > 0 {
		x := &d.unreceived[0]
		n := min(over, x.last-x.first+1)
		if d.held || caughtUp && now.Sub(x.at) > time.Second { // what is held was received; what streams takes no longer
			n = x.last - x.first + 1
		}
		if n <= 0 {
			return
		}
		d.rows.add(x.writer, x.first, x.first+n-1)
		if d.held {
			d.unreplayed += n
		}
		x.first += n
		over -= n
		d.waiting -= n
		if x.first > x.last {
			d.unreceived = d.unreceived[1:]
		}
	}
}

func (d *modelData) behind(now time.Time) int64 {
	if d.cut {
		return d.history + d.waiting + d.unreplayed
	}
	return max(d.shipping(now), d.unreplayed)
}

func (d *modelData) Look(now time.Time) Look {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	l := Look{Ready: !d.dropped && !d.upgrading(), Version: d.version, Following: d.leader != nil, Sessions: len(d.sessions), Bytes: d.bytes}
	if d.leader != nil {
		l.Behind, l.BehindKnown = int(d.behind(now)), true
	}
	if d.upgradeTo == "" {
		return l
	}
	part := float64(now.Sub(d.upgradeBegun)) / float64(d.m.times.Upgrade)
	l.Upgrade = UpgradeLook{To: d.upgradeTo, Ended: d.upgraded, Step: 3, Took: d.m.times.Upgrade}
	if d.stalled {
		part = min(part, 0.5)
	}
	switch {
	case part >= 1 && d.failing != "":
		l.Upgrade.Ended, l.Upgrade.Failed = true, d.failing
	case part < 0.25:
		l.Upgrade.Step = 1
	case part < 0.85:
		l.Upgrade.Step = 2
	}
	return l
}

// upgrading is also a database whose upgrade failed: it is spent.
func (d *modelData) upgrading() bool { return d.upgradeTo != "" && !d.upgraded }

func (d *modelData) Unfollow(now time.Time) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.unfollow(now)
}

func (d *modelData) unfollow(now time.Time) {
	d.receive(now)
	if d.leader != nil {
		d.roles = d.roles.clone()
	}
	d.leader, d.unreceived, d.waiting, d.unreplayed = nil, nil, 0, 0
}

func (d *modelData) Upgrade(major string, now time.Time) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.unfollow(now)
	d.upgradeTo, d.upgradeBegun, d.upgraded = major, now, false
	clear(d.sessions)
}

func (d *modelData) Reset(now time.Time) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.reset = now
	clear(d.sessions)
}

func (d *modelData) Break(what, arg string, now time.Time) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	switch what {
	case CutLink, MendLink, HoldReplay, ResumeReplay, RaiseLag, LetLagFall:
		if d.leader == nil {
			return fmt.Errorf("%s: it follows no database", what)
		}
	}
	switch what {
	case CutLink:
		d.receive(now)
		d.cut, d.history = true, max(0, d.shipping(now)-d.waiting)
	case MendLink:
		d.cut = false
	case HoldReplay:
		d.held = true
	case ResumeReplay:
		d.held, d.unreplayed = false, 0
	case RaiseLag:
		d.rising = true
	case LetLagFall:
		d.rising = false
	case FailUpgrade:
		d.failing = cmp.Or(arg, "upgrade failed: internal error")
	case StallUpgrade:
		d.stalled = true
	case GoOn:
		d.stalled = false
	case KeepVersion:
		d.keepVersion = true
	default:
		return fmt.Errorf("%s: no such fault", what)
	}
	return nil
}

func (d *modelData) Held(context.Context) (Ledger, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.dropped {
		return nil, fmt.Errorf("the database is gone")
	}
	return d.rows.clone(), nil
}

func (d *modelData) Drop() {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.dropped = true
	clear(d.sessions)
	d.m.data = slices.DeleteFunc(d.m.data, func(x *modelData) bool { return x == d })
}

// modelClient is a program of the model.
type modelClient struct {
	m   *Model
	url string
	s   Session
	j   *Journal
	at  *modelData // where its session is, or was
}

// Connect opens a session.
func (m *Model) Connect(url string, s Session, j *Journal) Client {
	c := &modelClient{m: m, url: url, s: s, j: j}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients = append(m.clients, c)
	if c.at = m.find(url); c.at != nil {
		c.at.sessions[c] = true
	}
	return c
}

// find returns the database that lets a URL in.
func (m *Model) find(url string) *modelData {
	for _, d := range m.data {
		if !d.upgrading() && d.lets(url) {
			return d
		}
	}
	return nil
}

// reconnects is how long a program takes to connect anew.
const reconnects = time.Second

// connect returns where the program has its session; one that was ended it opens
// again.
func (c *modelClient) connect(now time.Time) *modelData {
	if c.at != nil && c.at.sessions[c] {
		return c.at
	}
	if c.at != nil && now.Sub(c.at.reset) < reconnects {
		return nil
	}
	if c.at = c.m.find(c.url); c.at != nil {
		c.at.sessions[c] = true
	}
	return c.at
}

func (c *modelClient) Write(n int, now time.Time) {
	first := c.j.Take(int64(n))
	last := first + int64(n) - 1
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	d := c.connect(now)
	if d == nil || d.leader != nil {
		return // not there, or read-only
	}
	d.rows.add(c.j.writer, first, last)
	d.written = now
	d.bytes += int64(n) * 200
	for _, f := range c.m.data {
		if f.leader == d {
			f.unreceived = append(f.unreceived, modelRows{c.j.writer, first, last, now})
			f.waiting += int64(n)
		}
	}
	c.j.Ack(first, last, now)
}

func (c *modelClient) Close() {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.m.clients = slices.DeleteFunc(c.m.clients, func(x *modelClient) bool { return x == c })
	for _, d := range c.m.data {
		delete(d.sessions, c)
	}
}
