package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// state is where a run stands, in a few words that need no colour.
func state(run ops.Run) string {
	switch run.Outcome {
	case ops.Succeeded:
		return "done"
	case ops.Returned:
		return "went back"
	case ops.Cancelled:
		return "cancelled"
	case ops.Refused:
		return "not started"
	}
	switch {
	case run.Help != "" && fenced(run):
		return "needs a person, users " + map[bool]string{true: "can only read", false: "are locked out"}[readOnly(run)]
	case run.Help != "":
		return "needs a person"
	case run.Returning:
		return "going back"
	}
	switch run.Step {
	case ops.StepSurvey:
		return "checking"
	case ops.StepGateCreate:
		return "waiting for approval"
	case ops.StepBackup, ops.StepFollowerCreate:
		return "creating the follower"
	case ops.StepCatchUp:
		return "catching up"
	case ops.StepGateCutover:
		if run.Asked == nil {
			return "getting ready for the cutover"
		}
		if run.Asked.Blocked != "" {
			return "approved, waiting"
		}
		return "waiting for approval of the cutover"
	case ops.StepVerifyApp:
		return "open again, checking the app"
	case ops.StepSoak:
		if run.RolledBack() {
			return "rolled back, running on the old database"
		}
		return "running on the new database"
	case ops.StepGateDestroy:
		return retired(run) + " database is safe to destroy"
	case ops.StepDestroy:
		return "destroying the " + retired(run) + " database"
	}
	switch {
	case run.Step == ops.StepRollbackMeter:
		return "rollback: waiting for a decision, users are locked out"
	case run.RollingBack():
		return "rollback under way"
	case run.Step.Cutover():
		return "cutover under way"
	}
	return string(run.Step)
}

// fenced reports whether users are kept out as far as the run knows.
func fenced(run ops.Run) bool {
	if run.RollingBack() {
		return run.Active() && (run.Rollback.Fenced || run.Rollback.Baseline != nil)
	}
	return run.Active() && run.Step.Cutover() && !run.Outage.From.IsZero() && run.Outage.Until.IsZero()
}

// fencedSince is since when users are kept out.
func fencedSince(run ops.Run) time.Time {
	if run.RollingBack() && !run.Rollback.Fenced {
		return run.Rollback.From
	}
	return run.Outage.From
}

// stateMark is the emoji that goes with the state; the words stand beside it.
func stateMark(run ops.Run) string {
	switch {
	case run.Outcome == ops.Succeeded:
		return ":white_check_mark:"
	case run.Outcome == ops.Returned:
		return ":leftwards_arrow_with_hook:"
	case run.Outcome != "":
		return ":no_entry_sign:"
	case run.Help != "":
		return ":octagonal_sign:"
	case run.Returning:
		return ":leftwards_arrow_with_hook:"
	case run.Step == ops.StepGateCreate, run.Step == ops.StepGateCutover:
		return ":raised_hand:"
	case run.Step.Cutover():
		return ":construction:"
	case run.Step == ops.StepGateDestroy, run.Step == ops.StepDestroy:
		return ":wastebasket:"
	}
	return ":hourglass_flowing_sand:"
}

// versions is "PostgreSQL 15 → 17", or what is known of it.
func versions(run ops.Run) string {
	switch {
	case run.Plan != nil:
		return "PostgreSQL " + run.Plan.From + " → " + run.Plan.To
	case run.Request.To != 0:
		return fmt.Sprintf("to PostgreSQL %d", run.Request.To)
	}
	return "PostgreSQL"
}

// lagWords says how far behind the follower is, where that goes, and when it
// will have caught up: "1,204 commits behind, falling; caught up in about 3 min".
func lagWords(lag ops.Lag) string {
	n := len(lag.Samples)
	if n == 0 {
		return ""
	}
	last := lag.Samples[n-1]
	if last.Behind == 0 {
		return "0 commits behind: caught up"
	}
	s := count(last.Behind) + " commits behind"
	if last.Behind == 1 {
		s = "1 commit behind"
	}
	if n == 1 {
		return s
	}
	first := lag.Samples[max(0, n-6)]
	fell, took := first.Behind-last.Behind, last.At.Sub(first.At)
	switch {
	case fell > 0 && took > 0:
		left := time.Duration(float64(last.Behind) / float64(fell) * float64(took))
		return s + ", falling; caught up in about " + roughly(left)
	case fell < 0:
		return s + ", rising"
	}
	return s + ", steady"
}

func lagArrow(lag ops.Lag) string {
	words := lagWords(lag)
	switch {
	case strings.Contains(words, "falling"):
		return "↓ "
	case strings.Contains(words, "rising"):
		return "↑ "
	case strings.Contains(words, "steady"):
		return "→ "
	}
	return ""
}

// roughly rounds a forecast so that it does not look more certain than it is.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return ops.FormatDuration(max(d.Round(10*time.Second), 10*time.Second))
	case d < time.Hour:
		return ops.FormatDuration(d.Round(time.Minute))
	}
	return ops.FormatDuration(d.Round(10 * time.Minute))
}

// nextWords is what happens next. The procedure's own words come first.
func nextWords(run ops.Run) string {
	switch {
	case !run.Active():
		return ""
	case run.Help != "":
		return "a person puts it right, then `/pgupgrade retry " + run.App.Name + "` (or *Look again*) goes on."
	}
	var s string
	switch run.Step {
	case ops.StepGateCreate:
		s = "an approver says yes or no. Nothing is created before that."
	case ops.StepGateCutover:
		if run.Asked != nil && run.Asked.Blocked == "" {
			s = "an approver says yes or no. The app stays open until then, and the follower stays caught up."
			if !run.Asked.Opens.IsZero() {
				s = "an approver says yes or no; after a yes the cutover begins at " + date(run.Asked.Opens, dayAndTime) + ". The app stays open until then, and the follower stays caught up."
			}
		}
	case ops.StepGateDestroy:
		s = "somebody destroys the " + retired(run) + " database, or snoozes the reminder. It costs money until then."
	case ops.StepSoak:
		s = "I watch both databases until " + date(run.Soak.Until, dayOnly) + " and say when the " + retired(run) + " one is safe to destroy."
	case ops.StepRollbackMeter:
		if !run.Rollback.Asked.IsZero() {
			s = "an approver says *Go back anyway* or *Stay on the new database*. Without an answer by " + date(run.Rollback.Asked.Add(ops.LossWait), timeOnly) + " the app stays on the new one."
		}
	}
	if s == "" {
		s = lowerFirst(prose(run.Next))
	}
	if s == "" {
		s = "looking again in a moment."
	}
	if run.Progress != "" && run.Step == ops.StepUpgrade {
		s += " Heroku says: " + prose(run.Progress) + "."
	}
	return s
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && !(s[1] >= 'A' && s[1] <= 'Z') && !strings.HasPrefix(s, "Heroku") && !strings.HasPrefix(s, "Slack") {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// stopWords is how to stop the run, and what that would do.
func stopWords(run ops.Run) string {
	if !run.Active() {
		return ""
	}
	p := ops.PlanCancel(run)
	if p.Allowed {
		return "*Cancel*, or `/pgupgrade cancel " + run.App.Name + "`. " + prose(p.Text)
	}
	switch {
	case run.Returning:
		return "nothing to stop; it is going back."
	case run.Help == "" && (run.Step == ops.StepPromote || run.Step == ops.StepUnfence):
		return "the switch to the new database has begun, so it is brought to its end; " + code(run.Database.Name) + " is kept."
	case run.Step == ops.StepDestroy:
		return "the order to destroy was given and cannot be taken back."
	}
	switch {
	case run.RollingBack():
		return "the rollback is brought to its end now; " + code(run.Follower.Name) + " is kept."
	case run.RolledBack():
		return "nothing to stop: " + opens(run) + " " + verb(severalApps(run), "is", "are") + " back on " + code(run.Database.Name) + ". " + code(run.Follower.Name) + " keeps everything written until the rollback."
	case run.Help != "" && fenced(run):
		return "*Roll back…*, or `/pgupgrade rollback " + run.App.Name + "`, goes back to " + code(run.Database.Name) + " after one more question."
	}
	return "the app uses the new database. *Roll back…*, or `/pgupgrade rollback " + run.App.Name + "`, goes back to " + code(run.Database.Name) + ", which still has everything as of the cutover."
}

// price is what both databases cost: "$50 a month while both exist, about $1.67 a day".
func price(p *ops.RunPlan) string {
	if p.Cents == 0 {
		return "unknown; Heroku does not say the price of `" + ops.ShortPlan(p.NewPlan) + "`"
	}
	return fmt.Sprintf("%s a month while both databases exist, about %s a day", ops.FormatCents(p.Cents), ops.FormatCents(ops.CentsFor(p.Cents, 24*time.Hour)))
}

// soFar is what the run has cost until now, "" before it costs anything.
func soFar(run ops.Run, now time.Time) string {
	if run.Follower.ID == "" || run.Plan == nil || run.Plan.Cents == 0 {
		return ""
	}
	if run.Cost(now) == 0 {
		return "less than 1 cent"
	}
	return ops.FormatCents(run.Cost(now))
}

// took is how long a step of the run lasted, over all times it was entered.
func took(run ops.Run, step ops.Step) (d time.Duration, ended bool) {
	for _, r := range run.Steps {
		if r.Step == step && !r.Ended.IsZero() {
			d += r.Ended.Sub(r.Begun)
			ended = true
		}
	}
	return d, ended
}

// note is what was seen at the end of the last time a step was left.
func note(run ops.Run, step ops.Step) string {
	for i := len(run.Steps) - 1; i >= 0; i-- {
		if r := run.Steps[i]; r.Step == step && !r.Ended.IsZero() {
			return r.Note
		}
	}
	return ""
}

// durationOf prints nanoseconds, "" below half a second.
func durationOf(n int64) string {
	if d := time.Duration(n); d >= 500*time.Millisecond {
		return ops.FormatDuration(d)
	}
	return ""
}
