package upgrade

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// After is what was seen inside the new database once the apps were open on it.
type After struct {
	Old, New  map[string]int64 // objects by kind
	Sequences []ops.SequenceBehind
	Findings  []ops.Finding // of the checks after the switch
}

// after looks inside both databases.
func (r *Runner) after(ctx context.Context, run ops.Run) (After, error) {
	old, err := r.open(ctx, oldPlace(run))
	if err != nil {
		return After{}, err
	}
	fresh, err := r.open(ctx, newPlace(run))
	if err != nil {
		return After{}, err
	}
	var a After
	var errs [3]error
	a.Old, errs[0] = old.Objects(ctx)
	a.New, errs[1] = fresh.Objects(ctx)
	a.Sequences, errs[2] = fresh.SequencesBehind(ctx)
	if err := errors.Join(errs[:]...); err != nil {
		return After{}, err
	}
	before, err := old.Inside(ctx, false)
	was := ops.FactOf(before, err)
	inside, err := fresh.Inside(ctx, false)
	a.Findings = check.Findings(check.Facts{At: r.Now(), After: true, SQL: ops.FactOf(inside, err), SQLBefore: was})
	return a, nil
}

const (
	// inspectFor is how long the look inside after the switch is tried.
	inspectFor = 5 * time.Minute
	// statisticsFor is how long the rest of the statistics is made after it.
	statisticsFor = time.Hour
)

// uninspected reports whether the new database was not looked at from inside yet.
func uninspected(run ops.Run) bool {
	return run.SQL.On && run.SQL.Objects == "" && !run.RolledBack()
}

// inspected compares what both databases hold and runs the checks after the
// switch, once. It reports false when the turn is decided. The app is open, so
// what is found is told and stops nothing.
func (t *turn) inspected() bool {
	if !uninspected(t.run) {
		return true
	}
	in, seen := &t.run.SQL, t.w.After
	if !seen.Known {
		if t.now.Sub(t.run.Soak.From) < inspectFor {
			t.blind("both databases by SQL", seen.Why)
			return false
		}
		in.Objects = "not compared: " + seen.Why
		t.say(ops.EventWarning, "What the new database holds could not be compared with the old one (%s). `heroku pg:info -a %s` and a look at the app are left.", seen.Why, t.run.App.Name)
		return true
	}
	differ := differences(seen.Value)
	for _, f := range seen.Value.Findings {
		if f.Verdict != ops.Pass && f.Verdict != ops.Inform {
			differ = append(differ, fmt.Sprintf("%s (%s): %s %s", f.Title, f.Check, f.Evidence, f.Fix))
		}
	}
	if len(differ) == 0 {
		in.Objects = counted(seen.Value.New)
		t.say(ops.EventNote, "Looked inside the new database: %s, as many as in the old one; no sequence is behind, and no check has anything to say.", in.Objects)
		return true
	}
	in.Objects = strings.Join(differ, "; ")
	t.say(ops.EventWarning, "Looked inside the new database:\n• %s", strings.Join(differ, "\n• "))
	return true
}

// differences names kinds of objects that are not as many as before, and
// sequences that would give out a number twice.
func differences(a After) []string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(a.Old)) {
		if was, is := a.Old[kind], a.New[kind]; was != is {
			out = append(out, fmt.Sprintf("%d %s, the old one has %d", is, kind, was))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(a.New)) {
		if _, there := a.Old[kind]; !there && a.New[kind] > 0 {
			out = append(out, fmt.Sprintf("%d %s, the old one has none", a.New[kind], kind))
		}
	}
	for _, s := range a.Sequences {
		out = append(out, fmt.Sprintf("the sequence %s stands at %d, and %s holds %d already", s.Sequence, s.Last, s.Column, s.Max))
	}
	return out
}

// counted says how many objects there are of the kinds that people ask about.
func counted(objects map[string]int64) string {
	var out []string
	for _, kind := range []string{"tables", "indexes", "functions", "triggers"} {
		out = append(out, fmt.Sprintf("%d %s", objects[kind], kind))
	}
	return strings.Join(out, ", ")
}

// moreStatistics makes the statistics that the cutover had no time for. It
// reports false when the turn is decided.
func (t *turn) moreStatistics() bool {
	in := &t.run.SQL
	if !in.On || t.run.RolledBack() || in.Analyzed == "" || strings.HasPrefix(in.Analyzed, allWord) || t.now.Sub(t.run.Soak.From) > statisticsFor {
		return true
	}
	if last, ok := t.w.last(ops.ActAnalyze, t.run.Step, t.run.Follower.ID); ok && last.Outcome == ops.OutcomeDone {
		in.Analyzed = last.Detail
		if strings.HasPrefix(last.Detail, allWord) {
			t.say(ops.EventNote, "%s now.", upperFirst(last.Detail))
			return true
		}
	}
	return t.try(ops.Act{Kind: ops.ActAnalyze, Target: t.run.Follower.ID}, "Making the rest of the statistics.") != ""
}
