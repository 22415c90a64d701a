package herokutest

import (
	"context"
	"fmt"
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
	s.storage.Play(from, now)
	for _, d := range st.databases {
		s.playDatabase(d, now)
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
		d.data.Drop()
		for _, t := range st.of(d) {
			s.remove(t, now)
		}
	}
	for _, a := range st.apps {
		s.playApp(a, from, now)
	}
}

func (s *Server) playDatabase(d *database, now time.Time) {
	if !d.announced && !now.Before(d.provisioned) && !d.stuck {
		if !d.data.Look(now).Ready { // a real one takes the time that it takes
			d.provisioned = now.Add(time.Nanosecond)
			return
		}
		d.announced, d.version = true, d.data.Look(now).Version
		for _, t := range s.state.of(d) {
			s.release(t.app, "Attach "+t.name+" (@ref:"+d.name+")", s.state.vars(t.app, now), now)
		}
	}
	switch {
	case d.upgradeTo == "":
	case d.leader != nil:
		s.rebuild(d, now)
	default:
		if l := d.data.Look(now); l.Upgrade.Ended && l.Upgrade.Failed == "" {
			d.version, d.upgradeTo = l.Version, ""
			if d.forkedFrom != nil {
				d.unfollowed = now
			}
		}
	}
}

func (s *Server) playApp(a *app, from, now time.Time) {
	s.writing(a, from, now)
	for _, r := range a.releases {
		if r.status != "pending" || now.Before(r.ends) || a.releasing == stalled {
			continue
		}
		r.status = "succeeded"
		if a.releasing != "" || r.vars["DATABASE_URL"] == "" {
			r.status = "failed"
		} else {
			a.restart(now)
		}
	}
	a.dynos = slices.DeleteFunc(a.dynos, func(d *dyno) bool {
		gone := !d.stops.IsZero() && !now.Before(d.stops)
		if gone {
			a.leave(d)
		}
		return gone
	})
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

// beginUpgrade ends the following: what was not received by now is not in the
// new database.
func (s *Server) beginUpgrade(d *database, to string, now time.Time) {
	d.forkedFrom, d.leader, d.unfollowed = d.leader, nil, now
	d.upgradeTo = to
	d.data.Upgrade(to, now)
}

// Ready waits until every database takes sessions: real ones need a moment.
func (s *Server) Ready(ctx context.Context) error {
	for {
		waiting := ""
		s.mu.Lock()
		for _, d := range s.state.databases {
			l := d.data.Look(s.Now())
			if l.Broken != "" {
				s.mu.Unlock()
				return fmt.Errorf("start the database %s: %s", d.name, l.Broken)
			}
			d.version = l.Version
			if !l.Ready {
				waiting = d.name
			}
		}
		s.mu.Unlock()
		if waiting == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the database %s: %w", waiting, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Live plays without being asked, so that real databases are written to also
// between requests. It ends with ctx, and every writer with it.
func (s *Server) Live(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.mu.Lock()
			s.play()
			s.mu.Unlock()
		case <-ctx.Done():
			s.mu.Lock()
			for _, a := range s.state.apps {
				for _, w := range a.writers {
					w.stop()
				}
			}
			s.mu.Unlock()
			return
		}
	}
}
