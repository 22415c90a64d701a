package upgrade

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// unswitch decides what follows when a switch cannot go on. Nothing moved: the
// run goes back as before the switch. Names moved, but no row can have been
// written to the new database while every app was fenced: the old one is
// attached again by itself. Otherwise the fence stays and people decide: told
// is what they read.
func (t *turn) unswitch(told, why string) {
	if t.run.RollingBack() || t.run.Step == ops.StepReturnAttach {
		t.help("%s The fence stays. `/pgupgrade retry %s` looks again.", told, t.run.App.Name)
		return
	}
	if !switched(t.run, t.w) {
		t.back("%s", why)
		return
	}
	in := &t.run.SQL
	proof := unwritten(t.run, t.w)
	switch {
	case proof.unwritten:
		t.back("%s", why)
	case proof.measure && in.MeasureAt.IsZero():
		in.MeasureAt = t.now
		t.move.Kind = Again
	case proof.measure && t.now.Sub(in.MeasureAt) < SettleFor:
		t.wait(time.Second, "The switch cannot go on; counting what was written to the new database (%s).", proof.why)
	default:
		t.help("%s %s The fence stays: no dyno runs. `/pgupgrade retry %s` looks again; `/pgupgrade rollback %s` goes back to `%s`.", told, proof.told(), t.run.App.Name, t.run.App.Name, t.run.Database.Name)
	}
}

// proof is what is known about writes to the new database since it was promoted.
type proof struct {
	unwritten bool
	measure   bool   // it may be proven by reading again
	why       string // why it is not proven
}

func (p proof) told() string {
	return fmt.Sprintf("Going back by myself could lose rows: %s.", p.why)
}

// unwritten says whether it is proven that nobody wrote to the new database
// since it was promoted: every app is fenced and undisturbed, and either none
// has a release phase, whose command is a writer, or by SQL nothing changed.
func unwritten(run ops.Run, w World) proof {
	changes, unreadable := foreign(run, w)
	if len(changes) > 0 {
		return proof{why: strings.Join(changes, "; ")}
	}
	if run.Plan.ReadOnly() {
		return proof{why: "the apps run, and may have written to the new database"}
	}
	if unreadable != "" {
		return proof{why: unreadable + " cannot be read"}
	}
	var commands []string
	for _, app := range run.Plan.Apps {
		if app.ReleasePhase {
			commands = append(commands, "`"+app.Name+"`")
		}
	}
	if len(commands) == 0 {
		return proof{unwritten: true}
	}
	ran := "the release command of " + strings.Join(commands, ", ") + " may have written to the new database"
	if !run.SQL.On || run.SQL.BaseAt.IsZero() {
		return proof{why: ran}
	}
	if run.SQL.MeasureAt.IsZero() {
		return proof{measure: true, why: ran}
	}
	loss := ops.Measure(w.Kept.Base, w.New.SQL.Reading)
	return proof{unwritten: loss.Zero(), measure: !loss.Known(), why: "the release command wrote to the new database: " + loss.String()}
}

// returnAttach moves every name back to the old database, then waits until every
// app's current release leads to it. A release that failed on the way does not
// matter as long as the current one leads there.
func returnAttach(t *turn) {
	// Before the names: a release command runs at each, and would fail on a
	// database that is read-only.
	if !t.cleared(t.run.Database, t.w.Old.SQL, t.run.SQL.Before) || !t.attachOld() {
		return
	}
	for _, app := range t.run.Plan.Apps {
		if !t.returned(app) {
			return
		}
	}
	for _, app := range t.run.Plan.Apps {
		if r := newest(t.w.Apps[app.ID].Releases.Value); r.Status != ops.ReleaseSucceeded {
			t.say(ops.EventWarning, "Release v%d of `%s` (%s) %s; its current release leads to `%s` all the same.", r.Version, app.Name, r.Description, r.Status, t.run.Database.Name)
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
			if waited >= ReleaseWait {
				t.stuckBack("release v%d of `%s` (%s) still runs after %s; see `heroku releases:output v%d -a %s`", r.Version, app.Name, r.Description, ops.FormatDuration(waited), r.Version, app.Name)
				return false
			}
			t.wait(t.poll(waited), "Waiting for release v%d of %s (%s).", r.Version, app.Name, r.Description)
			return false
		}
	}
	for _, name := range app.Attachments {
		if !f.Hosts.Value[name.Name+"_URL"].SameServer(old.Value.Endpoint) {
			return t.released(app, old)
		}
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
				t.doubt(strings.Join(changes, "; "))
				t.stuckBack("somebody else changed something: %s", strings.Join(changes, "; "))
				return false
			}
			if !t.dispelled() {
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

// doubt keeps what may have written to the new database meanwhile. It stays
// though it is put right: what was written would be lost without anybody asked.
func (t *turn) doubt(what string) {
	if t.run.Step == ops.StepReturnAttach {
		t.run.Proof.Doubt = what
	}
}

// dispelled reports whether nothing may have been written to the new database on
// the way back: nothing foreign was ever seen, or by SQL nothing was written.
// Else only a rollback goes on, which counts what is lost and asks.
func (t *turn) dispelled() bool {
	why := t.run.Proof.Doubt
	if t.run.Step != ops.StepReturnAttach || why == "" {
		return true
	}
	in := &t.run.SQL
	if in.On && !in.BaseAt.IsZero() {
		loss := ops.Measure(t.w.Kept.Base, t.w.New.SQL.Reading)
		switch {
		case loss.Zero():
			t.run.Proof.Doubt = ""
			return true
		case !loss.Known() && t.now.Sub(t.run.StepSince) < SettleFor:
			t.wait(time.Second, "Counting what was written to the new database: %s.", strings.Join(loss.Unknown, "; "))
			return false
		}
		why += "; " + loss.String()
	}
	t.stuckBack("something may have been written to `%s` meanwhile (%s), and going back by myself would lose it", t.run.Follower.Name, why)
	return false
}

// stuckBack is a switch back that cannot go on: a rollback may still be given
// up, a return needs people.
func (t *turn) stuckBack(format string, args ...any) {
	if t.run.RollingBack() {
		t.rollbackStuck(format, args...)
		return
	}
	t.help("The way back was begun and cannot go on: %s. The fence stays. `/pgupgrade retry %s` looks again; `/pgupgrade rollback %s` goes back after saying what is lost.",
		fmt.Sprintf(format, args...), t.run.App.Name, t.run.App.Name)
}
