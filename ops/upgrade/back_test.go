package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// dynos makes these the dynos that run.
func (f *fixture) dynos(all ...ops.Dyno) { f.app(func(a *AppFacts) { a.Dynos = ops.Known(all) }) }

// ago puts the beginning of the step so far back.
func (f *fixture) ago(d time.Duration) { f.run.StepSince = now.Add(-d) }

// ended is when the newest act ended, so long ago.
func (f *fixture) ended(ago time.Duration) {
	a := &f.w.Acts[len(f.w.Acts)-1]
	a.StartedAt, a.EndedAt = now.Add(-ago-time.Second), now.Add(-ago)
}

var oneOff = ops.Dyno{Name: "run.7", Type: "run", State: "up"}

// TestWaysBackRules is the table of what fails, stalls or is changed by others, and
// of the way back from there.
func TestWaysBackRules(t *testing.T) {
	unread := func(f *fixture) {
		f.w.Survey.Value.Findings = []ops.Finding{{Check: "H5", Verdict: ops.Block, Unknown: true, Evidence: "unknown: HTTP 500"}}
	}
	created := func(f *fixture) { f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone) }
	stranger := func(f *fixture) {
		f.w.Old.Attachments.Value = append(f.w.Old.Attachments.Value, ops.Attachment{ID: "att-9", Name: "DATABASE", App: ops.Ref{ID: "app-9", Name: "billing"}, Addon: oldDB})
	}
	gone := func(f *fixture) { f.w.New.Addon.Value = Found[ops.Addon]{} }
	play(t, []row{
		// Before anything is there.
		{"what could not be read is looked at again", ops.StepSurvey, unread, want{kind: Wait, says: "HTTP 500"}},
		{"and blocks when it stays so", ops.StepSurvey, func(f *fixture) { unread(f); f.ago(time.Minute) }, want{kind: End, step: ops.StepEnd, says: "HTTP 500"}},
		{"no to the follower ends it", ops.StepGateCreate, func(f *fixture) {
			f.run.Asked = &ops.Ask{Gate: ops.GateCreate, Digest: f.run.Plan.Digest("", nil), At: now.Add(-time.Minute)}
			f.decide(ops.GateCreate, f.run.Asked.Digest, false, ops.ByButton)
		}, want{kind: End, step: ops.StepEnd, says: "declined by"}},
		{"a cancel before the follower ends it", ops.StepBackup, func(f *fixture) { f.decide(ops.OrderCancel, f.run.ID, true, ops.ByCommand) }, want{kind: End, step: ops.StepEnd, says: "cancelled by"}},
		{"a call for help before the fence that nobody answers ends it", ops.StepBackup, func(f *fixture) {
			f.run.Help, f.run.HelpSince = "Heroku refused to take a backup", now.Add(-HelpWait)
		}, want{kind: End, step: ops.StepEnd, says: "nobody answered"}},
		{"not sooner", ops.StepBackup, func(f *fixture) { f.run.Help, f.run.HelpSince = "x", now.Add(-HelpWait+time.Second) }, want{kind: Wait}},
		{"behind the fence it waits for a person", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.run.Help, f.run.HelpSince = "x", now.Add(-HelpWait)
		}, want{kind: Wait}},

		// Provisioning.
		{"a create that was answered and does not show yet is waited for", ops.StepFollowerCreate, func(f *fixture) { gone(f); created(f) }, want{kind: Wait, says: "looking"}},
		{"one that never shows goes back", ops.StepFollowerCreate, func(f *fixture) {
			gone(f)
			created(f)
			f.w.Acts[0].Deadline = now.Add(-2 * time.Minute)
		}, want{kind: Again, step: ops.StepReturnFollower, says: "cannot be seen"}},
		{"a refusal after a lost answer looks for the follower first", ops.StepFollowerCreate, func(f *fixture) {
			gone(f)
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeUnknown)
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeRefused)
		}, want{kind: Again, step: ops.StepReturnFollower, says: "said no"}},
		{"failed provisioning goes back", ops.StepFollowerCreate, func(f *fixture) { created(f); f.w.New.Addon.Value.Value.State = ops.AddonDeprovisioned }, want{kind: Again, step: ops.StepReturnFollower, says: "did not create"}},
		{"an error of provisioning goes back", ops.StepFollowerCreate, func(f *fixture) { created(f); f.w.New.Wait = ops.Known(ops.Wait{Error: true, Message: "no capacity"}) }, want{kind: Again, step: ops.StepReturnFollower, says: "no capacity"}},
		{"stalled provisioning goes back", ops.StepFollowerCreate, func(f *fixture) {
			created(f)
			f.ended(2 * time.Hour)
			f.ago(2 * time.Hour)
			f.w.New.Addon.Value.Value.State = ops.AddonProvisioning
		}, want{kind: Again, step: ops.StepReturnFollower, says: "has not created the follower within 1 h"}},
		{"stalled preparation goes back", ops.StepFollowerCreate, func(f *fixture) {
			created(f)
			f.ended(2 * time.Hour)
			f.ago(2 * time.Hour)
			f.w.New.Wait = ops.Known(ops.Wait{Waiting: true, Message: "restoring"})
		}, want{kind: Again, step: ops.StepReturnFollower, says: "restoring"}},
		{"a step that began long ago is not provisioning for as long", ops.StepFollowerCreate, func(f *fixture) {
			created(f)
			f.ago(2 * time.Hour)
			f.w.New.Addon.Value.Value.State = ops.AddonProvisioning
		}, want{kind: Wait}},
		{"a follower that is still created waits to be destroyed", ops.StepReturnFollower, func(f *fixture) { f.w.New.Addon.Value.Value.State = ops.AddonProvisioning }, want{kind: Wait}},
		{"one that is never created is kept and named", ops.StepReturnFollower, func(f *fixture) {
			f.w.New.Addon.Value.Value.State = ops.AddonProvisioning
			f.ended(3 * time.Hour)
		}, want{kind: End, step: ops.StepEnd, says: "heroku addons:destroy"}},
		{"one that is never gone is named", ops.StepReturnFollower, func(f *fixture) {
			f.w.New.Addon.Value.Value.State = ops.AddonDeprovisioning
			f.ago(DestroyWait)
		}, want{kind: End, step: ops.StepEnd, says: "has not destroyed"}},
		{"a follower that somebody destroyed goes back", ops.StepCatchUp, gone, want{kind: Again, step: ops.StepReturnFollower, says: "destroyed by somebody else"}},
		{"also behind the fence", ops.StepUpgrade, gone, want{kind: Again, step: ops.StepReturnUnfence, says: "destroyed by somebody else"}},
		{"whether it is gone is unknown: wait", ops.StepCatchUp, func(f *fixture) {
			f.w.New.Addon, f.w.New.Info = ops.Unknown[Found[ops.Addon]]("503"), ops.Unknown[ops.Database]("404")
		}, want{kind: Wait, says: "404"}},
		{"lag that does not fall calls for help", ops.StepCatchUp, func(f *fixture) {
			f.info(func(d *ops.Database) { d.BehindBy = ops.Known(5000) })
			f.run.Lag = ops.Lag{Best: 4000, BestAt: now.Add(-11 * time.Minute), Samples: []ops.LagSample{{At: now.Add(-time.Minute), Behind: 4900}}}
		}, want{kind: Again, says: "does not catch up"}},
		{"a backup that does not end calls for help", ops.StepGateCutover, func(f *fixture) {
			f.run.Backup.Done = false
			f.w.Backup.Value.Value = ops.Transfer{ID: "t1"}
			f.ago(BackupWait)
		}, want{kind: Again, says: "backup is not done"}},

		// The fence.
		{"one-offs that appear are stopped by the policy", ops.StepFence, func(f *fixture) { f.fenced(); f.run.Plan.OneOffs = ops.OneOffStop; f.dynos(oneOff) }, want{kind: Act, act: ops.ActStopDyno}},
		{"a stopped one is waited for, not stopped again", ops.StepFence, func(f *fixture) {
			f.fenced()
			f.run.Plan.OneOffs = ops.OneOffStop
			f.dynos(oneOff)
			f.sent(ops.ActStopDyno, ops.StepFence, oneOff.Name, ops.OutcomeDone)
		}, want{kind: Wait, says: "run.7"}},
		{"else they have 60 seconds", ops.StepFence, func(f *fixture) { f.fenced(); f.dynos(oneOff); f.ago(59 * time.Second) }, want{kind: Wait, says: "run.7"}},
		{"then it goes back", ops.StepFence, func(f *fixture) { f.fenced(); f.dynos(oneOff); f.ago(OneOffWait) }, want{kind: Again, step: ops.StepReturnUnfence, says: "run.7"}},
		{"dynos of the formation have the time that Heroku gives them", ops.StepFence, func(f *fixture) {
			f.fenced()
			f.dynos(ops.Dyno{Name: "web.1", Type: "web"})
			f.ago(OneOffWait)
		}, want{kind: Wait, says: "web.1"}},
		{"counted from when they were told to stop", ops.StepFence, func(f *fixture) {
			f.fenced()
			f.dynos(ops.Dyno{Name: "web.1", Type: "web"})
			f.sent(ops.ActScale, ops.StepFence, "orders", ops.OutcomeDone)
			f.ago(time.Hour)
		}, want{kind: Wait, says: "web.1"}},
		{"maintenance that somebody turns off goes back", ops.StepFence, func(f *fixture) {
			f.sent(ops.ActMaintenance, ops.StepFence, "orders", ops.OutcomeDone)
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "turned off"}},
		{"dynos that somebody starts go back", ops.StepFence, func(f *fixture) {
			f.app(func(a *AppFacts) { a.App.Value.Maintenance = true })
			f.sent(ops.ActScale, ops.StepFence, "orders", ops.OutcomeDone)
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "scaled up"}},
		{"what was done a moment ago may not show yet", ops.StepFence, func(f *fixture) {
			f.sent(ops.ActMaintenance, ops.StepFence, "orders", ops.OutcomeDone)
			f.ended(time.Second)
		}, want{kind: Wait, says: "looking for its effect"}},
		{"an attachment that changes goes back", ops.StepFence, func(f *fixture) {
			f.app(func(a *AppFacts) { a.Attachments.Value = a.Attachments.Value[:2] })
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "PG17_ABCDE was detached"}},
		{"a cancel goes back", ops.StepFence, func(f *fixture) { f.decide(ops.OrderCancel, f.run.ID, true, ops.ByCommand) }, want{kind: Again, step: ops.StepReturnUnfence, says: "cancelled by"}},

		// Lag zero.
		{"a one-off behind the fence is the fence's to wait for", ops.StepCatchUpExact, func(f *fixture) { f.dynos(oneOff) }, want{kind: Again, step: ops.StepFence, says: "run.7"}},
		{"not when something else changed too", ops.StepCatchUpExact, func(f *fixture) {
			f.dynos(oneOff)
			f.app(func(a *AppFacts) { a.App.Value.Maintenance = false })
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "maintenance mode"}},
		{"nor for a dyno of the formation", ops.StepCatchUpExact, func(f *fixture) { f.dynos(ops.Dyno{Name: "worker.1", Type: "worker"}) }, want{kind: Again, step: ops.StepReturnUnfence, says: "worker.1"}},
		{"lag that does not reach zero goes back", ops.StepCatchUpExact, func(f *fixture) {
			f.info(func(d *ops.Database) { d.BehindBy = ops.Known(12) })
			f.ago(ExactLimit)
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "12 commits behind"}},
		{"so does lag that cannot be read", ops.StepCatchUpExact, func(f *fixture) {
			f.info(func(d *ops.Database) { d.BehindBy = ops.Fact[int]{} })
			f.ago(ExactLimit)
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "cannot be read"}},
		{"lag zero at the limit is proven to its end", ops.StepCatchUpExact, func(f *fixture) { f.ago(ExactLimit) }, want{kind: Wait, says: "1 of 3"}},

		{"an app that is given the old database behind the fence goes back", ops.StepCatchUpExact, stranger, want{kind: Again, step: ops.StepReturnUnfence, says: "was attached to `billing` as DATABASE"}},
		{"also right before the switch", ops.StepPromote, stranger, want{kind: Again, step: ops.StepReturnUnfence, says: "was attached to `billing` as DATABASE"}},
		{"whether one was cannot be read: wait", ops.StepPromote, func(f *fixture) { f.w.Old.Attachments = ops.Unknown[[]ops.Attachment]("503") }, want{kind: Wait, says: "503"}},

		// The switch.
		{"a release that does not end calls for help", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.ended(ReleaseWait)
			f.ago(ReleaseWait)
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Again, says: "still runs after 10 min"}},
		{"then it may be rolled back", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.run.Help, f.run.HelpSince = "still runs", now.Add(-time.Minute)
			f.ordered(ops.ByTyped)
		}, want{kind: Again, step: ops.StepRollbackFence}},
		{"a refused switch goes back by itself", ops.StepPromote, func(f *fixture) { f.sent(ops.ActPromote, ops.StepPromote, "orders DATABASE", ops.OutcomeRefused) }, want{kind: Again, step: ops.StepReturnUnfence, says: "said no"}},

		// Letting users in.
		{"a late effect of the fence is waited for", ops.StepReturnUnfence, func(f *fixture) {
			f.app(func(a *AppFacts) {
				a.App, a.Formation = ops.Known(ops.App{Ref: orders}), ops.Known(f.run.Baseline.Apps[0].Formation)
			})
			f.sent(ops.ActMaintenance, ops.StepFence, "orders", ops.OutcomeUnknown)
			f.ended(time.Second)
		}, want{kind: Wait, says: "takes effect late"}},
		{"but not for ever", ops.StepReturnUnfence, func(f *fixture) {
			f.app(func(a *AppFacts) {
				a.App, a.Formation = ops.Known(ops.App{Ref: orders}), ops.Known(f.run.Baseline.Apps[0].Formation)
			})
			f.sent(ops.ActMaintenance, ops.StepFence, "orders", ops.OutcomeUnknown)
		}, want{kind: Again, step: ops.StepReturnFollower}},
		{"a way back that does not get on is told, with the commands", ops.StepReturnUnfence, func(f *fixture) {
			f.app(func(a *AppFacts) { a.App = ops.Unknown[ops.App]("503") })
			f.ago(OpenWait)
		}, want{kind: Wait, says: "heroku maintenance:off -a orders"}},
		{"a switch that does not get on is told, without them: the app could write to the old database", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.ago(OpenWait)
			f.app(func(a *AppFacts) { a.Releases = ops.Unknown[[]ops.Release]("503") })
		}, want{kind: Wait, says: "do not open it by hand"}},
		{"once", ops.StepReturnUnfence, func(f *fixture) {
			f.app(func(a *AppFacts) { a.App = ops.Unknown[ops.App]("503") })
			f.ago(OpenWait)
			f.run.Outage.Told = now.Add(-time.Second)
		}, want{kind: Wait, says: "Looking again"}},
		{"a refused way back calls for help, with the commands", ops.StepReturnUnfence, func(f *fixture) { f.sent(ops.ActScale, ops.StepReturnUnfence, "orders", ops.OutcomeRefused) }, want{kind: Again, says: "heroku ps:scale web=2 worker=1 -a orders"}},
		{"a destruction that does not end calls for help", ops.StepDestroy, func(f *fixture) {
			f.soaking(-time.Hour, 0)
			f.ago(DestroyWait)
			f.w.Retired.Addon.Value.Value.State = ops.AddonDeprovisioning
		}, want{kind: Again, says: "has not destroyed"}},
	})
}

// TestToldOnce: what does not get on is told, and not at every look.
func TestToldOnce(t *testing.T) {
	f := at(ops.StepReturnUnfence)
	f.app(func(a *AppFacts) { a.App = ops.Unknown[ops.App]("503") })
	f.ago(OpenWait)
	run, told := f.run, 0
	for i := range 10 {
		var m Move
		run, m = Next(run, f.w, now.Add(time.Duration(i)*time.Minute))
		for _, e := range m.Events {
			if e.Kind == ops.EventHelp {
				told++
			}
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// TestBackFromEverywhere: a cancel before the switch leaves no step of the way
// forward standing.
func TestBackFromEverywhere(t *testing.T) {
	for _, step := range ops.Steps() {
		if !step.Before(ops.StepPromote) && step != ops.StepPromote {
			continue
		}
		f := at(step)
		f.decide(ops.OrderCancel, f.run.ID, true, ops.ByCommand)
		run, _ := Next(f.run, f.w, now)
		if run.Active() && !run.Returning {
			t.Errorf("%s: stands at %s", step, run.Step)
		}
		if f.run.Baseline != nil && run.Step != ops.StepReturnUnfence {
			t.Errorf("%s: users are not let in, but it stands at %s", step, run.Step)
		}
	}
}
