package bot

import (
	"fmt"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Said is a short answer to one person.
func Said(text string) View {
	return fit(View{Text: text, Blocks: []slackgo.Block{section(text)}})
}

// Help lists the commands.
func Help() View {
	var lines []string
	for _, u := range usage {
		lines = append(lines, "• `/pgupgrade "+u.words+"`: "+u.does)
	}
	lead := "*pgupgrade* upgrades Heroku Postgres databases by the follower method. It asks before it spends money, before it locks users out and before it destroys anything, and at each moment it says the way back."
	tail := "The buttons on an upgrade's message do the same as the commands. Times are shown in your time zone."
	return fit(View{
		Text:   unmark(lead) + "\n" + strings.Join(lines, "\n") + "\n" + tail,
		Blocks: append([]slackgo.Block{section(lead)}, append(sections(lines), small(tail))...),
	})
}

// Status is what is under way, one paragraph a run. links leads from a run's id
// to its message, where known; set is what is set for the app, when it is one.
func Status(runs []ops.Run, links, set map[string]string, now time.Time) View {
	if len(runs) == 0 {
		return Said("Nothing is under way. `/pgupgrade start APP` begins an upgrade; `/pgupgrade history` shows past ones.")
	}
	var lines []string
	for _, r := range runs {
		lines = append(lines, statusLine(r, links[r.ID], now))
	}
	if s := settingsLine(set); s != "" {
		lines = append(lines, s)
	}
	v := View{Blocks: sections(lines), Text: unmark(strings.Join(lines, "\n"))}
	if len(runs) == 1 {
		v.Blocks = append(v.Blocks, small(footer(runs[0], now)))
		v.Text += "\n" + footer(runs[0], now)
	}
	return fit(v)
}

func statusLine(r ops.Run, link string, now time.Time) string {
	s := stateMark(r) + " *" + escape(r.App.Name) + "* " + versions(r) + ": *" + state(r) + "*"
	if link != "" {
		s += " (<" + link + "|message>)"
	}
	if line := situation(r); line != "" {
		s += "\n" + line
	}
	if !r.Active() {
		return s
	}
	for _, x := range stages(r) {
		if x.mark != markDone && x.mark != markNext {
			s += "\n" + x.draw()
		}
	}
	s += "\n*Next:* " + nextWords(r) + "\n*To stop:* " + stopWords(r)
	if c := soFar(r, now); c != "" {
		s += "\n*Cost:* " + c + " so far"
	}
	return s
}

// Details is what the root message leaves out: the findings, the plan, and each
// step with its duration and note.
func Details(s Story) View {
	run := s.Run
	lines := []string{"*" + escape(s.title()) + "*: " + state(run)}
	for _, r := range run.Steps {
		line := "• " + string(r.Step) + " · " + date(r.Begun, timeSecs)
		if !r.Ended.IsZero() {
			line += " · " + ops.FormatDuration(r.Ended.Sub(r.Begun))
		}
		if r.Note != "" {
			line += " · " + prose(r.Note)
		}
		lines = append(lines, line)
	}
	lines = append(lines, provenLines(run)...)
	if who := s.decisions(); len(who) > 0 {
		lines = append(lines, "*Decisions:* "+strings.Join(who, "; "))
	}
	plan := []string{"*Plan*"}
	plan = append(plan, planLines(run.Plan)...)
	plan = append(plan, fateLines(run.Plan, true)...)
	if run.Plan != nil && run.Plan.Forecast.Why != "" {
		plan = append(plan, "*Forecast:* "+prose(run.Plan.Forecast.Why)+".")
	}
	found := append([]string{"*Findings*"}, findingsInFull(run.Findings)...)
	v := View{Blocks: sections(lines)}
	v.Blocks = append(v.Blocks, slackgo.NewDividerBlock())
	v.Blocks = append(v.Blocks, sections(plan)...)
	v.Blocks = append(v.Blocks, slackgo.NewDividerBlock())
	v.Blocks = append(v.Blocks, sections(found)...)
	all := append(append(lines, plan...), found...)
	v.Text = unmark(strings.Join(all, "\n"))
	return fit(v)
}

// LagView is the one message about the lag in a run's thread, edited in place.
// It reports false while there is nothing to show.
func LagView(run ops.Run) (View, bool) {
	n := len(run.Lag.Samples)
	if n == 0 {
		return View{}, false
	}
	last := run.Lag.Samples[n-1]
	text := ":chart_with_downwards_trend: *Lag:* " + lagArrow(run.Lag) + lagWords(run.Lag) + " · " + date(last.At, timeSecs)
	if n > 1 {
		text += "\n" + "`" + sparkline(run.Lag.Samples) + "` " + count(run.Lag.Samples[0].Behind) + " → " + count(last.Behind) + " commits in " + ops.FormatDuration(last.At.Sub(run.Lag.Samples[0].At))
	}
	return simple(text), true
}

// sparkline draws the readings as a row of bars; the numbers stand beside it.
func sparkline(samples []ops.LagSample) string {
	const bars = "▁▂▃▄▅▆▇█"
	top := 1
	for _, s := range samples {
		top = max(top, s.Behind)
	}
	step := max(1, (len(samples)+19)/20)
	var b strings.Builder
	for i := 0; i < len(samples); i += step {
		level := samples[i].Behind * 7 / top
		b.WriteRune([]rune(bars)[min(max(level, 0), 7)])
	}
	return b.String()
}

// Confirmation is the answer to a typed cancel that must be confirmed: what it
// would do, and the button.
func Confirmation(p ops.CancelPlan) View {
	buttons := only(LegalButtons(p.Run, nil), actCancel)
	for i := range buttons {
		buttons[i].Confirm, buttons[i].Label = "", "Stop the upgrade"
	}
	text := fmt.Sprintf("*Stop the upgrade of %s?* %s Nothing was done yet.", code(p.Run.App.Name), prose(p.Text))
	v := View{Text: unmark(text), Blocks: []slackgo.Block{section(text)}}
	v.Blocks = append(v.Blocks, actionRow(p.Run, buttons)...)
	return fit(v)
}
