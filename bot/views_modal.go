package bot

import (
	"fmt"
	"strconv"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Callback ids of the modals, and the ids of their inputs.
const (
	modalTyped  = "typed"
	modalSnooze = "snooze"
	modalAccept = "accept"

	inputName   = "name"
	inputDays   = "days"
	inputReason = "reason"
)

// TypedModal asks for the app's name before the cutover or the destruction, and
// counts what follows.
func TypedModal(run ops.Run, gate ops.Gate, digest string) slackgo.ModalViewRequest {
	title, submit, lines := "Approve the cutover", "Approve cutover", cutoverWords(run)
	lead := "You asked for this upgrade yourself, so you approve it by typing the app's name; the record says so."
	if gate == ops.GateDestroy {
		title, submit, lines = "Destroy "+retired(run)+" database", "Destroy", destroyCounts(run)
		lead = "*This cannot be undone.* It destroys " + code(run.Retired().Name) + " by its id, and nothing else:"
	}
	if gate == ops.GateRollback {
		title, submit, lines = "Roll back", "Roll back", rollbackWords(run)
		again := " again"
		if run.Outage.Until.IsZero() {
			again = "" // they are since the switch that could not end
		}
		lead = "*Users are locked out" + again + "*, until " + opens(run) + " " + verb(severalApps(run), "is", "are") + " back on " + code(run.Database.Name) + " (PostgreSQL " + from(run) + "):"
	}
	input := slackgo.NewInputBlock(inputName, plainText(fmt.Sprintf("Type %s", run.App.Name), 2000), nil,
		slackgo.NewPlainTextInputBlockElement(plainText(run.App.Name, 150), inputName).WithMaxLength(60))
	blocks := append([]slackgo.Block{section(lead)}, sections(lines)...)
	return modal(title, submit, modalTyped, target{run.ID, gate, digest}, append(blocks, input))
}

// AcceptModal lists everything that a yes at a gate acknowledges, for one press
// that acknowledges it all.
func AcceptModal(run ops.Run, gate ops.Gate, digest string) slackgo.ModalViewRequest {
	need := ops.ToAccept(run, gate)
	lead := fmt.Sprintf("*%d %s by whoever approves.* Data or an outage is at stake in each. If one of them changes, this approval lapses and I ask anew.",
		len(need), map[bool]string{true: "thing is accepted", false: "things are accepted"}[len(need) == 1])
	var lines []string
	for _, f := range need {
		lines = append(lines, findingLine(f))
	}
	title := map[ops.Gate]string{ops.GateCreate: "Approve the follower", ops.GateCutover: "Approve the cutover"}[gate]
	return modal(title, "Accept and approve", modalAccept, target{run.ID, gate, digest}, append([]slackgo.Block{section(lead)}, sections(lines)...))
}

// rollbackWords is what a rollback does and what it may lose.
func rollbackWords(run ops.Run) []string {
	return []string{
		"• First every dyno of " + apps(run) + " stops and the maintenance page is shown.",
		"• Then I ask once more. Without an answer within " + ops.FormatDuration(ops.LossWait) + ", or with a no, everything stays as it is now.",
		"• With a yes " + prose(movedNames(run)) + " " + verb(severalNames(run), "goes", "go") + " back, the dynos start as they are recorded now, and " + code(run.Follower.Name) + " is kept with all its data until somebody destroys it.",
		"*What is lost:* " + lostWords(run),
		goneOn(run),
	}
}

// retired is what people call the database that is watched and then destroyed.
func retired(run ops.Run) string {
	if run.RolledBack() {
		return "new"
	}
	return "old"
}

// destroyCounts is what destroying the retired database means, counted.
func destroyCounts(run ops.Run) []string {
	if run.RolledBack() {
		return destroyNewCounts(run)
	}
	lines := []string{"• 1 database: " + code(run.Database.Name)}
	if p := run.Plan; p != nil {
		lines[0] += fmt.Sprintf(" (%s, PostgreSQL %s, %s when it was surveyed), with its data as of the cutover", escape(ops.ShortPlan(p.OldPlan)), escape(p.From), ops.FormatBytes(p.Bytes))
		if p.OldCents > 0 {
			lines = append(lines, fmt.Sprintf("• %s a month less to pay", ops.FormatCents(p.OldCents)))
		}
		if p.OldAlias != "" {
			lines = append(lines, "• 1 spare name: "+code(p.OldAlias)+" on "+code(p.BillingApp.Name))
		}
		lines = append(lines, "• Its backups: Heroku may delete them with the database. To keep one: `heroku pg:backups:capture "+escape(run.Database.Name)+" -a "+escape(p.BillingApp.Name)+"`, then `heroku pg:backups:download -a "+escape(p.BillingApp.Name)+"`, before you go on.")
	}
	for _, x := range run.Replicas {
		lines = append(lines, "• Not destroyed, and billed on, with nobody to follow: "+prose(x.Words()))
	}
	lines = append(lines, "• The way back: after this, going back to PostgreSQL "+from(run)+" means restoring a backup.", "*Seen:* "+soakWords(run))
	if run.Step == ops.StepSoak {
		lines = append(lines, soakNotOver(run))
	}
	return lines
}

// destroyNewCounts is what destroying the new database means after a rollback.
func destroyNewCounts(run ops.Run) []string {
	lines := []string{"• 1 database: " + code(run.Follower.Name)}
	if p := run.Plan; p != nil {
		lines[0] += fmt.Sprintf(" (%s, PostgreSQL %s), with everything that was written to it between the switch and the rollback", escape(ops.ShortPlan(p.NewPlan)), escape(p.To))
		if p.Cents > 0 {
			lines = append(lines, fmt.Sprintf("• %s a month less to pay", ops.FormatCents(p.Cents)))
		}
		lines = append(lines, "• To keep those rows: `heroku pg:backups:capture "+escape(run.Follower.Name)+" -a "+escape(p.BillingApp.Name)+"`, then `heroku pg:backups:download -a "+escape(p.BillingApp.Name)+"`, before you go on.")
	}
	lines = append(lines, "*Seen:* "+soakWords(run))
	if run.Step == ops.StepSoak {
		lines = append(lines, soakNotOver(run))
	}
	return lines
}

func soakNotOver(run ops.Run) string {
	return ":warning: *The soak is not over* (until " + date(run.Soak.Until, dayAndTime) + "). Destroying now overrides it, and the record says that you did."
}

func from(run ops.Run) string {
	if run.Plan == nil {
		return "the old version"
	}
	return escape(run.Plan.From)
}

// SnoozeModal asks for how long, and why.
func SnoozeModal(run ops.Run) slackgo.ModalViewRequest {
	days := slackgo.NewPlainTextInputBlockElement(plainText("3", 150), inputDays).WithInitialValue("3").WithMaxLength(2)
	reason := slackgo.NewPlainTextInputBlockElement(plainText("waiting for the monthly report", 150), inputReason).WithMaxLength(300)
	blocks := []slackgo.Block{
		section("No reminder about " + code(run.Retired().Name) + " for some days. It costs money meanwhile" + monthly(run) + "."),
		slackgo.NewInputBlock(inputDays, plainText("Days, 1 to 30", 2000), nil, days),
		slackgo.NewInputBlock(inputReason, plainText("Why? Others see it.", 2000), nil, reason),
	}
	return modal("Snooze the reminder", "Snooze", modalSnooze, target{run.ID, ops.OrderSnooze, run.ID}, blocks)
}

func monthly(run ops.Run) string {
	if run.Plan == nil || run.Plan.OldCents == 0 {
		return ""
	}
	return ", " + ops.FormatCents(run.Plan.OldCents) + " a month"
}

// Notice is a modal without an input: what became of the one before it.
func Notice(title, text string) slackgo.ModalViewRequest {
	v := modal(title, "", "", target{}, []slackgo.Block{section(text)})
	v.PrivateMetadata = ""
	return v
}

// maxModal is below the hundred blocks that a modal may have, so that what is in
// them stays below Slack's 250 kB (docs.slack.dev/reference/views).
const maxModal = 60

func modal(title, submit, callback string, about target, blocks []slackgo.Block) slackgo.ModalViewRequest {
	if len(blocks) > maxModal { // never the input, which stands last
		blocks = append(append(blocks[:maxModal-2:maxModal-2], small("… The rest is behind *Details*.")), blocks[len(blocks)-1])
	}
	v := slackgo.ModalViewRequest{
		Type: slackgo.VTModal, Title: plainText(title, 24), Close: plainText("Close", 24),
		Blocks: slackgo.Blocks{BlockSet: blocks}, CallbackID: callback, PrivateMetadata: about.String(),
	}
	if submit != "" {
		v.Submit, v.Close = plainText(submit, 24), plainText("Not now", 24)
	}
	return v
}

// parseSnooze reads what was put into the snooze modal; problems are by input.
func parseSnooze(days, reason string) (n int, why string, problems map[string]string) {
	problems = map[string]string{}
	n, err := strconv.Atoi(strings.TrimSpace(days))
	if err != nil || n < 1 || n > 30 {
		problems[inputDays] = "Give a number of days from 1 to 30."
	}
	if why = strings.TrimSpace(reason); why == "" {
		problems[inputReason] = "Give a reason, so that others know."
	}
	return n, why, problems
}
