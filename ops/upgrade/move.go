package upgrade

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Kind says what Next chose.
type Kind string

// The choices.
const (
	Act   Kind = "act"   // carry out Move.Act, then look again
	Again Kind = "again" // save, then look again at once: the step changed
	Wait  Kind = "wait"  // look again after Move.In, or when woken
	End   Kind = "end"   // nothing is left to do
)

// Move is one choice, and the rows to write with it.
type Move struct {
	Kind      Kind
	Act       ops.Act
	In        time.Duration
	Events    []ops.Event
	Decisions []ops.Decision
	Resolved  []ops.Act // acts whose outcome was found by looking
	Samples   []ops.Sample
	Readings  []Named // written before the run is saved
}

// turn is one choice in the making: the run as it will be saved, and the move.
type turn struct {
	run  ops.Run
	w    World
	now  time.Time
	move Move
}

func (t *turn) result() (ops.Run, Move) { return t.run, t.move }

// say adds an event. The texts are sentences that people read in the thread.
func (t *turn) say(kind ops.EventKind, format string, args ...any) {
	t.move.Events = append(t.move.Events, ops.Event{
		Run: t.run.ID, At: t.now, Kind: kind, Step: t.run.Step, Actor: ops.BotActor(), Text: fmt.Sprintf(format, args...),
	})
}

// act chooses a call. The step does not change until its effect was seen.
func (t *turn) act(a ops.Act, next string) {
	a.Run, a.Step = t.run.ID, t.run.Step
	t.run.Next = next
	t.move.Kind, t.move.Act = Act, a
	t.say(ops.EventAudit, "about to: %s %s%s", a.Kind, a.Target, argsText(a.Args))
}

func argsText(args map[string]string) string {
	s := ""
	for _, k := range []string{"on", "formation", "version", "name", "dyno", "leader", "plan"} {
		if v, ok := args[k]; ok {
			s += " " + k + "=" + v
		}
	}
	return s
}

// wait chooses to look again later.
func (t *turn) wait(in time.Duration, next string, args ...any) {
	t.run.Next = fmt.Sprintf(next, args...)
	t.run.Due = t.now.Add(in)
	t.move.Kind, t.move.In = Wait, in
}

// blind waits because a fact that is needed could not be read.
func (t *turn) blind(what, why string) {
	in := pollOutside(t.now.Sub(t.run.StepSince), time.Minute)
	if t.run.Step.Cutover() {
		in = t.poll(t.now.Sub(t.run.StepSince))
	}
	t.wait(in, "Looking again: could not read %s (%s).", what, why)
}

// to ends the current step and begins another.
func (t *turn) to(step ops.Step, note string, args ...any) {
	t.finishStep(fmt.Sprintf(note, args...))
	t.begin(step)
	t.move.Kind = Again
}

func (t *turn) finishStep(note string) {
	for i := len(t.run.Steps) - 1; i >= 0; i-- {
		if t.run.Steps[i].Step == t.run.Step && t.run.Steps[i].Ended.IsZero() {
			t.run.Steps[i].Ended, t.run.Steps[i].Note = t.now, note
			return
		}
	}
}

func (t *turn) begin(step ops.Step) {
	t.run.Step, t.run.StepSince = step, t.now
	t.run.Next, t.run.Due, t.run.Progress = "", t.now, ""
	if step != ops.StepEnd {
		t.run.Steps = append(t.run.Steps, ops.StepRecord{Step: step, Begun: t.now})
	}
}

// done says that the current step is done, with its duration, in the thread.
func (t *turn) done(format string, args ...any) {
	t.say(ops.EventStep, format, args...)
	t.move.Events[len(t.move.Events)-1].Took = t.now.Sub(t.run.StepSince)
}

// help stops and asks people. The run stays where it is until somebody orders
// a retry (or a cancel, where that is possible).
func (t *turn) help(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	t.run.Help, t.run.HelpSince = why, t.now
	t.say(ops.EventHelp, "%s", why)
	t.wait(time.Minute, "Waiting for a person: `/pgupgrade retry %s` looks again.", t.run.App.Name)
	t.move.Kind, t.move.In = Again, 0
}

// back takes the way back from wherever the run stands. Once a name may lead to
// the new database it must only be called where that is proven unwritten.
func (t *turn) back(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	t.run.Asked, t.run.Help = nil, ""
	t.run.Why = why
	switch {
	case switched(t.run, t.w):
		t.run.Returning = true
		t.say(ops.EventReturning, "Going back: %s. Every app was fenced, so nothing was written to `%s`; %s to `%s` again, then maintenance and formation come back as they were.", why, t.run.Follower.Name, t.lead(), t.run.Database.Name)
		t.to(ops.StepReturnAttach, "%s", why)
	case t.run.Baseline != nil && t.run.Plan.ReadOnly():
		t.run.Returning = true
		t.say(ops.EventReturning, "Going back: %s. `%s` stays on `%s`, which is made writable again.", why, t.run.App.Name, t.run.Database.Name)
		t.to(ops.StepReturnUnfence, "%s", why)
	case t.run.Baseline != nil:
		t.run.Returning = true
		t.say(ops.EventReturning, "Going back: %s. `%s` stays on `%s`, which was not changed; maintenance and formation come back as they were.", why, t.run.App.Name, t.run.Database.Name)
		t.to(ops.StepReturnUnfence, "%s", why)
	case created(t.w):
		t.run.Returning = true
		t.say(ops.EventReturning, "Going back: %s. The follower is destroyed; `%s` and its database `%s` were not touched.", why, t.run.App.Name, t.run.Database.Name)
		t.to(ops.StepReturnFollower, "%s", why)
	default:
		t.end(ops.Cancelled, "%s", why)
	}
}

// created reports whether a follower may have come into being.
func created(w World) bool {
	_, ok := w.sent(ops.ActCreate, "")
	return ok
}

// end finishes the run.
func (t *turn) end(outcome, why string, args ...any) {
	t.run.Outcome, t.run.Why, t.run.EndedAt = outcome, fmt.Sprintf(why, args...), t.now
	t.run.Asked, t.run.Help = nil, ""
	t.finishStep(t.run.Why)
	t.run.Step, t.run.StepSince, t.run.Next, t.run.Progress = ops.StepEnd, t.now, "", ""
	t.say(ops.EventReport, "%s", t.run.Why)
	t.move.Kind = End
}

// are begins a sentence about the apps of the run: "`orders` is", "`orders`,
// `reports` are".
func (t *turn) are() string {
	if len(t.run.Plan.Apps) > 1 {
		return t.run.Plan.AppNames() + " are"
	}
	return t.run.Plan.AppNames() + " is"
}

// lead begins a sentence about the names that move: "`DATABASE` of `orders` leads".
func (t *turn) lead() string {
	names := t.run.Plan.Names()
	if strings.Contains(names, ", ") {
		return names + " lead"
	}
	return names + " leads"
}

// resolve notes an act's outcome that was found by looking.
func (t *turn) resolve(a ops.Act, outcome, detail string) {
	a.Outcome, a.Detail, a.EndedAt = outcome, detail, t.now
	t.move.Resolved = append(t.move.Resolved, a)
	for i := range t.w.Acts {
		if t.w.Acts[i].ID == a.ID {
			acts := append([]ops.Act(nil), t.w.Acts...)
			acts[i] = a
			t.w.Acts = acts
			break
		}
	}
}
