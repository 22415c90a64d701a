package ops

import (
	"context"
	"fmt"
)

// Trail is the audit trail: upgrades with everything decided, done and refused
// about them, and what belongs to no upgrade.
type Trail struct {
	Upgrades []Record `json:"upgrades"` // newest first
	Apart    []Event  `json:"apart"`    // settings, and refusals to start; oldest first
}

// Record is one upgrade with its whole history. It holds no secret.
type Record struct {
	Run       Run        `json:"run"`
	Decisions []Decision `json:"decisions"`
	Events    []Event    `json:"events"`
}

// Said returns the events of the record in which somebody decided, ordered or
// was refused, oldest first.
func (r Record) Said() []Event {
	var out []Event
	for _, e := range r.Events {
		if e.Kind == EventDecided || e.Refused != "" {
			out = append(out, e)
		}
	}
	return out
}

// historyMost is how many upgrades a history goes back.
const historyMost = 20

// History returns past and present upgrades, of one app or of all, newest first.
func (s *Service) History(ctx context.Context, app string) (Trail, error) {
	t := Trail{Upgrades: []Record{}, Apart: []Event{}}
	runs, err := s.Rows.Runs(ctx, RunFilter{App: app, Limit: historyMost})
	if err != nil {
		return t, fmt.Errorf("read the history of %q: %w", app, err)
	}
	for _, run := range runs {
		r := Record{Run: run}
		if r.Decisions, err = s.Rows.Decisions(ctx, run.ID); err != nil {
			return t, fmt.Errorf("read the decisions of run %s: %w", run.ID, err)
		}
		if r.Events, err = s.Rows.Events(ctx, run.ID, 0); err != nil {
			return t, fmt.Errorf("read the events of run %s: %w", run.ID, err)
		}
		t.Upgrades = append(t.Upgrades, r)
	}
	apart, err := s.Rows.Events(ctx, NoRun, 0)
	if err != nil {
		return t, fmt.Errorf("read the events apart from upgrades: %w", err)
	}
	for _, e := range apart {
		if app == "" || e.App == app {
			t.Apart = append(t.Apart, e)
		}
	}
	return t, nil
}
