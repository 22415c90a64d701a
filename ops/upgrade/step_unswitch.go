package upgrade

import (
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// unswitch decides what follows when a switch cannot go on. Nothing moved: the
// run goes back as before the switch. Names moved, but no row can have been
// written to the new database while every app was fenced: the old one is
// attached again by itself. Otherwise the fence stays and people decide: told
// is what they read.
func (t *turn) unswitch(told, why string) {
	switch {
	case t.run.RollingBack() || t.run.Step == ops.StepReturnAttach:
		t.help("%s The fence stays. `/pgupgrade retry %s` looks again.", told, t.run.App.Name)
	case !switched(t.run, t.w), unwritten(t.run, t.w):
		t.back("%s", why)
	default:
		t.help("%s The fence stays: no dyno runs. `/pgupgrade retry %s` looks again; `/pgupgrade rollback %s` goes back to `%s`.", told, t.run.App.Name, t.run.App.Name, t.run.Database.Name)
	}
}

// unwritten reports whether it is proven that nobody wrote to the new database
// since it was promoted: every app is fenced and undisturbed, and none has a
// release phase, whose command is a writer.
func unwritten(run ops.Run, w World) bool {
	if changes, unreadable := foreign(run, w); len(changes) > 0 || unreadable != "" {
		return false
	}
	for _, app := range run.Plan.Apps {
		if app.ReleasePhase {
			return false
		}
	}
	return true
}

// returnAttach moves every name back to the old database, then waits until every
// app's current release leads to it. A release that failed on the way does not
// matter as long as the current one leads there.
func returnAttach(t *turn) {
	if !t.attachOld() {
		return
	}
	for _, app := range t.run.Plan.Apps {
		if !t.returned(app) {
			return
		}
	}
	t.done("%s to `%s` again.", t.lead(), t.run.Database.Name)
	t.to(ops.StepReturnUnfence, "every app uses the old database")
}

// returned reports whether the app's current release leads to the old database.
func (t *turn) returned(app ops.PlanApp) bool {
	f, old := t.w.Apps[app.ID], t.w.Old.Info
	if !f.Releases.Known || !f.Hosts.Known || !old.Known {
		t.blind("the releases of "+app.Name, firstWhy(f.Releases.Why, f.Hosts.Why, old.Why))
		return false
	}
	waited := t.now.Sub(t.run.StepSince)
	for _, r := range f.Releases.Value {
		if r.Status == ops.ReleasePending {
			t.wait(t.poll(waited), "Waiting for release v%d of %s (%s).", r.Version, app.Name, r.Description)
			return false
		}
	}
	for _, name := range app.Attachments {
		if !f.Hosts.Value[name.Name+"_URL"].SameServer(old.Value.Endpoint) {
			return t.released(app, old)
		}
	}
	if r := newest(f.Releases.Value); r.Status != ops.ReleaseSucceeded {
		t.say(ops.EventWarning, "Release v%d of `%s` (%s) %s; its current release leads to `%s` all the same.", r.Version, app.Name, r.Description, r.Status, t.run.Database.Name)
	}
	return true
}

// attachOld chooses the next name to move back to the old database and reports
// when none is left.
func (t *turn) attachOld() bool {
	for _, app := range t.run.Plan.Apps {
		f := t.w.Apps[app.ID]
		if !f.Attachments.Known {
			t.blind("the attachments of "+app.Name, f.Attachments.Why)
			return false
		}
		for _, name := range app.Attachments {
			if a, ok := attached(f.Attachments.Value, name.Name); ok && a.Addon.ID == t.run.Database.ID {
				t.seen(ops.ActPromote, target(app, name))
				continue
			}
			if changes, unreadable := foreign(t.run, t.w); unreadable != "" {
				t.blind(unreadable, "needed before the switch back")
				return false
			} else if len(changes) > 0 {
				t.stuckBack("somebody else changed something: %s", strings.Join(changes, "; "))
				return false
			}
			refusal := t.try(ops.Act{Kind: ops.ActPromote, Target: target(app, name), App: app.Name,
				Args: map[string]string{"name": name.Name, "namespace": name.Namespace, "addon": t.run.Database.ID}}, "Switching "+name.Name+" of "+app.Name+" back to the old database.")
			if refusal != "" {
				t.stuckBack("Heroku refused to switch %s of `%s` back: %s", name.Name, app.Name, refusal)
			}
			return false
		}
	}
	return true
}

// stuckBack is a switch back that cannot go on: a rollback may still be given
// up, a return needs people.
func (t *turn) stuckBack(format string, args ...any) {
	if t.run.RollingBack() {
		t.rollbackStuck(format, args...)
		return
	}
	t.help("The way back was begun and cannot go on: %s. The fence stays. `/pgupgrade retry %s` looks again.", fmt.Sprintf(format, args...), t.run.App.Name)
}
