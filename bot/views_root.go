package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Root is the one message of a run in the channel, edited in place: what, who,
// since when, each stage, what happens next, how to stop it, and the buttons
// that are legal now.
func Root(run ops.Run, decisions []ops.Decision, now time.Time) View {
	title := fmt.Sprintf("Upgrade %s: %s", run.App.Name, versions(run))
	lead := stateMark(run) + " *" + upperFirst(state(run)) + "*"
	if line := situation(run); line != "" {
		lead += "\n" + line
	}
	stages := stages(run)
	var drawn, said []string
	for _, s := range stages {
		drawn = append(drawn, s.draw())
		said = append(said, s.say())
	}
	var tail []string
	if s := nextWords(run); s != "" {
		tail = append(tail, "*Next:* "+s)
	}
	if s := stopWords(run); s != "" {
		tail = append(tail, "*To stop:* "+s)
	}
	for _, l := range run.Leftovers {
		tail = append(tail, "*To clean up:* "+prose(l))
	}
	v := View{}
	v.Blocks = append(v.Blocks, header(title), section(lead))
	if len(drawn) > 0 {
		v.Blocks = append(v.Blocks, section(strings.Join(drawn, "\n")))
	}
	v.Blocks = append(v.Blocks, sections(tail)...)
	v.Blocks = append(v.Blocks, small(footer(run, now)))
	v.Blocks = append(v.Blocks, actionRow(run, LegalButtons(run, decisions))...)

	text := escape(title) + ": " + state(run) + "."
	if line := situation(run); line != "" {
		text += "\n" + line
	}
	text += "\n" + strings.Join(said, "; ") + "."
	for _, t := range tail {
		text += "\n" + strings.ReplaceAll(t, "*", "")
	}
	v.Text = text + "\n" + footer(run, now)
	return fit(v)
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// situation is the one or two lines that matter most now.
func situation(run ops.Run) string {
	var lines []string
	if !run.Active() {
		why := run.Why
		for _, said := range []string{"Went back: ", "Not started: "} { // the state says it already
			why = strings.TrimPrefix(why, said)
		}
		return prose(upperFirst(why))
	}
	if run.Help != "" {
		lines = append(lines, prose(run.Help))
	}
	if !run.Key.Told.IsZero() {
		lines = append(lines, ":octagonal_sign: Heroku refuses my key since "+date(run.Key.Since, dayAndTime)+": I can neither see nor do anything until `HEROKU_API_KEY` is a new one.")
	}
	if run.Returning && run.Why != "" {
		lines = append(lines, "Why: "+prose(run.Why)+".")
	}
	if fenced(run) {
		s := keptOut(run) + " since " + date(fencedSince(run), timeSecs)
		if run.Plan != nil && !run.RollingBack() {
			s += "; forecast " + ops.FormatDuration(run.Plan.Forecast.Outage)
		}
		if !run.Outage.Limit.IsZero() && !run.Returning && run.Step.Before(ops.StepPromote) {
			s += "; at " + date(run.Outage.Limit, timeOnly) + " at the latest I go back by myself"
		}
		lines = append(lines, s+".")
	}
	switch run.Step {
	case ops.StepRollbackMeter:
		if run.Rollback.Meter != "" {
			lines = append(lines, "What would be lost: "+prose(run.Rollback.Meter)+".")
		}
	case ops.StepCatchUp, ops.StepGateCutover, ops.StepCatchUpExact:
		if s := lagWords(run.Lag); s != "" {
			lines = append(lines, "Lag: "+lagArrow(run.Lag)+s+".")
		}
	case ops.StepVerifyApp:
		if run.Verified.Health != "" {
			lines = append(lines, "Not well yet: "+prose(run.Verified.Health)+".")
		}
	case ops.StepSoak, ops.StepGateDestroy:
		if !run.Verified.Good && run.Verified.Health != "" {
			lines = append(lines, ":warning: After the switch: "+prose(run.Verified.Health)+".")
		}
		lines = append(lines, soakWords(run))
		if run.Soak.Snoozed.After(run.StepSince) {
			lines = append(lines, "Reminder snoozed until "+date(run.Soak.Snoozed, dayOnly)+": "+escape(run.Soak.SnoozeReason))
		}
	}
	if run.Asked != nil && run.Asked.Blocked != "" {
		lines = append(lines, "Approved; waiting: "+prose(run.Asked.Blocked)+".")
	}
	return strings.Join(lines, "\n")
}

// soakWords is the evidence about the retired database, as samples say.
func soakWords(run ops.Run) string {
	s := run.Soak
	text := fmt.Sprintf("%s database %s: looked at %s times", upperFirst(retired(run)), code(run.Retired().Name), count(s.Samples))
	switch {
	case s.Samples == 0:
		text = fmt.Sprintf("%s database %s: not looked at yet", upperFirst(retired(run)), code(run.Retired().Name))
	case s.LastUse.IsZero():
		text += ", nobody was connected"
	default:
		text += ", somebody was connected last on " + date(s.LastUse, dayAndTime)
	}
	if s.Seen != "" {
		text += "; last look by SQL: " + prose(s.Seen)
	}
	if s.Unread > 0 {
		text += fmt.Sprintf(" (%d more looks could not be read)", s.Unread)
	}
	if len(s.Attached) > 0 {
		text += "; still attached as " + escape(strings.Join(s.Attached, ", "))
	}
	return text + "."
}

func footer(run ops.Run, now time.Time) string {
	parts := []string{"Asked for by " + mention(run.Requester) + " " + date(run.CreatedAt, dayAndTime), code(run.ID)}
	if c := soFar(run, now); c != "" {
		parts = append(parts, c+" so far")
	}
	switch {
	case !run.Active():
		parts = append(parts, "ended "+date(run.EndedAt, dayAndTime))
	case !run.UpdatedAt.IsZero():
		parts = append(parts, "as of "+date(run.UpdatedAt, timeSecs))
	}
	return strings.Join(parts, " · ")
}
