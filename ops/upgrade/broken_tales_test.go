package upgrade_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// unwritten forgets to write what is about to be done.
type unwritten struct{ upgrade.Rows }

func (u unwritten) BeginAct(ctx context.Context, r ops.Run, e []ops.Event, a ops.Act) (ops.Run, ops.Act, error) {
	r, err := u.Rows.Save(ctx, r, e)
	return r, a, err
}

// EndAct writes intent and outcome together, too late.
func (u unwritten) EndAct(ctx context.Context, a ops.Act) error {
	r, err := u.Rows.Run(ctx, a.Run)
	if err != nil {
		return err
	}
	_, begun, err := u.Rows.BeginAct(ctx, r, nil, a)
	if err != nil {
		return err
	}
	a.ID = begun.ID
	return nil
}

// doctored is the decisions as a broken program takes them.
type doctored struct {
	upgrade.Rows
	as func(ops.Run, []ops.Decision) []ops.Decision
}

func doctors(as func(ops.Run, []ops.Decision) []ops.Decision) func() *world {
	return func() *world { return &world{rows: func(r upgrade.Rows) upgrade.Rows { return doctored{r, as} }} }
}

func (d doctored) Decisions(ctx context.Context, run string) ([]ops.Decision, error) {
	all, err := d.Rows.Decisions(ctx, run)
	if err != nil {
		return nil, err
	}
	r, err := d.Rows.Run(ctx, run)
	return d.as(r, all), err
}

// The tales in which the broken rules matter. With the rules whole each ends well.

func deployed(w *world) ops.Run {
	r := w.cutover("orders")
	w.until(r.ID, "upgrading", at(ops.StepUpgrade))
	w.stage("deploy", "orders")
	w.never.touched = true
	return w.until(r.ID, "over", over)
}

func lagging(w *world) ops.Run {
	r := w.cutover("orders")
	r = w.until(r.ID, "proving", at(ops.StepCatchUpExact))
	w.stage("raise lag", r.Follower.Name)
	return w.until(r.ID, "over", over)
}

func declined(w *world) ops.Run {
	r := w.start("orders")
	r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	if _, err := w.service.Answer(w.t.Context(), ops.Actor{ID: "U2"}, ops.Answer{Run: r.ID, Gate: ops.GateCutover, Digest: r.Asked.Digest, How: ops.ByButton}); err != nil {
		w.t.Fatal(err)
	}
	return w.until(r.ID, "ended", ended)
}

func releaseFails(w *world) ops.Run {
	r := w.start("orders")
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.stage("fail releases", "orders")
	w.answer(r.ID, "U2", ops.GateCutover, "")
	w.until(r.ID, "calling for help", func(r ops.Run) bool { return r.Help != "" || over(r) })
	w.carrier.Step(w.t.Context())
	w.stage("pass releases", "orders")
	w.stage("retry release", "orders")
	w.carrier.Advance(3 * time.Second)
	if _, err := w.service.Retry(w.t.Context(), ops.Actor{ID: "U1"}, "orders"); err != nil {
		w.t.Fatal(err)
	}
	return w.until(r.ID, "over", over)
}

func inMaintenance(w *world) ops.Run {
	w.stage("maintenance on", "orders")
	r := w.start("orders")
	if r := w.until(r.ID, "asking", func(r ops.Run) bool { return r.Asked != nil || !r.Active() }); r.Asked != nil && r.Asked.Gate == ops.GateCreate {
		w.answer(r.ID, "U2", ops.GateCreate, "")
	}
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.answer(r.ID, "U2", ops.GateCutover, "")
	return w.until(r.ID, "over", over)
}

func buttonDestroys(w *world) ops.Run {
	r := w.cutover("orders")
	r = w.until(r.ID, "asking to destroy", asked(ops.GateDestroy))
	if _, err := w.service.Answer(w.t.Context(), ops.Actor{ID: "U1"}, ops.Answer{Run: r.ID, Gate: ops.GateApp, Digest: "app:" + r.ID, Yes: true, How: ops.ByButton}); err != nil {
		w.t.Fatal(err)
	}
	for range 5 {
		w.carrier.Step(w.t.Context())
	}
	return w.run(r.ID)
}

func unanswered(w *world) ops.Run {
	r := w.start("orders")
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	for range 20 {
		w.carrier.Step(w.t.Context())
	}
	return w.run(r.ID)
}

// lapsed: a one-off dyno holds the yes until it has expired.
func lapsed(w *world) ops.Run {
	r := w.start("orders")
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.stage("one-off", "orders")
	w.answer(r.ID, "U2", ops.GateCutover, "")
	w.until(r.ID, "held", func(r ops.Run) bool { return r.Asked != nil && r.Asked.Blocked != "" })
	w.carrier.Advance(ops.CutoverHolds)
	w.stage("end one-offs", "orders")
	for range 20 {
		w.carrier.Step(w.t.Context())
	}
	return w.run(r.ID)
}

// planChanged: what was approved is not what would be done now.
func planChanged(w *world) ops.Run {
	r := w.start("orders")
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.stage("one-off", "orders")
	w.answer(r.ID, "U2", ops.GateCutover, "")
	w.until(r.ID, "held", func(r ops.Run) bool { return r.Asked != nil && r.Asked.Blocked != "" })
	w.stageWith("attach", "orders", "REPORTING postgresql-curved-41822")
	w.carrier.Step(w.t.Context())
	w.stage("end one-offs", "orders")
	for range 20 {
		w.carrier.Step(w.t.Context())
	}
	return w.run(r.ID)
}

// ownDatabase: the app's database holds the bot's own rows, so a start is refused.
func ownDatabase(w *world) ops.Run {
	w.never.watch(ops.Run{}, "orders")
	started, err := w.service.Start(w.t.Context(), ops.Actor{ID: "U1"}, "C1", "orders", ops.Request{})
	var refused *ops.UserError
	if errors.As(err, &refused) && refused.Code == ops.RefusedOwnDatabase {
		if made := w.heroku.Effects(); len(made) > 0 {
			w.t.Errorf("refused, and yet %v", made)
		}
		return ops.Run{}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.never.watch(started.Run, "orders")
	return w.until(started.Run.ID, "asking for the cutover", asked(ops.GateCutover))
}

// heedless is a surveyor that takes no block for one.
type heedless struct{ ops.Surveyor }

func (h heedless) Survey(ctx context.Context, app string, req ops.Request) (ops.Survey, error) {
	s, err := h.Surveyor.Survey(ctx, app, req)
	return unblocked(s), err
}

func unblocked(s ops.Survey) ops.Survey {
	s.Findings = slices.DeleteFunc(slices.Clone(s.Findings), func(f ops.Finding) bool { return f.Verdict == ops.Block })
	return s
}

// over: the run has ended, or users have been let in again.
func over(r ops.Run) bool { return !r.Active() || r.Step == ops.StepSoak }
