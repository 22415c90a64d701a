package upgrade

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// promote replaces each planned name on each app, then waits until every app's
// current release has the new host and its Attach release succeeded.
func promote(t *turn) {
	for _, app := range t.run.Plan.Apps {
		f := t.w.Apps[app.ID]
		if !f.Attachments.Known {
			t.blind("the attachments of "+app.Name, f.Attachments.Why)
			return
		}
		for _, name := range app.Attachments {
			a, ok := attached(f.Attachments.Value, name.Name)
			if ok && a.Addon.ID == t.run.Follower.ID {
				t.seen(ops.ActPromote, target(app, name))
				continue
			}
			t.replace(app, name)
			return
		}
	}
	for _, app := range t.run.Plan.Apps {
		if !t.released(app, t.w.New.Info) {
			return
		}
	}
	t.run.Proof.PromotedAt = t.now
	t.done("Promoted: %s to `%s` now.", t.lead(), t.run.Follower.Name)
	t.to(ops.StepUnfence, "every app uses the new database")
}

func target(app ops.PlanApp, name ops.PlanAttachment) string { return app.Name + " " + name.Name }

func attached(all []ops.Attachment, name string) (ops.Attachment, bool) {
	for _, a := range all {
		if a.Name == name {
			return a, true
		}
	}
	return ops.Attachment{}, false
}

// replace is the last look before the switch, and the switch.
func (t *turn) replace(app ops.PlanApp, name ops.PlanAttachment) {
	changes, unreadable := foreign(t.run, t.w)
	why, ok := promotable(t.run, t.w)
	switch {
	case unreadable != "":
		t.blind(unreadable, "needed before the switch")
		return
	case !ok && why == "":
		t.blind("the new database", firstWhy(t.w.New.Addon.Why, t.w.New.Info.Why, t.w.New.Upgrade.Why))
		return
	case len(changes) > 0:
		why = "somebody else changed something: " + strings.Join(changes, "; ")
	}
	if why != "" {
		t.unswitch(fmt.Sprintf("The switch of `%s` was begun and cannot go on: %s.", app.Name, why), why)
		return
	}
	refusal := t.try(ops.Act{Kind: ops.ActPromote, Target: target(app, name), App: app.Name,
		Args: map[string]string{"name": name.Name, "namespace": name.Namespace, "addon": t.run.Follower.ID}}, "Switching "+name.Name+" of "+app.Name+" to the new database.")
	if refusal != "" {
		why := fmt.Sprintf("Heroku refused to switch %s of `%s`: %s", name.Name, app.Name, refusal)
		t.unswitch(why+".", why)
	}
}

// ReleaseWait is how long the release command of a switch may run before people
// are called.
const ReleaseWait = 10 * time.Minute

// released reports whether the app's current release leads to the database of
// info: the new one, or in a rollback the old one.
func (t *turn) released(app ops.PlanApp, info ops.Fact[ops.Database]) bool {
	f, b := t.w.Apps[app.ID], baselineOf(t.run, app.ID)
	if !f.Releases.Known || !info.Known {
		t.blind("the releases of "+app.Name, firstWhy(f.Releases.Why, info.Why))
		return false
	}
	since := t.run.StepSince
	if a, ok := t.w.last(ops.ActPromote, t.run.Step, ""); ok {
		since = latest(since, a.StartedAt)
	}
	waited := t.now.Sub(since)
	var attach ops.Release
	for _, r := range f.Releases.Value {
		if r.Version > b.Release && strings.HasPrefix(r.Description, "Attach ") && r.Version > attach.Version {
			attach = r
		}
	}
	if attach.Status == ops.ReleaseFailed || attach.Status == ops.ReleaseExpired {
		// A later one, such as a person's `heroku releases:retry`, has the same
		// config vars and is the last word.
		for _, r := range f.Releases.Value {
			if r.Version > attach.Version {
				attach = r
			}
		}
	}
	switch attach.Status {
	case ops.ReleaseFailed, ops.ReleaseExpired:
		why := fmt.Sprintf("Release v%d of `%s` (%s) %s, so the app does not use `%s` yet.", attach.Version, app.Name, attach.Description, attach.Status, headingOf(t.run).to.Name)
		t.unswitch(fmt.Sprintf("%s See `heroku releases:output v%d -a %s`, put it right, and run `heroku releases:retry -a %s`.", why, attach.Version, app.Name, app.Name),
			fmt.Sprintf("release v%d of `%s` (%s) %s", attach.Version, app.Name, attach.Description, attach.Status))
		return false
	case ops.ReleasePending:
		if waited >= ReleaseWait {
			t.help("Release v%d of `%s` (%s) still runs after %s, so the app does not use `%s` yet. The fence stays: no dyno runs. See `heroku releases:output v%d -a %s`; when it has ended, `/pgupgrade retry %s` looks again.",
				attach.Version, app.Name, attach.Description, ops.FormatDuration(ReleaseWait), headingOf(t.run).to.Name, attach.Version, app.Name, t.run.App.Name)
			return false
		}
		t.wait(t.poll(waited), "Waiting for release v%d of %s (%s).", attach.Version, app.Name, attach.Description)
		return false
	}
	if !f.Hosts.Known {
		t.blind("the config vars of "+app.Name, f.Hosts.Why)
		return false
	}
	for _, name := range app.Attachments {
		if !f.Hosts.Value[name.Name+"_URL"].SameServer(info.Value.Endpoint) {
			if waited > 5*time.Minute {
				why := fmt.Sprintf("%s_URL of `%s` does not lead to `%s` 5 minutes after the switch", name.Name, app.Name, headingOf(t.run).to.Name)
				t.unswitch(why+".", why)
				return false
			}
			t.wait(t.poll(waited), "Waiting until %s_URL of %s leads to `%s`.", name.Name, app.Name, headingOf(t.run).to.Name)
			return false
		}
	}
	return true
}

// unfence lets the app back in, exactly as it was.
func unfence(t *turn) {
	if !t.restored() || !t.flags(false, t.stuckFlag) {
		return
	}
	t.run.Outage.Until = t.now
	if t.run.Plan.ReadOnly() {
		stop := t.run.Proof.PromotedAt.Sub(t.run.SQL.FencedAt)
		t.done("%s writing again, on PostgreSQL %s.", t.are(), t.run.Plan.To)
		t.to(ops.StepVerifyApp, "as recorded")
		t.say(ops.EventOutage, "Writing stood still for %s, forecast %s; reading went on. %s of it were proof that nothing was missing.", ops.FormatDuration(stop),
			ops.FormatDuration(t.run.Plan.Forecast.Outage), ops.FormatDuration(t.run.Proof.ProvingTook))
		return
	}
	t.done("%s open again on PostgreSQL %s: formation and maintenance as before.", t.are(), t.run.Plan.To)
	t.to(ops.StepVerifyApp, "as recorded")
	outage := t.run.Outage.Until.Sub(t.run.Outage.From)
	t.say(ops.EventOutage, "Downtime %s, forecast %s. %s of it were proof that nothing was missing.", ops.FormatDuration(outage),
		ops.FormatDuration(t.run.Plan.Forecast.Outage), ops.FormatDuration(t.run.Proof.ProvingTook))
}

// restored brings formation and maintenance back to what was recorded, one call
// at a time, and reports when both were seen so. Process types that somebody
// scaled meanwhile are left alone.
func (t *turn) restored() bool {
	for _, b := range t.run.Recorded().Apps {
		f := t.w.Apps[b.ID]
		if !f.App.Known || !f.Formation.Known {
			t.blind(b.Name, firstWhy(f.App.Why, f.Formation.Why))
			return false
		}
		now := map[string]int{}
		for _, p := range f.Formation.Value {
			now[p.Type] = p.Quantity
		}
		var up []ops.Process
		for _, p := range b.Formation {
			if p.Type != ops.ReleaseProcess && p.Quantity > 0 && now[p.Type] == 0 {
				up = append(up, p)
			}
		}
		if len(up) > 0 {
			t.lift(scale(b, up), "Starting the dynos again.", b)
			return false
		}
		t.seen(ops.ActScale, b.Name)
		if f.App.Value.Maintenance && !b.Maintenance {
			t.lift(ops.Act{Kind: ops.ActMaintenance, Target: b.Name, App: b.Name, Args: map[string]string{"on": "false"}}, "Turning maintenance mode off.", b)
			return false
		}
		t.seen(ops.ActMaintenance, b.Name)
		if until := t.late(b.Name, ops.ActMaintenance, ops.ActScale); t.now.Before(until) {
			t.wait(until.Sub(t.now), "Open again; making sure that no earlier call takes effect late.")
			return false
		}
	}
	return true
}

// late is until when a call whose answer was lost may still take effect, such as
// maintenance mode that was to be turned on before the way back.
func (t *turn) late(target string, kinds ...ops.ActKind) time.Time {
	var until time.Time
	for _, a := range t.w.Acts {
		if slices.Contains(kinds, a.Kind) && a.Target == target && a.Outcome == ops.OutcomeUnknown {
			until = latest(until, a.EndedAt.Add(settle))
		}
	}
	return until
}

// lift chooses an act of the unfence. A refusal leaves users outside, so people
// are called, with the commands that do it by hand.
func (t *turn) lift(a ops.Act, next string, b ops.BaselineApp) {
	if refusal := t.try(a, next); refusal != "" {
		t.help("Heroku refused to open `%s` again: %s. By hand: `%s`. Then `/pgupgrade retry %s`.", b.Name, refusal, strings.Join(undoCommands(b), "` and `"), t.run.App.Name)
	}
}
