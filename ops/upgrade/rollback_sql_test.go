package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// rollingInside is a rollback whose databases are reached by SQL: the new one was
// made read-only by it, the old one is still so from the switch.
func rollingInside(change func(*fixture)) func(*fixture) {
	return func(f *fixture) {
		f.rolling()
		f.inside()
		before, fence := open, readOnly
		f.run.SQL.BaseAt = now.Add(-time.Hour)
		f.run.SQL.NewBefore, f.run.SQL.NewFence = &before, &fence
		f.run.Rollback.Asked = time.Time{}
		f.w.New.SQL.Fence = ops.Known(readOnly)
		if change != nil {
			change(f)
		}
	}
}

// TestRollbackInside is the table of a rollback by SQL.
func TestRollbackInside(t *testing.T) {
	unfenced := func(f *fixture) {
		f.fenced()
		f.run.SQL.NewBefore, f.run.SQL.NewFence = nil, nil
		f.w.New.SQL.Fence = ops.Known(open)
	}
	recorded := func(f *fixture) {
		unfenced(f)
		before := open
		f.run.SQL.NewBefore = &before
	}
	written := func(f *fixture) { f.w.New.SQL.Reading = ops.Known(reading(wrote)) }
	unread := func(f *fixture) { f.w.New.SQL.Reading = ops.Unknown[ops.Reading]("refused") }
	play(t, []row{
		// The fence of the new database.
		{"not before the dynos are gone", ops.StepRollbackFence, rollingInside(func(f *fixture) {
			unfenced(f)
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "web.1", Type: "web"}}) })
		}), want{kind: Wait, says: "web.1"}},
		{"what was set on the new one is recorded", ops.StepRollbackFence, rollingInside(unfenced), want{kind: Again, step: ops.StepRollbackFence}},
		{"then it is made read-only", ops.StepRollbackFence, rollingInside(recorded), want{kind: Act, act: ops.ActFenceDB}},
		{"then its sessions are ended", ops.StepRollbackFence, rollingInside(func(f *fixture) { f.fenced() }), want{kind: Act, act: ops.ActEndSessions}},
		{"those of other credentials by Heroku", ops.StepRollbackFence, rollingInside(func(f *fixture) {
			f.fenced()
			f.sent(ops.ActEndSessions, ops.StepRollbackFence, newDB.ID, ops.OutcomeDone)
			f.w.Acts[len(f.w.Acts)-1].Detail = "1 ended; 1 session of analyst left to Heroku"
		}), want{kind: Act, act: ops.ActReset}},
		{"then the meter", ops.StepRollbackFence, rollingInside(func(f *fixture) {
			f.fenced()
			f.sent(ops.ActEndSessions, ops.StepRollbackFence, newDB.ID, ops.OutcomeDone)
		}), want{kind: Again, step: ops.StepRollbackMeter, says: "stopped"}},
		{"a fence that is refused gives it up", ops.StepRollbackFence, rollingInside(func(f *fixture) {
			recorded(f)
			f.sent(ops.ActFenceDB, ops.StepRollbackFence, newDB.ID, ops.OutcomeRefused)
		}), want{kind: Again, step: ops.StepRollbackLift, says: "said no"}},
		{"out of reach is waited for", ops.StepRollbackFence, rollingInside(func(f *fixture) {
			recorded(f)
			f.w.New.SQL.Fence = ops.Unknown[ops.DBFence]("refused")
		}), want{kind: Wait, says: "by SQL"}},
		{"and gives it up after a minute", ops.StepRollbackFence, rollingInside(func(f *fixture) {
			recorded(f)
			f.w.New.SQL.Fence = ops.Unknown[ops.DBFence]("refused")
			f.run.StepSince, f.run.SQL.FencedAt = now.Add(-2*time.Minute), now.Add(-time.Hour)
		}), want{kind: Again, step: ops.StepRollbackLift, says: "cannot be reached by SQL"}},

		// The meter.
		{"nothing was written: no second question", ops.StepRollbackMeter, rollingInside(nil), want{kind: Again, step: ops.StepRollbackAttach, says: "loses nothing"}},
		{"counted: asked, with the list", ops.StepRollbackMeter, rollingInside(written), want{kind: Again, step: ops.StepRollbackMeter, says: "Go back and lose this?"}},
		{"the list names the table", ops.StepRollbackMeter, rollingInside(written), want{kind: Again, says: "• public.orders: 3 inserted"}},
		{"unknown is waited for", ops.StepRollbackMeter, rollingInside(unread), want{kind: Wait, says: "refused"}},
		{"then asked as unknown", ops.StepRollbackMeter, rollingInside(func(f *fixture) { unread(f); f.run.StepSince = now.Add(-SettleFor) }), want{kind: Again, says: "Go back without knowing what is lost?"}},
		{"without a reading from before it is unknown", ops.StepRollbackMeter, rollingInside(func(f *fixture) {
			f.w.Kept.Base = ops.Unknown[ops.Reading]("no reading was kept")
			f.run.StepSince = now.Add(-SettleFor)
		}), want{kind: Again, says: "Go back without knowing what is lost?"}},
		{"zero does not go on after a foreign change", ops.StepRollbackMeter, rollingInside(func(f *fixture) {
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "run.1", Type: "run"}}) })
		}), want{kind: Again, step: ops.StepRollbackLift, says: "run.1"}},

		// The switch back, and giving up.
		{"the old one is made writable before it is attached", ops.StepRollbackAttach, rollingInside(nil), want{kind: Act, act: ops.ActClearDB}},
		{"then it is attached", ops.StepRollbackAttach, rollingInside(func(f *fixture) { f.w.Old.SQL.Fence = ops.Known(open) }), want{kind: Act, act: ops.ActPromote}},
		{"nobody is let in before it is writable", ops.StepRollbackUnfence, rollingInside(nil), want{kind: Act, act: ops.ActClearDB}},
		{"given up: the new one is made writable first", ops.StepRollbackLift, rollingInside(nil), want{kind: Act, act: ops.ActClearDB}},
		{"then people are let in", ops.StepRollbackLift, rollingInside(func(f *fixture) { f.w.New.SQL.Fence = ops.Known(open) }), want{kind: Act, act: ops.ActScale}},
		{"given up after the old one was made writable: it is read-only again before", ops.StepRollbackLift, rollingInside(func(f *fixture) {
			f.w.New.SQL.Fence, f.w.Old.SQL.Fence = ops.Known(open), ops.Known(open)
		}), want{kind: Act, act: ops.ActFenceDB}},
		{"the old one is out of reach: for a minute nobody is let in", ops.StepRollbackLift, rollingInside(func(f *fixture) {
			f.w.New.SQL.Fence, f.w.Old.SQL.Fence = ops.Known(open), ops.Unknown[ops.DBFence]("refused")
		}), want{kind: Wait, says: "refused"}},
		{"not for longer", ops.StepRollbackLift, rollingInside(func(f *fixture) {
			f.w.New.SQL.Fence, f.w.Old.SQL.Fence = ops.Known(open), ops.Unknown[ops.DBFence]("refused")
			f.ago(2 * time.Minute)
		}), want{kind: Act, act: ops.ActScale}},
		{"and it is said", ops.StepRollbackLift, rollingInside(func(f *fixture) {
			f.w.New.SQL.Fence, f.w.Old.SQL.Fence = ops.Known(open), ops.Unknown[ops.DBFence]("refused")
			f.ago(2 * time.Minute)
			f.app(func(a *AppFacts) {
				a.App, a.Formation = ops.Known(ops.App{Ref: orders}), ops.Known(f.run.Rollback.Baseline.Apps[0].Formation)
			})
		}), want{kind: Again, step: ops.StepSoak, says: "is read-only is not known"}},
		{"the commands that were posted undo the database fence too", ops.StepRollbackFence, rollingInside(func(f *fixture) { f.run.Rollback.Baseline = nil }), want{kind: Again, says: "heroku pg:psql PG17_ABCDE_URL -a orders"}},
		{"whether it is writable cannot be read: nobody is let in", ops.StepRollbackLift, rollingInside(func(f *fixture) { f.w.New.SQL.Fence = ops.Unknown[ops.DBFence]("refused") }), want{kind: Wait, says: "refused"}},
	})
}

// TestRollbackTargetsInside: the acts by SQL are about the right database.
func TestRollbackTargetsInside(t *testing.T) {
	for step, want := range map[ops.Step]string{ops.StepRollbackFence: newDB.ID, ops.StepRollbackAttach: oldDB.ID, ops.StepRollbackUnfence: oldDB.ID, ops.StepRollbackLift: newDB.ID} {
		f := at(step)
		rollingInside(func(f *fixture) { f.fenced() })(&f)
		if _, m := Next(f.run, f.w, now); m.Kind != Act || m.Act.Target != want {
			t.Errorf("%s: %s is about %q, want %q", step, m.Act.Kind, m.Act.Target, want)
		}
	}
}
