package upgrade_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

var update = flag.Bool("update", false, "write docs/ways-back.md anew")

// waysBackFile is the table of step by event, for people.
const waysBackFile = "../../docs/ways-back.md"

// rowsOfTheTable are all steps, in order.
func rowsOfTheTable() []ops.Step {
	var out []ops.Step
	for _, s := range ops.Steps() {
		if s != ops.StepEnd {
			out = append(out, s)
		}
	}
	return append(out, ops.StepReturnAttach, ops.StepReturnUnfence, ops.StepReturnFollower,
		ops.StepRollbackFence, ops.StepRollbackMeter, ops.StepRollbackAttach, ops.StepRollbackUnfence, ops.StepRollbackLift)
}

// TestTheTableHasEveryStep: a step that the procedure knows has a row.
func TestTheTableHasEveryStep(t *testing.T) {
	rows := rowsOfTheTable()
	for _, s := range upgrade.KnownSteps() {
		if !slices.Contains(rows, s) {
			t.Errorf("step %s has no row", s)
		}
	}
	if len(rows) != len(upgrade.KnownSteps()) {
		t.Errorf("%d rows, %d steps", len(rows), len(upgrade.KnownSteps()))
	}
}

// share says which share of the cells TestWaysBack plays; below 0 another one every time.
var share = flag.Int("share", -1, "which share of the table to play: 0 to 14; -1: any")

// shares is how many there are.
const shares = 15

// TestWaysBack plays an event at a step to the end, checks what must never be, and
// keeps the table of how each ends. It plays a share of the cells, and with -walk or
// -update all of them.
func TestWaysBack(t *testing.T) {
	var mu sync.Mutex
	plays, cells, whole := 0, 0, *walkAlone || *update
	if *share < 0 {
		*share = rand.IntN(shares)
	}
	ends := map[ops.Step]map[string]map[string]ending{}
	t.Run("play", func(t *testing.T) {
		for _, step := range rowsOfTheTable() {
			ends[step] = map[string]map[string]ending{}
			for _, e := range happenings() {
				if cells++; !whole && cells%shares != *share {
					continue
				}
				ends[step][e.name] = map[string]ending{}
				for how, c := range bothWays(e, step) {
					t.Run(strings.TrimSuffix(fmt.Sprintf("%s/%s/%s", step, e.name, how), "/"), func(t *testing.T) {
						t.Parallel()
						end := c.play(t)
						mu.Lock()
						defer mu.Unlock()
						ends[step][e.name][how] = end
						plays++
					})
				}
			}
		}
	})
	if t.Failed() {
		return
	}
	fmt.Printf("step by event: %d steps, %d events, %d cells, %d plays\n", len(ends), len(happenings()), cells, plays)
	if !whole {
		fmt.Printf("played one cell of %d, -share %d; -walk plays all\n", shares, *share)
		playedAsKept(t, ends)
		return
	}
	table := waysBack(t, ends)
	if *update {
		if err := os.WriteFile(waysBackFile, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(waysBackFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(kept), table); diff != "" {
		t.Errorf("%s differs; go test ./ops/upgrade -run TestWaysBack -update rewrites it:\n%s", waysBackFile, diff)
	}
}

// playedAsKept checks that the cells that were played stand in the table so.
func playedAsKept(t *testing.T, ends map[ops.Step]map[string]map[string]ending) {
	t.Helper()
	kept, err := os.ReadFile(waysBackFile)
	if err != nil {
		t.Fatal(err)
	}
	for step, byEvent := range ends {
		_, row, _ := strings.Cut(string(kept), "\n| "+string(step)+" |")
		row, _, _ = strings.Cut(row, "\n")
		_, section, _ := strings.Cut(string(kept), "\n### "+string(step)+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		cells := strings.Split(row, "|")
		for i, e := range happenings() {
			if len(byEvent[e.name]) == 0 { // not among those
				continue
			}
			end := together(byEvent[e.name])
			if i >= len(cells) || strings.TrimSpace(cells[i]) != end.short {
				t.Errorf("%s at step %s ends as %q, which is not what %s has; -update rewrites it", e.name, step, end.short, waysBackFile)
			}
			if line := says(e, end); line != "" && !strings.Contains(section, line) {
				t.Errorf("%s does not have under %s:\n%s", waysBackFile, step, line)
			}
		}
	}
}

// says is the line about a cell below the table, "" where there is nothing to say.
func says(e event, end ending) string {
	if end.long == "" {
		return ""
	}
	return fmt.Sprintf("- %s: **%s**. %s\n", e.name, end.short, same(end.long))
}

// bothWays are the plays of a cell without SQL and with it.
func bothWays(e event, step ops.Step) map[string]*cell {
	out := e.at(step)
	if step.Before(ops.StepGateCutover) || step == ops.StepGateDestroy || step == ops.StepDestroy {
		return out // nothing is done by SQL yet, or any more
	}
	for how, c := range e.at(step) {
		c.inside = true
		out[strings.TrimPrefix(how+", by SQL", ", ")] = c
	}
	return out
}

// together is the ending of a cell that was played in several ways.
func together(plays map[string]ending) ending {
	by := map[string][]string{}
	for _, how := range slices.Sorted(maps.Keys(plays)) {
		by[plays[how].short] = append(by[plays[how].short], how)
	}
	var out ending
	if len(by) == 1 {
		for _, how := range slices.Sorted(maps.Keys(plays)) {
			out.short = plays[how].short
			if plays[how].long != "" && out.long == "" {
				out.long = plays[how].long
			}
		}
		return out
	}
	var shorts, longs []string
	for _, short := range slices.Sorted(maps.Keys(by)) {
		shorts = append(shorts, short)
		for _, how := range by[short] {
			longs = append(longs, strings.TrimSuffix(fmt.Sprintf("(%s) %s: %s", how, short, plays[how].long), ": "))
		}
	}
	return ending{strings.Join(shorts, " / "), strings.Join(longs, " ")}
}

var (
	suffix = regexp.MustCompile(`(pg17|PG17|PG15|orders)([-_])[a-zA-Z2-7]{5}\b`)
	uuid   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	commit = regexp.MustCompile(`Deploy [0-9a-f]{7}`)
)

// same takes out what differs from run to run.
func same(s string) string {
	s = suffix.ReplaceAllString(s, "$1${2}…")
	s = uuid.ReplaceAllString(s, "…")
	s = commit.ReplaceAllString(s, "Deploy …")
	return strings.NewReplacer("|", "\\|", "\n", " ", "<@U1>", "@ana", "<@U2>", "@ben").Replace(s)
}

func waysBack(t *testing.T, ends map[ops.Step]map[string]map[string]ending) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Ways back

What becomes of an upgrade when something happens at the beginning of a step. ` + "`TestWaysBack`" + ` writes this file: it plays each
cell on the stand-in for Heroku to its end, and checks after every row and every call, and at the end, what must never be: maintenance and
formation are as recorded, no acknowledged row is missing (but for those that a confirmed rollback gives up), nothing took effect twice, nobody
is kept out without the commands that end it having been posted, and people were told. People say yes to what they are asked, and look again when they are called.

| In the table | It means |
|---|---|
| goes on | on the way that it was on, to its end |
| waits | the same, but late |
| goes back | the app runs on the old database, open as recorded; the follower is destroyed, or kept and named |
| gives up | the rollback is given up: the app stays on the new database, open as recorded |
| ends | nothing was created, nothing was touched |
| asks | it calls for help and does nothing until somebody looks again |
| tells | it calls people, and goes on trying meanwhile |
| refused | whoever asks is told why, and what to do instead |
| not possible | there is nothing at this step that it could happen to; tried all the same |

`)
	events := happenings()
	for _, e := range events {
		fmt.Fprintf(&b, "- **%s**: %s.\n", e.name, e.what)
	}
	b.WriteString("\n| Step |")
	rule := "|---|"
	for _, e := range events {
		b.WriteString(" " + e.name + " |")
		rule += "---|"
	}
	b.WriteString("\n" + rule + "\n")
	for _, step := range rowsOfTheTable() {
		b.WriteString("| " + string(step) + " |")
		for _, e := range events {
			end := together(ends[step][e.name])
			if end.short == "" {
				t.Errorf("the cell %s, %s is empty", step, e.name)
			}
			b.WriteString(" " + end.short + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## What it says then\n")
	for _, step := range rowsOfTheTable() {
		fmt.Fprintf(&b, "\n### %s\n\n", step)
		for _, e := range events {
			b.WriteString(says(e, together(ends[step][e.name])))
		}
	}
	return b.String()
}
