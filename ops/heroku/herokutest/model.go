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
	appServices
	closed    time.Time // since when maintenance mode stops new requests
	writers   map[writerKey]*writer
	outsiders []*outsider
	outside   int             // how many outsiders there ever were
	surviving map[string]bool // kinds of dynos that write on, unseen, when they are stopped
	tally     tally
}

type process struct {
	id, kind, size, command string
	quantity                int
}

type dyno struct {
	id, name, kind, command string
	started                 time.Time
	stops                   time.Time // zero: does not stop
	url                     string    // with which it was started
	since                   time.Time // the start that took url
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
	failed  = "failed" // at once, before anything was done
	stalled = "stalled"
)

// database is what Heroku knows of a database; what holds its rows is data.
type database struct {
	id, name    string
	owner       *app
	plan        string
	data        Data
	version     string // "15.13"
	created     time.Time
	provisioned time.Time // when it will be
	announced   bool      // its config var and release were made
	destroyed   time.Time // when it will be gone; zero: not asked for
	leader      *database
	forkedFrom  *database
	upgradeTo   string    // while an upgrade is under way, and when it failed
	rebuilt     time.Time // when a follower whose leader was upgraded in place is made anew; zero: not begun
	stuck       bool      // scripted: never provisioned
	lingers     bool      // scripted: its destruction does not end
	noLag       bool      // scripted: no Behind By row
	zeroLag     bool      // scripted: Behind By says 0 whatever is behind
	protection  string
	forkFollow  string
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

func (d *database) url() string { return d.data.URL("") }

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
		if a.releasing == failed {
			r.status, r.ends = "failed", begins
		}
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
