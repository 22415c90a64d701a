package upgrade

import (
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// settle is how long after a lost answer a call may still take effect at
// Heroku before a look can say that it did not.
const settle = 2 * time.Second

// steps is the rule of each step.
var steps = map[ops.Step]func(*turn){
	ops.StepSurvey:         survey,
	ops.StepGateCreate:     gateCreate,
	ops.StepBackup:         backup,
	ops.StepFollowerCreate: followerCreate,
	ops.StepCatchUp:        catchUp,
	ops.StepGateCutover:    gateCutover,
	ops.StepFence:          fence,
	ops.StepCatchUpExact:   catchUpExact,
	ops.StepUpgrade:        upgradeRun,
	ops.StepVerifyNew:      verifyNew,
	ops.StepPromote:        promote,
	ops.StepUnfence:        unfence,
	ops.StepVerifyApp:      verifyApp,
	ops.StepSoak:           soak,
	ops.StepGateDestroy:    gateDestroy,
	ops.StepDestroy:        destroy,
	ops.StepReturnAttach:   returnAttach,
	ops.StepReturnUnfence:  returnUnfence,
	ops.StepReturnFollower: returnFollower,

	ops.StepRollbackFence:   rollbackFence,
	ops.StepRollbackMeter:   rollbackMeter,
	ops.StepRollbackAttach:  rollbackAttach,
	ops.StepRollbackUnfence: rollbackUnfence,
	ops.StepRollbackLift:    rollbackLift,
}

// Next chooses what to do about a run in the world as it was seen. It is pure:
// it returns the run as it is to be saved, and the move.
func Next(run ops.Run, w World, now time.Time) (ops.Run, Move) {
	t := &turn{run: run, w: w, now: now}
	t.choose()
	return t.result()
}

func (t *turn) choose() {
	if !t.run.Active() {
		t.move.Kind = End
		return
	}
	if t.inFlight() || t.unknownStep() || t.ordered() || t.orderedRollback() || t.helpless() || t.pastLimit() {
		return
	}
	t.idDrawn()
	steps[t.run.Step](t)
	t.nearLimit()
	t.lockedOut()
	t.keyRefused()
}

// inFlight waits while a call may still be under way: its intent is there, its
// outcome is not, and its deadline has not passed. The process that sent it may
// have been killed after sending.
func (t *turn) inFlight() bool {
	for _, a := range t.w.Acts {
		if end := a.Deadline.Add(time.Second); a.Outcome == "" && t.now.Before(end) {
			t.wait(end.Sub(t.now), "Waiting until the outcome of an interrupted call can be looked for.")
			return true
		}
	}
	return false
}

// unknownStep keeps a program that does not know the step, such as an older
// release, from acting on a guess.
func (t *turn) unknownStep() bool {
	if _, ok := steps[t.run.Step]; ok {
		return false
	}
	if t.run.Help != "" {
		return false
	}
	if switched(t.run, t.w) {
		t.help("This version of pgupgrade does not know the step “%s” that a newer one began. Deploy the newer version again, then `/pgupgrade retry %s`.", t.run.Step, t.run.App.Name)
	} else {
		t.back("this version of pgupgrade does not know the step “%s” that a newer one began", t.run.Step)
	}
	return true
}

// switched reports whether an app may use the new database already.
func switched(run ops.Run, w World) bool {
	_, sent := w.sent(ops.ActPromote, "")
	return sent || !run.Proof.PromotedAt.IsZero()
}

// ordered follows a cancel. Service refuses one that comes too late; should
// one slip in while the run moves on, it is ignored here and said.
func (t *turn) ordered() bool {
	d, ok := t.w.order(ops.OrderCancel, t.run.CreatedAt, t.now)
	if !ok || t.run.Returning || switched(t.run, t.w) {
		return false
	}
	t.back("cancelled by %s", d.Actor.Mention())
	return true
}

// HelpWait is how long a call for help before the fence waits. Then the run goes
// back, since a follower costs money: a weekend and a day.
const HelpWait = 72 * time.Hour

// helpless waits for people once they were called.
func (t *turn) helpless() bool {
	if t.run.Help == "" {
		return false
	}
	if _, ok := t.w.order(ops.OrderRetry, t.run.HelpSince, t.now); ok {
		t.run.Help, t.run.HelpSince = "", time.Time{}
		t.run.StepSince = t.now
		t.move.Kind = Again
		return true
	}
	if t.run.Step.Before(ops.StepFence) && t.now.Sub(t.run.HelpSince) >= HelpWait {
		t.back("nobody answered the call for help within %s: %s", ops.FormatDuration(HelpWait), t.run.Help)
		return true
	}
	t.wait(10*time.Minute, "Waiting for a person: `/pgupgrade retry %s` looks again.", t.run.App.Name)
	return true
}

// pastLimit goes back by itself when the outage has lasted too long, as long as
// no app was switched.
func (t *turn) pastLimit() bool {
	o := &t.run.Outage
	if o.Limit.IsZero() || t.run.Returning || !t.run.Step.Cutover() {
		return false
	}
	if switched(t.run, t.w) && (t.run.Step != ops.StepPromote || !unwritten(t.run, t.w).unwritten) {
		return false
	}
	if _, ok := t.w.order(ops.OrderExtend, o.Asked, t.now); ok && !o.Asked.IsZero() {
		o.Limit, o.Asked = o.Limit.Add(ops.ExtendBy), time.Time{}
	}
	limit := o.Limit
	if t.now.Before(limit) {
		return false
	}
	t.back("the outage reached its limit of %s", ops.FormatDuration(limit.Sub(t.run.Outage.From)))
	return true
}

// nearLimit asks for more time at four fifths of the outage's limit. Without an
// answer the run goes back at the limit.
func (t *turn) nearLimit() {
	o := &t.run.Outage
	if o.Limit.IsZero() || !o.Asked.IsZero() || t.run.Returning || t.run.Help != "" || !t.run.Step.Cutover() || !t.run.Step.Before(ops.StepPromote) {
		return
	}
	if t.now.Before(o.From.Add(o.Limit.Sub(o.From) * 4 / 5)) {
		return
	}
	o.Asked = t.now
	t.say(ops.EventAsked, "More time? `%s` has been %s for %s; in %s, at its limit, I go back by myself.",
		t.run.App.Name, kept(t.run.Plan), ops.FormatDuration(t.now.Sub(o.From)), ops.FormatDuration(o.Limit.Sub(t.now)))
	t.move.Events[len(t.move.Events)-1].Gate = ops.OrderExtend
}

// OpenWait is how long letting users in, or a switch, may take before people
// are told.
const OpenWait = 5 * time.Minute

// lockedOut tells people once in a step that users are still kept out, where no
// limit ends it: the run goes on trying, and they may be faster.
func (t *turn) lockedOut() {
	switch t.run.Step {
	case ops.StepPromote, ops.StepUnfence, ops.StepReturnAttach, ops.StepReturnUnfence, ops.StepRollbackFence, ops.StepRollbackAttach, ops.StepRollbackUnfence, ops.StepRollbackLift:
	default:
		return
	}
	o, base := &t.run.Outage, t.run.Recorded()
	if t.move.Kind != Wait || t.run.Help != "" || base == nil || !o.Told.Before(t.run.StepSince) || t.now.Sub(t.run.StepSince) < OpenWait {
		return
	}
	if t.run.Step == ops.StepRollbackFence && t.run.Rollback.Baseline == nil && !t.run.Rollback.Fenced {
		return // nobody is kept out yet
	}
	if t.run.Step == ops.StepPromote && !switched(t.run, t.w) {
		return // goes back by itself at the outage's limit
	}
	o.Told = t.now
	hand := "Please do not open it by hand before: it could write to the database that it is to leave."
	if t.run.Step != ops.StepPromote && t.run.Step != ops.StepReturnAttach && t.run.Step != ops.StepRollbackAttach {
		var undo []string
		for _, b := range base.Apps {
			undo = append(undo, undoCommands(b)...)
		}
		hand = "By hand: `" + strings.Join(undo, "` and `") + "`."
	}
	t.say(ops.EventHelp, "Users of `%s` are still kept out, %s after the step %s began. %s I go on trying. %s",
		t.run.App.Name, ops.FormatDuration(t.now.Sub(t.run.StepSince)), t.run.Step, t.run.Next, hand)
}

// try chooses act a, unless an earlier attempt in this step stands against it:
// one that was turned away waits; one that was done, or whose answer was lost,
// waits until a look can tell (the caller has looked and did not see its
// effect); one that was refused is returned for the caller to decide.
func (t *turn) try(a ops.Act, next string) (refusal string) {
	last, ok := t.w.last(a.Kind, t.run.Step, a.Target)
	if ok && !last.StartedAt.Before(t.run.StepSince) {
		switch last.Outcome {
		case ops.OutcomeRefused:
			return last.Detail
		case ops.OutcomeBusy:
			if again := last.EndedAt.Add(t.backoff(a.Kind, a.Target)); t.now.Before(again) {
				t.wait(again.Sub(t.now), "%s Heroku is busy (%s); trying again.", next, last.Detail)
				return ""
			}
		case ops.OutcomeDone: // an answer may come before the effect shows
			if again := last.EndedAt.Add(settle); t.now.Before(again) {
				t.wait(again.Sub(t.now), "%s Done; looking for its effect.", next)
				return ""
			}
		case ops.OutcomeUnknown, "":
			if again := last.EndedAt.Add(settle); !last.EndedAt.IsZero() && t.now.Before(again) {
				t.wait(again.Sub(t.now), "%s The answer was lost; looking whether it took effect.", next)
				return ""
			}
		}
	}
	t.act(a, next)
	return ""
}

// backoff doubles with each attempt that was turned away in a row.
func (t *turn) backoff(kind ops.ActKind, target string) time.Duration {
	wait := time.Second
	for _, a := range t.w.acts(kind) {
		if a.Step == t.run.Step && a.Target == target {
			if a.Outcome != ops.OutcomeBusy {
				wait = time.Second
			} else if wait < 30*time.Second {
				wait *= 2
			}
		}
	}
	return wait
}

// seen notes that the effect of an act of this step is there, should its answer
// have been lost. An act of an earlier step may have meant the opposite.
func (t *turn) seen(kind ops.ActKind, target string) {
	for _, a := range t.w.acts(kind) {
		if a.Step == t.run.Step && a.Target == target && a.Open() {
			t.resolve(a, ops.OutcomeDone, "seen")
		}
	}
}
