package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestUnswitch is the table of a switch that cannot go on: the run goes back by
// itself while it is proven that nobody wrote to the new database.
func TestUnswitch(t *testing.T) {
	noReleasePhase := func(f *fixture) { f.run.Plan.Apps[0].ReleasePhase = false }
	failed := func(f *fixture) {
		f.promoted()
		f.app(func(a *AppFacts) {
			a.Releases.Value[0].Status, a.Releases.Value[0].Current = ops.ReleaseFailed, false
			a.Hosts.Value["DATABASE_URL"] = oldHost
		})
	}
	returning := func(f *fixture) {
		failed(f)
		f.run.Returning = true
	}
	// back is the world once the old database was attached again.
	back := func(f *fixture) {
		returning(f)
		f.sent(ops.ActPromote, ops.StepReturnAttach, "orders DATABASE", ops.OutcomeDone)
		f.app(func(a *AppFacts) {
			a.Attachments = ops.Known(attachments(oldDB))
			a.Releases.Value = append([]ops.Release{
				{ID: "r16", Version: 16, Description: "Attach DATABASE (@ref:postgresql-curved-1)", Status: ops.ReleaseSucceeded, Current: true},
				{ID: "r15", Version: 15, Description: "Detach DATABASE (@ref:orders-pg17-abcde)", Status: ops.ReleaseSucceeded},
			}, a.Releases.Value...)
		})
	}
	play(t, []row{
		{"refused before anything moved", ops.StepPromote, func(f *fixture) { f.sent(ops.ActPromote, ops.StepPromote, "orders DATABASE", ops.OutcomeRefused) },
			want{kind: Again, step: ops.StepReturnUnfence, says: "refused"}},
		{"a release failed: its command may have written", ops.StepPromote, failed, want{kind: Again, says: "rollback"}},
		{"a release failed where no command runs", ops.StepPromote, func(f *fixture) { failed(f); noReleasePhase(f) }, want{kind: Again, step: ops.StepReturnAttach, says: "nothing was written"}},
		{"a release failed and a dyno ran meanwhile", ops.StepPromote, func(f *fixture) {
			failed(f)
			noReleasePhase(f)
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "run.1", Type: "run", State: "up"}}) })
		}, want{kind: Again, says: "rollback"}},
		{"a release failed and the apps cannot be read", ops.StepPromote, func(f *fixture) {
			failed(f)
			noReleasePhase(f)
			f.app(func(a *AppFacts) { a.Dynos = ops.Unknown[[]ops.Dyno]("503") })
		}, want{kind: Again, says: "rollback"}},
		{"the limit passed in the switch", ops.StepPromote, func(f *fixture) {
			f.promoted()
			noReleasePhase(f)
			f.run.Outage.Limit = now
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Again, step: ops.StepReturnAttach, says: "limit"}},
		{"the limit passed, and a command may have written: people decide", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.run.Outage.Limit = now
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Wait, says: "v14"}},

		{"the old one is attached again", ops.StepReturnAttach, returning, want{kind: Act, act: ops.ActPromote, says: "back to the old database"}},
		{"the answer was lost, and it is there", ops.StepReturnAttach, func(f *fixture) {
			back(f)
			f.w.Acts[len(f.w.Acts)-1].Outcome = ops.OutcomeUnknown
		}, want{kind: Again, step: ops.StepReturnUnfence}},
		{"every app leads to it: open", ops.StepReturnAttach, back, want{kind: Again, step: ops.StepReturnUnfence, says: "leads to `postgresql-curved-1` again"}},
		{"its release is waited for", ops.StepReturnAttach, func(f *fixture) {
			back(f)
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Wait, says: "v16"}},
		{"its release failed, the current one leads there", ops.StepReturnAttach, func(f *fixture) {
			back(f)
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleaseFailed })
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "all the same"}},
		{"its release failed, and the current one leads elsewhere", ops.StepReturnAttach, func(f *fixture) {
			back(f)
			f.app(func(a *AppFacts) {
				a.Releases.Value[0].Status = ops.ReleaseFailed
				a.Hosts.Value["DATABASE_URL"] = newHost
			})
		}, want{kind: Again, says: "fence stays"}},
		{"refused: people are called", ops.StepReturnAttach, func(f *fixture) {
			returning(f)
			f.sent(ops.ActPromote, ops.StepReturnAttach, "orders DATABASE", ops.OutcomeRefused)
		}, want{kind: Again, says: "cannot go on"}},
		{"a release of the way back that does not end calls people", ops.StepReturnAttach, func(f *fixture) {
			back(f)
			f.ended(ReleaseWait)
			f.ago(ReleaseWait)
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Again, says: "still runs after 10 min"}},
		{"a way back that does not get on is told, without commands that could open the app on the new database", ops.StepReturnAttach, func(f *fixture) {
			returning(f)
			f.ago(OpenWait)
			f.app(func(a *AppFacts) { a.Attachments = ops.Unknown[[]ops.Attachment]("503") })
		}, want{kind: Wait, says: "do not open it by hand"}},
		{"what was put right since may have written: not by itself", ops.StepReturnAttach, func(f *fixture) {
			returning(f)
			f.run.Proof.Doubt = "dyno run.1 of orders runs"
		}, want{kind: Again, says: "/pgupgrade rollback orders"}},
		{"it may be rolled back then", ops.StepReturnAttach, func(f *fixture) {
			returning(f)
			f.run.Help, f.run.HelpSince = "cannot go on", now.Add(-time.Minute)
			f.ordered(ops.ByTyped)
		}, want{kind: Again, step: ops.StepRollbackFence, says: "Rolling back"}},
		{"by SQL nothing was written: it goes on", ops.StepReturnAttach, with(func(f *fixture) {
			returning(f)
			f.w.Old.SQL.Fence = ops.Known(open)
			f.run.Proof.Doubt, f.run.SQL.BaseAt = "dyno run.1 of orders runs", now.Add(-time.Minute)
		}), want{kind: Act, act: ops.ActPromote}},
		{"by SQL something was: people decide, and read what", ops.StepReturnAttach, with(func(f *fixture) {
			returning(f)
			f.w.Old.SQL.Fence = ops.Known(open)
			f.w.New.SQL.Reading = ops.Known(reading(wrote))
			f.run.Proof.Doubt, f.run.SQL.BaseAt = "dyno run.1 of orders runs", now.Add(-time.Minute)
		}), want{kind: Again, says: "3 inserted in 1 table"}},
		{"a deploy on the way back calls people", ops.StepReturnAttach, func(f *fixture) {
			returning(f)
			f.app(func(a *AppFacts) {
				a.Releases.Value = append([]ops.Release{{ID: "r15", Version: 15, Description: "Deploy 1234567", Status: ops.ReleaseSucceeded}}, a.Releases.Value...)
			})
		}, want{kind: Again, says: "Deploy"}},
	})
}
