package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Answer is what a person says to a question, or orders.
type Answer struct {
	Run    string
	Gate   Gate
	Digest string
	Yes    bool
	How    string
	Typed  string // what was typed where the app's name is asked for
	// Accepted: everything that must be acknowledged was shown with the answer.
	Accepted bool
	Note     string
}

// ErrMustType: the answer is allowed, once the app's name was typed. The caller
// opens the modal and asks again with Answer.Typed.
var ErrMustType = errors.New("the app's name must be typed")

// ErrMustAccept: the answer is allowed, once what must be acknowledged was shown
// with it. The caller shows it and asks again with Answer.Accepted.
var ErrMustAccept = errors.New("what must be acknowledged has to be shown first")

// ToAccept is what a yes at a gate acknowledges. The digest of the question
// holds their verdicts, so an answer to another list is void.
func ToAccept(run Run, gate Gate) []Finding {
	if gate != GateCreate && gate != GateCutover {
		return nil
	}
	return With(run.Findings, Acknowledge)
}

// Answer records a decision at a gate. It refuses (UserError) a question that
// is no longer open or was about something else, and people who may not decide;
// refusals are audited. When it returns nil the decision is kept.
func (s *Service) Answer(ctx context.Context, actor Actor, a Answer) (Run, error) {
	run, err := s.Rows.Run(ctx, a.Run)
	if err != nil {
		return Run{}, fmt.Errorf("answer at gate %s of run %s: %w", a.Gate, a.Run, err)
	}
	who, policy, err := s.who(ctx, actor)
	if err != nil {
		return run, err
	}
	if code, why := closed(run, a); why != "" {
		return run, s.refuse(ctx, run, actor, a.Gate, code, why)
	}
	ruling := policy.MayDecide(a.Gate, who, run.Requester.ID)
	if a.Gate == GateApp || !a.Yes {
		ruling = policy.MayOrder(who, run.Requester.ID)
	}
	if !ruling.Allowed {
		return run, s.refuse(ctx, run, actor, a.Gate, ruling.Code, ruling.Why)
	}
	how := a.How
	// At a terminal the name was typed as the command's argument.
	if ruling.Typed && a.Yes && a.How != ByTerminal {
		if a.Typed == "" {
			return run, ErrMustType
		}
		if a.Typed != run.App.Name {
			return run, s.refuse(ctx, run, actor, a.Gate, RefusedTyped, fmt.Sprintf("You typed %s; the app's name is `%s`. Nothing was done.", quote(a.Typed), run.App.Name))
		}
		how = ByTyped
	}
	// At a terminal what is accepted is printed with the answer.
	if a.Yes && !a.Accepted && a.How != ByTerminal && len(ToAccept(run, a.Gate)) > 0 {
		return run, ErrMustAccept
	}
	d := Decision{Run: run.ID, Gate: a.Gate, Digest: a.Digest, Actor: actor, Yes: a.Yes, How: how, Note: a.Note, At: s.Now()}
	if a.Gate == GateCutover && a.Yes {
		d.Expires = cutoverExpires(run, d.At)
	}
	if a.Gate == GateRollback || a.Gate == GateLoss {
		d.Expires = d.At.Add(LossWait)
	}
	if a.Gate == GateDestroy && a.Yes {
		d.Expires = d.At.Add(CutoverHolds)
		if run.Step == StepSoak {
			d.Note = NoteOverride
		}
	}
	if _, err := s.Rows.Decide(ctx, d, decided(run, d)); err != nil {
		return run, fmt.Errorf("keep decision at gate %s of run %s: %w", a.Gate, run.ID, err)
	}
	s.wake(ctx, run.ID)
	return run, nil
}

// NoteOverride marks a decision to destroy that was given before the soak was proven.
const NoteOverride = "before the soak was proven"

// cutoverExpires is until when a yes to the cutover holds: 30 minutes, counted
// from the time for which it was asked, where one was set.
func cutoverExpires(run Run, at time.Time) time.Time {
	if run.Asked != nil && run.Asked.Opens.After(at) {
		at = run.Asked.Opens
	}
	return at.Add(CutoverHolds)
}

// closed says why the question is not open; "" when it is.
func closed(run Run, a Answer) (Refusal, string) {
	if !run.Active() {
		return RefusedEnded, fmt.Sprintf("This upgrade has ended (%s); nothing was done.", run.Outcome)
	}
	want, open := OpenQuestion(run, a.Gate)
	switch {
	case !open && a.Gate == GateRollback:
		return RefusedRollback, NoRollback(run)
	case !open:
		return RefusedPast, fmt.Sprintf("This question is no longer open: the upgrade of `%s` is at step %s now.", run.App.Name, run.Step)
	case a.Digest != want:
		return RefusedLapsed, "The plan has changed since that button was shown, so it no longer counts. Please read the newest message and decide there."
	}
	return "", ""
}

// OpenQuestion reports whether the run has the question of a gate open, and the
// digest that an answer must carry.
func OpenQuestion(run Run, gate Gate) (digest string, open bool) {
	switch gate {
	case GateApp:
		return "app:" + run.ID, run.Active() && (run.Step == StepVerifyApp || run.Step == StepSoak || run.Step == StepGateDestroy)
	case GateDestroy:
		return DestroyDigest(run), run.Active() && (run.Step == StepSoak || run.Step == StepGateDestroy)
	case GateRollback:
		return RollbackDigest(run), MayRollBack(run)
	case GateLoss:
		return LossDigest(run), run.Active() && run.Step == StepRollbackMeter && !run.Rollback.Asked.IsZero()
	}
	if run.Asked == nil || run.Asked.Gate != gate || run.Returning {
		return "", false
	}
	return run.Asked.Digest, true
}

// DestroyDigest is what a decision to destroy is about: the database that this
// run retired, by id.
func DestroyDigest(run Run) string { return "destroy:" + run.ID + ":" + run.Retired().ID }

func decided(run Run, d Decision) Event {
	verb := "said no to"
	if d.Yes {
		verb = "approved"
	}
	what := map[Gate]string{GateCreate: "creating the follower", GateCutover: "the cutover", GateDestroy: "destroying `" + run.Retired().Name + "`", GateRollback: "going back to `" + run.Database.Name + "`", GateLoss: "going back without a count of what is lost"}[d.Gate]
	if d.Gate == GateLoss && run.SQL.Loss != nil && run.SQL.Loss.Known() {
		what = "going back and losing what was counted"
	}
	text := d.Actor.Mention() + " " + verb + " " + what
	if d.Gate == GateApp {
		text = d.Actor.Mention() + " says the app looks good"
		if !d.Yes {
			text = d.Actor.Mention() + " says the app does not look good"
		}
	}
	if d.How == ByTyped {
		text += " by typing the app's name"
	}
	if d.Note != "" {
		text += " (" + d.Note + ")"
	}
	return Event{Run: run.ID, At: d.At, Kind: EventDecided, Gate: d.Gate, Step: run.Step, Actor: d.Actor, Text: text + "."}
}

// refuse audits a refusal and returns it.
func (s *Service) refuse(ctx context.Context, run Run, actor Actor, gate Gate, code Refusal, why string) error {
	e := Event{Run: run.ID, At: s.Now(), Kind: EventAudit, Gate: gate, Step: run.Step, Actor: actor, Refused: code, Text: "refused: " + why}
	if err := s.Rows.Audit(ctx, e); err != nil {
		return fmt.Errorf("audit refusal in run %s: %w", run.ID, err)
	}
	return &UserError{Text: why, Code: code}
}

// ReasonMost is how long the reason of a snooze may be.
const ReasonMost = 300

// Snooze silences the reminders of an app's run for so many days.
func (s *Service) Snooze(ctx context.Context, actor Actor, app string, days int, reason string) (Run, time.Time, error) {
	run, err := s.active(ctx, app)
	if err != nil {
		return Run{}, time.Time{}, err
	}
	if run.Step != StepSoak && run.Step != StepGateDestroy {
		return run, time.Time{}, Refuse(RefusedSnooze, "There is no reminder to snooze: the upgrade of `%s` is at step %s.", app, run.Step)
	}
	if days < 1 || days > 30 {
		return run, time.Time{}, Refuse(RefusedSnooze, "Snooze takes 1 to 30 days: `/pgupgrade snooze %s 3 waiting for the monthly report`.", app)
	}
	if reason == "" {
		return run, time.Time{}, Refuse(RefusedSnooze, "Snooze needs a reason, so that others know: `/pgupgrade snooze %s %d waiting for the monthly report`.", app, days)
	}
	if reason = strings.Join(strings.Fields(reason), " "); len([]rune(reason)) > ReasonMost {
		return run, time.Time{}, Refuse(RefusedSnooze, "A reason has at most %d characters. Nothing was snoozed.", ReasonMost)
	}
	until := s.Now().AddDate(0, 0, days)
	if err := s.order(ctx, actor, run, OrderSnooze, reason, until, fmt.Sprintf("%s snoozed the reminder for %d days: %s", actor.Mention(), days, Quote(reason, ReasonMost))); err != nil {
		return run, time.Time{}, err
	}
	return run, until, nil
}
