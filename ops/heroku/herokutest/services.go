package herokutest

import (
	"slices"
	"time"
)

// databaseServices is what Heroku keeps about a database beside its data.
type databaseServices struct {
	credentials []*credential // beside the default one
	rotating    []string      // connection URLs of before a rotation that still work
	links       []*link
	schedules   []*schedule
	settings    map[string]any // only what was changed
	window      string         // "Sunday 22:30"
	prepared    *preparation   // an upgrade that waits for its window
	maintained  []maintenance  // the newest first; what was, is, or is planned
	unfollowed  time.Time      // when it became a database of its own; zero: it always was
}

// appServices is what can be staged for an app.
type appServices struct {
	unpaid    bool // this account may not add paid add-ons to it
	stickNext bool // the next database that is created is never provisioned
}

// playServices lets what is planned happen, once it is due.
func (s *Server) playServices(now time.Time) {
	for _, d := range s.state.databases {
		if p := d.prepared; p != nil && !now.Before(p.window) {
			d.prepared = nil
			s.beginInPlace(d, p.version, now)
		}
		d.rotating = slices.DeleteFunc(d.rotating, func(url string) bool { return !s.inUse(url) })
		d.playMaintenance(now)
	}
}

// inUse reports whether the current release of some app holds this connection URL.
func (s *Server) inUse(url string) bool {
	for _, a := range s.state.apps {
		if cur := a.current(); cur != nil {
			for _, v := range cur.vars {
				if v == url {
					return true
				}
			}
		}
	}
	return false
}
