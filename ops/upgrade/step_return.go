package upgrade

import (
	"fmt"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// returnUnfence restores formation and maintenance, on the old database.
func returnUnfence(t *turn) {
	if !t.cleared(t.run.Database, t.w.Old.SQL, t.run.SQL.Before) || !t.restored() || !t.flags(false, t.stuckFlag) {
		return
	}
	t.run.Outage.Until = t.now
	how := "open"
	if t.run.Plan.ReadOnly() {
		how = "writing"
	}
	t.done("%s %s again on `%s` (PostgreSQL %s), as before. Downtime %s.", t.are(), how, t.run.Database.Name, t.run.Plan.From,
		ops.FormatDuration(t.run.Outage.Until.Sub(t.run.Outage.From)))
	t.to(ops.StepReturnFollower, "as recorded")
}

// DestroyWait is how long Heroku may take to destroy a database.
const DestroyWait = time.Hour

// returnFollower destroys the follower that this run created, by id, while it
// still follows and nothing but its own name leads to it. Anything else is kept
// and told.
func returnFollower(t *turn) {
	p, n := t.run.Plan, t.w.New
	if !n.Addon.Known {
		t.blind("the follower", n.Addon.Why)
		return
	}
	a := n.Addon.Value
	if !a.Exists || a.Value.State == ops.AddonDeprovisioned {
		t.followerGone(a.Exists)
		return
	}
	if t.run.Follower.ID == "" {
		t.run.Follower = a.Value.Ref
	}
	if t.run.Follower.ID != a.Value.ID {
		t.keep(fmt.Sprintf("an add-on named `%s` that this run did not create", p.NewName))
		return
	}
	if _, sent := t.w.sent(ops.ActUpgrade, ""); sent {
		t.keep(fmt.Sprintf("the new database `%s`, whose upgrade was begun: `heroku addons:destroy %s -a %s`", a.Value.Name, a.Value.Name, p.BillingApp.Name))
		return
	}
	waited := t.now.Sub(t.run.StepSince)
	switch a.Value.State {
	case ops.AddonDeprovisioning:
		if waited >= DestroyWait {
			t.keep(fmt.Sprintf("the follower `%s`, which Heroku has not destroyed within %s: `heroku addons:info %s` shows it", a.Value.Name, ops.FormatDuration(DestroyWait), a.Value.Name))
			return
		}
		t.wait(pollOutside(waited, 5*time.Minute), "Heroku destroys the follower.")
		return
	case ops.AddonProvisioning:
		if create, _ := t.w.last(ops.ActCreate, ops.StepFollowerCreate, p.NewName); !t.now.Before(create.StartedAt.Add(provisionLimit(p) + DestroyWait)) {
			t.keep(fmt.Sprintf("the follower `%s`, which Heroku has not created yet: `heroku addons:destroy %s -a %s`", a.Value.Name, a.Value.Name, p.BillingApp.Name))
			return
		}
		t.wait(pollOutside(waited, p.Forecast.Provision), "Waiting until Heroku has created the follower; then it is destroyed.")
		return
	}
	if !n.Info.Known || !t.w.Old.Info.Known || !n.Attachments.Known {
		t.blind("the follower", firstWhy(n.Info.Why, t.w.Old.Info.Why, n.Attachments.Why))
		return
	}
	if !follows(n.Info.Value, t.w.Old.Info.Value) {
		t.keep(fmt.Sprintf("the new database `%s`, which no longer follows: `heroku addons:destroy %s -a %s`", a.Value.Name, a.Value.Name, p.BillingApp.Name))
		return
	}
	for _, at := range n.Attachments.Value {
		if at.Name != p.NewAlias || at.App.ID != p.BillingApp.ID {
			t.keep(fmt.Sprintf("the follower `%s`, which is attached as %s on %s", a.Value.Name, at.Name, at.App.Name))
			return
		}
	}
	refusal := t.try(ops.Act{Kind: ops.ActDestroy, Target: t.run.Follower.ID, App: p.BillingApp.ID}, "Destroying the follower.")
	if refusal != "" {
		t.keep(fmt.Sprintf("the follower `%s`, which Heroku refused to destroy (%s)", a.Value.Name, refusal))
	}
}

func (t *turn) followerGone(exists bool) {
	if a, ok := t.w.last(ops.ActCreate, ops.StepFollowerCreate, t.run.Plan.NewName); ok && !exists && a.Open() && t.run.Follower.ID == "" {
		if until := a.Deadline.Add(time.Minute); t.now.Before(until) {
			t.wait(2*time.Second, "The answer to the create was lost; looking whether a follower appears.")
			return
		}
	}
	t.seen(ops.ActDestroy, t.run.Follower.ID)
	t.end(ops.Returned, "Went back: %s. `%s` runs on `%s` as before; the follower is gone.", t.run.Why, t.run.App.Name, t.run.Database.Name)
}

// keep ends the way back and leaves something for people to clean up.
func (t *turn) keep(what string) {
	t.run.Leftovers = append(append([]string(nil), t.run.Leftovers...), what)
	t.end(ops.Returned, "Went back: %s. `%s` runs on `%s` as before. Kept: %s.", t.run.Why, t.run.App.Name, t.run.Database.Name, what)
}
