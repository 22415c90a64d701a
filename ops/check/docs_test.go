package check

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

var update = flag.Bool("update", false, "rewrite docs/checks.md")

const docs = "../../docs/checks.md"

// leftOut are the rows of the catalogue of guardrails that are no checks here, and why.
var leftOut = [][2]string{
	{"H19", "schedules, settings and the maintenance window are the procedure's: it records them and makes them anew"},
	{"H28", "Heroku's status is not asked for"},
	{"H29", "how long a token lives cannot be asked for with every kind of token; a refusal calls for a person"},
	{"H32", "one run for each database is kept by the rows themselves"},
	{"S6, S10, S21", "cannot be on Heroku's 14 and newer on the way to 15 to 18"},
	{"S16", "needs a scratch server of the new version; Heroku's dry run does it"},
	{"S20", "no server shows the versions of its clients' drivers"},
	{"D4", "for logical methods alone, of which there is none"},
	{"L9", "needs samples of a week"},
}

// TestDocs keeps docs/checks.md equal to the catalogue.
func TestDocs(t *testing.T) {
	want := written()
	if *update {
		if err := os.WriteFile(docs, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/checks.md is not what the catalogue says; `go test ./ops/check -update` writes it")
	}
}

const pipeline = `
## In a pipeline

` + "`pgupgrade check APP [--json] [--to VERSION]`" + ` needs only ` + "`HEROKU_API_KEY`" + `, changes nothing, and ends with

| Exit code | |
|---|---|
| 0 | the upgrade can start; there may be things to accept and warnings |
| 3 | something blocks it |
| 2 | asked in the wrong way, or the environment is not right |
| 1 | it did not work: Heroku did not answer |

With ` + "`--json`" + ` the findings are on standard output, each with ` + "`check`, `title`, `verdict`, `unknown`, `evidence`, `fix`" + `; words for people are on standard error.
`

func written() string {
	var b strings.Builder
	b.WriteString(`# Checks

Written by ` + "`go test ./ops/check -update`" + ` from the catalogue in ` + "`ops/check`" + `; a test keeps it so.

Worst first: *block*: the upgrade cannot go on; *acknowledge*: an approver must see it and say yes, since data or an outage is at stake; *warn*; *inform*. A check
that could not look is *unknown* and says what it would have said at its worst, so unknown on a block blocks. Evidence is names and counts, never row data. What
stands with "waits" passes by itself: right before the fence a given approval waits for it.

Those that look by SQL ask every database of the server that the credential may open, in read-only transactions of at most 5 seconds a statement, with no lock stronger than a
plain SELECT takes. When SQL cannot reach the database, H31 says so once.

| | What | Worst | When | Where it looks | What to do |
|---|---|---|---|---|---|
`)
	for _, c := range Catalogue() {
		level := string(c.Level)
		if c.Early != "" {
			level = fmt.Sprintf("%s, later %s", c.Early, c.Level)
		}
		if c.Passing {
			level += "; waits"
		}
		var when []string
		for _, s := range c.When {
			when = append(when, string(s))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.Number, c.Title, level, strings.Join(when, ", "), c.Where, c.Fix)
	}
	b.WriteString(pipeline)
	b.WriteString("\nLeft out:\n\n| | Why |\n|---|---|\n")
	for _, x := range leftOut {
		fmt.Fprintf(&b, "| %s | %s |\n", x[0], x[1])
	}
	return b.String()
}

// TestCatalogue: every check says what it is, where it looks and what to do.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Catalogue() {
		if c.Number == "" || c.Title == "" || c.Level == "" || c.Level == ops.Pass || len(c.When) == 0 || c.Where == "" || c.Fix == "" || c.look == nil {
			t.Errorf("%s %s is not whole: %+v", c.Number, c.Title, c)
		}
		if name := c.Number + c.Title; seen[name] {
			t.Errorf("%s %s stands twice", c.Number, c.Title)
		} else {
			seen[name] = true
		}
		if strings.Contains(c.Where+c.Fix, "|") {
			t.Errorf("%s would break the table", c.Number)
		}
	}
}

// TestNothingKnown: with no fact at all every check is unknown or has nothing to
// say; none passes, and those that block, block.
func TestNothingKnown(t *testing.T) {
	for _, sql := range []bool{false, true} {
		f := Facts{Target: 18, Deadlines: Deadlines()}
		f.OwnDatabase.Host = "own.example"
		if sql {
			f.SQL = ops.Known(ops.Inside{})
			f.SQLBefore = ops.Known(ops.Inside{SchemaHash: ops.Known("a")})
		}
		for _, cut := range []bool{false, true} {
			f.Cutover = cut
			for _, c := range Catalogue() {
				for _, x := range c.Look(f) {
					if x.Check == "H31" && sql {
						continue // it could be reached
					}
					if !x.Unknown || x.Verdict == ops.Pass {
						t.Errorf("SQL %v, cutover %v: %s %s knows something: %+v", sql, cut, c.Number, c.Title, x)
					}
					if c.sql && c.Level == ops.Block && (cut || c.Early == "") && x.Verdict != ops.Block {
						t.Errorf("cutover %v: %s unknown says %s, want block", cut, c.Number, x.Verdict)
					}
				}
				if c.sql && !sql && c.Look(f) != nil {
					t.Errorf("%s says something without SQL", c.Number)
				}
				if c.sql && sql && c.Look(f) == nil && c.Number != "D5" {
					t.Errorf("%s says nothing although it could not look", c.Number)
				}
			}
		}
	}
}
