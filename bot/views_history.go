package bot

import (
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// How much of the audit trail one message holds; `pgupgrade history APP --json`
// has it all.
const (
	saidRuns  = 5  // of how many upgrades decisions and refusals are shown
	saidLines = 12 // of each, the last ones
)

// History is past and present upgrades, newest first; for one app with what was
// decided and refused.
func History(app string, trail ops.Trail) View {
	lines := []string{"*Upgrades, newest first*"}
	if len(trail.Upgrades) == 0 {
		lines = []string{"There was no upgrade yet. `/pgupgrade check APP` looks at an app."}
		if app != "" {
			lines = []string{"There was no upgrade of " + code(app) + " yet. `/pgupgrade check " + escape(app) + "` looks at it."}
		}
	}
	for i, r := range trail.Upgrades {
		lines = append(lines, historyLine(r.Run))
		if app != "" && i < saidRuns {
			lines = append(lines, saidWords(r.Said())...)
		}
	}
	if apart := trail.Apart; app != "" && len(apart) > 0 {
		lines = append(lines, "*Settings, and refusals to start*")
		lines = append(lines, saidWords(apart)...)
	}
	if app == "" {
		lines = append(lines, "`/pgupgrade history APP` shows who decided what.")
	}
	return fit(View{Text: unmark(strings.Join(lines, "\n")), Blocks: sections(lines)})
}

func historyLine(r ops.Run) string {
	s := stateMark(r) + " " + date(r.CreatedAt, dayAndTime) + " *" + escape(r.App.Name) + "* " + versions(r) + ": " + state(r) + ", asked for by " + mention(r.Requester)
	if d := downtime(r); d != "" {
		s += ", downtime " + ops.FormatDuration(r.Outage.Until.Sub(r.Outage.From))
	}
	if !r.Active() && r.Outcome != ops.Succeeded && r.Why != "" {
		s += "\n      " + cutLines(prose(r.Why), 300)
	}
	return s + " · " + code(r.ID)
}

// saidWords is one line for each decision and refusal.
func saidWords(events []ops.Event) []string {
	var out []string
	if n := len(events) - saidLines; n > 0 {
		out = append(out, fmt.Sprintf("      … %d earlier ones; `pgupgrade history APP --json` has them.", n))
		events = events[n:]
	}
	for _, e := range events {
		s := "      " + date(e.At, dayAndTime) + " · "
		if e.Refused != "" {
			s += "refused to " + mention(e.Actor) + ": "
		}
		out = append(out, s+cutLines(prose(strings.TrimPrefix(e.Text, "refused: ")), 200))
	}
	return out
}
