package upgrade_test

import (
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestTheWholeStoryInside: an upgrade whose databases can be reached by SQL does
// everything that it can do there, and leaves what was set before as it was.
func TestTheWholeStoryInside(t *testing.T) {
	for _, before := range []string{"", "off"} {
		t.Run("set before: "+before, func(t *testing.T) {
			t.Parallel()
			w := build(t, &world{sql: true, before: before})
			r := w.story("orders")
			if r.Outcome != ops.Succeeded {
				t.Fatal(w.tell(r.ID))
			}
			w.never.ended()
			w.never.once(nil)
			acts, err := w.store.Acts(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []struct {
				kind ops.ActKind
				step ops.Step
				of   string
			}{
				{ops.ActFenceDB, ops.StepFence, r.Database.ID}, {ops.ActEndSessions, ops.StepFence, r.Database.ID}, {ops.ActClearDB, ops.StepVerifyNew, r.Follower.ID},
				{ops.ActProve, ops.StepVerifyNew, r.Follower.ID}, {ops.ActAnalyze, ops.StepVerifyNew, r.Follower.ID},
			} {
				done := 0
				for _, a := range acts {
					if a.Kind == want.kind && a.Step == want.step && a.Target == want.of && a.Outcome == ops.OutcomeDone {
						done++
					}
				}
				if done != 1 {
					t.Errorf("%s at %s was done %d times: %s", want.kind, want.step, done, w.tell(r.ID))
				}
			}
			told := w.tell(r.ID)
			for _, what := range []string{"is read-only, and nothing moved in it", "log to its end", "its rows are those of the old one"} {
				if !strings.Contains(told, what) {
					t.Errorf("%q was not said: %s", what, told)
				}
			}
		})
	}
}

// TestWhatOnlySQLShows: a writer that no list shows and no lag betrays is found
// behind the fence, by name, before anything is upgraded.
func TestWhatOnlySQLShows(t *testing.T) {
	for _, c := range []struct {
		name, stage string
		back        bool
	}{
		{"a session that asks for read-write by itself", "session", true},
		{"a client with a copied URL is stopped by the fence", "copy url", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := build(t, &world{sql: true})
			r := w.start("orders")
			r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
			w.stage("zero lag", r.Follower.Name)
			w.stage(c.stage, "orders")
			w.answer(r.ID, "U2", ops.GateCutover, "")
			r = w.until(r.ID, "over", over)
			if c.back != (r.Outcome == ops.Returned) || c.back && !strings.Contains(r.Why, "public.rows") {
				t.Errorf("it went back: %q; %s", r.Why, w.tell(r.ID))
			}
			for _, rows := range w.heroku.Rows() {
				if rows.Missing > 0 {
					t.Errorf("%s", rows)
				}
			}
			if tries := w.tries("upgrade.run"); (tries > 0) == c.back {
				t.Errorf("the upgrade was begun %d times", tries)
			}
		})
	}
}
