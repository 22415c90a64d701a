package upgrade_test

import (
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// inSQL is a broken program whose databases can be reached by SQL.
func inSQL(make func() *world) func() *world {
	return func() *world {
		w := make()
		w.sql = true
		return w
	}
}

// brokenInside are programs that break a rule of what is done by SQL.
func brokenInside() []broken {
	return []broken{
		{rule: 2, what: "a writer who asks for read-write is overlooked", tell: insistent,
			world: inSQL(sees(func(r *ops.Run, w *upgrade.World, now time.Time) {
				was := w.Kept.Sample
				if !r.SQL.StillAt.IsZero() {
					was = w.Kept.Still
				}
				if was.Known && w.Old.SQL.Activity.Known {
					at := w.Old.SQL.Activity.Value.At
					w.Old.SQL.Activity.Value = was.Value
					w.Old.SQL.Activity.Value.At = at
				}
				w.New.SQL.Position.Value.Replayed = w.Old.SQL.Position.Value.End
			}))},
		{rule: 2, what: "the leader's position is compared once", tell: tellStory,
			world: inSQL(sees(func(r *ops.Run, _ *upgrade.World, _ time.Time) {
				if r.Step == ops.StepCatchUpExact {
					r.SQL.Reached = 1
				}
			}))},
		{rule: 2, what: "the database is taken for read-only before it is", tell: tellStory,
			world: inSQL(sees(func(r *ops.Run, w *upgrade.World, now time.Time) {
				if r.SQL.Before != nil && !r.Returning && w.Old.SQL.Fence.Known {
					w.Old.SQL.Fence.Value.Setting, w.Old.SQL.Fence.Value.At = "on", now
				}
			}))},
		{rule: 4, what: "users are let in to a database that is still read-only", tell: (*world).failed,
			world: inSQL(sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				if r.Step == ops.StepReturnUnfence {
					w.Old.SQL.Fence = ops.Known(*r.SQL.Before)
				}
			}))},
		{rule: 4, what: "the default that the new database inherited is not cleared", tell: tellStory,
			world: inSQL(sees(func(r *ops.Run, w *upgrade.World, _ time.Time) {
				if r.Step == ops.StepVerifyNew {
					w.New.SQL.Fence = ops.Known(*r.SQL.Before)
					r.SQL.Proven = "not tried"
				}
			}))},
		{rule: 5, what: "the default that was set before is reset, not restored", tell: (*world).failed,
			world: func() *world {
				w := inSQL(sees(func(r *ops.Run, _ *upgrade.World, _ time.Time) {
					if r.Returning && r.SQL.Before != nil {
						before := *r.SQL.Before
						before.Setting = ""
						r.SQL.Before = &before
					}
				}))()
				w.before = "off"
				return w
			}},
		{rule: 12, what: "the old database is made writable after the switch", tell: tellStory,
			world: inSQL(does(func(r *ops.Run, m *upgrade.Move, w upgrade.World) {
				for _, a := range w.Acts {
					if a.Kind == ops.ActClearDB && a.Target == r.Database.ID {
						return
					}
				}
				if r.Step == ops.StepUnfence && m.Kind == upgrade.Act {
					m.Act.Kind, m.Act.Target, m.Act.Args = ops.ActClearDB, r.Database.ID, nil
				}
			}))},
	}
}

// insistent: a program outside Heroku asks for read-write by itself, and nothing
// but SQL shows it.
func insistent(w *world) ops.Run {
	r := w.start("orders")
	r = w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.stage("zero lag", r.Follower.Name)
	w.stage("session", "orders")
	w.answer(r.ID, "U2", ops.GateCutover, "")
	r = w.until(r.ID, "over", over)
	w.never.touched = true // that it still writes is not the procedure's
	return r
}
