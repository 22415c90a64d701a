package upgrade

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

const (
	// StillFor is how long writers may go on behind the database fence before
	// the run goes back.
	StillFor = time.Minute
	// SettleFor is how long sessions may keep row counts to themselves
	// (ops.Activity.Unsettled), and how long it is waited for them.
	SettleFor = 75 * time.Second
	// insideFor is how long a database may be out of reach by SQL while users
	// wait, before it is given up.
	insideFor = time.Minute
)

// fencing is the fence of one database: what was recorded before it, and what it
// is once it was seen up.
type fencing struct {
	db     ops.Ref
	facts  SQLFacts
	before **ops.DBFence
	fence  **ops.DBFence
	abort  func(string, ...any)
}

// readOnly records the database's read-only default, turns it on, and ends the
// sessions that are older. It reports true once that was seen.
func (t *turn) readOnly(x fencing) bool {
	now := x.facts.Fence
	if !now.Known {
		t.blindInside(x.db, now.Why, x.abort)
		return false
	}
	if *x.before == nil {
		v := now.Value
		*x.before = &v
		t.move.Kind = Again
		return false
	}
	if !now.Value.On() {
		t.must(ops.Act{Kind: ops.ActFenceDB, Target: x.db.ID}, "Making `"+x.db.Name+"` read-only.", x.abort)
		return false
	}
	t.seen(ops.ActFenceDB, x.db.ID)
	if *x.fence == nil {
		v := now.Value
		*x.fence = &v
		t.run.SQL.FencedAt = t.now
		t.move.Kind = Again
		return false
	}
	return t.endSessions(x, t.run.SQL.FencedAt)
}

// endSessions ends the sessions of the bot's credential, and those of all others
// through Heroku where some are left. Since says after when it must have been.
func (t *turn) endSessions(x fencing, since time.Time) bool {
	last, ok := t.w.last(ops.ActEndSessions, t.run.Step, x.db.ID)
	if !ok || last.StartedAt.Before(since) || last.Outcome != ops.OutcomeDone {
		if ok && t.now.Sub(since) > insideFor {
			x.abort("the sessions of `%s` cannot be ended (%s)", x.db.Name, last.Detail)
			return false
		}
		t.must(ops.Act{Kind: ops.ActEndSessions, Target: x.db.ID}, "Ending the sessions of `"+x.db.Name+"`.", x.abort)
		return false
	}
	if !strings.Contains(last.Detail, leftWord) {
		return true
	}
	reset, ok := t.w.last(ops.ActReset, t.run.Step, x.db.ID)
	if ok && reset.Outcome == ops.OutcomeDone && !reset.StartedAt.Before(last.StartedAt) {
		return true
	}
	t.must(ops.Act{Kind: ops.ActReset, Target: x.db.ID}, "Ending the sessions of other credentials of `"+x.db.Name+"`.", x.abort)
	return false
}

// leftWord marks, in an outcome, that sessions of other credentials are left.
const leftWord = "left to Heroku"

// blindInside waits for a database that cannot be reached by SQL, and gives up
// after a minute.
func (t *turn) blindInside(db ops.Ref, why string, abort func(string, ...any)) {
	if since := latest(t.run.StepSince, t.run.SQL.FencedAt); t.now.Sub(since) > insideFor {
		abort("`%s` cannot be reached by SQL (%s)", db.Name, why)
		return
	}
	t.blind("`"+db.Name+"` by SQL", why)
}

// still proves that nobody writes to the old database behind its fence: two
// samples at least two seconds apart in which nothing moved, with no session
// left that is older than the fence. It reports true once that was seen.
func (t *turn) still(x fencing) bool {
	in, now := &t.run.SQL, t.w.Old.SQL.Activity
	if !now.Known {
		t.blindInside(x.db, now.Why, x.abort)
		return false
	}
	if in.Sampled.IsZero() {
		t.sampleAgain(now.Value, "Making sure that nobody writes to `"+x.db.Name+"`.")
		return false
	}
	if !t.w.Kept.Sample.Known {
		t.blindInside(x.db, t.w.Kept.Sample.Why, x.abort)
		return false
	}
	if now.Value.At.Sub(t.w.Kept.Sample.Value.At) < ops.MinGap {
		t.wait(500*time.Millisecond, "Making sure that nobody writes to `%s`.", x.db.Name)
		return false
	}
	s := ops.StillBetween(*in.Fence, t.w.Kept.Sample.Value, now.Value)
	if s.Motion == ops.Still {
		t.keepReading(ops.ReadingStill, now.Value)
		in.StillAt, in.Moved = t.now, ""
		return true
	}
	in.Moved = s.Why
	if t.now.Sub(in.FencedAt) > StillFor {
		x.abort("somebody still writes to `%s`, though it is read-only for every session that does not ask otherwise: %s", x.db.Name, s.Why)
		return false
	}
	if s.Motion == ops.MotionUnknown {
		if last, ok := t.w.last(ops.ActEndSessions, t.run.Step, x.db.ID); !ok || t.now.Sub(last.StartedAt) > 10*time.Second {
			in.Sampled = time.Time{}
			t.must(ops.Act{Kind: ops.ActEndSessions, Target: x.db.ID}, "Ending the sessions of `"+x.db.Name+"` again: "+s.Why+".", x.abort)
			return false
		}
	}
	t.sampleAgain(now.Value, "Not still yet: "+s.Why+".")
	return false
}

func (t *turn) sampleAgain(a ops.Activity, next string) {
	t.keepReading(ops.ReadingSample, a)
	t.run.SQL.Sampled = t.now
	t.wait(ops.MinGap+100*time.Millisecond, "%s", next)
}

// cleared brings the read-only default of a database back to what was recorded
// before its fence, and reports when it was seen so. Nobody is let in before:
// the app would find a database that refuses to be written to.
func (t *turn) cleared(db ops.Ref, facts SQLFacts, before *ops.DBFence) bool {
	if before == nil {
		return true
	}
	now := facts.Fence
	if !now.Known {
		if t.now.Sub(t.run.StepSince) > 2*time.Minute {
			t.help("`%s` cannot be reached by SQL (%s), so whether it is still read-only is not known, and users stay outside. By hand: `%s`. Then `/pgupgrade retry %s`.",
				db.Name, now.Why, clearByHand(placeOf(t.run, db.ID), t.w.database(t.run, db.ID), *before), t.run.App.Name)
			return false
		}
		t.blind("`"+db.Name+"` by SQL", now.Why)
		return false
	}
	// A setting of somebody else's that lets everybody write is theirs.
	if now.Value.Same(*before) || !now.Value.On() {
		t.seen(ops.ActClearDB, db.ID)
		if until := t.late(db.ID, ops.ActFenceDB); t.now.Before(until) {
			t.wait(until.Sub(t.now), "Making sure that `%s` is not made read-only late.", db.Name)
			return false
		}
		return true
	}
	if refusal := t.try(ops.Act{Kind: ops.ActClearDB, Target: db.ID, Args: map[string]string{"setting": before.Setting}}, "Making `"+db.Name+"` writable again."); refusal != "" {
		t.help("`%s` cannot be made writable again: %s. Users stay outside. By hand: `%s`. Then `/pgupgrade retry %s`.",
			db.Name, refusal, clearByHand(placeOf(t.run, db.ID), t.w.database(t.run, db.ID), *before), t.run.App.Name)
	}
	return false
}

// database is the name of a database on its server, as far as the look knows it.
func (w World) database(run ops.Run, addonID string) string {
	if addonID == run.Follower.ID && w.New.Info.Known {
		return w.New.Info.Value.Endpoint.Database
	}
	if w.Old.Info.Known {
		return w.Old.Info.Value.Endpoint.Database
	}
	return ""
}

// clearByHand is the command that lifts the database fence without the bot.
func clearByHand(at ops.Place, database string, before ops.DBFence) string {
	if database == "" {
		database = "NAME"
	}
	return fmt.Sprintf(`heroku pg:psql %s -a %s -c '%s'`, at.Var, at.App, strings.ReplaceAll(before.Undo(database), "'", `'\''`))
}
