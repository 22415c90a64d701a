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

	mu   sync.Mutex
	data []*modelData
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
	password string
	user     string // of its first leader: a follower has the same roles
	name     string
	version  string
	bytes    int64
	dropped  bool
	rows     Ledger // received
	written  time.Time
	sessions map[*modelClient]bool

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
		user: "u" + spec.ID[:6], name: "d" + spec.ID[:8], password: "pw" + spec.ID[:12]}
	if leader != nil {
		d.leader, d.rows, d.version, d.bytes = leader, leader.rows.clone(), leader.version, leader.bytes
		d.user, d.name, d.password = leader.user, leader.name, leader.password
	}
	m.data = append(m.data, d)
	return d
}

func (d *modelData) URL(credential string) string {
	user, password := d.user, d.password
	if credential != "" {
		user, password = credential, d.password+credential
	}
	return fmt.Sprintf("postgres://%s:%s@ec2-%s.compute.example:5432/%s", user, password, d.spec.ID[:8], d.name)
}

func (d *modelData) Credential(string) error { return nil }

// Play moves what followers have received and replayed.
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
	d.leader, d.unreceived, d.waiting, d.unreplayed = nil, nil, 0, 0
}

func (d *modelData) Upgrade(major string, now time.Time) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.unfollow(now)
	d.upgradeTo, d.upgradeBegun, d.upgraded = major, now, false
	clear(d.sessions)
}

func (d *modelData) Reset() {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	clear(d.sessions)
}

func (d *modelData) Break(what, arg string, now time.Time) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	switch what {
	case CutLink, MendLink, HoldReplay, ResumeReplay, RaiseLag:
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
	case FailUpgrade:
		d.failing = cmp.Or(arg, "upgrade failed: internal error")
	case StallUpgrade:
		d.stalled = true
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

// modelClient is a session on the model.
type modelClient struct {
	m   *Model
	url string
	s   Session
	j   *Journal
}

// Connect opens a session.
func (m *Model) Connect(url string, s Session, j *Journal) Client {
	c := &modelClient{m: m, url: url, s: s, j: j}
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.at(url); d != nil {
		d.sessions[c] = true
	}
	return c
}

// at finds the database that takes sessions at a URL.
func (m *Model) at(url string) *modelData {
	for _, d := range m.data {
		if _, place, _ := strings.Cut(url, "@"); strings.HasSuffix(d.URL(""), "@"+place) && !d.upgrading() {
			return d
		}
	}
	return nil
}

func (c *modelClient) Write(n int, now time.Time) {
	first := c.j.Take(int64(n))
	last := first + int64(n) - 1
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	d := c.m.at(c.url)
	if d == nil {
		return
	}
	d.sessions[c] = true
	if d.leader != nil {
		return // read-only
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
	for _, d := range c.m.data {
		delete(d.sessions, c)
	}
}
