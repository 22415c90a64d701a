package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestTheLimitOfTheOutage is the table of asking for more time and of going back.
func TestTheLimitOfTheOutage(t *testing.T) {
	extend := func(ago time.Duration) ops.Decision {
		return ops.Decision{Gate: ops.OrderExtend, Digest: "orders-abcde", Actor: ops.Actor{ID: "U2"}, Yes: true, At: now.Add(-ago)}
	}
	tests := []struct {
		name   string
		change func(f *fixture)
		asks   bool
		back   bool
		limit  time.Duration // from the outage's beginning, afterwards
	}{
		{"at half of the time", func(f *fixture) { f.run.Outage.From = now.Add(-15 * time.Minute) }, false, false, 30 * time.Minute},
		{"at four fifths", func(f *fixture) { f.run.Outage.From = now.Add(-24 * time.Minute) }, true, false, 30 * time.Minute},
		{"asked already", func(f *fixture) {
			f.run.Outage.From, f.run.Outage.Asked = now.Add(-27*time.Minute), now.Add(-3*time.Minute)
		}, false, false, 30 * time.Minute},
		{"no answer", func(f *fixture) {
			f.run.Outage.From, f.run.Outage.Asked = now.Add(-30*time.Minute), now.Add(-6*time.Minute)
		}, false, true, 30 * time.Minute},
		{"extended", func(f *fixture) {
			f.run.Outage.From, f.run.Outage.Asked = now.Add(-29*time.Minute), now.Add(-5*time.Minute)
			f.w.Decisions = append(f.w.Decisions, extend(time.Minute))
		}, false, false, 40 * time.Minute},
		{"extended, and near the new limit", func(f *fixture) {
			f.run.Outage.From, f.run.Outage.Asked = now.Add(-33*time.Minute), now.Add(-9*time.Minute)
			f.w.Decisions = append(f.w.Decisions, extend(time.Minute))
		}, true, false, 40 * time.Minute},
		{"an extension counts once", func(f *fixture) {
			f.run.Outage.From, f.run.Outage.Asked = now.Add(-30*time.Minute), now.Add(-time.Minute)
			f.w.Decisions = append(f.w.Decisions, extend(2*time.Minute))
		}, false, true, 30 * time.Minute},
		{"an extension that nobody asked for", func(f *fixture) {
			f.run.Outage.From = now.Add(-30 * time.Minute)
			f.w.Decisions = append(f.w.Decisions, extend(time.Minute))
		}, false, true, 30 * time.Minute},
	}
	for _, tt := range tests {
		for _, step := range []ops.Step{ops.StepFence, ops.StepCatchUpExact, ops.StepUpgrade} {
			t.Run(tt.name+"/"+string(step), func(t *testing.T) {
				f := at(step)
				tt.change(&f)
				f.run.Outage.Limit = f.run.Outage.From.Add(30 * time.Minute)
				next, move := Next(f.run, f.w, now)
				asked := false
				for _, e := range move.Events {
					if e.Gate == ops.OrderExtend && e.Kind == ops.EventAsked {
						asked = true
					}
				}
				if asked != tt.asks || next.Returning != tt.back {
					t.Errorf("asks %v, goes back %v (%s); want %v, %v", asked, next.Returning, next.Why, tt.asks, tt.back)
				}
				if got := next.Outage.Limit.Sub(next.Outage.From); got != tt.limit {
					t.Errorf("limit %v, want %v", got, tt.limit)
				}
				if asked && !ops.MayExtend(next) {
					t.Error("asked, but nobody may answer")
				}
				if tt.back && !strings.Contains(next.Why, "limit") {
					t.Errorf("why: %q", next.Why)
				}
			})
		}
	}
}
