package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// readingOn makes the fixture a read-only cutover: by SQL, with a flag, and the app
// as it was before.
func readingOn(change func(*fixture)) func(*fixture) {
	return func(f *fixture) {
		f.inside()
		f.run.Plan.Mode, f.run.Plan.Apps[0].Flag = ops.ModeReadOnly, "READ_ONLY"
		f.app(func(a *AppFacts) {
			a.App = ops.Known(ops.App{Ref: orders})
			a.Formation = ops.Known([]ops.Process{{Type: "web", Quantity: 2, Size: "standard-1X"}, {Type: "worker", Quantity: 1}, {Type: "release"}})
			a.Dynos = ops.Known([]ops.Dyno{{Name: "web.1", Type: "web", State: "up"}, {Name: "run.7", Type: "run", State: "up"}})
			a.Flag = ops.Known(true)
		})
		if change != nil {
			change(f)
		}
	}
}

// TestReadOnly is the table of the cutover in which the apps run on and read.
func TestReadOnly(t *testing.T) {
	unfenced := func(f *fixture) {
		f.run.SQL = ops.SQLWork{On: true}
		f.w.Acts = nil
		f.w.Old.SQL.Fence = ops.Known(open)
	}
	flagged := func(status string) func(*fixture) {
		return readingOn(func(f *fixture) {
			unfenced(f)
			f.sent(ops.ActFlag, ops.StepFence, "orders READ_ONLY", ops.OutcomeDone)
			f.app(func(a *AppFacts) {
				a.Releases.Value = append([]ops.Release{{ID: "r13", Version: 13, Description: "Set READ_ONLY config vars", Status: status, Current: status == ops.ReleaseSucceeded}}, a.Releases.Value...)
			})
		})
	}
	play(t, []row{
		{"says that the apps read on", ops.StepGateCutover, readingOn(nil), want{kind: Again, says: "will be read-only for about"}},
		{"the undo lifts the database's fence and the flag, and scales nothing", ops.StepGateCutover, readingOn(func(f *fixture) {
			f.app(func(a *AppFacts) { a.Dynos.Value = a.Dynos.Value[:1] })
			digest := f.run.Plan.Digest(newDB.ID, nil)
			f.run.Asked = &ops.Ask{Gate: ops.GateCutover, Digest: digest, At: now.Add(-time.Minute)}
			f.decide(ops.GateCutover, digest, true, ops.ByButton)
		}), want{kind: Again, step: ops.StepFence, says: "heroku config:unset READ_ONLY -a orders"}},
		{"first the app is told", ops.StepFence, readingOn(func(f *fixture) { unfenced(f); f.app(func(a *AppFacts) { a.Flag = ops.Known(false) }) }), want{kind: Act, act: ops.ActFlag}},
		{"its release is waited for", ops.StepFence, flagged(ops.ReleasePending), want{kind: Wait, says: "v13"}},
		{"a release that fails goes back", ops.StepFence, flagged(ops.ReleaseFailed), want{kind: Again, step: ops.StepReturnUnfence, says: "v13"}},
		{"then what was set is recorded; no maintenance, no scaling", ops.StepFence, flagged(ops.ReleaseSucceeded), want{kind: Again}},
		{"a deploy beside it goes back", ops.StepFence, readingOn(func(f *fixture) {
			flagged(ops.ReleaseSucceeded)(f)
			f.app(func(a *AppFacts) {
				a.Releases.Value = append([]ops.Release{{ID: "r14", Version: 14, Description: "Deploy 1234567", Status: ops.ReleaseSucceeded, Current: true}}, a.Releases.Value...)
			})
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "Deploy"}},
		{"two samples in which nothing moved", ops.StepFence, readingOn(nil), want{kind: Again, step: ops.StepCatchUpExact, says: "run on and read"}},
		{"dynos that run are no foreign change", ops.StepUpgrade, readingOn(nil), want{kind: Act, act: ops.ActUpgrade}},
		{"a deploy is", ops.StepUpgrade, readingOn(func(f *fixture) {
			f.app(func(a *AppFacts) {
				a.Releases.Value = append([]ops.Release{{ID: "r13", Version: 13, Description: "Deploy 1234567", Status: ops.ReleaseSucceeded}}, a.Releases.Value...)
			})
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "Deploy"}},
		{"a row written is", ops.StepUpgrade, readingOn(func(f *fixture) { f.w.Old.SQL.Activity = ops.Known(activity(0, wrote)) }), want{kind: Again, step: ops.StepReturnUnfence, says: "public.orders"}},
		{"a switch that cannot go on is for people: the apps may have written", ops.StepPromote, readingOn(func(f *fixture) { failedRelease(f); f.run.SQL.MeasureAt = now }), want{kind: Again, says: "may have written to the new database"}},
		{"after the switch the flag is taken away", ops.StepUnfence, readingOn(nil), want{kind: Act, act: ops.ActFlag}},
		{"one that was set before stays", ops.StepUnfence, readingOn(func(f *fixture) { f.run.Baseline.Apps[0].Flagged = true }), want{kind: Again, step: ops.StepVerifyApp, says: "reading went on"}},
		{"on the way back the database is made writable first", ops.StepReturnUnfence, readingOn(nil), want{kind: Act, act: ops.ActClearDB}},
		{"then the flag is taken away", ops.StepReturnUnfence, readingOn(func(f *fixture) { f.w.Old.SQL.Fence = ops.Known(open) }), want{kind: Act, act: ops.ActFlag}},
		{"a refusal is told with the command", ops.StepReturnUnfence, readingOn(func(f *fixture) {
			f.w.Old.SQL.Fence = ops.Known(open)
			f.sent(ops.ActFlag, ops.StepReturnUnfence, "orders READ_ONLY", ops.OutcomeRefused)
		}), want{kind: Again, says: "heroku config:unset READ_ONLY -a orders"}},
	})
}
