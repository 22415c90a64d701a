package herokutest

import (
	"fmt"
	"time"
)

// What writes to an app's database, besides what an upgrade by hand thinks of:
// requests (maintenance mode stops only new ones; those under way go on for up
// to Times.Request), a thread of the web dynos that no maintenance mode stops,
// every other dyno, release commands, and programs outside Heroku that nobody
// can see.
const (
	writesRequest  = "request"
	writesThread   = "thread"
	writesRelease  = "release"
	writesExternal = "external" // holds a copied URL
	writesSession  = "session"  // holds a copied URL and asks for read-write by itself
	onlyReads      = "reader"   // holds a copied URL, is connected, and writes nothing
)

// writesPerSecond is how many rows each kind writes; other dynos write dynoRows.
var writesPerSecond = map[string]float64{writesRequest: 3, writesThread: 1, writesRelease: 3, writesExternal: 1, writesSession: 1, onlyReads: 0}

const dynoRows = 5

// program is something that writes now. It has the URL that it was started with.
type program struct {
	writerKey
	life    int64 // another one: it was started anew
	url     string
	rate    float64 // rows a second
	session Session
}

type writerKey struct{ name, kind string }

// outsider is a program that no API shows: an external client, or a dyno that
// was stopped and goes on.
type outsider struct {
	writerKey
	url     string
	session Session
}

// writer is a program's connection, kept from piece to piece of time.
type writer struct {
	journal *Journal
	client  Client
	life    int64
	due     float64
}

func (p program) as(kind string, share float64) program {
	p.kind, p.rate = kind, writesPerSecond[kind]*share
	return p
}

// programs are an app's writers at this instant.
func (s *Server) programs(a *app, now time.Time) []program {
	var out []program
	for _, d := range a.dynos {
		url := a.started(d)
		if url == "" || !d.up(now, s.cfg.Times.DynoStart) {
			continue
		}
		p := program{writerKey: writerKey{d.name, d.kind}, life: d.started.UnixNano(), url: url, rate: dynoRows}
		if d.kind != "web" {
			out = append(out, p)
			continue
		}
		out = append(out, p.as(writesThread, 1))
		if open := s.open(a, now); open > 0 {
			out = append(out, p.as(writesRequest, open))
		}
	}
	for _, r := range a.releases {
		url := r.vars["DATABASE_URL"]
		if r.status == "pending" && url != "" && !now.Before(r.ends.Add(-s.cfg.Times.Release)) {
			out = append(out, program{writerKey: writerKey{name: fmt.Sprintf("release v%d", r.version)}, url: url}.as(writesRelease, 1))
		}
	}
	for _, o := range a.outsiders {
		rate, ok := writesPerSecond[o.kind]
		if !ok {
			rate = dynoRows
		}
		out = append(out, program{writerKey: o.writerKey, url: o.url, rate: rate, session: o.session})
	}
	return out
}

// started returns the URL with which a dyno was started: it keeps it until it is
// started anew.
func (a *app) started(d *dyno) string {
	if d.url == "" || !d.since.Equal(d.started) {
		d.url, d.since = "", d.started
		if c := a.current(); c != nil {
			d.url = c.vars["DATABASE_URL"]
		}
	}
	return d.url
}

// open is the share of requests that are still served: all, or in maintenance
// those that were under way when it began.
func (s *Server) open(a *app, now time.Time) float64 {
	if !a.maintenance {
		a.closed = time.Time{}
		return 1
	}
	if a.closed.IsZero() {
		a.closed = now
	}
	return max(0, 1-now.Sub(a.closed).Seconds()/s.cfg.Times.Request.Seconds())
}

// writing lets an app's programs write for the time between from and now.
func (s *Server) writing(a *app, from, now time.Time) {
	active := map[writerKey]bool{}
	for _, p := range s.programs(a, now) {
		active[p.writerKey] = true
		w := a.writers[p.writerKey]
		if w == nil {
			w = &writer{journal: &Journal{writer: a.name + " " + p.name + " " + p.kind, kind: p.kind, tally: &a.tally}}
			a.writers[p.writerKey] = w
		}
		if w.client == nil || w.life != p.life {
			w.stop()
			w.client, w.life = s.storage.Connect(p.url, p.session, w.journal), p.life
		}
		w.due += p.rate * now.Sub(from).Seconds()
		if n := int(w.due); n > 0 {
			w.due -= float64(n)
			w.client.Write(n, now)
		}
	}
	for key, w := range a.writers {
		if !active[key] {
			w.stop()
		}
	}
}

func (w *writer) stop() {
	if w.client != nil {
		w.client.Close()
		w.client, w.due = nil, 0
	}
}

// leave lets a dyno's programs go on unseen, where that was staged: what a stop
// does not stop.
func (a *app) leave(d *dyno) {
	if !a.surviving[d.kind] || d.url == "" {
		return
	}
	kinds := []string{d.kind}
	if d.kind == "web" {
		kinds = []string{writesThread, writesRequest}
	}
	for _, kind := range kinds {
		a.outsiders = append(a.outsiders, &outsider{writerKey: writerKey{d.name + " unseen", kind}, url: d.url})
	}
}
