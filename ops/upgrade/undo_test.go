package upgrade_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

// byHand runs a command that was posted, as the Heroku CLI does: ps:scale sends
// the quantities as texts in one PATCH of the formation, maintenance:off a PATCH
// of the app. A command that is none of the two fails the test.
func (w *world) byHand(command string) {
	w.t.Helper()
	words := strings.Fields(command)
	if len(words) < 4 || words[0] != "heroku" || words[len(words)-2] != "-a" {
		w.t.Fatalf("not a command for one app: %q", command)
	}
	path := "/apps/" + words[len(words)-1]
	args := words[2 : len(words)-2]
	switch words[1] {
	case "maintenance:off":
		if len(args) > 0 {
			w.t.Fatalf("unexpected arguments: %q", command)
		}
		w.patch(path, map[string]any{"maintenance": false})
	case "ps:scale":
		var updates []any
		for _, a := range args {
			kind, quantity, ok := strings.Cut(a, "=")
			if !ok {
				w.t.Fatalf("%q is not a process type and its quantity: %q", a, command)
			}
			updates = append(updates, map[string]any{"type": kind, "quantity": quantity})
		}
		w.patch(path+"/formation", map[string]any{"updates": updates})
	default:
		w.t.Fatalf("no command that undoes a fence: %q", command)
	}
}

func (w *world) patch(path string, body any) {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPatch, w.api+path, bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		w.t.Fatalf("PATCH %s: %s %s", path, resp.Status, said)
	}
}

// undo runs the commands of the last post that says how to undo a fence.
func (w *world) undo(id string) {
	w.t.Helper()
	posted := ""
	for _, e := range w.events(id) {
		if e.Kind == ops.EventUndo && e.Posted() {
			posted = e.Text
		}
	}
	if posted == "" {
		w.t.Fatalf("no commands were posted: %s", w.tell(id))
	}
	for command := range strings.Lines(posted) {
		w.byHand(command)
	}
}

// TestTheCommandsUndoTheFence runs what was posted before the fence when the
// program is gone: the app must be open as it was. Then the program comes back,
// and must leave it so.
func TestTheCommandsUndoTheFence(t *testing.T) {
	rolling := func(w *world, step ops.Step) ops.Run {
		r := w.cutover("orders")
		w.until(r.ID, "soaking", at(ops.StepSoak))
		w.stage("scale worker", "orders") // people may have scaled since
		w.answer(r.ID, "U2", ops.GateRollback, "orders")
		return w.until(r.ID, string(step), at(step))
	}
	for name, tell := range map[string]func(w *world) ops.Run{
		"maintenance is on, dynos run": func(w *world) ops.Run {
			r := w.cutover("orders")
			stopped := false
			w.stop = func(moment string) {
				if moment == "after end act maintenance.set" && !stopped {
					stopped = true
					panic(crashed{moment})
				}
			}
			return w.until(r.ID, "in maintenance", func(ops.Run) bool { return stopped })
		},
		"proving": func(w *world) ops.Run {
			r := w.cutover("orders")
			return w.until(r.ID, "proving", at(ops.StepCatchUpExact))
		},
		"upgrading": func(w *world) ops.Run {
			r := w.cutover("orders")
			return w.until(r.ID, "upgrading", at(ops.StepUpgrade))
		},
		"another app": func(w *world) ops.Run {
			r := w.cutover("billing")
			return w.until(r.ID, "upgrading", at(ops.StepUpgrade))
		},
		"the release does not end": func(w *world) ops.Run {
			r := w.cutover("orders")
			w.stage("stall releases", "orders")
			return w.until(r.ID, "calling for help", func(r ops.Run) bool { return r.Help != "" })
		},
		"fenced for a rollback": func(w *world) ops.Run { return rolling(w, ops.StepRollbackMeter) },
		"in maintenance before": func(w *world) ops.Run {
			w.stage("maintenance on", "orders")
			r := w.start("orders")
			w.until(r.ID, "asking", asked(ops.GateCreate))
			w.answer(r.ID, "U2", ops.GateCreate, "")
			w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
			w.answer(r.ID, "U2", ops.GateCutover, "")
			return w.until(r.ID, "upgrading", at(ops.StepUpgrade))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := tell(w)
			before := w.app(w.never.app)
			if count(before.Formation) > 0 && !before.Maintenance {
				t.Fatalf("nobody is kept out: %+v", before)
			}
			w.undo(r.ID)
			open := func(when string) {
				t.Helper()
				a, was := w.app(w.never.app), w.never.was
				if a.Maintenance != was.Maintenance || fmt.Sprint(a.Formation) != fmt.Sprint(was.Formation) {
					t.Errorf("%s: maintenance %v, formation %v; before %v, %v", when, a.Maintenance, a.Formation, was.Maintenance, was.Formation)
				}
			}
			open("by hand")
			if r.Help != "" { // whoever opened it must not be locked out again
				for range 5 {
					w.carrier.Step(t.Context())
				}
				open("the program is back")
				return
			}
			w.until(r.ID, "settled", func(r ops.Run) bool { return !r.Active() || !r.Step.Cutover() && r.Step != ops.StepReturnFollower })
			open("the program is back")
		})
	}
}
