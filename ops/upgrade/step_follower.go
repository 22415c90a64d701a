package upgrade

import (
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// CaughtUp is the lag, in commits, at which a follower counts as caught up
// before the fence: what Heroku's article on followers used
// (devcenter.heroku.com/articles/heroku-postgres-follower-databases, 2014).
const CaughtUp = 200

// followerCreate: one follower for one run, found by its name, never a second.
func followerCreate(t *turn) {
	p := t.run.Plan
	n := t.w.New.Addon
	if !n.Known {
		t.blind("the new database", n.Why)
		return
	}
	if !n.Value.Exists {
		t.createFollower()
		return
	}
	a := n.Value.Value
	t.seen(ops.ActCreate, p.NewName)
	if t.run.Follower.ID == "" {
		if !created(t.w) {
			t.end(ops.Refused, "An add-on named `%s` exists already and is not of this run; nothing was done.", p.NewName)
			return
		}
		t.run.Follower = a.Ref
	}
	if t.run.Follower.ID != a.ID {
		t.help("The add-on named `%s` is not the one that this run created.", p.NewName)
		return
	}
	switch a.State {
	case ops.AddonProvisioning:
		waited := t.provisioning()
		if limit := provisionLimit(p); waited >= limit {
			t.back("Heroku has not created the follower within %s", ops.FormatDuration(limit))
			return
		}
		t.wait(pollOutside(waited, p.Forecast.Provision), "Heroku creates the follower `%s`.", a.Name)
		return
	case ops.AddonProvisioned:
	default:
		t.back("Heroku did not create the follower (%s)", a.State)
		return
	}
	info, w := t.w.New.Info, t.w.New.Wait
	switch {
	case !info.Known || !w.Known || !t.w.Old.Info.Known:
		t.blind("the follower", firstWhy(info.Why, w.Why, t.w.Old.Info.Why))
	case w.Value.Error:
		t.back("Heroku could not create the follower: %s", w.Value.Message)
	case (w.Value.Waiting || info.Value.Waiting) && t.provisioning() >= provisionLimit(p):
		t.back("Heroku has not prepared the follower within %s (%s)", ops.FormatDuration(provisionLimit(p)), w.Value.Message)
	case w.Value.Waiting || info.Value.Waiting:
		t.wait(pollOutside(t.now.Sub(t.run.StepSince), p.Forecast.Provision), "The follower `%s` is being prepared (%s).", a.Name, w.Value.Message)
	case !follows(info.Value, t.w.Old.Info.Value):
		t.back("the new database `%s` does not follow `%s`", a.Name, t.run.Database.Name)
	default:
		t.secondNames()
	}
}

// provisionLimit is how long Heroku may take to create a follower.
func provisionLimit(p *ops.RunPlan) time.Duration { return max(3*p.Forecast.Provision, time.Hour) }

// provisioning is how long ago the create was sent.
func (t *turn) provisioning() time.Duration {
	since := t.run.StepSince
	if a, ok := t.w.last(ops.ActCreate, ops.StepFollowerCreate, t.run.Plan.NewName); ok {
		since = latest(since, a.StartedAt)
	}
	return t.now.Sub(since)
}

func follows(follower, leader ops.Database) bool {
	return follower.Follower() && follower.Following.SameServer(leader.Endpoint) && follower.Following.Database == leader.Endpoint.Database
}

func firstWhy(whys ...string) string {
	for _, w := range whys {
		if w != "" {
			return w
		}
	}
	return "not read"
}

func (t *turn) createFollower() {
	p := t.run.Plan
	if t.run.Follower.ID != "" {
		t.run.Follower = ops.Ref{}
		t.back("the follower `%s` was destroyed by somebody else", p.NewName)
		return
	}
	last, ok := t.w.last(ops.ActCreate, t.run.Step, p.NewName)
	if ok && (last.Open() || last.Outcome == ops.OutcomeDone) {
		// The name is unique, so a second create could not make a second follower;
		// still, a create may show late.
		if until := last.Deadline.Add(time.Minute); t.now.Before(until) {
			lost := map[bool]string{true: "The answer to the create was lost; looking", false: "Created; looking"}[last.Open()]
			t.wait(2*time.Second, "%s for `%s`.", lost, p.NewName)
			return
		}
		if last.Outcome == ops.OutcomeDone {
			t.back("Heroku said that it creates the follower `%s`, but it cannot be seen", p.NewName)
			return
		}
	}
	refusal := t.try(ops.Act{Kind: ops.ActCreate, Target: p.NewName, App: p.BillingApp.Name,
		Args: map[string]string{"plan": p.NewPlan, "leader": p.Old.Name, "name": p.NewAlias}}, "Creating the follower.")
	switch {
	case refusal != "" && created(t.w): // an earlier create, whose answer was lost, may show yet
		t.back("Heroku refused to create the follower: %s", refusal)
	case refusal != "":
		t.end(ops.Refused, "Heroku refused to create the follower: %s. Nothing else was changed.", strings.TrimSuffix(refusal, "."))
		t.move.Events[len(t.move.Events)-1].Refused = ops.RefusedCreate
	}
}

// secondNames gives the old database the name that it keeps on its billing app,
// so that the switch can take all others away from it, and waits for all
// releases to end.
func (t *turn) secondNames() {
	p := t.run.Plan
	for _, app := range p.Apps {
		f := t.w.Apps[app.ID]
		if !f.Attachments.Known || !f.Releases.Known {
			t.blind("the attachments of "+app.Name, firstWhy(f.Attachments.Why, f.Releases.Why))
			return
		}
		if a, ok := attached(f.Attachments.Value, p.OldAlias); app.ID == p.BillingApp.ID && (!ok || a.Addon.ID != p.Old.ID) {
			if refusal := t.try(ops.Act{Kind: ops.ActAttach, Target: p.OldAlias, App: app.Name, Args: map[string]string{"name": p.OldAlias, "addon": p.Old.ID}},
				"Giving the old database a second name."); refusal != "" {
				t.back("Heroku refused to attach the old database a second time: %s", refusal)
			}
			return
		}
		if app.ID == p.BillingApp.ID {
			t.seen(ops.ActAttach, p.OldAlias)
		}
		for _, r := range f.Releases.Value {
			if r.CreatedAt.Before(t.run.CreatedAt) {
				continue
			}
			switch r.Status {
			case ops.ReleasePending:
				t.wait(2*time.Second, "Waiting for release v%d of %s (%s).", r.Version, app.Name, r.Description)
				return
			case ops.ReleaseFailed, ops.ReleaseExpired:
				if r.Version == newest(f.Releases.Value).Version {
					t.back("release v%d of %s (%s) %s; the switch would fail in the same way", r.Version, app.Name, r.Description, r.Status)
					return
				}
			}
		}
	}
	t.done("Follower `%s` is ready and follows `%s`.", t.run.Follower.Name, p.Old.Name)
	t.to(ops.StepCatchUp, "ready")
}

func newest(releases []ops.Release) ops.Release {
	var n ops.Release
	for _, r := range releases {
		if r.Version > n.Version {
			n = r
		}
	}
	return n
}

// catchUp: the lag is small and not rising.
func catchUp(t *turn) {
	behind, ok := t.lag()
	if !ok {
		return
	}
	l := t.run.Lag
	falling := behind == 0 || len(l.Samples) > 1 && behind <= l.Samples[len(l.Samples)-2].Behind
	if behind <= CaughtUp && falling {
		t.done("Caught up: %d commits behind.", behind)
		t.to(ops.StepGateCutover, "%d commits behind", behind)
		return
	}
	if t.now.Sub(l.BestAt) > 10*time.Minute && behind > CaughtUp {
		t.help("The follower does not catch up: %d commits behind, no progress for 10 minutes. A long query on the follower or heavy writing can hold it. `/pgupgrade retry %s` looks again; `/pgupgrade cancel %s` destroys the follower.", behind, t.run.App.Name, t.run.App.Name)
		return
	}
	next := "The follower is catching up."
	if in, ok := catchUpForecast(l.Samples); ok {
		next = "The follower is catching up; about " + ops.FormatDuration(in) + " to go."
	}
	t.wait(pollOutside(t.now.Sub(t.run.StepSince), t.run.Plan.Forecast.CatchUp), "%s", next)
}

// followerLost goes back when the follower is gone.
func (t *turn) followerLost() bool {
	a := t.w.New.Addon
	if !a.Known || a.Value.Exists && a.Value.Value.State != ops.AddonDeprovisioning && a.Value.Value.State != ops.AddonDeprovisioned {
		return false
	}
	t.back("`%s` was destroyed by somebody else", t.run.Follower.Name)
	return true
}

// lag reads the follower's lag and keeps it. It reports false when the turn is decided.
func (t *turn) lag() (int, bool) {
	info := t.w.New.Info
	if t.followerLost() {
		return 0, false
	}
	if !info.Known || !t.w.Old.Info.Known {
		t.blind("the follower", firstWhy(info.Why, t.w.Old.Info.Why))
		return 0, false
	}
	if !follows(info.Value, t.w.Old.Info.Value) {
		t.back("`%s` no longer follows `%s`", t.run.Follower.Name, t.run.Database.Name)
		return 0, false
	}
	if !info.Value.BehindBy.Known {
		t.blind("the lag", "Heroku shows no “Behind By” row")
		return 0, false
	}
	behind := info.Value.BehindBy.Value
	l := &t.run.Lag
	if len(l.Samples) == 0 || behind < l.Best {
		l.Best, l.BestAt = behind, t.now
	}
	l.Samples = append(append([]ops.LagSample(nil), l.Samples...), ops.LagSample{At: t.now, Behind: behind})
	if len(l.Samples) > 40 { // thin: keep every second of the older half
		var kept []ops.LagSample
		for i, s := range l.Samples {
			if i >= 20 || i%2 == 0 {
				kept = append(kept, s)
			}
		}
		l.Samples = kept
	}
	return behind, true
}
