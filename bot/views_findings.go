package bot

import (
	"fmt"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// group is the findings of one verdict.
type group struct {
	verdict ops.Verdict
	mark    string
	one     string
	many    string
}

// groups of findings, worst first.
var groups = []group{
	{ops.Block, ":no_entry:", "1 thing blocks the upgrade", "%d things block the upgrade"},
	{ops.Acknowledge, ":raised_hand:", "1 thing an approver must accept", "%d things an approver must accept"},
	{ops.Warn, ":warning:", "1 warning", "%d warnings"},
	{ops.Inform, ":information_source:", "Good to know", "Good to know"},
}

// findingLines are the findings by verdict as far as people must read them: what
// blocks and what must be accepted with everything about it, warnings as a list,
// the rest as a number. findingsInFull has it all.
func findingLines(findings []ops.Finding) []string {
	var out []string
	for _, g := range groups {
		some := ops.With(findings, g.verdict)
		if len(some) == 0 || g.verdict == ops.Inform {
			continue
		}
		out = append(out, g.title(len(some)))
		for _, f := range some {
			if g.verdict == ops.Warn {
				out = append(out, warningLine(f))
			} else {
				out = append(out, findingLine(f))
			}
		}
	}
	var rest []string
	if n := len(ops.With(findings, ops.Pass)); n > 0 {
		rest = append(rest, fmt.Sprintf(":white_check_mark: *%d %s passed*", n, plural(n, "check")))
	}
	if n := len(ops.With(findings, ops.Inform)); n > 0 {
		rest = append(rest, fmt.Sprintf(":information_source: *%d good to know*", n))
	}
	if len(rest) > 0 {
		out = append(out, strings.Join(rest, " · ")+": see *Details*.")
	}
	return out
}

// findingsInFull are all findings by verdict, each with its evidence and what to
// do about it; what passed is a line each.
func findingsInFull(findings []ops.Finding) []string {
	var out []string
	for _, g := range groups {
		some := ops.With(findings, g.verdict)
		if len(some) == 0 {
			continue
		}
		out = append(out, g.title(len(some)))
		for _, f := range some {
			out = append(out, findingLine(f))
		}
	}
	if passed := ops.With(findings, ops.Pass); len(passed) > 0 {
		var titles []string
		for _, f := range passed {
			titles = append(titles, escape(cut(f.Title, 150))+" ("+escape(f.Check)+")")
		}
		out = append(out, fmt.Sprintf(":white_check_mark: *%d %s passed:* %s.", len(passed), plural(len(passed), "check"), strings.Join(titles, "; ")))
	}
	return out
}

func (g group) title(n int) string {
	title := g.one
	if n > 1 {
		title = g.many
		if strings.Contains(title, "%d") {
			title = fmt.Sprintf(title, n)
		}
	}
	return g.mark + " *" + title + "*"
}

// warningLine is a finding that decides nothing: what it is and what was seen.
func warningLine(f ops.Finding) string {
	s := "• *" + escape(cut(f.Title, 100)) + "* (" + escape(f.Check) + ")"
	if f.Unknown {
		s += " · could not look"
	}
	if f.Evidence != "" {
		s += ": " + prose(cut(plainLine(withoutUnknown(f.Evidence)), 240))
	}
	return s
}

// plainLine makes one line of a text, without code spans, which a cut would break.
func plainLine(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "`", "")), " ")
}

func findingLine(f ops.Finding) string {
	s := "• *" + escape(cut(f.Title, 150)) + "* (" + escape(f.Check) + ")"
	if f.Unknown {
		s += " · could not look"
	}
	if f.Evidence != "" {
		s += ": " + prose(cutLines(withoutUnknown(f.Evidence), 700))
	}
	if f.Fix != "" {
		s += "\n      _What to do:_ " + prose(cutLines(f.Fix, 900))
	}
	return s
}

// withoutUnknown keeps "unknown: ..." from being said twice.
func withoutUnknown(s string) string { return strings.TrimPrefix(s, "unknown: ") }

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// planLines say what the run will do, how long it takes, what it costs, and the
// way back.
func planLines(p *ops.RunPlan) []string {
	if p == nil {
		return []string{"No plan could be made."}
	}
	users := "users see the maintenance page"
	if p.ReadOnly() {
		users = "users can read but not write"
	}
	lines := []string{
		fmt.Sprintf("*What:* %s (%s, %s) goes from PostgreSQL %s to %s: I create a follower %s (%s), upgrade it, and switch %s to it.",
			code(p.Old.Name), escape(ops.ShortPlan(p.OldPlan)), ops.FormatBytes(p.Bytes), escape(orElse(p.FromMinor, p.From)), escape(p.To), code(p.NewName), escape(ops.ShortPlan(p.NewPlan)), prose(p.AppNames())),
		"*Price:* " + price(p) + ". It ends when the old database is destroyed.",
		fmt.Sprintf("*Time:* about %s to prepare, while the app stays open (creating the follower restarts its dynos once or twice). Then the cutover: about %s in which %s; past %s I go back by myself.",
			roughly(p.Forecast.Provision+p.Forecast.CatchUp), ops.FormatDuration(p.Forecast.Outage), users, ops.FormatDuration(p.Forecast.Limit)),
	}
	if w := whenWords(p); w != "" {
		lines = append(lines, "*When:* "+w)
	}
	if p.ReadOnlyFlag != "" {
		lines = append(lines, flagWords(p))
	}
	backup := "one is taken beside the follower."
	if !p.NeedsBackup {
		backup = "none is taken: " + prose(p.BackupWhy) + "."
	}
	if p.SQL {
		lines = append(lines, "*Writers:* by SQL I make "+code(p.Old.Name)+" read-only for everybody during the cutover, and see that nothing moves in it.")
	} else {
		lines = append(lines, "*Writers:* I stop the dynos; a program elsewhere with a copy of the URL is not stopped ("+noSQL(p)+").")
	}
	return append(lines, "*Backup:* "+backup,
		"*Way back:* until the switch, the app just goes on with "+code(p.Old.Name)+", which is not changed. After it, the old database is kept until somebody destroys it.")
}

// flagWords are about the config var that tells the app to live read-only.
func flagWords(p *ops.RunPlan) string {
	switch {
	case p.ReadOnly():
		return "*Read-only:* " + code(p.ReadOnlyFlag) + " tells the app during the cutover that it can only read."
	case p.SQL:
		return "*Read-only:* the app can live read-only with " + code(p.ReadOnlyFlag) + ": with the word `read-only` behind the app's name, users can read during the cutover."
	}
	return "*Read-only:* the app could live read-only with " + code(p.ReadOnlyFlag) + ", but only SQL can make the database read-only (" + noSQL(p) + "), so users see the maintenance page."
}

// whenWords says when the cutover may begin; "" when at any time.
func whenWords(p *ops.RunPlan) string {
	var parts []string
	if !p.NotBefore.IsZero() {
		parts = append(parts, "the cutover begins at "+date(p.NotBefore, dayAndTime)+" at the earliest, if it was approved before; the follower is kept until then")
	}
	if len(p.Windows) > 0 {
		parts = append(parts, "a cutover takes place within "+code(ops.FormatWindows(p.Windows))+" ("+escape(p.Zone)+")")
	}
	if len(p.Freezes) > 0 {
		parts = append(parts, "none begins within "+code(ops.FormatFreezes(p.Freezes)))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "; ") + "."
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Findings is the answer to a check: what was found, and what a start would do.
// Its button shows everything that was found; request is what was checked.
func Findings(s ops.Survey, request ops.Request) View { return checked(s, request, false) }

// FindingsInFull is Findings with every finding, what it saw and what to do.
func FindingsInFull(s ops.Survey, request ops.Request) View { return checked(s, request, true) }

func checked(s ops.Survey, request ops.Request, full bool) View {
	title := "Check of " + s.App.Name
	if s.Plan != nil {
		title += ": PostgreSQL " + s.Plan.From + " → " + s.Plan.To
	}
	lead, next := verdict(s.Findings), "`/pgupgrade start "+s.App.Name+"` begins. Nothing was changed by this check."
	if ops.Worst(s.Findings) == ops.Block || s.Plan == nil {
		next = "Put it right, then `/pgupgrade check " + s.App.Name + "` again. Nothing was changed by this check."
	}
	v := View{Blocks: []slackgo.Block{header(title), section(lead)}}
	found := findingLines(s.Findings)
	if full {
		found = findingsInFull(s.Findings)
	}
	v.Blocks = append(v.Blocks, sections(found)...)
	var lines []string
	switch {
	case s.Plan != nil && full:
		lines = fateLines(s.Plan, true)
	case s.Plan != nil:
		lines = append(planLines(s.Plan), fateLines(s.Plan, false)...)
	}
	if len(lines) > 0 {
		v.Blocks = append(v.Blocks, slackgo.NewDividerBlock())
		v.Blocks = append(v.Blocks, sections(lines)...)
	}
	v.Blocks = append(v.Blocks, section("*Next:* "+next))
	if !full {
		v.Blocks = append(v.Blocks, checkRow(s.App.Name, request, "Details", true), small("*Details* looks again and shows every check."))
	}
	v.Text = escape(title) + ". " + unmark(lead) + "\n" + unmark(strings.Join(append(found, lines...), "\n")) + "\nNext: " + next
	return fit(v)
}

// verdict is the findings in one sentence.
func verdict(findings []ops.Finding) string {
	n := func(v ops.Verdict) int { return len(ops.With(findings, v)) }
	switch ops.Worst(findings) {
	case ops.Block:
		return ":no_entry: *It cannot start yet.* " + fmt.Sprintf("%d of %d checks block.", n(ops.Block), len(findings))
	case ops.Acknowledge:
		return ":raised_hand: *It can start, once an approver accepts what is listed here.*"
	case ops.Warn:
		return fmt.Sprintf(":white_check_mark: *It can start.* %d %s to read first.", n(ops.Warn), plural(n(ops.Warn), "warning"))
	}
	return ":white_check_mark: *It can start.* Every check passed."
}

// unmark takes emphasis and emoji out of mrkdwn, for the text that is read aloud.
func unmark(s string) string {
	s = emojiName.ReplaceAllString(s, "$1")
	return strings.NewReplacer("*", "", "_What to do:_", "What to do:").Replace(s)
}
