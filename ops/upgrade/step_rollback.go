package upgrade

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// meterUnknown is what the meter says while no database can be reached by SQL.
const meterUnknown = "unknown: cannot reach the database by SQL"

// deployWait is how long a rollback waits for a deploy that is under way.
const deployWait = 10 * time.Minute

// orderedRollback follows a typed decision to go back after the switch, and a
// cancel that gives a rollback up while nothing was attached.
func (t *turn) orderedRollback() bool {
	if t.run.Step == ops.StepRollbackFence || t.run.Step == ops.StepRollbackMeter {
		if d, ok := t.w.order(ops.OrderCancel, t.run.Rollback.Decided, t.now); ok {
			t.stay("cancelled by %s", d.Actor.Mention())
			return true
		}
		return false
	}
	if !ops.MayRollBack(t.run) {
		return false
	}
	since := t.run.CreatedAt
	if t.run.Rollback != nil {
		since = t.run.Rollback.Lifted
	}
	d, ok := ops.LatestDecision(t.w.Decisions, ops.GateRollback, ops.RollbackDigest(t.run), since, t.now)
	if !ok || !d.Yes || d.How != ops.ByTyped && d.How != ops.ByTerminal {
		return false
	}
	origin := t.run.Step
	if origin == ops.StepGateDestroy {
		origin = ops.StepSoak
	}
	t.run.Rollback = &ops.Rollback{
		Decided: d.At, By: d.Actor, Origin: origin, From: t.now,
		Fenced: t.run.Step == ops.StepPromote || t.run.Step == ops.StepUnfence || t.run.Step == ops.StepReturnAttach,
	}
	t.run.Returning = false // until it is given up
	t.run.Asked, t.run.Help, t.run.HelpSince = nil, "", time.Time{}
	t.say(ops.EventReturning, "Rolling back to `%s` (PostgreSQL %s), ordered by %s. First the writers stop; then I say what would be lost and ask once more. `/pgupgrade cancel %s` gives it up until then.",
		t.run.Database.Name, t.run.Plan.From, d.Actor.Mention(), t.run.App.Name)
	t.to(ops.StepRollbackFence, "rollback ordered by %s", d.Actor.Mention())
	return true
}

// rollbackFence records the apps as they are, then stops every writer of the
// new database, as the fence before the switch did for the old one.
func rollbackFence(t *turn) {
	rb := t.run.Rollback
	if rb.Baseline == nil {
		t.recordRollback()
		return
	}
	in := &t.run.SQL
	if in.NewFence == nil && !t.shut(rb.Baseline, t.stay) {
		return
	}
	if in.On && !t.readOnly(fencing{db: t.run.Follower, facts: t.w.New.SQL, before: &in.NewBefore, fence: &in.NewFence, abort: t.stay}) {
		return
	}
	if in.On {
		t.done("Writers of `%s` stopped: maintenance is on, no dyno runs, and it is read-only.", t.run.Follower.Name)
	} else {
		t.done("Writers of `%s` stopped: maintenance is on and no dyno runs.", t.run.Follower.Name)
	}
	t.to(ops.StepRollbackMeter, "no dyno runs")
}

// recordRollback writes down what will be restored, before anything is touched.
// Where a switch could not end, formation and maintenance are those of its own
// fence.
func (t *turn) recordRollback() {
	old := t.w.Old.Addon
	switch {
	case !old.Known:
		t.blind("the old database", old.Why)
		return
	case !old.Value.Exists || old.Value.Value.State != ops.AddonProvisioned:
		t.stay("the old database `%s` is not there any more", t.run.Database.Name)
		return
	}
	b := &ops.Baseline{At: t.now}
	var undo []string
	for _, app := range t.run.Plan.Apps {
		f := t.w.Apps[app.ID]
		if !f.App.Known || !f.Formation.Known || !f.Dynos.Known || !f.Releases.Known || !f.Attachments.Known {
			t.blind(app.Name, firstWhy(f.App.Why, f.Formation.Why, f.Dynos.Why, f.Releases.Why, f.Attachments.Why))
			return
		}
		if why := check.Deploying(f.Releases.Value, f.Builds); why != "" {
			if t.now.Sub(t.run.StepSince) > deployWait {
				t.stay("%s on `%s`", why, app.Name)
				return
			}
			t.wait(2*time.Second, "Rollback ordered; waiting: %s on %s.", why, app.Name)
			return
		}
		was, _ := t.run.Baseline.App(app.ID)
		now := ops.BaselineApp{Ref: app.Ref, Maintenance: f.App.Value.Maintenance, Formation: f.Formation.Value,
			Release: newest(f.Releases.Value).Version, Attachments: f.Attachments.Value, Health: was.Health}
		if t.run.Rollback.Fenced {
			now.Maintenance, now.Formation = was.Maintenance, was.Formation
		}
		b.Apps = append(b.Apps, now)
		undo = append(undo, undoCommands(now)...)
	}
	t.run.Rollback.Baseline = b
	if t.run.SQL.On { // both will be read-only; the app's own is to take writes
		for _, db := range []ops.Ref{t.run.Database, t.run.Follower} {
			undo = append([]string{clearByHand(placeOf(t.run, db.ID), t.w.database(t.run, db.ID), ops.DBFence{}) + " # if the app uses " + db.Name}, undo...)
		}
	}
	t.say(ops.EventUndo, "%s", strings.Join(undo, "\n"))
	t.move.Kind = Again
}

// rollbackMeter says what would be lost and waits for the second decision. No
// answer means no.
func rollbackMeter(t *turn) {
	rb := t.run.Rollback
	changes, unreadable := foreign(t.run, t.w)
	if len(changes) > 0 {
		t.stay("somebody else changed something: %s", strings.Join(changes, "; "))
		return
	}
	if rb.Asked.IsZero() {
		if unreadable != "" {
			t.blind(unreadable, "needed before going on")
			return
		}
		t.meter()
		return
	}
	d, answered := ops.LatestDecision(t.w.Decisions, ops.GateLoss, ops.LossDigest(t.run), rb.Asked, t.now)
	until := rb.Asked.Add(ops.LossWait)
	switch {
	case answered && !d.Yes:
		t.stay("declined by %s", d.Actor.Mention())
	case answered && unreadable != "":
		t.blind(unreadable, "needed before going on")
	case answered:
		t.to(ops.StepRollbackAttach, "approved by %s", d.Actor.Mention())
	case !t.now.Before(until):
		t.stay("nobody answered within %s", ops.FormatDuration(ops.LossWait))
	default:
		t.wait(min(until.Sub(t.now), 10*time.Second), "Waiting for an approver: go back without knowing what is lost, or stay.")
	}
}

// meter reads what was written since the switch. Nothing: the run goes back
// without asking again, since nothing is lost. Otherwise it asks, with the list.
func (t *turn) meter() {
	rb, in := t.run.Rollback, &t.run.SQL
	rb.Meter = meterUnknown
	question := "Go back without knowing what is lost?"
	list := ""
	if in.On && !in.BaseAt.IsZero() {
		loss := ops.Measure(t.w.Kept.Base, t.w.New.SQL.Reading)
		if !loss.Known() && t.now.Sub(t.run.StepSince) < SettleFor {
			t.wait(time.Second, "Counting what was written since the switch: %s.", strings.Join(loss.Unknown, "; "))
			return
		}
		in.Loss, rb.Meter = &loss, loss.String()
		if loss.Zero() {
			t.done("Going back loses nothing: %s.", rb.Meter)
			t.to(ops.StepRollbackAttach, "nothing was written")
			return
		}
		if loss.Known() {
			question = "Go back and lose this?"
		}
		list = "\n• " + strings.Join(loss.Lines(12), "\n• ") + "\n"
	}
	rb.Asked = t.now
	t.say(ops.EventAsked, "%s What was written to `%s` since the switch: %s. %s%s Without an answer within %s `%s` stays as it was before the rollback.",
		question, t.run.Follower.Name, rb.Meter, list, lossWords(t.run), ops.FormatDuration(ops.LossWait), t.run.App.Name)
	t.move.Events[len(t.move.Events)-1].Gate = ops.GateLoss
	t.move.Kind = Again
}

// lossWords is what is known although nothing can be counted.
func lossWords(run ops.Run) string {
	if run.SQL.Loss != nil {
		return fmt.Sprintf("It stays readable in `%s`, which is kept.", run.Follower.Name)
	}
	if run.Rollback.Fenced {
		return "No dyno has run since the fence, so only a release command or a program outside Heroku can have written to it."
	}
	return fmt.Sprintf("The app has used it for %s; all of that may be missing from `%s`.", ops.FormatDuration(run.Rollback.From.Sub(run.Proof.PromotedAt)), run.Database.Name)
}

// rollbackAttach moves every name back to the old database, then waits until
// every app's current release leads to it.
func rollbackAttach(t *turn) {
	old := t.w.Old
	switch {
	case !old.Addon.Known || !old.Info.Known:
		t.blind("the old database", firstWhy(old.Addon.Why, old.Info.Why))
		return
	case !old.Addon.Value.Exists || old.Addon.Value.Value.State != ops.AddonProvisioned:
		t.rollbackStuck("the old database `%s` is not there any more", t.run.Database.Name)
		return
	}
	if !t.cleared(t.run.Database, t.w.Old.SQL, t.run.SQL.Before) || !t.attachOld() {
		return
	}
	for _, app := range t.run.Plan.Apps {
		if !t.released(app, old.Info) {
			return
		}
	}
	t.run.Rollback.Attached = t.now
	t.done("%s to `%s` again.", t.lead(), t.run.Database.Name)
	t.to(ops.StepRollbackUnfence, "every app uses the old database")
}

// rollbackStuck gives the rollback up while no name was moved back; after that
// only people decide.
func (t *turn) rollbackStuck(format string, args ...any) {
	if a, sent := t.w.sent(ops.ActPromote, ops.StepRollbackAttach); sent && !a.StartedAt.Before(t.run.Rollback.Decided) {
		t.help("The rollback was begun and cannot go on: %s. The fence stays. `/pgupgrade retry %s` looks again.", fmt.Sprintf(format, args...), t.run.App.Name)
		return
	}
	t.stay(format, args...)
}

// rollbackUnfence lets the app back in, on the old database.
func rollbackUnfence(t *turn) {
	if !t.cleared(t.run.Database, t.w.Old.SQL, t.run.SQL.Before) || !t.restored() {
		return
	}
	t.open()
	t.done("%s open again on `%s` (PostgreSQL %s), rolled back. Downtime of the rollback %s. `%s` is kept as it was.", t.are(), t.run.Database.Name, t.run.Plan.From,
		ops.FormatDuration(t.run.Rollback.Until.Sub(t.run.Rollback.From)), t.run.Follower.Name)
	t.run.Verified, t.run.Soak = ops.Verified{}, ops.Soak{}
	t.to(ops.StepVerifyApp, "as recorded")
}

// stay gives the rollback up: nothing was moved back, so the app goes on with
// the new database. Must not be called once a name was moved.
func (t *turn) stay(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	rb := t.run.Rollback
	if rb.Baseline == nil && !rb.Fenced {
		t.say(ops.EventReturning, "Not rolled back: %s. Nothing was touched; `%s` goes on with `%s`.", why, t.run.App.Name, t.run.Follower.Name)
		t.lifted(why)
		return
	}
	if !rb.Fenced {
		t.say(ops.EventReturning, "Not rolled back: %s. `%s` stays on `%s`; maintenance and formation come back as they were.", why, t.run.App.Name, t.run.Follower.Name)
	}
	t.to(ops.StepRollbackLift, "%s", why)
}

// rollbackLift opens the app again on the new database. Where the switch itself
// could not end, the fence stays and people are called again.
func rollbackLift(t *turn) {
	rb, why := t.run.Rollback, note(t.run)
	if !t.cleared(t.run.Follower, t.w.New.SQL, t.run.SQL.NewBefore) || !t.shutAgain() {
		return
	}
	if rb.Fenced {
		t.lifted(why)
		t.help("Not rolled back: %s. The switch of `%s` still needs a person and the fence stays. `/pgupgrade retry %s` looks again; `/pgupgrade rollback %s` goes back after all.", why, t.run.App.Name, t.run.App.Name, t.run.App.Name)
		return
	}
	if !t.restored() {
		return
	}
	t.open()
	t.done("%s open again on `%s` (PostgreSQL %s), as before the rollback.", t.are(), t.run.Follower.Name, t.run.Plan.To)
	t.lifted(why)
}

// shutAgain makes the old database read-only again, where the rollback had made it
// writable before it was given up. Users do not wait for it for longer than a minute.
func (t *turn) shutAgain() bool {
	in, now := &t.run.SQL, t.w.Old.SQL.Fence
	if in.Fence == nil || t.run.Rollback.Origin == ops.StepReturnAttach || t.now.Sub(t.run.StepSince) > insideFor {
		return true
	}
	if !now.Known {
		t.blind("`"+t.run.Database.Name+"` by SQL", now.Why)
		return false
	}
	if now.Value.On() {
		t.seen(ops.ActFenceDB, t.run.Database.ID)
		return true
	}
	return t.try(ops.Act{Kind: ops.ActFenceDB, Target: t.run.Database.ID}, "Making `"+t.run.Database.Name+"` read-only again.") != ""
}

// note is why the step before this one was left.
func note(run ops.Run) string {
	for i := len(run.Steps) - 1; i >= 0; i-- {
		if !run.Steps[i].Ended.IsZero() {
			return run.Steps[i].Note
		}
	}
	return ""
}

func (t *turn) lifted(why string) {
	if fence := t.w.Old.SQL.Fence; t.run.Step == ops.StepRollbackLift && t.run.SQL.Fence != nil && t.run.Rollback.Origin != ops.StepReturnAttach && (!fence.Known || !fence.Value.On()) {
		t.say(ops.EventWarning, "Whether `%s` is read-only is not known: whoever has its URL may write to it, and nobody would see those rows.", t.run.Database.Name)
	}
	t.run.Rollback.Lifted = t.now
	t.run.SQL.NewBefore, t.run.SQL.NewFence = nil, nil
	t.run.Returning = t.run.Rollback.Origin == ops.StepReturnAttach
	t.to(t.run.Rollback.Origin, "%s", why)
}

// open notes that users are let in again.
func (t *turn) open() {
	t.run.Rollback.Until = t.now
	if t.run.Outage.Until.IsZero() {
		t.run.Outage.Until = t.now
	}
}
