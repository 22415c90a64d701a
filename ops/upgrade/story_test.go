package upgrade_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

func asked(g ops.Gate) func(ops.Run) bool {
	return func(r ops.Run) bool { return r.Asked != nil && r.Asked.Gate == g || !r.Active() }
}

func ended(r ops.Run) bool { return !r.Active() }

func at(step ops.Step) func(ops.Run) bool {
	return func(r ops.Run) bool { return r.Step == step || !r.Active() }
}

func (w *world) answer(id string, who string, g ops.Gate, typed string) {
	w.t.Helper()
	digest, open := ops.OpenQuestion(w.run(id), g)
	if !open {
		w.t.Fatalf("gate %s is not open: %s", g, w.tell(id))
	}
	if _, err := w.service.Answer(w.t.Context(), ops.Actor{ID: who}, ops.Answer{Run: id, Gate: g, Digest: digest, Yes: true, How: ops.ByButton, Typed: typed, Accepted: true}); err != nil {
		w.t.Fatal(err)
	}
}

// cutover plays a run up to the yes to the cutover.
func (w *world) cutover(app string) ops.Run {
	w.t.Helper()
	r := w.start(app)
	r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.answer(r.ID, "U2", ops.GateCutover, "")
	return r
}

// story plays a run from start to a destroyed old database.
func (w *world) story(app string) ops.Run {
	w.t.Helper()
	r := w.cutover(app)
	if r := w.until(r.ID, "asking to destroy", asked(ops.GateDestroy)); !r.Active() {
		return r
	}
	w.answer(r.ID, "U1", ops.GateDestroy, app)
	return w.until(r.ID, "ended", ended)
}

func TestTheWholeStory(t *testing.T) {
	for _, app := range []string{"orders", "billing"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			old := w.app(app).Database
			r := w.story(app)
			if r.Outcome != ops.Succeeded {
				t.Fatal(w.tell(r.ID))
			}
			w.never.ended()
			w.never.once(nil)
			a, o := w.app(app), w.heroku.Overview()
			d, ok := database(o, a.Database)
			if !ok || !strings.HasPrefix(d.Version, "17") || d.Following != "" {
				t.Errorf("the app uses %+v", d)
			}
			if _, there := database(o, old); there {
				t.Error("the old database is still there")
			}
			var kinds []ops.EventKind
			for _, e := range w.events(r.ID) {
				if e.Posted() && !slices.Contains(kinds, e.Kind) {
					kinds = append(kinds, e.Kind)
				}
			}
			for _, k := range []ops.EventKind{ops.EventStarted, ops.EventSurvey, ops.EventAsked, ops.EventDecided, ops.EventUndo, ops.EventStep, ops.EventOutage, ops.EventReport} {
				if !slices.Contains(kinds, k) {
					t.Errorf("no %s event: %s", k, w.tell(r.ID))
				}
			}
		})
	}
}
