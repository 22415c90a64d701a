package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
)

func TestActOutcomes(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		intent := ops.Act{Step: ops.StepUpgrade, Kind: ops.ActUpgrade, Target: "db2", Args: map[string]string{"version": "17"}, StartedAt: at, Deadline: at.Add(time.Second)}
		r, a, err := s.BeginAct(t.Context(), r, []ops.Event{{At: at, Text: "begun"}}, intent)
		if err != nil || a.ID == 0 || a.Run != "r1" || r.Epoch != 2 {
			t.Fatalf("BeginAct: act %d of %q, epoch %d, %v", a.ID, a.Run, r.Epoch, err)
		}
		want := intent
		want.ID, want.Run = a.ID, "r1"
		if diff := cmp.Diff([]ops.Act{want}, must[[]ops.Act](t)(p.open().Acts(t.Context(), "r1"))); diff != "" {
			t.Errorf("the intent: %s", diff)
		}
		if events := must[[]ops.Event](t)(s.Events(t.Context(), "r1", 0)); len(events) != 2 || events[1].Text != "begun" {
			t.Errorf("events %+v", events)
		}
		for _, step := range []struct {
			outcome string
			stale   bool
		}{{"", false}, {ops.OutcomeUnknown, false}, {ops.OutcomeUnknown, false}, {ops.OutcomeDone, false}, {ops.OutcomeRefused, true}, {ops.OutcomeUnknown, true}, {ops.OutcomeDone, true}} {
			end := a
			end.Outcome, end.Detail, end.RequestID, end.EndedAt = step.outcome, "detail of "+step.outcome, "req", at.Add(time.Minute)
			end.Kind, end.Target = "something.else", "elsewhere" // no outcome rewrites an intent
			if err := s.EndAct(t.Context(), end); errors.Is(err, ops.ErrStale) != step.stale || (err != nil) != step.stale {
				t.Errorf("outcome %q: %v, want stale %v", step.outcome, err, step.stale)
			}
		}
		want.Outcome, want.Detail, want.RequestID, want.EndedAt = ops.OutcomeDone, "detail of done", "req", at.Add(time.Minute)
		if diff := cmp.Diff([]ops.Act{want}, must[[]ops.Act](t)(p.open().Acts(t.Context(), "r1"))); diff != "" {
			t.Errorf("after its end: %s", diff)
		}
		if err := s.EndAct(t.Context(), ops.Act{ID: a.ID + 1, Run: "r1", Outcome: ops.OutcomeDone}); !errors.Is(err, ops.ErrNotFound) {
			t.Errorf("the end of an act that is not there: %v", err)
		}
		if _, _, err := s.BeginAct(t.Context(), r, nil, ops.Act{Run: "other", Kind: ops.ActDestroy}); err == nil {
			t.Error("an act of another run was taken")
		}
	})
}

// TestFinalOutcomesAreFinal: each outcome that is not open stays.
func TestFinalOutcomesAreFinal(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		for _, outcome := range []string{ops.OutcomeDone, ops.OutcomeRefused, ops.OutcomeBusy} {
			var a ops.Act
			var err error
			if r, a, err = s.BeginAct(t.Context(), r, nil, ops.Act{Kind: ops.ActScale}); err != nil {
				t.Fatal(err)
			}
			a.Outcome = outcome
			won := atOnce(t, 6, func(int) (bool, error) {
				err := s.EndAct(t.Context(), a)
				if errors.Is(err, ops.ErrStale) {
					return false, nil
				}
				return err == nil, err
			})
			if won != 1 {
				t.Errorf("%s was written %d times", outcome, won)
			}
		}
	})
}

func TestDecisions(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		var want []ops.Decision
		for _, yes := range []bool{true, false, true} {
			d := filled(func(d *ops.Decision) { d.Run, d.Yes = "r1", yes })
			kept := must[ops.Decision](t)(s.Decide(t.Context(), d, ops.Event{At: at, Kind: ops.EventDecided}))
			if kept.ID == 0 || kept.ID == d.ID {
				t.Errorf("a kept decision has the id %d", kept.ID)
			}
			want = append(want, kept)
		}
		if diff := cmp.Diff(want, must[[]ops.Decision](t)(p.open().Decisions(t.Context(), "r1"))); diff != "" {
			t.Error(diff)
		}
		if events := must[[]ops.Event](t)(s.Events(t.Context(), "r1", 0)); len(events) != 4 || events[3].Kind != ops.EventDecided {
			t.Errorf("events %+v", events)
		}
		must[ops.Run](t)(s.Save(t.Context(), r, nil)) // a decision does not make it stale
		if _, err := s.Decide(t.Context(), ops.Decision{Run: "none"}, ops.Event{}); !errors.Is(err, ops.ErrNotFound) {
			t.Errorf("a decision in a run that is not there: %v", err)
		}
		if _, err := s.Decide(t.Context(), ops.Decision{Run: "r1"}, ops.Event{Run: "other"}); err == nil {
			t.Error("a decision with another run's event was taken")
		}
		if got := must[[]ops.Decision](t)(s.Decisions(t.Context(), "r1")); len(got) != 3 {
			t.Errorf("%d decisions, want 3: a failed one left a row", len(got))
		}
	})
}

func TestSamples(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		create(t, s, "r1", "db1")
		want := []ops.Sample{
			{Run: "r1", At: at, Connections: ops.Known(3), Attached: []string{"A on b"}},
			{Run: "r1", At: at.Add(time.Hour), Connections: ops.Unknown[int]("no answer")},
		}
		for _, x := range want {
			if err := s.AddSample(t.Context(), x); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, must[[]ops.Sample](t)(p.open().Samples(t.Context(), "r1"))); diff != "" {
			t.Error(diff)
		}
		if err := s.AddSample(t.Context(), ops.Sample{Run: "none"}); err == nil {
			t.Error("a sample of a run that is not there was taken")
		}
	})
}

// TestHostileText: a text that PostgreSQL refuses makes no write fail, and is
// read as the same on both.
func TestHostileText(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		create(t, s, "r1", "db1")
		const bad, good = "nul \x00, broken \xff, escaped \\u0000", "nul \ufffd, broken \ufffd, escaped \\u0000"
		if err := s.Audit(t.Context(), ops.Event{Run: "r1", At: at, Text: bad}); err != nil {
			t.Fatal(err)
		}
		events := must[[]ops.Event](t)(s.Events(t.Context(), "r1", 1))
		if len(events) != 1 || events[0].Text != good {
			t.Errorf("events %+v", events)
		}
		if err := s.SetSetting(t.Context(), "orders\x00", "health", bad, ops.Actor{}); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := s.Setting(t.Context(), "orders\x00", "health"); v != good || !ok || err != nil {
			t.Errorf("setting %q %v %v", v, ok, err)
		}
		if r, err := s.ActiveRun(t.Context(), strings.Repeat("\xff", 3)); !errors.Is(err, ops.ErrNotFound) {
			t.Errorf("a strange name found %q, %v", r.ID, err)
		}
	})
}
