package upgrade

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// fence: maintenance on for every app, then every process type to zero, then
// no dyno at all.
func fence(t *turn) {
	in := &t.run.SQL
	switch {
	case !in.StillAt.IsZero():
	case t.run.Plan.ReadOnly():
		if !t.quiet() {
			return
		}
	case !t.shut(t.run.Baseline, t.back):
		return
	}
	if in.On && in.StillAt.IsZero() {
		x := fencing{db: t.run.Database, facts: t.w.Old.SQL, before: &in.Before, fence: &in.Fence, abort: t.back}
		if !t.readOnly(x) || !t.still(x) {
			return
		}
	}
	t.run.Proof.FenceProven = t.now
	if !in.On {
		t.done("Writers stopped: maintenance is on and no dyno runs. Programs outside Heroku are not stopped: %s.", in.Why)
		t.to(ops.StepCatchUpExact, "no dyno runs")
		return
	}
	t.run.Proof.ProvingTook = t.now.Sub(in.FencedAt)
	if t.run.Plan.ReadOnly() {
		t.done("Writers stopped: `%s` is read-only, and nothing moved in it for %s. The apps run on and read.", t.run.Database.Name, ops.FormatDuration(ops.MinGap))
		t.to(ops.StepCatchUpExact, "still")
		return
	}
	t.done("Writers stopped: maintenance is on, no dyno runs, `%s` is read-only, and nothing moved in it for %s.", t.run.Database.Name, ops.FormatDuration(ops.MinGap))
	t.to(ops.StepCatchUpExact, "still")
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
			if t.undone(ops.ActMaintenance, b.Name, base.At) {
				abort("somebody else changed something: maintenance mode of %s was turned off", b.Name)
				return false
			}
			t.must(ops.Act{Kind: ops.ActMaintenance, Target: b.Name, App: b.Name, Args: map[string]string{"on": "true"}}, "Turning maintenance mode on.", abort)
			return false
		}
		t.seen(ops.ActMaintenance, b.Name)
	}
	for _, b := range base.Apps {
		if stop := running(t.w.Apps[b.ID].Formation.Value); len(stop) > 0 {
			if t.undone(ops.ActScale, b.Name, base.At) {
				abort("somebody else changed something: %s of %s was scaled up", stop[0].Type, b.Name)
				return false
			}
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

// undone reports whether what this fence has done was undone: its effect was
// there, or has had the time to show, and the caller does not see it.
func (t *turn) undone(kind ops.ActKind, target string, since time.Time) bool {
	all := t.w.acts(kind)
	for i := len(all) - 1; i >= 0; i-- {
		if a := all[i]; a.Target == target && !a.StartedAt.Before(since) {
			return a.Outcome == ops.OutcomeDone && !t.now.Before(a.EndedAt.Add(settle))
		}
	}
	return false
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

// OneOffWait and DynoWait are how long the fence waits for a one-off dyno that
// nobody stops, and for a dyno of the formation, which Heroku ends within 30 s.
const (
	OneOffWait = 60 * time.Second
	DynoWait   = 90 * time.Second
)

// stopDynos waits for dynos to end. Those of the formation end by themselves; a
// one-off is stopped if the policy says so.
func (t *turn) stopDynos(b ops.BaselineApp, dynos []ops.Dyno, abort func(string, ...any)) {
	since := t.run.StepSince
	if stopped, ok := t.w.last(ops.ActScale, t.run.Step, b.Name); ok {
		since = latest(since, stopped.EndedAt)
	}
	waited, limit := t.now.Sub(since), DynoWait
	var names []string
	for _, d := range dynos {
		names = append(names, d.Name)
		if ofFormation(b, d) {
			continue
		}
		limit = OneOffWait
		if t.run.Plan.OneOffs == ops.OneOffStop && !t.stopping(d) {
			t.must(ops.Act{Kind: ops.ActStopDyno, Target: d.Name, App: b.Name, Args: map[string]string{"dyno": d.Name}}, "Stopping "+d.Name+".", abort)
			return
		}
	}
	if waited >= limit {
		abort("dynos of %s still run after %s: %s", b.Name, ops.FormatDuration(waited), strings.Join(names, ", "))
		return
	}
	t.wait(min(t.poll(waited), limit-waited), "Waiting for the dynos to end: %s.", strings.Join(names, ", "))
}

// ofFormation reports whether a dyno is of a process type that was recorded.
func ofFormation(b ops.BaselineApp, d ops.Dyno) bool {
	return slices.ContainsFunc(b.Formation, func(p ops.Process) bool { return p.Type == d.Type })
}

// stopping reports whether the dyno was told to stop and has Heroku's 30 seconds to end.
func (t *turn) stopping(d ops.Dyno) bool {
	a, sent := t.w.last(ops.ActStopDyno, t.run.Step, d.Name)
	return sent && a.Outcome == ops.OutcomeDone && t.now.Before(a.EndedAt.Add(30*time.Second))
}
