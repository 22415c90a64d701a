package herokutest

import "time"

// Serving is a web dyno that takes requests.
type Serving struct {
	Dyno    string
	Started time.Time // another one: it was started anew, with what was open in it gone
	URL     string    // DATABASE_URL with which it was started; it holds a password
}

// Serving lists the dynos of an app to which Heroku's router hands requests now:
// those that are up, and in maintenance none.
func (s *Server) Serving(app string) []Serving {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.play()
	a := s.state.app(app)
	if a == nil || a.maintenance {
		return nil
	}
	var out []Serving
	for _, d := range a.dynos {
		if url := a.started(d); d.kind == "web" && url != "" && d.up(now, s.cfg.Times.DynoStart) {
			out = append(out, Serving{d.name, d.started, url})
		}
	}
	return out
}
