package upgrade

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// analyzeFor is how long statistics are made while users wait.
const analyzeFor = time.Minute

// provenInside looks at the new database from inside before any app is switched:
// the fence that it inherited is gone, a trial write works, the busiest tables
// have statistics, its rows are those of the old one, and nobody wrote to the
// old one meanwhile. Then it keeps the reading that losses are counted from.
func (t *turn) provenInside() bool {
	in, sql := &t.run.SQL, t.w.New.SQL
	if !in.On {
		return true
	}
	if !sql.Fence.Known {
		t.blindInside(t.run.Follower, sql.Fence.Why, t.back)
		return false
	}
	if !t.inherited(sql.Fence.Value) || !t.trialWrite() || !t.statistics() || !t.compared() || !t.settled() {
		return false
	}
	if !sql.Reading.Known {
		t.blindInside(t.run.Follower, sql.Reading.Why, t.back)
		return false
	}
	t.keepReading(ops.ReadingBase, sql.Reading.Value)
	in.BaseAt = t.now
	t.done("The new database takes writes%s. %s.", comparedWords(in.Compared), upperFirst(cmp.Or(in.Analyzed, "statistics are made later")))
	return true
}

// inherited clears the fence's setting, which a follower has from its leader and
// pg_upgrade keeps.
func (t *turn) inherited(now ops.DBFence) bool {
	in := &t.run.SQL
	if now.Same(*in.Before) {
		t.seen(ops.ActClearDB, t.run.Follower.ID)
		if in.NewCleared.IsZero() {
			in.NewCleared = t.now
		}
		return true
	}
	t.must(ops.Act{Kind: ops.ActClearDB, Target: t.run.Follower.ID, Args: map[string]string{"setting": in.Before.Setting}}, "Making the new database writable.", t.back)
	return false
}

// trialWrite writes on a table of the bot's own, in a transaction that is rolled back.
func (t *turn) trialWrite() bool {
	in := &t.run.SQL
	if in.Proven != "" {
		return true
	}
	last, tried := t.w.last(ops.ActProve, t.run.Step, t.run.Follower.ID)
	if tried && last.Outcome == ops.OutcomeDone {
		in.Proven = last.Detail
		t.move.Kind = Again
		return false
	}
	// One attempt more when the time is over: the program may have stood still.
	if tried && last.StartedAt.Sub(t.run.StepSince) > insideFor {
		t.back("a trial write to the new database did not succeed within %s", ops.FormatDuration(insideFor))
		return false
	}
	t.must(ops.Act{Kind: ops.ActProve, Target: t.run.Follower.ID, Args: map[string]string{"version": t.run.Plan.To}}, "Trying to write to the new database.", t.back)
	return false
}

// statistics makes the planner's statistics, the busiest tables first. What is
// left after a minute is made once the app is open.
func (t *turn) statistics() bool {
	in := &t.run.SQL
	last, ok := t.w.last(ops.ActAnalyze, t.run.Step, t.run.Follower.ID)
	if ok {
		in.Analyzed = cmp.Or(last.Detail, "statistics are made later")
		t.run.Progress = in.Analyzed
		if last.Outcome == ops.OutcomeDone && strings.HasPrefix(last.Detail, allWord) || t.now.Sub(t.run.StepSince) > analyzeFor {
			t.run.Progress = ""
			return true
		}
	}
	if refusal := t.try(ops.Act{Kind: ops.ActAnalyze, Target: t.run.Follower.ID}, "Making statistics for the busiest tables."); refusal != "" {
		return true
	}
	return false
}

// allWord begins the outcome of making statistics when none is missing.
const allWord = "all "

// compared keeps the comparison of rows, made while both databases are fenced.
func (t *turn) compared() bool {
	in := &t.run.SQL
	if !in.ComparedAt.IsZero() {
		return true
	}
	c := t.w.Compared
	if !c.Known && t.now.Sub(t.run.StepSince) < insideFor {
		t.blind("the rows of both databases", firstWhy(c.Why))
		return false
	}
	in.ComparedAt, in.Compared = t.now, nil
	if !c.Known {
		t.say(ops.EventWarning, "The rows of both databases could not be compared (%s).", c.Why)
		return true
	}
	var differ []string
	for _, x := range c.Value {
		if x.Differs != "" {
			differ = append(differ, x.Table+" "+x.Differs)
		}
	}
	if len(differ) > 0 {
		t.back("rows of the new database are not those of the old one: %s", strings.Join(differ, "; "))
		return false
	}
	in.Compared = c.Value
	return true
}

// settled waits until no session can keep counts of the old database to itself
// any more: only then "nothing was written" is a proof. What autovacuum draws is
// enough for that, and sessions of other credentials cannot be seen into, so
// those that waiting does not settle are ended: then they have told.
func (t *turn) settled() bool {
	if !t.w.Old.SQL.Activity.Known || !t.w.Kept.Still.Known {
		t.blindInside(t.run.Database, firstWhy(t.w.Old.SQL.Activity.Why, t.w.Kept.Still.Why), t.back)
		return false
	}
	in, now := &t.run.SQL, t.w.Old.SQL.Activity.Value
	_, unsettled := ops.WrittenSince(t.w.Kept.Still.Value, now, in.LastID)
	last, reset := t.w.last(ops.ActReset, t.run.Step, t.run.Database.ID)
	if unsettled == "" {
		if !reset || now.Major >= 15 {
			return true
		}
		// Before PostgreSQL 15, what an ending session told is there a moment later.
		if in.EndedAt.IsZero() {
			in.EndedAt = t.now
		}
		if told := in.EndedAt.Add(ops.MinGap); t.now.Before(told) {
			t.wait(told.Sub(t.now), "Making sure that nobody wrote to `%s`.", t.run.Database.Name)
			return false
		}
		return true
	}
	in.EndedAt = time.Time{}
	waited := t.now.Sub(t.run.StepSince)
	if waited > SettleFor+analyzeFor {
		t.back("whether somebody wrote to `%s` cannot be told: %s", t.run.Database.Name, unsettled)
		return false
	}
	// Where users read on, they are not interrupted as long as waiting may do.
	patient := t.run.Plan.ReadOnly() && waited <= SettleFor
	if now.Writing == 0 && now.Prepared == 0 && !patient && (!reset || t.now.Sub(last.StartedAt) > resetAgain) {
		next := fmt.Sprintf("Ending the sessions of `%s`: %s.", t.run.Database.Name, unsettled)
		if refusal := t.try(ops.Act{Kind: ops.ActReset, Target: t.run.Database.ID}, next); refusal == "" {
			return false
		}
	}
	t.wait(time.Second, "Making sure that nobody wrote to `%s`: %s.", t.run.Database.Name, unsettled)
	return false
}

// resetAgain is when sessions are ended once more, since a transaction id was
// drawn after the last time.
const resetAgain = 20 * time.Second

// idDrawn keeps when the last transaction id of the old database was drawn, from
// when nobody wrote until the switch.
func (t *turn) idDrawn() {
	in, now := &t.run.SQL, t.w.Old.SQL.Activity
	if in.On && !in.StillAt.IsZero() && now.Known && !t.run.RollingBack() && !t.run.Returning {
		in.LastID = in.LastID.Look(now.Value)
	}
}

// comparedWords says what the comparison of rows showed.
func comparedWords(compared []ops.RowsCompared) string {
	whole, picked, rows := 0, 0, int64(0)
	for _, x := range compared {
		switch {
		case x.Skipped != "":
		case x.Whole:
			whole++
		default:
			picked++
			rows += x.Rows
		}
	}
	var parts []string
	if whole > 0 {
		parts = append(parts, fmt.Sprintf("%s compared whole", ops.Count(whole, "table")))
	}
	if picked > 0 {
		parts = append(parts, fmt.Sprintf("%d rows of %s picked", rows, ops.Count(picked, "larger table")))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", and its rows are those of the old one (" + strings.Join(parts, ", ") + ")"
}
