package upgrade

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// fence: maintenance on for every app, then every process type to zero, then
// no dyno at all.
func fence(t *turn) {
	if !t.shut(t.run.Baseline, t.back) {
		return
	}
	t.run.Proof.FenceProven = t.now
	t.done("Writers stopped: maintenance is on and no dyno runs.")
	t.to(ops.StepCatchUpExact, "no dyno runs")
}

// shut keeps users and writers out of the apps that base recorded, one call at a
// time, and reports when no dyno runs. abort is called when it cannot be done.
func (t *turn) shut(base *ops.Baseline, abort func(string, ...any)) bool {
	for _, b := range base.Apps {
		f := t.w.Apps[b.ID]
		if !f.App.Known || !f.Formation.Known || !f.Dynos.Known || !f.Releases.Known || !f.Attachments.Known {
			t.blind(b.Name, firstWhy(f.App.Why, f.Formation.Why, f.Dynos.Why, f.Releases.Why, f.Attachments.Why))
			return false
		}
		for _, r := range f.Releases.Value {
			if r.Version > b.Release {
				abort("release v%d of %s (%s) appeared", r.Version, b.Name, r.Description)
				return false
			}
		}
		if changes := foreignAttachments(t.run, b, f.Attachments.Value); len(changes) > 0 {
			abort("somebody else changed something: %s", strings.Join(changes, "; "))
			return false
		}
	}
	for _, b := range base.Apps {
		if !t.w.Apps[b.ID].App.Value.Maintenance {
			t.must(ops.Act{Kind: ops.ActMaintenance, Target: b.Name, App: b.Name, Args: map[string]string{"on": "true"}}, "Turning maintenance mode on.", abort)
			return false
		}
		t.seen(ops.ActMaintenance, b.Name)
	}
	for _, b := range base.Apps {
		if stop := running(t.w.Apps[b.ID].Formation.Value); len(stop) > 0 {
			t.must(scale(b, stop), "Stopping the dynos.", abort)
			return false
		}
		t.seen(ops.ActScale, b.Name)
	}
	for _, b := range base.Apps {
		if dynos := t.w.Apps[b.ID].Dynos.Value; len(dynos) > 0 {
			t.stopDynos(b, dynos, abort)
			return false
		}
	}
	return true
}

// must chooses an act without which the cutover cannot go on; refused, it aborts.
func (t *turn) must(a ops.Act, next string, abort func(string, ...any)) {
	if refusal := t.try(a, next); refusal != "" {
		abort("Heroku refused (%s)", refusal)
	}
}

// running returns the process types that are to be scaled to zero.
func running(formation []ops.Process) []ops.Process {
	var out []ops.Process
	for _, p := range formation {
		if p.Type != ops.ReleaseProcess && p.Quantity > 0 {
			out = append(out, ops.Process{Type: p.Type, Quantity: 0, Size: p.Size})
		}
	}
	return out
}

func scale(app ops.BaselineApp, to []ops.Process) ops.Act {
	b, err := json.Marshal(to)
	if err != nil {
		panic("encode formation: " + err.Error()) // strings and numbers always encode
	}
	return ops.Act{Kind: ops.ActScale, Target: app.Name, App: app.Name, Args: map[string]string{"formation": string(b)}}
}

// stopDynos waits for dynos to end. Those of the formation end by themselves
// within Heroku's 30 seconds; a one-off is stopped if the policy says so.
func (t *turn) stopDynos(b ops.BaselineApp, dynos []ops.Dyno, abort func(string, ...any)) {
	types := map[string]bool{}
	for _, p := range b.Formation {
		types[p.Type] = true
	}
	waited := t.now.Sub(t.run.StepSince)
	var names []string
	for _, d := range dynos {
		names = append(names, d.Name)
		if !types[d.Type] && t.run.Plan.OneOffs == ops.OneOffStop && !t.stopping(d) {
			t.must(ops.Act{Kind: ops.ActStopDyno, Target: d.Name, App: b.Name, Args: map[string]string{"dyno": d.Name}}, "Stopping "+d.Name+".", abort)
			return
		}
	}
	if waited > 90*time.Second {
		abort("dynos of %s still run after %s: %s", b.Name, ops.FormatDuration(waited), strings.Join(names, ", "))
		return
	}
	t.wait(pollCutover(waited), "Waiting for the dynos to end: %s.", strings.Join(names, ", "))
}

// stopping reports whether the dyno was told to stop and has Heroku's 30 seconds to end.
func (t *turn) stopping(d ops.Dyno) bool {
	a, sent := t.w.last(ops.ActStopDyno, t.run.Step, d.Name)
	return sent && a.Outcome == ops.OutcomeDone && t.now.Before(a.EndedAt.Add(30*time.Second))
}

// ExactReads and ExactSpan are how lag zero is proven behind the fence.
const (
	ExactReads = 3
	ExactSpan  = 6 * time.Second
)

// catchUpExact: lag zero in three reads over at least six seconds, with nothing
// running and nothing foreign.
func catchUpExact(t *turn) {
	if !t.undisturbed() {
		return
	}
	behind, ok := t.lag()
	if !ok {
		return
	}
	waited := t.now.Sub(t.run.StepSince)
	if behind != 0 {
		t.run.Exact = ops.Exact{}
		t.wait(pollCutover(waited), "Waiting for lag zero; %d commits behind.", behind)
		return
	}
	if t.run.Exact.Reads == 0 {
		t.run.Exact.Since = t.now
	}
	t.run.Exact.Reads++
	t.run.Exact.Last = t.now
	proving := t.now.Sub(t.run.Exact.Since)
	if t.run.Exact.Reads < ExactReads || proving < ExactSpan {
		t.wait(min(max(ExactSpan-proving, 100*time.Millisecond), 3*time.Second), "Lag is zero; making sure (%d of %d reads).", min(t.run.Exact.Reads, ExactReads), ExactReads)
		return
	}
	t.run.Proof.LagZeroAt = t.now
	t.run.Proof.ProvingTook = proving
	t.done("Nothing is missing: lag zero in %d reads over %s.", t.run.Exact.Reads, ops.FormatDuration(proving))
	t.to(ops.StepUpgrade, "lag zero in %d reads", t.run.Exact.Reads)
}
