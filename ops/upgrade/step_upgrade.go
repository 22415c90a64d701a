package upgrade

import (
	"fmt"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// upgradeRun sends upgrade/run once in the life of a run. A lost answer is
// looked for and never answered by sending again.
func upgradeRun(t *turn) {
	if t.run.Proof.LagZeroAt.IsZero() {
		t.back("lag zero was not seen behind the fence")
		return
	}
	if !t.undisturbed() {
		return
	}
	info, up := t.w.New.Info, t.w.New.Upgrade
	if t.followerLost() {
		return
	}
	if !info.Known || !up.Known {
		t.blind("the new database", firstWhy(info.Why, up.Why))
		return
	}
	a, sent := t.w.sent(ops.ActUpgrade, "")
	if !sent {
		t.sendUpgrade(info.Value)
		return
	}
	if upgraded(t.run, info.Value, up.Value) {
		t.seen(ops.ActUpgrade, t.run.Follower.ID)
		t.run.Proof.UpgradeSeen, t.run.Proof.Version = t.now, info.Value.Version
		t.done("Upgraded to PostgreSQL %s.", info.Value.Version)
		t.to(ops.StepVerifyNew, "%s", info.Value.Version)
		return
	}
	begun := up.Value.Waiting || !info.Value.Follower() || ops.Major(info.Value.Version) == t.run.Plan.To
	since := t.now.Sub(a.StartedAt)
	switch {
	case up.Value.Error:
		t.back("Heroku could not upgrade the follower: %s", up.Value.Message)
	case begun:
		if a.Open() {
			t.seen(ops.ActUpgrade, t.run.Follower.ID)
		}
		t.run.Progress = progress(up.Value)
		if !up.Value.Waiting && !info.Value.Waiting && since > 2*time.Minute {
			t.back("Heroku ended the upgrade, but the new database runs %s", info.Value.Version)
			return
		}
		t.slow(since)
		t.wait(t.poll(since), "Heroku upgrades the follower to %s.", t.run.Plan.To)
	case since > time.Minute+15*time.Second:
		t.back("whether the upgrade began cannot be seen, and it is never sent twice")
	default:
		t.wait(t.poll(since), "Looking whether the upgrade began.")
	}
}

// slow tells people once when the upgrade takes twice its forecast.
func (t *turn) slow(since time.Duration) {
	if expected := t.run.Plan.Forecast.Upgrade; expected > 0 && since > 2*expected && t.run.Outage.Slow.IsZero() {
		t.run.Outage.Slow = t.now
		t.say(ops.EventWarning, "The upgrade has taken twice its forecast of %s; it may have stalled. `%s` was not changed: `/pgupgrade cancel %s` returns now. At %s I go back by myself.",
			ops.FormatDuration(expected), t.run.Database.Name, t.run.App.Name, t.run.Outage.Limit.UTC().Format("15:04 UTC"))
	}
}

func (t *turn) sendUpgrade(info ops.Database) {
	if !info.BehindBy.Known || info.BehindBy.Value != 0 || !info.Follower() {
		t.back("the follower is no longer at lag zero")
		return
	}
	refusal := t.try(ops.Act{Kind: ops.ActUpgrade, Target: t.run.Follower.ID, Args: map[string]string{"version": t.run.Plan.To}},
		"Starting the upgrade.")
	if refusal != "" {
		t.back("Heroku refused the upgrade: %s", refusal)
	}
}

// upgraded is the only proof that an upgrade ended well: the version is the
// target, it follows nothing, and nothing is waiting.
func upgraded(run ops.Run, d ops.Database, up ops.Wait) bool {
	return ops.Major(d.Version) == run.Plan.To && !d.Follower() && !up.Waiting && !up.Error && !d.Waiting
}

func progress(w ops.Wait) string {
	if w.Step != "" {
		return fmt.Sprintf("%s (%s)", w.Message, w.Step)
	}
	return w.Message
}

// verifyNew looks once more at the new database before any app is switched.
func verifyNew(t *turn) {
	if !t.undisturbed() {
		return
	}
	if why, ok := promotable(t.run, t.w); !ok {
		if why != "" {
			t.back("%s", why)
			return
		}
		t.blind("the new database", firstWhy(t.w.New.Info.Why, t.w.New.Upgrade.Why, t.w.New.Addon.Why))
		return
	}
	if !t.provenInside() {
		return
	}
	t.to(ops.StepPromote, "runs %s and follows nothing", t.w.New.Info.Value.Version)
}

// promotable is the rule that nothing else may be promoted: the add-on that
// this run created, provisioned, at the target version, following nothing, its
// upgrade seen to end. why is empty when it cannot be told.
func promotable(run ops.Run, w World) (why string, ok bool) {
	if !w.New.Addon.Known || !w.New.Info.Known || !w.New.Upgrade.Known {
		return "", false
	}
	a := w.New.Addon.Value
	switch {
	case !a.Exists || a.Value.ID != run.Follower.ID || run.Follower.ID == "":
		return "the new database is not the one that this run created", false
	case a.Value.State != ops.AddonProvisioned:
		return "the new database is " + a.Value.State, false
	case run.Proof.UpgradeSeen.IsZero():
		return "its upgrade was not seen to end", false
	case w.New.Info.Value.Follower():
		return "the new database still follows another one", false
	case !upgraded(run, w.New.Info.Value, w.New.Upgrade.Value):
		return "the new database is not at PostgreSQL " + run.Plan.To, false
	}
	return "", true
}
