package ops

import (
	"fmt"
	"strconv"
	"time"
)

// LossWait is how long the second question of a rollback waits while users are
// kept out. Without an answer the app stays on the new database.
const LossWait = 10 * time.Minute

// Rollback is the way back after the point of no return: nil until one was ordered.
type Rollback struct {
	Decided  time.Time `json:"decided"`  // of the decision that ordered it
	By       Actor     `json:"by"`       // who ordered it
	Origin   Step      `json:"origin"`   // where the run stood
	Fenced   bool      `json:"fenced"`   // users were kept out already, by a switch that could not end
	Baseline *Baseline `json:"baseline"` // what is restored; nil until recorded, before anything is touched
	Meter    string    `json:"meter"`    // what is known about what would be lost
	Asked    time.Time `json:"asked"`    // when the second question was put
	Attached time.Time `json:"attached"` // when every app was seen to use the old database again
	From     time.Time `json:"from"`     // users were kept out from
	Until    time.Time `json:"until"`    // until
	Lifted   time.Time `json:"lifted"`   // given up: the app stays on the new database
}

// RollingBack reports whether a rollback is under way.
func (r Run) RollingBack() bool { return r.Step.Rollback() }

// RolledBack reports whether every app was seen to use the old database again.
func (r Run) RolledBack() bool { return r.Rollback != nil && !r.Rollback.Attached.IsZero() }

// Retired is the database that the run's last decision retired: the old one
// after a success, the new one after a rollback. No other may be destroyed at
// the gate.
func (r Run) Retired() Ref {
	if r.RolledBack() {
		return r.Follower
	}
	return r.Database
}

// InUse is the database that the app uses after the switch or the rollback.
func (r Run) InUse() Ref {
	if r.RolledBack() {
		return r.Database
	}
	return r.Follower
}

// Recorded is what the last fence recorded: the only thing that is restored.
func (r Run) Recorded() *Baseline {
	if r.Rollback != nil && r.Rollback.Baseline != nil {
		return r.Rollback.Baseline
	}
	return r.Baseline
}

// MayRollBack reports whether a rollback can be ordered where the run stands:
// once the app is open on the new database, or when the switch, or the way back
// from it, needs a person.
func MayRollBack(r Run) bool {
	if !r.Active() || r.RolledBack() || r.Follower.ID == "" {
		return false
	}
	switch r.Step {
	case StepVerifyApp, StepSoak, StepGateDestroy:
		return true
	case StepPromote, StepUnfence, StepReturnAttach:
		return r.Help != ""
	}
	return false
}

// NoRollback says why no rollback can be ordered, and what to do instead.
func NoRollback(r Run) string {
	app := r.App.Name
	switch {
	case !r.Active():
		return fmt.Sprintf("The upgrade of `%s` has ended (%s), so there is nothing to roll back.", app, r.Outcome)
	case r.RolledBack():
		return fmt.Sprintf("`%s` is back on `%s` already.", app, r.Database.Name)
	case r.RollingBack():
		return fmt.Sprintf("`%s` is being rolled back already, at step %s.", app, r.Step)
	case r.Step == StepDestroy:
		return fmt.Sprintf("`%s` is being destroyed, so there is nothing to go back to. A backup can be restored: `heroku pg:backups -a %s`.", r.Database.Name, app)
	case PlanCancel(r).Allowed:
		return fmt.Sprintf("`%s` does not use the new database yet, so there is nothing to roll back: `/pgupgrade cancel %s` goes back and loses nothing.", app, app)
	}
	return fmt.Sprintf("The upgrade of `%s` is at step %s, which is brought to its end first; then `/pgupgrade rollback %s` goes back.", app, r.Step, app)
}

// RollbackDigest is what a decision to roll back is about: the way from this
// run's new database to its old one.
func RollbackDigest(r Run) string {
	return "rollback:" + r.ID + ":" + r.Database.ID + ":" + r.Follower.ID
}

// LossDigest is what the second decision of a rollback is about: the loss as it
// was told when the question was put.
func LossDigest(r Run) string {
	if r.Rollback == nil {
		return ""
	}
	return "loss:" + r.ID + ":" + strconv.FormatInt(r.Rollback.Asked.UnixMilli(), 10)
}
