package upgrade_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// A broken program is one in which a rule was broken on purpose. The walk and
// the table are proofs only if they notice each.
type broken struct {
	rule  int
	what  string
	world func() *world // with the rule broken
	tell  func(w *world) ops.Run
	walk  bool // it shows only when the program is stopped somewhere
}

// around breaks rules by changing what Next is told, and what it answers.
func around(see func(*ops.Run, *upgrade.World, time.Time), do func(*ops.Run, *upgrade.Move, upgrade.World)) func() *world {
	return func() *world {
		return &world{choose: func(r ops.Run, w upgrade.World, now time.Time) (ops.Run, upgrade.Move) {
			if see != nil {
				see(&r, &w, now)
			}
			next, move := upgrade.Next(r, w, now)
			if do != nil {
				do(&next, &move, w)
			}
			return next, move
		}}
	}
}

func sees(f func(r *ops.Run, w *upgrade.World, now time.Time)) func() *world { return around(f, nil) }

func does(f func(r *ops.Run, m *upgrade.Move, w upgrade.World)) func() *world { return around(nil, f) }

// apps changes what is seen of each app.
func apps(w *upgrade.World, change func(*upgrade.AppFacts)) {
	w.Apps = maps.Clone(w.Apps)
	for id, f := range w.Apps {
		change(&f)
		w.Apps[id] = f
	}
}

func tellStory(w *world) ops.Run { return w.story("orders") }

func brokenPrograms() []broken {
	return []broken{
		{rule: 1, what: "a database counts as upgraded although it still follows", tell: tellStory,
			world: sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				if r.Step == ops.StepUpgrade || r.Step == ops.StepVerifyNew || r.Step == ops.StepPromote {
					if a := w.Acts[len(w.Acts)-1]; r.Step != ops.StepUpgrade || a.Kind == ops.ActUpgrade {
						w.New.Info.Value.Version, w.New.Info.Value.Following, w.New.Info.Value.Waiting = "17.5", ops.Endpoint{}, false
						w.New.Upgrade = ops.Known(ops.Wait{})
					}
				}
			})},
		{rule: 1, what: "a deploy behind the fence is overlooked", tell: deployed,
			world: sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				apps(w, func(f *upgrade.AppFacts) {
					f.Releases.Value = slices.DeleteFunc(slices.Clone(f.Releases.Value), func(x ops.Release) bool { return strings.HasPrefix(x.Description, "Deploy") })
				})
			})},
		{rule: 2, what: "dynos that still run are taken for stopped", tell: tellStory,
			world: sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				if r.Step.Cutover() && !r.Step.Rollback() {
					w.New.Info.Value.BehindBy = ops.Known(0)
					apps(w, func(f *upgrade.AppFacts) {
						f.Dynos = ops.Known([]ops.Dyno{})
						for i := range f.Formation.Value {
							f.Formation.Value[i].Quantity = 0
						}
					})
				}
			})},
		{rule: 2, what: "lag behind the fence is taken for zero", tell: lagging,
			world: sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				if r.Step == ops.StepCatchUpExact || r.Step == ops.StepUpgrade {
					w.New.Info.Value.BehindBy = ops.Known(0)
				}
			})},
		{rule: 3, what: "an upgrade whose answer was lost is sent again", tell: tellStory, walk: true,
			world: sees(func(r *ops.Run, w *upgrade.World, now time.Time) {
				if r.Step == ops.StepUpgrade {
					w.Acts = slices.DeleteFunc(slices.Clone(w.Acts), func(a ops.Act) bool {
						return a.Kind == ops.ActUpgrade && a.Outcome == "" && now.After(a.Deadline)
					})
					if len(w.Acts) == 0 || w.Acts[len(w.Acts)-1].Kind != ops.ActUpgrade {
						w.New.Info.Value.Following, w.New.Info.Value.BehindBy, w.New.Info.Value.Version = ops.Endpoint{Host: "leader"}, ops.Known(0), "15.13"
					}
				}
			})},
		{rule: 3, what: "a create whose answer was lost is repeated under another name", tell: tellStory, walk: true,
			world: sees(func(r *ops.Run, w *upgrade.World, now time.Time) {
				if r.Step == ops.StepFollowerCreate && len(w.Acts) > 0 {
					if a := w.Acts[len(w.Acts)-1]; a.Kind == ops.ActCreate && a.Outcome == "" && now.After(a.Deadline) {
						w.Acts, w.New = w.Acts[:len(w.Acts)-1], upgrade.DatabaseFacts{Addon: ops.Known(upgrade.Found[ops.Addon]{})}
						r.Plan.NewName += "-again"
						r.Plan.NewAlias += "_AGAIN"
					}
				}
			})},
		{rule: 4, what: "the commands that undo the fence are not posted", tell: tellStory,
			world: does(func(_ *ops.Run, m *upgrade.Move, _ upgrade.World) {
				m.Events = slices.DeleteFunc(m.Events, func(e ops.Event) bool { return e.Kind == ops.EventUndo })
			})},
		{rule: 4, what: "the way back ends without letting users in", tell: (*world).failed,
			world: sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				if r.Step == ops.StepReturnUnfence {
					apps(w, func(f *upgrade.AppFacts) {
						f.App.Value.Maintenance = false
						f.Formation = ops.Known(r.Baseline.Apps[0].Formation)
					})
				}
			})},
		{rule: 4, what: "a call for help calls nobody", tell: releaseFails,
			world: does(func(_ *ops.Run, m *upgrade.Move, _ upgrade.World) {
				m.Events = slices.DeleteFunc(m.Events, func(e ops.Event) bool { return e.Kind == ops.EventHelp })
			})},
		{rule: 5, what: "one dyno more than was recorded is started", tell: tellStory,
			world: does(func(r *ops.Run, m *upgrade.Move, _ upgrade.World) {
				if r.Step == ops.StepUnfence && m.Act.Kind == ops.ActScale {
					m.Act.Args["formation"] = strings.Replace(m.Act.Args["formation"], `"quantity":2`, `"quantity":3`, 1)
				}
			})},
		{rule: 5, what: "maintenance that was on before is turned off", tell: inMaintenance,
			world: sees(func(r *ops.Run, _ *upgrade.World, _ time.Time) {
				if r.Baseline != nil {
					b := *r.Baseline
					b.Apps = slices.Clone(b.Apps)
					b.Apps[0].Maintenance = false
					r.Baseline = &b
				}
			})},
		{rule: 6, what: "the way back destroys the old database", tell: declined,
			world: does(func(r *ops.Run, m *upgrade.Move, _ upgrade.World) {
				if m.Act.Kind == ops.ActDestroy {
					m.Act.Target = r.Database.ID
				}
			})},
		{rule: 6, what: "the old database is destroyed with a button alone", tell: buttonDestroys,
			world: sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				for i := range w.Decisions {
					if w.Decisions[i].Gate == ops.GateApp {
						w.Decisions[i] = ops.Decision{Gate: ops.GateDestroy, Digest: ops.DestroyDigest(*r), Yes: true, How: ops.ByTyped, At: w.Decisions[i].At}
					}
				}
			})},
		{rule: 7, what: "a yes that has expired counts", tell: lapsed,
			world: doctors(func(_ ops.Run, all []ops.Decision) []ops.Decision {
				for i := range all {
					all[i].Expires = time.Time{}
				}
				return all
			})},
		{rule: 7, what: "a yes to another plan counts", tell: planChanged,
			world: doctors(func(r ops.Run, all []ops.Decision) []ops.Decision {
				for i := range all {
					if r.Asked != nil {
						all[i].Digest, all[i].At = r.Asked.Digest, latest(all[i].At, r.Asked.At)
					}
				}
				return all
			})},
		{rule: 7, what: "nobody is asked", tell: unanswered,
			world: doctors(func(r ops.Run, all []ops.Decision) []ops.Decision {
				if r.Asked != nil && r.Asked.Gate == ops.GateCutover {
					all = append(all, ops.Decision{Gate: ops.GateCutover, Digest: r.Asked.Digest, Yes: true, How: ops.ByButton, At: r.Asked.At})
				}
				return all
			})},
		{rule: 8, what: "a call is made before its intent is written", tell: tellStory,
			world: func() *world { return &world{rows: func(r upgrade.Rows) upgrade.Rows { return unwritten{r} }} }},
		{rule: 8, what: "the switch is reported before its release has succeeded", tell: tellStory,
			world: sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				if r.Step == ops.StepPromote {
					apps(w, func(f *upgrade.AppFacts) {
						f.Releases.Value = slices.Clone(f.Releases.Value)
						for i := range f.Releases.Value {
							f.Releases.Value[i].Status = ops.ReleaseSucceeded
						}
						f.Hosts = ops.Known(map[string]ops.Endpoint{"DATABASE_URL": w.New.Info.Value.Endpoint})
					})
				}
			})},
		{rule: 11, what: "the bot's own database is upgraded", tell: ownDatabase, world: func() *world {
			w := sees(func(_ *ops.Run, w *upgrade.World, _ time.Time) { w.Survey.Value = unblocked(w.Survey.Value) })()
			w.own = true
			w.surveyor = func(s ops.Surveyor) ops.Surveyor { return heedless{s} }
			return w
		}},
	}
}

// TestBrokenRulesAreNoticed breaks each rule of what must never be, and fails
// when the walk does not notice. The same tale, with the rules whole, is clean.
func TestBrokenRulesAreNoticed(t *testing.T) {
	rules := map[int]bool{}
	for _, b := range append(brokenPrograms(), brokenInside()...) {
		rules[b.rule] = true
		name := fmt.Sprintf("%d/%s", b.rule, b.what)
		t.Run("whole/"+name, func(t *testing.T) {
			t.Parallel()
			w := b.world()
			w.choose, w.rows, w.surveyor = nil, nil, nil
			build(t, w)
			if r := b.tell(w); !r.Step.Cutover() {
				w.never.ended()
			}
			if w.never.checks == 0 {
				t.Error("nothing was checked")
			}
		})
		t.Run("broken/"+name, func(t *testing.T) {
			t.Parallel()
			at, all := b.walkUntilNoticed(t)
			if at < 0 {
				t.Errorf("not noticed, in %d stories", all)
				return
			}
			t.Logf("noticed in story %d", at)
		})
	}
	for _, rule := range []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 12} {
		if !rules[rule] {
			t.Errorf("rule %d has no broken variant", rule)
		}
	}
}

// walkUntilNoticed tells the tale undisturbed, then stopped around each of its
// calls in turn, until a break of the rule is noticed.
func (b broken) walkUntilNoticed(t *testing.T) (story, all int) {
	t.Helper()
	var points []point
	play := func(stop func(m *marker, moment string)) bool {
		w := b.world()
		w.broken = b.rule
		m := &marker{w, map[point]int{}}
		w.stop = func(moment string) { stop(m, moment) }
		build(quiet{t}, w)
		b.follow(w)
		return w.never.saw(b.rule)
	}
	if play(func(m *marker, moment string) { points = append(points, m.mark(moment)) }) {
		if b.walk {
			t.Error("it shows without a stop, so the walk is not needed to notice it")
		}
		return 0, 1
	}
	for i, p := range points {
		if !strings.Contains(p.moment, " call ") { // the rows before and after are the same moments
			continue
		}
		if play(func(m *marker, moment string) {
			if m.mark(moment) == p {
				panic(crashed{p.String()})
			}
		}) {
			return i + 1, len(points)
		}
	}
	return -1, len(points)
}

// follow tells the tale to its end, or until something was noticed.
func (b broken) follow(w *world) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(gaveUp); !ok {
				panic(p)
			}
		}
	}()
	if r := b.tell(w); !r.Step.Cutover() {
		w.never.ended()
	}
}

// gaveUp ends a tale of a broken program: it need not end as it should.
type gaveUp struct{}

// quiet is a test that a broken program cannot fail.
type quiet struct{ testing.TB }

func (quiet) Error(...any)            {}
func (quiet) Errorf(string, ...any)   {}
func (q quiet) Fatal(...any)          { panic(gaveUp{}) }
func (q quiet) Fatalf(string, ...any) { panic(gaveUp{}) }
