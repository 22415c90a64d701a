package ops

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CancelPlan is what a cancel would do now.
type CancelPlan struct {
	Run     Run
	Allowed bool
	Confirm bool   // must be confirmed: something is destroyed or users are waiting
	Text    string // what it does, or why it is refused and what to do instead
}

// PlanCancel says what cancel does at the step where the run stands. It is pure.
func PlanCancel(run Run) CancelPlan {
	p := CancelPlan{Run: run, Allowed: true}
	switch {
	case !run.Active():
		p.Allowed, p.Text = false, fmt.Sprintf("The upgrade of `%s` has ended already (%s).", run.App.Name, run.Outcome)
	case run.Returning:
		p.Allowed, p.Text = false, fmt.Sprintf("The upgrade of `%s` is going back already: %s", run.App.Name, run.Why)
	case run.Step == StepRollbackFence || run.Step == StepRollbackMeter:
		p.Confirm = true
		p.Text = fmt.Sprintf("This gives the rollback up: the new database `%[2]s` goes on for %[1]s, and nothing is lost.", run.AppNames(), run.Follower.Name)
		if run.Rollback.Fenced {
			p.Text = fmt.Sprintf("This gives the rollback up. The switch of `%s` still needs a person, and users stay locked out until then.", run.App.Name)
		}
	case run.RollingBack():
		p.Allowed = false
		p.Text = fmt.Sprintf("The rollback of `%s` is brought to its end now; it cannot be cancelled.", run.App.Name)
	case run.RolledBack():
		p.Allowed = false
		p.Text = fmt.Sprintf("`%s` is back on `%s`, so there is nothing to cancel. `/pgupgrade destroy %s` retires the new database `%s`.", run.App.Name, run.Database.Name, run.App.Name, run.Follower.Name)
	case run.Step.Before(StepFollowerCreate):
		p.Text = "This ends the upgrade. Nothing was created, and the app was not touched."
	case run.Step.Before(StepFence):
		p.Confirm = true
		p.Text = fmt.Sprintf("This ends the upgrade and destroys the follower `%s` that it created. `%s` and the app stay as they are.", run.followerName(), run.Database.Name)
	case run.Step.Before(StepPromote):
		p.Confirm = true
		p.Text = fmt.Sprintf("This goes back now: formation and maintenance of %s as they were, on the old database `%s`, which was not changed.", run.AppNames(), run.Database.Name)
		if run.Plan != nil && run.Plan.ReadOnly() {
			p.Text = fmt.Sprintf("This goes back now: the old database `%s`, which was not changed, takes writes again, and %s go on with it.", run.Database.Name, run.AppNames())
		}
	default:
		p.Allowed = false
		p.Text = fmt.Sprintf("`%s` already uses the new database, so cancel can no longer undo it. Going back now is a rollback: `/pgupgrade rollback %s`.", run.App.Name, run.App.Name)
	}
	return p
}

func (r Run) followerName() string {
	if r.Follower.Name != "" {
		return r.Follower.Name
	}
	if r.Plan != nil {
		return r.Plan.NewName
	}
	return "follower"
}

// CancelDigest is what a cancel is about: it lapses when the run moves to
// another part of the procedure, where cancel means something else.
func CancelDigest(run Run) string {
	part := "before"
	switch {
	case run.RollingBack():
		part = "rollback"
	case run.Step.Cutover():
		part = "cutover"
	case !run.Step.Before(StepFollowerCreate):
		part = "follower"
	}
	return "cancel:" + run.ID + ":" + part
}

// Cancel orders the way back that PlanCancel describes. digest is the
// CancelDigest that was confirmed; "" when nothing needed to be confirmed.
func (s *Service) Cancel(ctx context.Context, actor Actor, app, digest string) (CancelPlan, error) {
	run, err := s.active(ctx, app)
	if err != nil {
		return CancelPlan{}, err
	}
	p := PlanCancel(run)
	if !p.Allowed {
		return p, s.refuse(ctx, run, actor, OrderCancel, RefusedCancel, p.Text)
	}
	if p.Confirm && digest == "" {
		return p, nil
	}
	if p.Confirm && digest != CancelDigest(run) {
		return p, s.refuse(ctx, run, actor, OrderCancel, RefusedLapsed, "The upgrade has moved on since that button was shown. "+p.Text+" Please ask again.")
	}
	p.Confirm = false
	return p, s.order(ctx, actor, run, OrderCancel, "", time.Time{}, fmt.Sprintf("%s cancelled the upgrade.", actor.Mention()))
}

// ExtendBy is how much longer an outage may last after somebody extends it.
const ExtendBy = 10 * time.Minute

// MayExtend reports whether the run has asked to be given more time.
func MayExtend(run Run) bool {
	return run.Active() && !run.Returning && run.Help == "" && run.Step.Cutover() && !run.Outage.Asked.IsZero() && PlanCancel(run).Allowed
}

// Extend gives a cutover that comes near its limit ten more minutes.
func (s *Service) Extend(ctx context.Context, actor Actor, app string) (Run, error) {
	run, err := s.active(ctx, app)
	if err != nil {
		return Run{}, err
	}
	if !MayExtend(run) {
		return run, Refuse(RefusedExtend, "There is nothing to extend: the upgrade of `%s` is at step %s and has not asked for more time.", app, run.Step)
	}
	return run, s.order(ctx, actor, run, OrderExtend, "", time.Time{}, fmt.Sprintf("%s gave the cutover %s more.", actor.Mention(), FormatDuration(ExtendBy)))
}

// Retry orders another look at a step that asked for help.
func (s *Service) Retry(ctx context.Context, actor Actor, app string) (Run, error) {
	run, err := s.active(ctx, app)
	if err != nil {
		return Run{}, err
	}
	if run.Help == "" {
		return run, Refuse(RefusedRetry, "The upgrade of `%s` is not waiting for help; it is at step %s. %s", run.App.Name, run.Step, run.Next)
	}
	return run, s.order(ctx, actor, run, OrderRetry, "", time.Time{}, fmt.Sprintf("%s asked to look again at step %s.", actor.Mention(), run.Step))
}

// order keeps an order that the requester and every approver may give.
func (s *Service) order(ctx context.Context, actor Actor, run Run, gate Gate, note string, expires time.Time, text string) error {
	who, policy, err := s.who(ctx, actor)
	if err != nil {
		return err
	}
	if r := policy.MayOrder(who, run.Requester.ID); !r.Allowed {
		return s.refuse(ctx, run, actor, gate, r.Code, r.Why)
	}
	d := Decision{Run: run.ID, Gate: gate, Digest: run.ID, Actor: actor, Yes: true, How: ByCommand, Note: note, At: s.Now(), Expires: expires}
	e := Event{Run: run.ID, At: d.At, Kind: EventDecided, Gate: gate, Step: run.Step, Actor: actor, Text: text}
	if _, err := s.Rows.Decide(ctx, d, e); err != nil {
		return fmt.Errorf("keep order %s of run %s: %w", gate, run.ID, err)
	}
	s.wake(ctx, run.ID)
	return nil
}

func (s *Service) active(ctx context.Context, app string) (Run, error) {
	run, err := s.Rows.ActiveRun(ctx, app)
	if errors.Is(err, ErrNotFound) {
		return Run{}, Refuse(RefusedNone, "There is no upgrade of `%s` under way. `/pgupgrade history %s` shows past ones.", app, app)
	}
	if err != nil {
		return Run{}, fmt.Errorf("find the run of %s: %w", app, err)
	}
	return run, nil
}
