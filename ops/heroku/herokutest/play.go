package herokutest

import (
	"math"
	"slices"
	"time"
)

// play brings the state to now: what was due has happened. It plays in small
// pieces so that writers and the end of things interleave as they would.
func (s *Server) play() time.Time {
	now := s.Now()
	if s.state.advanced.IsZero() {
		s.state.advanced = now
	}
	const piece = 50 * time.Millisecond
	for s.state.advanced.Before(now) {
		next := s.state.advanced.Add(piece)
		if now.Sub(s.state.advanced) > 5*time.Minute { // a long sleep: bigger pieces
			next = s.state.advanced.Add(now.Sub(s.state.advanced) / 1000)
		}
		if next.After(now) {
			next = now
		}
		s.playUntil(s.state.advanced, next)
		s.state.advanced = next
	}
	return now
}

func (s *Server) playUntil(from, now time.Time) {
	st := &s.state
	for _, d := range st.databases {
		if !d.announced && !now.Before(d.provisioned) && !d.stuck {
			d.announced = true
			for _, t := range st.of(d) {
				s.release(t.app, "Attach "+t.name+" (@ref:"+d.name+")", st.vars(t.app, now), now)
			}
		}
		if d.upgradeTo != "" && !now.Before(d.upgradeEnds) && d.upgradeFails == "" && !d.stalled {
			if !d.noVersion {
				d.version = d.upgradeTo + minors[d.upgradeTo]
			}
			d.upgradeTo = ""
		}
	}
	var gone []*database
	st.databases = slices.DeleteFunc(st.databases, func(d *database) bool {
		if d.destroyed.IsZero() || now.Before(d.destroyed) || d.lingers {
			return false
		}
		gone = append(gone, d)
		return true
	})
	for _, d := range gone {
		for _, t := range st.of(d) {
			s.remove(t, now)
		}
	}
	for _, a := range st.apps {
		s.playApp(a, from, now)
	}
}

var minors = map[string]string{"14": ".18", "15": ".13", "16": ".9", "17": ".5", "18": ".1"}

func (s *Server) playApp(a *app, from, now time.Time) {
	for _, r := range a.releases {
		if r.status != "pending" {
			continue
		}
		if d := s.byURL(r.vars["DATABASE_URL"]); d != nil {
			s.write(a, d, 3, from, now) // a release command is a writer
		}
		if !now.Before(r.ends) && a.releasing != stalled {
			r.status = "succeeded"
			if a.releasing != "" || r.vars["DATABASE_URL"] == "" {
				r.status = "failed"
			} else {
				a.restart(now)
			}
		}
	}
	a.dynos = slices.DeleteFunc(a.dynos, func(d *dyno) bool { return !d.stops.IsZero() && !now.Before(d.stops) })
	current := a.current()
	if current == nil {
		return
	}
	d := s.byURL(current.vars["DATABASE_URL"])
	for _, x := range a.dynos {
		if d == nil || !x.up(now, s.cfg.Times.DynoStart) {
			continue
		}
		rate := 5.0 // a worker, a scheduler job, a one-off
		if x.kind == "web" {
			rate = 1 // its background thread, which maintenance mode does not stop
			if !a.maintenance {
				rate += 3
			}
		}
		s.write(a, d, rate, from, now)
	}
	if a.copied != nil {
		s.write(a, a.copied, 1, from, now)
	}
}

// write lets a writer add rows for the time between from and now, if the
// database takes them.
func (s *Server) write(a *app, d *database, rate float64, from, now time.Time) {
	if d.leader != nil || d.upgradeTo != "" || now.Before(d.provisioned) {
		return // read-only, being upgraded, or not there
	}
	rows := rate * now.Sub(from).Seconds()
	d.rows[a] += rows
	a.acked += rows
	d.lastWrite = now
	d.bytes += int64(rows * 200)
}

func (s *Server) byURL(url string) *database {
	if url == "" {
		return nil
	}
	for _, d := range s.state.databases {
		if d.serves(url) {
			return d
		}
	}
	return nil
}

// lag is how many commits a follower is behind: much at first, little while
// there are writers, and zero a second after the last write.
func (s *Server) lag(d *database, now time.Time) int {
	if d.leader == nil {
		return 0
	}
	since := now.Sub(d.provisioned)
	if d.lagRising {
		return 500 + int(since.Seconds()*20)
	}
	left := 1 - since.Seconds()/s.cfg.Times.CatchUp.Seconds()
	behind := 0
	if left > 0 {
		behind = int(48_000 * math.Pow(left, 1.4))
	}
	if quiet := now.Sub(d.leader.lastWrite); quiet < time.Second {
		behind += 3 + int(17*(1+math.Sin(since.Seconds()*1.7)))
	}
	return behind
}

// beginUpgrade ends the following: what was not replayed by now is not in the
// new database.
func (s *Server) beginUpgrade(d *database, to string, now time.Time) {
	behind := float64(s.lag(d, now))
	for a, rows := range d.leader.rows {
		have := math.Max(0, rows-behind)
		d.rows[a], behind = have, math.Max(0, behind-rows)
	}
	d.forkedFrom, d.leader = d.leader, nil
	d.upgradeTo, d.upgradeBegun, d.upgradeEnds = to, now, now.Add(s.cfg.Times.Upgrade)
}

// Rows is the count of an app's rows.
type Rows struct {
	App          string `json:"app"`
	Acknowledged int    `json:"acknowledged"` // rows whose commit some database acknowledged
	Missing      int    `json:"missing"`      // of those, not in the database that the app uses now
}

// Rows counts, for every app, the rows acknowledged and the rows missing.
func (s *Server) Rows() []Rows {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.play()
	var out []Rows
	for _, a := range s.state.apps {
		r := Rows{App: a.name, Acknowledged: int(a.acked)}
		if c := a.current(); c != nil {
			if d := s.byURL(c.vars["DATABASE_URL"]); d != nil {
				// Less than half a row is the rounding of the model.
				r.Missing = int(a.acked - d.rows[a] + 0.5)
			}
		}
		out = append(out, r)
	}
	return out
}
