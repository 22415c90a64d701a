package upgrade_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

var walkAll = flag.Bool("walk", false, "stop the program at every row written, not at a sample")

// tale is a story that is told whatever happens to the program, and how it must end.
type tale struct {
	name    string
	tell    func(w *world) ops.Run
	outcome string
	uses    string         // part of the name of the database that the app uses at the end
	atMost  map[string]int // effects that this story has more often
}

func tales() []tale {
	return []tale{
		{"upgraded", func(w *world) ops.Run { return w.story("orders") }, ops.Succeeded, "orders-pg17", nil},
		{"the upgrade fails", (*world).failed, ops.Returned, "postgresql-curved-41822", nil},
		{"rolled back", (*world).rolledBack, ops.Returned, "postgresql-curved-41822", rolledBackTwice},
	}
}

// TestStoppedAtEveryRow stops the program before and after rows are written,
// which is before and after every call too: an intent is written before a call,
// its outcome after. Each tale must end as well as without, with nothing done
// twice and no row lost.
func TestStoppedAtEveryRow(t *testing.T) {
	for _, tale := range tales() {
		t.Run(tale.name, func(t *testing.T) { tale.walk(t) })
	}
}

func (x tale) walk(t *testing.T) {
	total := 0
	w := newWorld(t)
	w.crash = func(op, _ string) {
		if counts(op) {
			total++
		}
	}
	x.check(w, x.tell(w), "")
	if total < 50 {
		t.Fatalf("only %d moments in a story: the hook does not work", total)
	}
	step := total / 12
	if *walkAll {
		step = 1
	}
	fmt.Printf("%s: %d moments in the story; stopped at %d of them\n", x.name, total, (total+step-1)/step)
	for at := 1; at <= total; at += step {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n, where := 0, ""
			w.crash = func(op, when string) {
				if !counts(op) {
					return
				}
				if n++; n == at {
					where = when + " " + op
					panic(crashed{where})
				}
			}
			x.check(w, x.tell(w), where)
			if t.Failed() {
				t.Logf("stopped %s", where)
			}
		})
	}
}

// check looks at the end of a tale that was stopped at where.
func (x tale) check(w *world, r ops.Run, where string) {
	w.t.Helper()
	uses, outcome := x.uses, x.outcome
	// Whether a call that was intended was also sent cannot be told; the upgrade
	// is not sent again, so the run goes back.
	if where == "after begin act upgrade.run" {
		uses, outcome = "postgresql-curved-41822", ops.Returned
	}
	if r.Outcome != outcome {
		w.t.Fatalf("stopped %s: %s", where, w.tell(r.ID))
	}
	if a := w.app("orders"); !strings.HasPrefix(a.Database, uses) {
		w.t.Errorf("stopped %s: the app uses %s, not %s: %s", where, a.Database, uses, w.tell(r.ID))
	}
	w.well(r.ID, "orders", map[string]int{"web": 2, "worker": 1, "clock": 1})
	w.atMost(x.atMost)
}

// failed plays a run whose upgrade fails at Heroku.
func (w *world) failed() ops.Run {
	w.t.Helper()
	r := w.start("orders")
	r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	if err := w.heroku.Stage("fail upgrade", r.Follower.Name, ""); err != nil {
		w.t.Fatal(err)
	}
	w.answer(r.ID, "U2", ops.GateCutover, "")
	return w.until(r.ID, "ended", ended)
}

// rolledBackTwice is what a rollback does a second time.
var rolledBackTwice = map[string]int{"attachment.replace": 2, "maintenance.on": 2, "maintenance.off": 2, "formation.scale": 4}

// rolledBack plays a run that is rolled back in the soak and retires the new database.
func (w *world) rolledBack() ops.Run {
	w.t.Helper()
	r := w.start("orders")
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.answer(r.ID, "U2", ops.GateCutover, "")
	// Between the fence and the unfence the app writes nothing, so what it has
	// written when it is fenced again is exactly what the rollback may lose.
	w.until(r.ID, "switching", func(r ops.Run) bool { return r.Step == ops.StepPromote || !r.Active() })
	before := w.acknowledged("orders")
	if r := w.until(r.ID, "soaking", func(r ops.Run) bool { return r.Step == ops.StepSoak || !r.Active() }); !r.Active() {
		return r
	}
	w.answer(r.ID, "U2", ops.GateRollback, "orders")
	w.until(r.ID, "asking about the loss", func(r ops.Run) bool { return r.Rollback != nil && !r.Rollback.Asked.IsZero() })
	w.accepted = w.acknowledged("orders") - before
	if w.accepted == 0 {
		w.t.Error("nothing was written after the switch, so the loss is not tested")
	}
	w.answer(r.ID, "U1", ops.GateLoss, "")
	w.until(r.ID, "asking to destroy", asked(ops.GateDestroy))
	w.answer(r.ID, "U1", ops.GateDestroy, "orders")
	return w.until(r.ID, "ended", ended)
}

// counts leaves out what is not the procedure's: the beat of the Slack side, and
// the rows that a person's own request writes, whom nobody can stop half-way
// without their asking again.
func counts(op string) bool {
	return op != "create run" && !strings.HasPrefix(op, "beat ") && !strings.HasPrefix(op, "decide ")
}

// TestNamedMoments stops the program at the moments that matter most.
func TestNamedMoments(t *testing.T) {
	upgraded, back := tales()[0], tales()[2]
	for name, m := range map[string]struct {
		tale     tale
		op, when string
		nth      int
	}{
		"upgrade/run was sent, its outcome is not stored":  {upgraded, "end act upgrade.run", "before", 1},
		"upgrade/run is intended and not sent":             {upgraded, "begin act upgrade.run", "after", 1},
		"maintenance is on, the dynos still run":           {upgraded, "end act maintenance.set", "after", 1},
		"promoted, not yet unfenced":                       {upgraded, "end act attachment.replace", "before", 1},
		"the create was sent, its outcome is not stored":   {upgraded, "end act addon.create", "before", 1},
		"the destroy was sent, its outcome is not stored":  {upgraded, "end act addon.destroy", "before", 1},
		"fenced for the rollback, the dynos still run":     {back, "end act maintenance.set", "after", 3},
		"switched back, not yet unfenced":                  {back, "end act attachment.replace", "before", 2},
		"the switch back is intended and not sent":         {back, "begin act attachment.replace", "after", 2},
		"the new one's destroy was sent and is not stored": {back, "end act addon.destroy", "before", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n := 0
			w.crash = func(op, when string) {
				if op == m.op && when == m.when {
					if n++; n == m.nth {
						panic(crashed{op})
					}
				}
			}
			r := m.tale.tell(w)
			if n < m.nth {
				t.Fatal("the moment never came")
			}
			m.tale.check(w, r, m.when+" "+m.op)
		})
	}
}

// TestRollbackGivenUp: a no, and no answer, leave the app on the new database.
func TestRollbackGivenUp(t *testing.T) {
	for _, answered := range []bool{true, false} {
		t.Run(fmt.Sprint(answered), func(t *testing.T) {
			w := newWorld(t)
			r := w.start("orders")
			w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
			w.answer(r.ID, "U2", ops.GateCutover, "")
			w.until(r.ID, "soaking", func(r ops.Run) bool { return r.Step == ops.StepSoak })
			w.answer(r.ID, "U2", ops.GateRollback, "orders")
			r = w.until(r.ID, "asking about the loss", func(r ops.Run) bool { return r.Rollback != nil && !r.Rollback.Asked.IsZero() })
			if a := w.app("orders"); !a.Maintenance {
				t.Error("users are let in while the loss is being decided on")
			}
			if answered {
				if _, err := w.service.Answer(t.Context(), ops.Actor{ID: "U2"}, ops.Answer{Run: r.ID, Gate: ops.GateLoss, Digest: ops.LossDigest(r), How: ops.ByButton}); err != nil {
					t.Fatal(err)
				}
			}
			r = w.until(r.ID, "soaking again", func(r ops.Run) bool { return r.Step == ops.StepSoak })
			w.well(r.ID, "orders", map[string]int{"web": 2, "worker": 1, "clock": 1})
			if a := w.app("orders"); !strings.HasPrefix(a.Database, "orders-pg17") {
				t.Errorf("the app uses %s", a.Database)
			}
			w.atMost(map[string]int{"maintenance.on": 2, "maintenance.off": 2, "formation.scale": 4})
		})
	}
}
