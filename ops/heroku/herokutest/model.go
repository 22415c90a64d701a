package herokutest

import (
	"fmt"
	"strings"
	"time"
)

type state struct {
	ids         int
	apps        []*app
	databases   []*database
	attachments []*attachment
	transfers   []*transfer
	advanced    time.Time // until when time has been played
}

func (s *state) init() {}

type app struct {
	id, name    string
	maintenance bool
	releasing   string // why release commands fail, stalled when they do not end, "" when they succeed
	backups     string // failing or stalled, "" when they succeed
	sick        bool   // scripted: answers 500 once it is up
	formation   []*process
	dynos       []*dyno
	releases    []*release
	builds      []*build
	features    map[string]bool
	vars        map[string]string // set by hand
	created     time.Time
	acked       float64   // rows that some database acknowledged to this app's writers
	copied      *database // an external client writes to this database with a copied URL
	connected   *database // an external client is connected to this database, and only reads
	appServices
}

type process struct {
	id, kind, size, command string
	quantity                int
}

type dyno struct {
	id, name, kind, command string
	started                 time.Time
	stops                   time.Time // zero: does not stop
}

type release struct {
	id          string
	version     int
	description string
	created     time.Time
	ends        time.Time // of the release command; zero without one
	status      string
	vars        map[string]string
}

type build struct {
	id      string
	created time.Time
	ends    time.Time
}

// What is scripted of releases and backups.
const (
	failing = "failing"
	stalled = "stalled"
)

// Role of a database in time: a follower catches up, is upgraded, leads.
type database struct {
	id, name     string
	owner        *app
	plan         string
	version      string // "15.13"
	host         string
	password     string
	address      string // what url returns, once host and password are there
	created      time.Time
	provisioned  time.Time // when it will be
	announced    bool      // its config var and release were made
	destroyed    time.Time // when it will be gone; zero: not asked for
	leader       *database
	forkedFrom   *database
	upgradeTo    string
	upgradeBegun time.Time
	upgradeEnds  time.Time
	upgradeFails string // scripted: the message
	noVersion    bool   // scripted: the upgrade ends without the version changing
	stalled      bool   // scripted: its upgrade never ends
	stuck        bool   // scripted: never provisioned
	lingers      bool   // scripted: its destruction does not end
	lagRising    bool   // scripted
	noLag        bool   // scripted: no Behind By row
	bytes        int64
	lastWrite    time.Time
	rows         map[*app]float64 // acknowledged rows that are in it
	protection   string
	forkFollow   string
	databaseServices
}

type attachment struct {
	id, name, namespace string
	app                 *app
	database            *database
	created             time.Time
}

type transfer struct {
	id            string
	num           int
	owner         *app // who is billed for it; it outlives the database
	from, fromURL string
	bytes         int64
	created       time.Time
	ends          time.Time
	canceled      time.Time // zero: it was not
}

func (s *state) app(idOrName string) *app {
	for _, a := range s.apps {
		if a.id == idOrName || a.name == idOrName {
			return a
		}
	}
	return nil
}

func (s *state) database(idOrName string) *database {
	for _, d := range s.databases {
		if d.id == idOrName || d.name == idOrName {
			return d
		}
	}
	return nil
}

func (s *state) on(a *app) []*attachment {
	var out []*attachment
	for _, t := range s.attachments {
		if t.app == a {
			out = append(out, t)
		}
	}
	return out
}

func (s *state) of(d *database) []*attachment {
	var out []*attachment
	for _, t := range s.attachments {
		if t.database == d {
			out = append(out, t)
		}
	}
	return out
}

func (s *state) named(a *app, name string) *attachment {
	for _, t := range s.on(a) {
		if t.name == name {
			return t
		}
	}
	return nil
}

// url is asked for with every row that a writer writes, so it is made once.
func (d *database) url() string {
	if d.address == "" {
		host := d.host
		if !strings.Contains(host, ":") {
			host += ":5432"
		}
		d.address = fmt.Sprintf("postgres://u%s:%s@%s/d%s", d.id[:6], d.password, host, d.id[:8])
	}
	return d.address
}

func (d *database) tier() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(d.plan, "heroku-postgresql:"), "-")
	return name
}

// vars are the config vars of an app as its attachments make them.
func (s *state) vars(a *app, now time.Time) map[string]string {
	out := map[string]string{}
	for k, v := range a.vars {
		out[k] = v
	}
	for _, t := range s.on(a) {
		if !now.Before(t.database.provisioned) {
			out[t.name+"_URL"] = t.url()
		}
	}
	return out
}

func (a *app) process(kind string) *process {
	for _, p := range a.formation {
		if p.kind == kind {
			return p
		}
	}
	return nil
}

func (a *app) releasePhase() bool { return a.process("release") != nil }

// current is the newest release that succeeded.
func (a *app) current() *release {
	for i := len(a.releases) - 1; i >= 0; i-- {
		if a.releases[i].status == "succeeded" {
			return a.releases[i]
		}
	}
	return nil
}

// release makes a release; with a release phase its command begins when the one
// before it has ended.
func (s *Server) release(a *app, description string, vars map[string]string, now time.Time) *release {
	r := &release{id: s.state.id("release"), version: 1, description: description, created: now, status: "succeeded", vars: vars}
	begins := now
	if n := len(a.releases); n > 0 {
		last := a.releases[n-1]
		r.version = last.version + 1
		if last.ends.After(begins) {
			begins = last.ends
		}
	}
	if a.releasePhase() {
		r.status, r.ends = "pending", begins.Add(s.cfg.Times.Release)
	} else {
		a.restart(now)
	}
	a.releases = append(a.releases, r)
	return r
}

func (a *app) restart(now time.Time) {
	for _, d := range a.dynos {
		if p := a.process(d.kind); p != nil && d.stops.IsZero() {
			d.started = now
		}
	}
}

// start says when the dynos of the formation began, or will begin.
func (a *app) start(at time.Time) {
	for _, d := range a.dynos {
		d.started = at
	}
}

// scale brings the dynos of a process type to the wanted number.
func (s *Server) scale(a *app, p *process, quantity int, now time.Time) {
	p.quantity = quantity
	for n := 1; n <= 100; n++ {
		name := fmt.Sprintf("%s.%d", p.kind, n)
		var have *dyno
		for _, d := range a.dynos {
			if d.name == name && d.stops.IsZero() {
				have = d
			}
		}
		switch {
		case n <= quantity && have == nil:
			a.dynos = append(a.dynos, &dyno{id: s.state.id("dyno"), name: name, kind: p.kind, command: p.command, started: now})
		case n > quantity && have != nil:
			have.stops = now.Add(s.cfg.Times.DynoStop)
		}
	}
}

func (d *dyno) up(now time.Time, start time.Duration) bool { return !now.Before(d.started.Add(start)) }
