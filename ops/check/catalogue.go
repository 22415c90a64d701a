package check

import (
	"slices"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Stage is when a check runs.
type Stage string

// The stages.
const (
	Survey  Stage = "before the start" // before money is spent
	Cutover Stage = "before the fence" // again, in the last minute
	After   Stage = "after the switch" // on the new database
)

// Check is one guardrail: what it is, and the function that looks.
type Check struct {
	Number string // of the catalogue: "S2"
	Title  string
	Level  ops.Verdict // the worst that it says
	Early  ops.Verdict // the worst that it says before the start, where that is milder
	When   []Stage
	Where  string // where it looks
	Fix    string // what a person can do about it
	// Passing: what it finds right before the fence passes by itself, so a
	// given approval waits for it and is not voided by it.
	Passing bool

	sql    bool // it looks inside the database
	perApp bool // it looks at each app on which the database is attached
	look   func(Facts) []ops.Finding
}

// Catalogue returns every check, in the order in which people should read them.
func Catalogue() []Check {
	return slices.Concat(platformChecks, compatChecks, extensionChecks, dataChecks, loadChecks)
}

var catalogue = Catalogue()

// Findings runs every check of the stage, in the order in which people should read them.
func Findings(f Facts) []ops.Finding {
	stage := Survey
	switch {
	case f.Cutover:
		stage = Cutover
	case f.After:
		stage = After
	}
	var all []ops.Finding
	for _, c := range catalogue {
		if slices.Contains(c.When, stage) {
			all = append(all, c.Look(f)...)
		}
		if !c.perApp || !slices.Contains(c.When, stage) {
			continue
		}
		for _, x := range f.Others {
			for _, finding := range c.Look(f.of(x)) {
				finding.Evidence = x.Ref.Name + ": " + finding.Evidence
				all = append(all, finding)
			}
		}
	}
	return all
}

// Look runs the check, whatever the stage. A check that looks inside a database
// that could not be reached says nothing: H31 says it once for all.
func (c Check) Look(f Facts) []ops.Finding {
	if c.sql && !f.SQL.Known {
		return nil
	}
	out := c.look(f)
	for i := range out {
		x := &out[i]
		if x.Check == "" {
			x.Check = c.Number
		}
		if x.Title == "" {
			x.Title = c.Title
		}
		if x.Verdict == "" { // it could not look: what it would have said at its worst
			x.Verdict = c.Level
			if c.Early != "" && !f.Cutover && !f.After {
				x.Verdict = c.Early
			}
		}
		if x.Fix == "" && x.Verdict != ops.Pass && !x.Unknown {
			x.Fix = c.Fix
		}
	}
	return out
}

// SQL reports whether the check looks inside a database.
func (c Check) SQL() bool { return c.sql }

// Split parts what passes by itself from what stays until somebody acts. What
// could not be seen of the first kind can be looked at again.
func Split(findings []ops.Finding) (stays, passes []ops.Finding) {
	for _, f := range findings {
		i := slices.IndexFunc(catalogue, func(c Check) bool { return c.Number == f.Check })
		if i >= 0 && catalogue[i].Passing && (f.Verdict == ops.Block || f.Verdict == ops.Acknowledge) {
			passes = append(passes, f)
		} else {
			stays = append(stays, f)
		}
	}
	return stays, passes
}

// says is a finding whose number, title and advice are those of the catalogue.
func says(v ops.Verdict, evidence string) []ops.Finding {
	return []ops.Finding{{Verdict: v, Evidence: evidence}}
}

// blind is a check of the catalogue that could not look.
func blind(why string) []ops.Finding {
	return []ops.Finding{{Unknown: true, Evidence: "unknown: " + first(why), Fix: "Try again; if it stays unknown, ask whoever looks after the database."}}
}
