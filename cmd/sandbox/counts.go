package main

import (
	"slices"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// counter remembers the count of rows: taking it reads every database.
type counter struct {
	mu   sync.Mutex
	rows []herokutest.Rows
	at   time.Time
}

// count compares the rows acknowledged with those in the databases, at most once
// a second.
func (s *sandbox) count() []herokutest.Rows {
	s.counted.mu.Lock()
	defer s.counted.mu.Unlock()
	if time.Since(s.counted.at) > time.Second {
		s.counted.rows, s.counted.at = s.heroku.Rows(), time.Now()
	}
	return s.counted.rows
}

// rowsSeen is what became of an app's rows, as the page shows it.
type rowsSeen struct {
	App          string `json:"app"`
	Written      int    `json:"written"`
	Acknowledged int    `json:"acknowledged"`
	Missing      int    `json:"missing"`
	Unknown      string `json:"unknown"`
}

// rowsSeen leaves out apps that write nothing.
func (s *sandbox) rowsSeen() []rowsSeen {
	out := []rowsSeen{}
	for _, r := range s.count() {
		if r.Written > 0 {
			out = append(out, rowsSeen{r.App, r.Written, r.Acknowledged, r.Missing, r.Unknown})
		}
	}
	return out
}

// lagSeen is the lag of a follower over the last minute or so, oldest first.
type lagSeen struct {
	Name   string `json:"name"`
	Behind []int  `json:"behind"`
}

// lagLog keeps the lag of every follower, sampled whenever the page asks.
type lagLog struct {
	mu  sync.Mutex
	at  time.Time
	all []lagSeen
}

const lagSamples = 180

// sample adds what the followers are behind by now. A lag that is not known
// leaves no point.
func (l *lagLog) sample(o herokutest.Overview, now time.Time) []lagSeen {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.at) < 350*time.Millisecond { // two windows ask twice
		return slices.Clone(l.all)
	}
	l.at = now
	was := l.all
	l.all = []lagSeen{}
	for _, d := range o.Databases {
		if d.Following == "" || d.State == "provisioning" {
			continue
		}
		x := lagSeen{Name: d.Name}
		if i := slices.IndexFunc(was, func(y lagSeen) bool { return y.Name == d.Name }); i >= 0 {
			x.Behind = was[i].Behind
		}
		if d.BehindKnown {
			x.Behind = append(slices.Clone(x.Behind), d.Behind)
			x.Behind = x.Behind[max(0, len(x.Behind)-lagSamples):]
		}
		l.all = append(l.all, x)
	}
	return slices.Clone(l.all)
}
