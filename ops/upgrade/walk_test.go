package upgrade_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

var walkAlone = flag.Bool("walk", false, "stop each story once, not several times at places far apart, from its begin, and play every cell of the ways back; takes minutes")

// tale is a story that is told whatever happens to the program, and how it must end.
type tale struct {
	name    string
	tell    func(w *world) ops.Run
	outcome string
	uses    string         // part of the name of the database that the app uses at the end
	most    map[string]int // effects that this story has more often
	world   func() *world  // the world it is told in
}

// bySQL is a world whose databases can be reached by SQL.
func bySQL() *world { return &world{sql: true} }

// plain is one whose databases cannot.
func plain() *world { return &world{} }

func tales() []tale {
	return []tale{
		{"upgraded", func(w *world) ops.Run { return w.story("orders") }, ops.Succeeded, "orders-pg17", nil, plain},
		{"the upgrade fails", (*world).failed, ops.Returned, "postgresql-curved-41822", nil, plain},
		{"rolled back", (*world).rolledBack, ops.Returned, "postgresql-curved-41822", twice, plain},
		{"upgraded, by SQL", func(w *world) ops.Run { return w.story("orders") }, ops.Succeeded, "orders-pg17", nil, bySQL},
		{"the upgrade fails, by SQL", (*world).failed, ops.Returned, "postgresql-curved-41822", nil, bySQL},
		{"rolled back, by SQL", (*world).rolledBack, ops.Returned, "postgresql-curved-41822", twice, bySQL},
	}
}

// failed plays a run whose upgrade fails at Heroku.
func (w *world) failed() ops.Run {
	w.t.Helper()
	r := w.start("orders")
	r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.stage("fail upgrade", r.Follower.Name)
	w.answer(r.ID, "U2", ops.GateCutover, "")
	return w.until(r.ID, "ended", ended)
}

// rolledBack plays a run that is rolled back in the soak and retires the new database.
func (w *world) rolledBack() ops.Run {
	w.t.Helper()
	r := w.cutover("orders")
	// Between the fence and the unfence the app writes nothing, so what it has
	// written when it is fenced again is exactly what the rollback may lose.
	w.until(r.ID, "switching", at(ops.StepPromote))
	before := w.acknowledged("orders")
	if r := w.until(r.ID, "soaking", at(ops.StepSoak)); !r.Active() {
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

// point is a moment of a story: which, in which step, for the how-many-eth time.
type point struct {
	step   ops.Step
	moment string
	nth    int
}

func (p point) String() string { return fmt.Sprintf("%s, %s (%d)", p.step, p.moment, p.nth) }

// marker names the moments of one world as they come.
type marker struct {
	w    *world
	seen map[point]int
}

func (m *marker) mark(moment string) point {
	p := point{step: m.w.never.run.Step, moment: moment}
	m.seen[p]++
	p.nth = m.seen[p]
	return p
}

// decides reports whether a stop at p changes how the story ends: whether a call
// that was intended was also sent cannot be told, and the upgrade is not sent again.
func (p point) decides() bool {
	return p.moment == "after begin act upgrade.run" || p.moment == "before call upgrade.run"
}

// points tells the tale undisturbed and returns all its moments.
func (x tale) points(t *testing.T) []point {
	t.Helper()
	var all []point
	w := x.world()
	m := &marker{w, map[point]int{}}
	w.stop = func(moment string) { all = append(all, m.mark(moment)) }
	x.check(build(t, w), x.tell(w), point{})
	calls, rows := 0, 0
	for _, p := range all {
		if strings.Contains(p.moment, " call ") {
			calls++
		} else {
			rows++
		}
	}
	if rows < 40 || calls < 10 || w.never.outs < 10 {
		t.Fatalf("only %d moments at rows, %d at calls, and users kept out at %d: the hooks do not work", rows, calls, w.never.outs)
	}
	fmt.Printf("%s: %d moments before and after a row, %d before and after a call; what must never be was checked %d times, %d of them while users were kept out\n",
		x.name, rows, calls, w.never.checks, w.never.outs)
	return all
}

// stopped tells the tale in a world that is stopped at some points, and returns
// those that came.
func (x tale) stopped(t *testing.T, w *world, at []point) []point {
	t.Helper()
	var hit []point
	m := &marker{w, map[point]int{}}
	w.stop = func(moment string) {
		if p := m.mark(moment); slices.Contains(at, p) {
			hit = append(hit, p)
			panic(crashed{p.String()})
		}
	}
	build(t, w)
	defer func() {
		if t.Failed() {
			t.Logf("stopped at %v", hit)
		}
	}()
	r := x.tell(w)
	var last point
	for _, p := range hit {
		if p.decides() {
			last = p
		}
	}
	x.check(w, r, last)
	return hit
}

// check looks at the end of a tale that was stopped.
func (x tale) check(w *world, r ops.Run, stopped point) {
	w.t.Helper()
	uses, outcome := x.uses, x.outcome
	if stopped.decides() {
		uses, outcome = "postgresql-curved-41822", ops.Returned
	}
	if r.Outcome != outcome {
		w.t.Fatalf("it ended %q: %s", r.Outcome, w.tell(r.ID))
	}
	if a := w.app("orders"); !strings.HasPrefix(a.Database, uses) {
		w.t.Errorf("the app uses %s, not %s: %s", a.Database, uses, w.tell(r.ID))
	}
	w.never.ended()
	w.never.once(x.most)
}

// stopsInAStory is how often a walk stops one story, at places that are far apart.
const stopsInAStory = 16

// TestStoppedAnywhere stops the program before and after every row that is
// written and every call that changes something, until each such moment of the
// undisturbed story was the last one of some process. Each tale must end as
// without, with nothing done twice and no row lost, and what must never be is
// checked after every row and call of every story. A tale that begins as an earlier
// one of its world did is stopped from where they part; with -walk from its begin.
func TestStoppedAnywhere(t *testing.T) {
	told := map[bool][][]point{} // by whether SQL reaches the databases
	for _, tale := range tales() {
		t.Run(tale.name, func(t *testing.T) {
			all, sql := tale.points(t), tale.world().sql
			parts := 0
			for _, other := range told[sql] {
				parts = max(parts, alike(all, other))
			}
			told[sql] = append(told[sql], all)
			if *walkAlone {
				parts = 0
			}
			tale.walk(t, all[parts:])
		})
	}
}

// alike is how many moments two stories begin with together.
func alike(a, b []point) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// walk stops the tale at each of these moments.
func (x tale) walk(t *testing.T, all []point) {
	var plans [][]point
	var spread []point
	for _, p := range all {
		if p.decides() || *walkAlone {
			plans = append(plans, []point{p})
		} else {
			spread = append(spread, p)
		}
	}
	worlds := (len(spread) + stopsInAStory - 1) / stopsInAStory
	for i := range worlds {
		var plan []point
		for j := i; j < len(spread); j += worlds {
			plan = append(plan, spread[j])
		}
		plans = append(plans, plan)
	}
	var mu sync.Mutex
	came := map[point]bool{}
	stories := 1
	stop := func(t *testing.T, plan []point) {
		t.Parallel()
		hit := x.stopped(t, x.world(), plan)
		mu.Lock()
		defer mu.Unlock()
		stories++
		for _, p := range hit {
			came[p] = true
		}
	}
	t.Run("stopped", func(t *testing.T) {
		for i, plan := range plans {
			t.Run(fmt.Sprint(i), func(t *testing.T) { stop(t, plan) })
		}
	})
	// A stop may change what comes after it, so that a later moment does not come.
	t.Run("alone", func(t *testing.T) {
		for _, p := range all {
			if !came[p] {
				t.Run(p.String(), func(t *testing.T) { stop(t, []point{p}) })
			}
		}
	})
	missed := 0
	for _, p := range all {
		if !came[p] {
			missed++
			t.Errorf("never stopped at %s", p)
		}
	}
	fmt.Printf("%s: stopped at %d of %d moments, in %d stories\n", x.name, len(all)-missed, len(all), stories)
}

// TestStoppedOnPostgreSQL is a sample of the walk with the rows in PostgreSQL; with
// -walk a greater one.
func TestStoppedOnPostgreSQL(t *testing.T) {
	for _, tale := range tales() {
		t.Run(tale.name, func(t *testing.T) {
			all := tale.points(t)
			stops := 0
			worlds := 2
			if *walkAlone {
				worlds = 10
			}
			for i := range worlds {
				var plan []point
				for j := i * 3 % stopsInAStory; j < len(all); j += len(all) / stopsInAStory {
					if !all[j].decides() {
						plan = append(plan, all[j])
					}
				}
				w := tale.world()
				w.postgres = pgtest.Start(t)
				hit := tale.stopped(t, w, plan)
				stops += len(hit)
			}
			if stops < worlds*stopsInAStory/2 {
				t.Errorf("stopped only %d times", stops)
			}
			fmt.Printf("%s, rows in PostgreSQL: stopped at %d moments, in %d stories\n", tale.name, stops, worlds)
		})
	}
}

// TestNamedMoments stops the program at the moments that matter most.
func TestNamedMoments(t *testing.T) {
	upgraded, back := tales()[0], tales()[2]
	for name, m := range map[string]struct {
		tale tale
		at   point
	}{
		"upgrade/run was sent, its outcome is not stored":  {upgraded, point{ops.StepUpgrade, "after call upgrade.run", 1}},
		"upgrade/run is intended and not sent":             {upgraded, point{ops.StepUpgrade, "before call upgrade.run", 1}},
		"maintenance is on, the dynos still run":           {upgraded, point{ops.StepFence, "after end act maintenance.set", 1}},
		"promoted, not yet unfenced":                       {upgraded, point{ops.StepPromote, "after call attachment.replace", 1}},
		"the create was sent, its outcome is not stored":   {upgraded, point{ops.StepFollowerCreate, "after call addon.create", 1}},
		"the destroy was sent, its outcome is not stored":  {upgraded, point{ops.StepDestroy, "after call addon.destroy", 1}},
		"fenced for the rollback, the dynos still run":     {back, point{ops.StepRollbackFence, "after end act maintenance.set", 1}},
		"switched back, not yet unfenced":                  {back, point{ops.StepRollbackAttach, "after call attachment.replace", 1}},
		"the switch back is intended and not sent":         {back, point{ops.StepRollbackAttach, "before call attachment.replace", 1}},
		"the new one's destroy was sent and is not stored": {back, point{ops.StepDestroy, "after call addon.destroy", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if hit := m.tale.stopped(t, m.tale.world(), []point{m.at}); len(hit) != 1 {
				t.Fatal("the moment never came")
			}
		})
	}
}

// TestRollbackGivenUp: a no, and no answer, leave the app on the new database.
func TestRollbackGivenUp(t *testing.T) {
	for _, answered := range []bool{true, false} {
		t.Run(fmt.Sprint(answered), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.cutover("orders")
			w.until(r.ID, "soaking", at(ops.StepSoak))
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
			w.until(r.ID, "open again", func(r ops.Run) bool { return !r.Rollback.Lifted.IsZero() && !r.Step.Cutover() })
			w.never.ended()
			if a := w.app("orders"); !strings.HasPrefix(a.Database, "orders-pg17") {
				t.Errorf("the app uses %s", a.Database)
			}
			w.never.once(map[string]int{"maintenance.on": 2, "maintenance.off": 2, "formation.scale": 4})
		})
	}
}
