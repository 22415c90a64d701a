package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// reminder repeats what nobody has answered. The words are the event's, frozen
// when it fired; the buttons are those that still count, on the newest one only.
func (s Story) reminder(e ops.Event) View {
	text := ":alarm_clock: " + prose(e.Text)
	switch {
	case !s.newest(e):
		return s.loud(e, text, nil)
	case e.Gate == ops.GateDestroy && s.Run.Step == ops.StepGateDestroy:
		return s.loud(e, text, s.legal(actDestroy, actSnooze, actDetails), destroyWords(s.Run)...)
	case e.Gate == ops.OrderRetry && s.Run.Help != "":
		return s.loud(e, text, s.legal(actRetry, actCancel, actDetails))
	case s.Run.Asked != nil && s.Run.Asked.Gate == e.Gate && s.Run.Help == "":
		return s.loud(e, text, s.legal(actApprove, actDecline, actDetails))
	}
	return s.loud(e, text, nil)
}

// destroyWords go with every offer to destroy the retired database.
func destroyWords(run ops.Run) []string {
	price := 0
	if run.Plan != nil {
		price = run.Plan.OldCents
		if run.RolledBack() {
			price = run.Plan.Cents
		}
	}
	lines := []string{
		closedWords(run),
		"*Next:* *Destroy…* asks for the app's name and says what is lost. *Snooze…* waits some days, with a reason.",
	}
	if price > 0 {
		lines = append(lines, fmt.Sprintf("*Price:* %s costs %s a month until it is destroyed.", code(run.Retired().Name), ops.FormatCents(price)))
	}
	return lines
}

// remindDestroy is the text of a reminder that the retired database can go: the
// evidence and the price so far.
func remindDestroy(run ops.Run, now time.Time) string {
	s := run.Soak
	on := to(run)
	if run.RolledBack() {
		on = from(run)
	}
	text := fmt.Sprintf("The %s database `%s` is safe to destroy: %s on PostgreSQL %s, %s looks at it",
		retired(run), run.Retired().Name, ops.FormatDuration(hours(now.Sub(s.From))), on, count(s.Samples))
	if s.LastUse.IsZero() {
		text += ", nobody was connected in any of them"
	} else {
		text += ", somebody was connected last " + ops.FormatDuration(now.Sub(s.LastUse)) + " ago"
	}
	text += ", no app is attached to it but by its spare name."
	text += seenWords(run)
	if c := soFar(run, now); c != "" {
		text += " Both databases together have cost " + c + " extra so far."
	}
	return text
}

// hours leaves out minutes where there are hours.
func hours(d time.Duration) time.Duration {
	if d > time.Hour {
		return d.Truncate(time.Hour)
	}
	return d
}

func to(run ops.Run) string {
	if run.Plan == nil {
		return "the new version"
	}
	return run.Plan.To
}

// remindAsked repeats a question that nobody has answered.
func remindAsked(run ops.Run, now time.Time) string {
	what := map[ops.Gate]string{ops.GateCreate: "whether to create the follower", ops.GateCutover: "whether the cutover may begin"}[run.Asked.Gate]
	text := fmt.Sprintf("Still waiting for an answer, since %s: %s.", ops.FormatDuration(now.Sub(run.Asked.At)), what)
	if c := soFar(run, now); c != "" {
		text += fmt.Sprintf(" The follower `%s` has cost %s so far.", run.Follower.Name, c)
	}
	return text
}

// remindHelp repeats a call for help.
func remindHelp(run ops.Run, now time.Time) string {
	text := "Still waiting for a person, since " + ops.FormatDuration(now.Sub(run.HelpSince))
	if fenced(run) {
		text += ", and users of " + run.AppNames() + " " + verb(readOnly(run), "see the maintenance page", "can read but not write")
	}
	return text + ". " + strings.TrimSpace(run.Help)
}
