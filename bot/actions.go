package bot

import (
	"context"
	"errors"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Pressed is a button as it was pressed.
type Pressed struct {
	Typed  // who, where, and how to answer
	Action string
	Value  string
}

// Pressed takes a press. It returns at once. What the button means is looked up
// now, in rows; every button calls what the command of the same name calls.
func (b *Bot) Pressed(p Pressed) {
	b.work("button "+p.Action, func(ctx context.Context) {
		if !b.first(ctx, p.Envelope) {
			return
		}
		about, ok := parseTarget(p.Value)
		if !ok {
			b.fail(ctx, p.Typed, ops.Refuse(ops.RefusedForged, "I do not know this button any more. Please use the newest message of the upgrade, or `/pgupgrade status`. Nothing was done."))
			return
		}
		if p.Action != actDetails && p.Action != actCheck && !strings.HasPrefix(p.Channel, "D") {
			if err := b.notShared(ctx, false); err != nil {
				b.fail(ctx, p.Typed, err)
				return
			}
		}
		if p.Action == actCheck {
			app, request, full, err := checkPressed(about)
			if err != nil {
				b.fail(ctx, p.Typed, err)
				return
			}
			b.check(ctx, p.Typed, app, request, full, false)
			return
		}
		run, err := b.c.Rows.Run(ctx, about.Run)
		if errors.Is(err, ops.ErrNotFound) {
			err = ops.Refuse(ops.RefusedUnknownRun, "I do not know this upgrade any more. Nothing was done.")
		}
		if err != nil {
			b.fail(ctx, p.Typed, err)
			return
		}
		b.press(ctx, p, run, about)
	})
}

func (b *Bot) press(ctx context.Context, p Pressed, run ops.Run, about target) {
	switch p.Action {
	case actApprove, actDecline, actGood, actBad, actDestroy, actRollback:
		yes := p.Action != actDecline && p.Action != actBad
		if b.twice(ctx, p, run, about, yes) {
			return
		}
		b.ask(ctx, p.Typed, run, ops.Answer{Run: run.ID, Gate: about.Gate, Digest: about.Digest, Yes: yes, How: ops.ByButton})
	case actCancel:
		if b.other(ctx, p, run) {
			return
		}
		plan, err := b.c.Service.Cancel(ctx, p.actor(), run.App.Name, about.Digest)
		if err != nil {
			b.fail(ctx, p.Typed, err)
			return
		}
		b.say(ctx, p.Typed, Said(":leftwards_arrow_with_hook: Stopped. "+prose(plan.Text)))
	case actRetry:
		if b.other(ctx, p, run) {
			return
		}
		if _, err := b.c.Service.Retry(ctx, p.actor(), run.App.Name); err != nil {
			b.fail(ctx, p.Typed, err)
		}
	case actExtend:
		if b.other(ctx, p, run) {
			return
		}
		if _, err := b.c.Service.Extend(ctx, p.actor(), run.App.Name); err != nil {
			b.fail(ctx, p.Typed, err)
		}
	case actSnooze:
		if b.other(ctx, p, run) {
			return
		}
		b.open(ctx, p.Typed, run, SnoozeModal(run))
	case actDryRun:
		if b.other(ctx, p, run) {
			return
		}
		b.askDryRun(ctx, p.Typed, run.App.Name, run.Request)
	case actDetails:
		story, err := b.story(ctx, run)
		if err != nil {
			b.fail(ctx, p.Typed, err)
			return
		}
		b.say(ctx, p.Typed, Details(story))
	default:
		b.fail(ctx, p.Typed, ops.Refuse(ops.RefusedForged, "I do not know this button. Nothing was done."))
	}
}

// twice tells somebody who pressed again that the first press counts.
func (b *Bot) twice(ctx context.Context, p Pressed, run ops.Run, about target, yes bool) bool {
	all, err := b.c.Rows.Decisions(ctx, about.Run)
	if err != nil {
		b.fail(ctx, p.Typed, err)
		return true
	}
	if _, open := ops.OpenQuestion(run, about.Gate); !open {
		return false // the service says why
	}
	d, ok := given(all, about.Gate, about.Digest)
	if ok && about.Gate == ops.GateRollback && run.Rollback != nil && !d.At.After(run.Rollback.Lifted) {
		return false // of a rollback that was given up
	}
	if !ok || d.Actor.ID != p.User || d.Yes != yes || !d.Valid(about.Gate, about.Digest, b.c.Now()) || run.Asked != nil && run.Asked.Gate == about.Gate && d.At.Before(run.Asked.At) {
		return false
	}
	b.say(ctx, p.Typed, Said("That is recorded already, since "+date(d.At, timeSecs)+"."))
	return true
}

// other refuses an order that would reach another upgrade of the same app than
// the one whose button was pressed.
func (b *Bot) other(ctx context.Context, p Pressed, run ops.Run) bool {
	active, err := b.c.Rows.ActiveRun(ctx, run.App.Name)
	switch {
	case !run.Active():
		b.fail(ctx, p.Typed, ops.Refuse(ops.RefusedEnded, "This upgrade has ended (%s). Nothing was done.", state(run)))
		return true
	case err != nil:
		b.fail(ctx, p.Typed, err)
		return true
	case active.ID != run.ID:
		b.fail(ctx, p.Typed, ops.Refuse(ops.RefusedSeveral, "There are several upgrades of `%s` under way, and this button cannot tell them apart. Let `%s` end first. Nothing was done.", run.App.Name, active.ID))
		return true
	}
	return false
}

// open opens a modal about a run, or says why there is none.
func (b *Bot) open(ctx context.Context, t Typed, run ops.Run, m slackgo.ModalViewRequest) {
	if err := b.c.Web.OpenView(ctx, t.Trigger, m); err != nil {
		b.c.Log.WarnContext(ctx, "a modal could not be opened", "run", run.ID, "err", err)
		b.say(ctx, t, Said("That took too long for Slack, so the window did not open. Nothing was done; please press again."))
	}
}

// Submitted is a modal as it was sent in.
type Submitted struct {
	Typed    // who
	Callback string
	Metadata string
	ViewID   string
	Values   map[string]string // by the id of the input's block
}

// Outcome is what becomes of a modal: it closes (zero), shows problems beside
// its inputs, or turns into another one.
type Outcome struct {
	Problems map[string]string
	Update   *slackgo.ModalViewRequest
}

// submitWithin is how long a modal waits for the outcome; then it says that it
// goes on, and is told later. Slack gives three seconds in all.
const submitWithin = 800 * time.Millisecond

// Submitted takes a modal. The answer is about what was kept: a modal that
// closes was recorded.
func (b *Bot) Submitted(s Submitted) Outcome {
	about, ok := parseTarget(s.Metadata)
	if !ok {
		return notice("Nothing was done", "I do not know this window any more. Please begin again from the upgrade's message.")
	}
	result := make(chan Outcome, 1)
	late := make(chan struct{})
	b.work("modal "+s.Callback, func(ctx context.Context) {
		o := b.submit(ctx, s, about)
		result <- o
		select {
		case <-late:
		default:
			return
		}
		b.tellLate(ctx, s, o)
	})
	select {
	case o := <-result:
		return o
	case <-time.After(submitWithin):
	}
	close(late)
	select {
	case o := <-result: // it came in between; the worker may tell it again, which is harmless
		return o
	default:
	}
	return notice("Recording…", "Your answer is being recorded. This window says so when it is done.")
}

// tellLate shows the outcome in the modal that said "Recording…".
func (b *Bot) tellLate(ctx context.Context, s Submitted, o Outcome) {
	m := Notice("Recorded", "Your answer is recorded. The upgrade's thread shows it.")
	if o.Update != nil {
		m = *o.Update
	}
	for _, problem := range o.Problems {
		m = Notice("Nothing was done", problem)
	}
	wait(ctx, 300*time.Millisecond) // let Slack show the first one first
	if err := b.c.Web.UpdateView(ctx, s.ViewID, m); err != nil {
		b.c.Log.WarnContext(ctx, "a modal could not be told its outcome; the thread shows it", "err", err)
	}
}

func (b *Bot) submit(ctx context.Context, s Submitted, about target) Outcome {
	switch s.Callback {
	case modalTyped:
		return b.submitTyped(ctx, s, about)
	case modalSnooze:
		return b.submitSnooze(ctx, s, about)
	case modalAccept:
		return b.submitAccept(ctx, s, about)
	}
	return notice("Nothing was done", "I do not know this window.")
}

func (b *Bot) submitTyped(ctx context.Context, s Submitted, about target) Outcome {
	typed := strings.Trim(strings.TrimSpace(s.Values[inputName]), "`")
	if typed == "" {
		return Outcome{Problems: map[string]string{inputName: "Type the app's name."}}
	}
	_, err := b.c.Service.Answer(ctx, s.actor(), ops.Answer{Run: about.Run, Gate: about.Gate, Digest: about.Digest, Yes: true, How: ops.ByTyped, Typed: typed, Accepted: true})
	var user *ops.UserError
	switch {
	case err == nil:
		return Outcome{}
	case errors.As(err, &user) && user.Code == ops.RefusedTyped:
		return Outcome{Problems: map[string]string{inputName: cut(plainWords(user.Text), 400)}}
	}
	if user == nil {
		b.c.Log.ErrorContext(ctx, "could not keep a typed answer", "run", about.Run, "gate", about.Gate, "user", s.User, "err", err)
	}
	return notice("Nothing was done", words(err))
}

// submitAccept is a yes with everything that it acknowledges shown.
func (b *Bot) submitAccept(ctx context.Context, s Submitted, about target) Outcome {
	run, err := b.c.Service.Answer(ctx, s.actor(), ops.Answer{Run: about.Run, Gate: about.Gate, Digest: about.Digest, Yes: true, How: ops.ByButton, Accepted: true})
	if errors.Is(err, ops.ErrMustType) {
		m := TypedModal(run, about.Gate, about.Digest)
		return Outcome{Update: &m}
	}
	if err == nil {
		return Outcome{}
	}
	var user *ops.UserError
	if !errors.As(err, &user) {
		b.c.Log.ErrorContext(ctx, "could not keep an answer", "run", about.Run, "gate", about.Gate, "user", s.User, "err", err)
	}
	return notice("Nothing was done", words(err))
}

// plainWords is a text for a place that knows no markup.
func plainWords(s string) string { return strings.ReplaceAll(s, "`", "") }

func (b *Bot) submitSnooze(ctx context.Context, s Submitted, about target) Outcome {
	days, why, problems := parseSnooze(s.Values[inputDays], s.Values[inputReason])
	if len(problems) > 0 {
		return Outcome{Problems: problems}
	}
	run, err := b.c.Rows.Run(ctx, about.Run)
	if err == nil {
		var active ops.Run
		if active, err = b.c.Rows.ActiveRun(ctx, run.App.Name); errors.Is(err, ops.ErrNotFound) || err == nil && active.ID != run.ID {
			return notice("Nothing was done", "This upgrade has ended.")
		}
	}
	if err == nil {
		_, _, err = b.c.Service.Snooze(ctx, s.actor(), run.App.Name, days, why)
	}
	if err != nil {
		return notice("Nothing was done", words(err))
	}
	return Outcome{}
}

func notice(title, text string) Outcome {
	m := Notice(title, text)
	return Outcome{Update: &m}
}
