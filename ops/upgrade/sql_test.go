package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// activity is a leader of two tables at rest, read ago.
func activity(ago time.Duration, change ...func(*ops.Activity)) ops.Activity {
	a := ops.Activity{At: now.Add(-ago), Major: 15, System: "s1", NextXID: 1000, Reset: "r", Tables: map[string]ops.TableCounts{
		"public.orders": {OID: 1, File: 1, Ins: 10}, "public.lines": {OID: 2, File: 2, Ins: 20}}}
	for _, c := range change {
		c(&a)
	}
	return a
}

func wrote(a *ops.Activity) {
	a.NextXID += 3
	t := a.Tables["public.orders"]
	t.Ins += 3
	a.Tables["public.orders"] = t
}

// reading is a new database before anybody wrote to it.
func reading(change ...func(*ops.Activity)) ops.Reading {
	a := activity(0, change...)
	a.System, a.Major = "s2", 17
	return ops.Reading{Activity: a, Sequences: ops.Known(map[string]ops.Sequence{}), Schema: ops.Known(map[string]string{})}
}

var (
	open     = ops.DBFence{Owner: true}
	readOnly = ops.DBFence{Setting: "on", Owner: true, At: now.Add(-10 * time.Second)}
)

// inside makes the fixture one whose databases are reached by SQL, with
// everything done that the step before it did.
func (f *fixture) inside() {
	before, fence := open, readOnly
	f.run.Plan.SQL = true
	f.run.Plan.OldAlias, f.run.Plan.NewAlias = "PG15_ABCDE", "PG17_ABCDE"
	f.w.Old.SQL = SQLFacts{Server: ops.Known(ops.Server{Owner: true, Major: 15}), Fence: ops.Known(readOnly), Activity: ops.Known(activity(0)),
		Position: ops.Known(ops.Position{System: "s1", End: 500})}
	f.w.New.SQL = SQLFacts{Server: ops.Known(ops.Server{Owner: true, Major: 17}), Fence: ops.Known(open), Reading: ops.Known(reading()),
		Position: ops.Known(ops.Position{System: "s1", Follower: true, Received: 500, Replayed: 500})}
	f.w.Kept = Kept{Sample: ops.Known(activity(3 * time.Second)), Still: ops.Known(activity(time.Minute)), Base: ops.Known(reading())}
	switch {
	case f.run.Step == ops.StepFence:
		f.fenced()
		f.run.SQL = ops.SQLWork{On: true, Before: &before, Fence: &fence, FencedAt: now.Add(-10 * time.Second), Sampled: now.Add(-3 * time.Second)}
		f.sent(ops.ActEndSessions, ops.StepFence, oldDB.ID, ops.OutcomeDone)
	case f.run.Step.Cutover():
		f.run.SQL = ops.SQLWork{On: true, Before: &before, Fence: &fence, FencedAt: now.Add(-time.Minute), StillAt: now.Add(-time.Minute)}
	}
	switch f.run.Step {
	case ops.StepVerifyNew:
		f.run.SQL.Proven, f.run.SQL.ComparedAt = "wrote", now
		f.sent(ops.ActAnalyze, ops.StepVerifyNew, newDB.ID, ops.OutcomeDone)
		f.w.Acts[len(f.w.Acts)-1].Detail = "all tables have statistics"
	case ops.StepPromote:
		f.run.SQL.BaseAt = now.Add(-time.Minute)
	}
}

func with(change func(*fixture)) func(*fixture) {
	return func(f *fixture) {
		f.inside()
		if change != nil {
			change(f)
		}
	}
}

// TestInside is the table of the rules that hold where the databases can be
// reached by SQL.
func TestInside(t *testing.T) {
	old := func(change func(*SQLFacts)) func(*fixture) {
		return with(func(f *fixture) { change(&f.w.Old.SQL) })
	}
	drawn := func(change func(*fixture)) func(*fixture) { // an id was, since nobody writes, and a session is there all the time
		return with(func(f *fixture) {
			f.w.Old.SQL.Activity = ops.Known(activity(0, func(a *ops.Activity) {
				a.NextXID++
				a.Sessions = []ops.Session{{PID: 9, Role: "u1", Seen: true, State: "idle", Since: now.Add(-time.Second), Began: now.Add(-time.Minute)}}
			}))
			if change != nil {
				change(f)
			}
		})
	}
	unreached := func(f *fixture) {
		f.w.Old.SQL.Fence, f.w.Old.SQL.Activity = ops.Unknown[ops.DBFence]("refused"), ops.Unknown[ops.Activity]("refused")
	}
	play(t, []row{
		// The gate.
		{"out of reach right before the fence: the yes waits", ops.StepGateCutover, with(func(f *fixture) {
			f.approved()
			f.w.Old.SQL.Server = ops.Unknown[ops.Server]("the host is not known")
		}), want{kind: Wait, says: "cannot be reached by SQL just now"}},
		{"in reach: the fence begins, and the undo lifts both fences", ops.StepGateCutover, with(func(f *fixture) { f.approved() }), want{kind: Again, step: ops.StepFence, says: "RESET default_transaction_read_only"}},

		// The fence.
		{"a rollback's undo lifts the fence of whichever database the app uses then", ops.StepRollbackFence, with(func(f *fixture) {
			f.rolling()
			f.run.Rollback.Baseline, f.run.SQL.On = nil, true
		}), want{kind: Again, says: "heroku pg:psql PG17_ABCDE_URL -a orders -c 'BEGIN READ WRITE; ALTER DATABASE"}},
		{"what was set is recorded first", ops.StepFence, with(func(f *fixture) { f.run.SQL = ops.SQLWork{On: true}; f.w.Old.SQL.Fence = ops.Known(open) }), want{kind: Again}},
		{"then the database is made read-only", ops.StepFence, with(func(f *fixture) {
			f.run.SQL.Fence, f.run.SQL.Sampled = nil, time.Time{}
			f.w.Old.SQL.Fence = ops.Known(open)
		}), want{kind: Act, act: ops.ActFenceDB}},
		{"not before the dynos are gone", ops.StepFence, with(func(f *fixture) {
			f.run.SQL = ops.SQLWork{On: true}
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "web.1", Type: "web"}}) })
		}), want{kind: Wait, says: "web.1"}},
		{"then sessions are ended", ops.StepFence, with(func(f *fixture) { f.w.Acts = f.w.Acts[:len(f.w.Acts)-1] }), want{kind: Act, act: ops.ActEndSessions}},
		{"those of other credentials by Heroku", ops.StepFence, with(func(f *fixture) {
			f.w.Acts[len(f.w.Acts)-1].Detail = "1 ended; 2 sessions of analyst left to Heroku"
		}), want{kind: Act, act: ops.ActReset}},
		{"then a first sample", ops.StepFence, with(func(f *fixture) { f.run.SQL.Sampled = time.Time{} }), want{kind: Wait, says: "nobody writes"}},
		{"two samples in which nothing moved", ops.StepFence, with(nil), want{kind: Again, step: ops.StepCatchUpExact, says: "nothing moved"}},
		{"too close together prove nothing", ops.StepFence, with(func(f *fixture) { f.w.Kept.Sample = ops.Known(activity(time.Second)) }), want{kind: Wait}},
		{"somebody writes by asking for it: watched on", ops.StepFence, old(func(s *SQLFacts) { s.Activity = ops.Known(activity(0, wrote)) }), want{kind: Wait, says: "public.orders: 3 inserted"}},
		{"and goes on: back", ops.StepFence, with(func(f *fixture) {
			f.run.SQL.FencedAt = now.Add(-2 * time.Minute)
			f.w.Old.SQL.Activity = ops.Known(activity(0, wrote))
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "public.orders: 3 inserted"}},
		{"a session of unknown age is unknown, not idle", ops.StepFence, with(func(f *fixture) {
			f.run.SQL.Fence.PIDs = []int32{7}
			f.w.Old.SQL.Activity = ops.Known(activity(0, func(a *ops.Activity) { a.Sessions = []ops.Session{{PID: 7, Role: "analyst"}} }))
			f.w.Acts[len(f.w.Acts)-1].StartedAt = now.Add(-30 * time.Second)
			f.run.SQL.FencedAt = now.Add(-40 * time.Second)
		}), want{kind: Act, act: ops.ActEndSessions}},
		{"out of reach is waited for", ops.StepFence, with(unreached), want{kind: Wait, says: "by SQL"}},
		{"and given up after a minute", ops.StepFence, with(func(f *fixture) {
			unreached(f)
			f.run.StepSince, f.run.SQL.FencedAt = now.Add(-3*time.Minute), now.Add(-2*time.Minute)
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "cannot be reached by SQL"}},

		// Catching up.
		{"the leader's position, a first time", ops.StepCatchUpExact, with(nil), want{kind: Wait, says: "making sure"}},
		{"a second time", ops.StepCatchUpExact, with(func(f *fixture) { f.run.SQL.Reached = 1 }), want{kind: Again, step: ops.StepUpgrade, says: "in two reads"}},
		{"not reached begins anew", ops.StepCatchUpExact, with(func(f *fixture) { f.run.SQL.Reached = 1; f.w.New.SQL.Position.Value.Replayed = 400 }), want{kind: Wait, says: "to go"}},
		{"replay held back goes back at the limit", ops.StepCatchUpExact, with(func(f *fixture) {
			f.w.New.SQL.Position.Value.Replayed = 400
			f.run.StepSince = now.Add(-6 * time.Minute)
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "lag zero within"}},
		{"unreadable positions are counted instead, and said", ops.StepCatchUpExact, with(func(f *fixture) {
			f.w.New.SQL.Position = ops.Unknown[ops.Position]("refused")
			f.run.StepSince = now.Add(-20 * time.Second)
		}), want{kind: Again, says: "counted instead"}},

		// Foreign writes.
		{"a write during the upgrade goes back", ops.StepUpgrade, old(func(s *SQLFacts) { s.Activity = ops.Known(activity(0, wrote)) }), want{kind: Again, step: ops.StepReturnUnfence, says: "was written to (public.orders: 3 inserted)"}},
		{"a fence that was taken down goes back", ops.StepUpgrade, old(func(s *SQLFacts) { s.Fence = ops.Known(open) }), want{kind: Again, step: ops.StepReturnUnfence, says: "made writable"}},
		{"a restart behind the fence goes back: nothing can be told any more", ops.StepUpgrade, old(func(s *SQLFacts) {
			s.Activity = ops.Known(activity(0, func(a *ops.Activity) { a.Reset = "r2" }))
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "cannot be told"}},
		{"transaction ids of the server's own do not", ops.StepUpgrade, old(func(s *SQLFacts) {
			s.Activity = ops.Known(activity(0, func(a *ops.Activity) { a.NextXID += 5 }))
		}), want{kind: Act, act: ops.ActUpgrade}},
		{"what cannot be read is not nothing", ops.StepUpgrade, with(unreached), want{kind: Wait}},
		{"a write right before the switch goes back", ops.StepPromote, old(func(s *SQLFacts) { s.Activity = ops.Known(activity(0, wrote)) }), want{kind: Again, step: ops.StepReturnUnfence, says: "public.orders"}},

		// The new database.
		{"the inherited fence is cleared", ops.StepVerifyNew, with(func(f *fixture) { f.w.New.SQL.Fence = ops.Known(readOnly) }), want{kind: Act, act: ops.ActClearDB}},
		{"a trial write", ops.StepVerifyNew, with(func(f *fixture) { f.run.SQL.Proven = "" }), want{kind: Act, act: ops.ActProve}},
		{"also when the program stood still", ops.StepVerifyNew, with(func(f *fixture) { f.run.SQL.Proven = ""; f.ago(10 * time.Minute) }), want{kind: Act, act: ops.ActProve}},
		{"one that is not answered for a minute goes back", ops.StepVerifyNew, with(func(f *fixture) {
			f.run.SQL.Proven = ""
			f.ago(2 * time.Minute)
			f.sent(ops.ActProve, ops.StepVerifyNew, newDB.ID, ops.OutcomeUnknown)
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "did not succeed within 1 min"}},
		{"a trial write that failed goes back", ops.StepVerifyNew, with(func(f *fixture) {
			f.run.SQL.Proven = ""
			f.sent(ops.ActProve, ops.StepVerifyNew, newDB.ID, ops.OutcomeRefused)
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "said no"}},
		{"statistics", ops.StepVerifyNew, with(func(f *fixture) { f.w.Acts = f.w.Acts[:len(f.w.Acts)-1] }), want{kind: Act, act: ops.ActAnalyze}},
		{"more statistics", ops.StepVerifyNew, with(func(f *fixture) { f.w.Acts[len(f.w.Acts)-1].Detail = "3 tables wait" }), want{kind: Act, act: ops.ActAnalyze}},
		{"not for more than a minute", ops.StepVerifyNew, with(func(f *fixture) {
			f.w.Acts[len(f.w.Acts)-1].Detail = "3 tables wait for statistics"
			f.run.StepSince = now.Add(-2 * time.Minute)
		}), want{kind: Again, step: ops.StepPromote, says: "3 tables wait"}},
		{"rows that differ go back", ops.StepVerifyNew, with(func(f *fixture) {
			f.run.SQL.ComparedAt = time.Time{}
			f.w.Compared = ops.Known([]ops.RowsCompared{{Table: "public.orders", Whole: true, Differs: "has 3 rows less"}})
		}), want{kind: Again, step: ops.StepReturnUnfence, says: "public.orders has 3 rows less"}},
		{"counts that a session may keep: it is ended", ops.StepVerifyNew, drawn(nil), want{kind: Act, act: ops.ActReset, says: "may not have told"}},
		{"readers are not interrupted as long as waiting may do", ops.StepVerifyNew, drawn(func(f *fixture) { f.run.Plan.Mode = ops.ModeReadOnly }), want{kind: Wait, says: "may not have told"}},
		{"longer than that they are", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.run.Plan.Mode = ops.ModeReadOnly
			f.ago(SettleFor + time.Second)
		}), want{kind: Act, act: ops.ActReset}},
		{"what was just ended is looked at first", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.sent(ops.ActReset, ops.StepVerifyNew, oldDB.ID, ops.OutcomeDone)
		}), want{kind: Wait, says: "may not have told"}},
		{"an id that was drawn since: once more", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.sent(ops.ActReset, ops.StepVerifyNew, oldDB.ID, ops.OutcomeDone)
			f.ended(resetAgain)
		}), want{kind: Act, act: ops.ActReset}},
		{"Heroku does not end them: they are waited for", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.sent(ops.ActReset, ops.StepVerifyNew, oldDB.ID, ops.OutcomeRefused)
			f.ended(resetAgain)
			f.ago(time.Minute)
		}), want{kind: Wait, says: "may not have told"}},
		{"ending sessions ends no open transaction of autovacuum's", ops.StepVerifyNew, drawn(func(f *fixture) { f.w.Old.SQL.Activity.Value.Writing = 1 }), want{kind: Wait, says: "1 transaction that may write is open"}},
		{"who came after the last id has written nothing", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.run.SQL.LastID = ops.LastID{Next: f.w.Old.SQL.Activity.Value.NextXID, Seen: now.Add(-70 * time.Second), PIDs: []int32{8}}
			f.w.Old.SQL.Activity.Value.Major = 14 // where waiting settles nobody
		}), want{kind: Again, step: ops.StepPromote, says: "takes writes"}},
		{"before 15 what ended sessions told is there a moment later", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.w.Old.SQL.Activity.Value.Major, f.w.Old.SQL.Activity.Value.Sessions = 14, nil
			f.sent(ops.ActReset, ops.StepVerifyNew, oldDB.ID, ops.OutcomeDone)
		}), want{kind: Wait, says: "nobody wrote"}},
		{"and then it is proven", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.w.Old.SQL.Activity.Value.Major, f.w.Old.SQL.Activity.Value.Sessions = 14, nil
			f.sent(ops.ActReset, ops.StepVerifyNew, oldDB.ID, ops.OutcomeDone)
			f.run.SQL.EndedAt = now.Add(-ops.MinGap)
		}), want{kind: Again, step: ops.StepPromote, says: "takes writes"}},
		{"it cannot be told: back", ops.StepVerifyNew, drawn(func(f *fixture) { f.ago(SettleFor + analyzeFor + time.Second) }), want{kind: Again, step: ops.StepReturnUnfence, says: "cannot be told"}},
		{"readers go on all the time, and no id was drawn for a minute", ops.StepVerifyNew, drawn(func(f *fixture) {
			f.run.SQL.LastID = ops.LastID{Next: f.w.Old.SQL.Activity.Value.NextXID, Seen: now.Add(-70 * time.Second), PIDs: []int32{9}}
		}), want{kind: Again, step: ops.StepPromote, says: "takes writes"}},
		{"all proven", ops.StepVerifyNew, with(nil), want{kind: Again, step: ops.StepPromote, says: "takes writes"}},

		// The switch that cannot go on.
		{"a failed release is measured", ops.StepPromote, with(failedRelease), want{kind: Again}},
		{"nothing was written: back by itself", ops.StepPromote, with(func(f *fixture) { failedRelease(f); f.run.SQL.MeasureAt = now.Add(-time.Second) }), want{kind: Again, step: ops.StepReturnAttach, says: "nothing was written"}},
		{"something was: people decide, and read what", ops.StepPromote, with(func(f *fixture) {
			failedRelease(f)
			f.run.SQL.MeasureAt = now.Add(-time.Second)
			f.w.New.SQL.Reading = ops.Known(reading(wrote))
		}), want{kind: Again, says: "3 inserted in 1 table"}},
		{"unknown is waited for, then people decide", ops.StepPromote, with(func(f *fixture) {
			failedRelease(f)
			f.run.SQL.MeasureAt = now.Add(-time.Second)
			f.w.New.SQL.Reading = ops.Unknown[ops.Reading]("refused")
		}), want{kind: Wait, says: "counting what was written"}},
		{"the old one is made writable before its release commands run", ops.StepReturnAttach, with(func(f *fixture) { failedRelease(f); f.run.Returning = true }), want{kind: Act, act: ops.ActClearDB}},
		{"nobody is let in to a database that is read-only", ops.StepReturnUnfence, with(nil), want{kind: Act, act: ops.ActClearDB}},
		{"nor to one of which it is not known", ops.StepReturnUnfence, with(unreached), want{kind: Wait}},
		{"after two minutes people are called, with the command", ops.StepReturnUnfence, with(func(f *fixture) {
			unreached(f)
			f.run.StepSince = now.Add(-3 * time.Minute)
		}), want{kind: Again, says: "RESET default_transaction_read_only"}},
		{"what somebody else set meanwhile is theirs, where it keeps nobody from writing", ops.StepReturnUnfence, old(func(s *SQLFacts) { s.Fence = ops.Known(ops.DBFence{Setting: "off", Owner: true}) }), want{kind: Act, act: ops.ActScale}},
		{"the answer to the fence was lost: it may come late", ops.StepReturnUnfence, with(func(f *fixture) {
			f.w.Old.SQL.Fence = ops.Known(open)
			f.sent(ops.ActFenceDB, ops.StepFence, oldDB.ID, ops.OutcomeUnknown)
			f.ended(time.Second)
		}), want{kind: Wait, says: "read-only late"}},
		{"the command restores what was set", ops.StepReturnUnfence, with(func(f *fixture) {
			unreached(f)
			f.run.StepSince = now.Add(-3 * time.Minute)
			before := ops.DBFence{Setting: "off", Owner: true}
			f.run.SQL.Before = &before
		}), want{kind: Again, says: `SET default_transaction_read_only = '\''off'\''; COMMIT'`}},
		{"cleared: open", ops.StepReturnUnfence, old(func(s *SQLFacts) { s.Fence = ops.Known(open) }), want{kind: Act, act: ops.ActScale}},
	})
}

func failedRelease(f *fixture) {
	f.promoted()
	f.app(func(a *AppFacts) {
		a.Releases.Value[0].Status, a.Releases.Value[0].Current = ops.ReleaseFailed, false
		a.Hosts.Value["DATABASE_URL"] = oldHost
	})
}
