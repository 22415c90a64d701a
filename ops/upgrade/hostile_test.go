package upgrade_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestEachGuardSwitchedOffLosesRows: the procedure keeps every row because each
// kind of writer is stopped before the upgrade. Here the stand-in makes a guard
// hold nothing: what it should stop goes on, and nobody can see it, not even by
// the lag, the second guard: "Behind By" says 0 throughout. Then rows are lost, of
// that kind and no other, and the verifier says how many. So a guard that is taken
// out of the procedure cannot go unnoticed.
func TestEachGuardSwitchedOffLosesRows(t *testing.T) {
	for _, c := range []struct {
		name, what, arg string
		lost            []string // kinds
	}{
		{"none", "", "", nil},
		{"web dynos are not stopped by scaling", "survive", "web", []string{"request", "thread"}},
		{"a worker is not stopped by scaling", "survive", "worker", []string{"worker"}},
		{"a clock is not stopped by scaling", "survive", "clock", []string{"clock"}},
		{"a scheduler job is on no list", "unseen", "scheduler", []string{"scheduler"}},
		{"a one-off is on no list", "unseen", "run", []string{"run"}},
		{"a release command is on no list", "unseen", "release", []string{"release"}},
		{"an external client has a copy of the URL", "copy url", "", []string{"external"}},
		{"a session asks for read-write by itself", "session", "", []string{"session"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.what != "" {
				w.broken, w.goOn = 2, true // a commit is behind at the upgrade: noticed from outside, see below
			}
			r := w.start("orders")
			r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
			if err := w.heroku.Stage("zero lag", r.Follower.Name, ""); err != nil {
				t.Fatal(err)
			}
			if c.what != "" {
				if err := w.heroku.Stage(c.what, "orders", c.arg); err != nil {
					t.Fatal(err)
				}
			}
			w.answer(r.ID, "U2", ops.GateCutover, "")
			r = w.until(r.ID, "soaking", func(r ops.Run) bool { return r.Step == ops.StepSoak || !r.Active() })
			for _, rows := range w.heroku.Rows() {
				if rows.App != "orders" {
					continue
				}
				kinds := slices.Sorted(maps.Keys(rows.Lost))
				if fmt.Sprint(kinds) != fmt.Sprint(c.lost) || (rows.Missing > 0) != (c.lost != nil) || r.Step != ops.StepSoak || rows.Unknown != "" {
					t.Errorf("want rows of %v to be missing: %s\n%s", c.lost, rows, w.tell(r.ID))
				}
				if w.never.saw(2) != (c.what != "") {
					t.Errorf("what must never be was noticed: %v", w.never.found)
				}
				t.Log(rows)
			}
		})
	}
}
