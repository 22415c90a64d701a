package upgrade_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

var (
	ana = ops.Actor{ID: "U1", Name: "ana"}
	ben = ops.Actor{ID: "U2", Name: "ben"}
)

func (w *world) set(key, value string) {
	w.t.Helper()
	if _, err := w.service.Set(w.t.Context(), ben, "orders", key, value); err != nil {
		w.t.Fatal(err)
	}
}

// refused checks that a start was refused for the reason expected, and that
// nothing came of it.
func (w *world) refused(req ops.Request, code ops.Refusal, says string) {
	w.t.Helper()
	_, err := w.service.Start(w.t.Context(), ana, "C1", "orders", req)
	var user *ops.UserError
	if !errors.As(err, &user) || user.Code != code || !strings.Contains(user.Text, says) {
		w.t.Errorf("start said %v; want refusal %q with %q", err, code, says)
	}
	runs, err := w.store.Runs(w.t.Context(), ops.RunFilter{})
	if err != nil || len(runs) != 0 {
		w.t.Errorf("a refused start left %d runs, %v", len(runs), err)
	}
	if effects := w.heroku.Effects(); len(effects) != 0 {
		w.t.Errorf("a refused start changed something: %v", effects)
	}
}

// TestSettingsAreUsed: the plan holds what was set, and the run does it.
func TestSettingsAreUsed(t *testing.T) {
	w := newWorld(t)
	w.set("soak", "2h")
	w.set("one-offs", "stop")
	w.set("read-only", "READ_ONLY")
	health := w.api + "/_web/orders?x"
	if _, err := w.service.Set(t.Context(), ben, "orders", "health", health); err == nil {
		t.Error("a health address with a query was set")
	}
	health = w.api + "/_web/billing"
	w.set("health", health)
	r := w.start("orders")
	r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	if p := r.Plan; p == nil || p.Soak != 2*time.Hour || p.OneOffs != ops.OneOffStop || p.ReadOnlyFlag != "READ_ONLY" || p.Apps[0].HealthURL != health {
		t.Fatalf("the plan does not hold what was set: %+v", r.Plan)
	}
	w.stage("one-off", "orders")
	w.answer(r.ID, "U2", ops.GateCutover, "")
	r = w.until(r.ID, "soaking", func(r ops.Run) bool { return r.Step == ops.StepSoak || !r.Active() })
	if got := r.Soak.Until.Sub(r.Soak.From); got != 2*time.Hour {
		t.Errorf("the soak lasts %s: %s", got, w.tell(r.ID))
	}
	stopped := 0
	for _, e := range w.heroku.Effects() {
		if strings.HasPrefix(e, "dyno.stop") {
			stopped++
		}
	}
	if stopped != 1 {
		t.Errorf("the one-off was stopped %d times: %v", stopped, w.heroku.Effects())
	}
	w.well(r.ID, "orders", map[string]int{"web": 2, "worker": 1, "clock": 1})
}

// TestASettingTakenBackIsNotUsed, and each change is on record.
func TestASettingTakenBackIsNotUsed(t *testing.T) {
	w := newWorld(t)
	w.set("soak", "2h")
	w.set("soak", "off")
	_, kept, err := w.service.AppSettings(t.Context(), "orders")
	if err != nil || kept["soak"] != "" {
		t.Errorf("kept %v, %v", kept, err)
	}
	trail, err := w.service.History(t.Context(), "orders")
	if err != nil || len(trail.Apart) != 2 || !strings.Contains(trail.Apart[0].Text, "<@U2> set soak of `orders` to 2h0m0s") || !strings.Contains(trail.Apart[1].Text, "took back soak") {
		t.Errorf("the record holds %+v, %v", trail.Apart, err)
	}
	if other, err := w.service.History(t.Context(), "billing"); err != nil || len(other.Apart) != 0 {
		t.Errorf("another app's record holds %+v, %v", other.Apart, err)
	}
	r := w.until(w.start("orders").ID, "planned", func(r ops.Run) bool { return r.Plan != nil })
	if r.Plan.Soak != 0 {
		t.Errorf("the plan's soak is %s", r.Plan.Soak)
	}
}

// TestStartAtATime: asked before, approved before, begun at the time.
func TestStartAtATime(t *testing.T) {
	w := newWorld(t)
	started, err := w.service.Start(t.Context(), ana, "C1", "orders", ops.Request{At: "monday 06:30"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC) // it is Monday, 03:00
	if !started.Opens.Equal(at) || !started.Run.Request.NotBefore.Equal(at) {
		t.Fatalf("started for %s", started.Opens)
	}
	w.never.watch(started.Run, "orders")
	r := w.until(started.Run.ID, "asking for the cutover", asked(ops.GateCutover))
	if !r.Asked.Opens.Equal(at) || !r.Asked.At.Before(at.Add(-3*time.Hour)) {
		t.Fatalf("asked at %s for %s", r.Asked.At, r.Asked.Opens)
	}
	w.answer(r.ID, "U2", ops.GateCutover, "")
	decisions, err := w.store.Decisions(t.Context(), r.ID)
	if err != nil || !decisions[len(decisions)-1].Expires.Equal(at.Add(ops.CutoverHolds)) {
		t.Fatalf("the yes holds until %v, %v", decisions[len(decisions)-1].Expires, err)
	}
	r = w.until(r.ID, "in its fence", func(r ops.Run) bool { return r.Step == ops.StepFence || !r.Active() })
	if since := r.StepSince.Sub(at); since < 0 || since > 30*time.Second {
		t.Errorf("the cutover began at %s: %s", r.StepSince, w.tell(r.ID))
	}
	r = w.until(r.ID, "soaking", func(r ops.Run) bool { return r.Step == ops.StepSoak || !r.Active() })
	w.well(r.ID, "orders", map[string]int{"web": 2, "worker": 1, "clock": 1})
}

// TestAnApprovalForATimeLapses when what was approved changes before it.
func TestAnApprovalForATimeLapses(t *testing.T) {
	w := newWorld(t)
	started, err := w.service.Start(t.Context(), ana, "C1", "orders", ops.Request{At: "04:00"})
	if err != nil {
		t.Fatal(err)
	}
	w.never.watch(started.Run, "orders")
	r := w.until(started.Run.ID, "asking for the cutover", asked(ops.GateCutover))
	first := r.Asked.Digest
	w.answer(r.ID, "U2", ops.GateCutover, "")
	w.stage("maintenance on", "orders")
	w.never.watch(r, "orders") // as it is before the cutover
	r = w.until(r.ID, "asking anew", func(r ops.Run) bool { return r.Asked != nil && r.Asked.Digest != first || !r.Active() })
	if _, err := w.service.Answer(t.Context(), ben, ops.Answer{Run: r.ID, Gate: ops.GateCutover, Digest: first, Yes: true, How: ops.ByButton}); err == nil {
		t.Error("the button of the old question still counts")
	}
	at := started.Opens
	r = w.until(r.ID, "past its time", func(r ops.Run) bool { return w.carrier.Now().After(at.Add(time.Hour)) || !r.Active() })
	if r.Step != ops.StepGateCutover {
		t.Fatalf("it went on without an approval: %s", w.tell(r.ID))
	}
	w.answer(r.ID, "U2", ops.GateCutover, "")
	r = w.until(r.ID, "soaking", func(r ops.Run) bool { return r.Step == ops.StepSoak || !r.Active() })
	if a := w.app("orders"); !a.Maintenance {
		t.Errorf("maintenance was on before, and is not restored: %s", w.tell(r.ID))
	}
}

// TestAnApprovalExpires: what holds a yes back longer than 30 minutes ends it, and
// people are asked anew.
func TestAnApprovalExpires(t *testing.T) {
	w := newWorld(t)
	r := w.until(w.start("orders").ID, "asking for the cutover", asked(ops.GateCutover))
	w.stage("one-off", "orders")
	w.answer(r.ID, "U2", ops.GateCutover, "")
	asked := r.Asked.At
	r = w.until(r.ID, "asking anew", func(r ops.Run) bool { return !r.Active() || r.Asked != nil && r.Asked.At.After(asked) })
	if !r.Active() || r.Asked.At.Sub(asked) < ops.CutoverHolds {
		t.Fatalf("asked anew after %s: %s", r.Asked.At.Sub(asked), w.tell(r.ID))
	}
	w.stage("end one-offs", "orders")
	for range 50 {
		w.carrier.Step(t.Context())
	}
	if r = w.run(r.ID); r.Step != ops.StepGateCutover {
		t.Errorf("an expired yes began the cutover: %s", w.tell(r.ID))
	}
	w.answer(r.ID, "U2", ops.GateCutover, "")
	w.until(r.ID, "in its fence", func(r ops.Run) bool { return r.Step == ops.StepFence || !r.Active() })
}

// TestAWindow: a cutover begins in it, and a start at a time outside it is refused.
func TestAWindow(t *testing.T) {
	w := newWorld(t)
	w.set("window", "tue 02:00-05:00")
	w.refused(ops.Request{At: "05:00"}, ops.RefusedClosed, "the window is Tue 02:00-05:00. The first time after it is Tue 2026-11-24 02:00 (UTC)")
	w.refused(ops.Request{At: "tuesday 04:55"}, ops.RefusedClosed, "no cutover may begin")
	w.refused(ops.Request{At: "yesterday"}, ops.RefusedTime, "is not a time")
	w.set("freeze", "2026-11-24..2026-12-01")
	w.refused(ops.Request{At: "tuesday 03:00"}, ops.RefusedClosed, "the freeze is 2026-11-24..2026-12-01. The first time after it is Tue 2026-12-08 02:00 (UTC)")
	w.set("freeze", "off")
	w.set("window", "tue 02:00-02:05")
	w.refused(ops.Request{}, ops.RefusedClosed, "No cutover can begin within a year")
	w.set("window", "mon 05:00-08:00")
	r := w.until(w.start("orders").ID, "asking for the cutover", asked(ops.GateCutover))
	w.answer(r.ID, "U2", ops.GateCutover, "")
	r = w.until(r.ID, "in its fence", func(r ops.Run) bool { return r.Step == ops.StepFence || !r.Active() })
	if r.StepSince.Weekday() != time.Monday || r.StepSince.Hour() != 5 || r.StepSince.Minute() > 1 {
		t.Errorf("the cutover began at %s: %s", r.StepSince, w.tell(r.ID))
	}
}

// TestStartIsRefusedAtOnce for what a check would end right away.
func TestStartIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.stage("deploy", "orders")
	w.refused(ops.Request{}, ops.RefusedReleasing, "was not started, and nothing was created: Release v")
}

// well checks that an app is open with its formation, and has all its rows.
func (w *world) well(id, app string, formation map[string]int) {
	w.t.Helper()
	a := w.app(app)
	if a.Maintenance || fmt.Sprint(a.Formation) != fmt.Sprint(formation) {
		w.t.Errorf("maintenance %v, formation %v: %s", a.Maintenance, a.Formation, w.tell(id))
	}
	for _, r := range w.heroku.Rows() {
		if r.App == app && r.Missing != 0 {
			w.t.Errorf("%d of %d acknowledged rows are missing: %s", r.Missing, r.Acknowledged, w.tell(id))
		}
	}
}
