package bot

import (
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Action ids of the buttons. They are constant; what a button is about is in
// its value.
const (
	actApprove  = "approve"
	actDecline  = "decline"
	actCancel   = "cancel"
	actRetry    = "retry"
	actGood     = "good"
	actBad      = "bad"
	actDestroy  = "destroy"
	actSnooze   = "snooze"
	actDetails  = "details"
	actExtend   = "extend"
	actRollback = "rollback"
	actCheck    = "check"   // look at an app; no run is needed
	actDryRun   = "dry-run" // have Heroku try the upgrade on a copy
)

// Button is one thing that is legal to press now. It carries ids and a digest,
// never an instruction: what it means is looked up when it is pressed.
type Button struct {
	Action  string
	Label   string
	Gate    ops.Gate
	Digest  string
	Style   slackgo.Style
	Confirm string // asked by Slack before the press is sent; "" when not asked
}

// target is what a button's value names.
type target struct {
	Run    string
	Gate   ops.Gate
	Digest string
}

func (t target) String() string { return t.Run + "|" + string(t.Gate) + "|" + t.Digest }

// parseTarget reads a button's value or a modal's private metadata. It reports
// false for anything that this program did not write.
func parseTarget(s string) (target, bool) {
	parts := strings.Split(s, "|")
	if len(parts) != 3 || parts[0] == "" || len(s) > 400 {
		return target{}, false
	}
	return target{Run: parts[0], Gate: ops.Gate(parts[1]), Digest: parts[2]}, true
}

// LegalButtons are the buttons that make sense at the step where the run
// stands, given the decisions so far. Pressing one is checked again by the
// service; this only keeps people from seeing what cannot work.
func LegalButtons(run ops.Run, decisions []ops.Decision) []Button {
	var out []Button
	if !run.Active() {
		return []Button{details(run)}
	}
	for _, gate := range []ops.Gate{ops.GateCreate, ops.GateCutover, ops.GateLoss} {
		out = append(out, answers(run, gate, decisions)...)
	}
	if _, open := ops.OpenQuestion(run, ops.GateCreate); open && ops.MayTry(run.Findings) {
		out = append(out, Button{Action: actDryRun, Label: "Dry run", Gate: ops.OrderDryRun, Digest: run.ID,
			Confirm: "Heroku tries the upgrade on a copy that it makes and destroys itself. The database is not changed. The result comes by e-mail to the owner of the database."})
	}
	if run.Help != "" {
		out = append(out, Button{Action: actRetry, Label: "Look again", Gate: ops.OrderRetry, Digest: run.ID, Style: slackgo.StylePrimary})
	}
	out = append(out, appButtons(run, decisions)...)
	if digest, open := ops.OpenQuestion(run, ops.GateRollback); open {
		out = append(out, Button{Action: actRollback, Label: "Roll back…", Gate: ops.GateRollback, Digest: digest, Style: slackgo.StyleDanger})
	}
	if digest, open := ops.OpenQuestion(run, ops.GateDestroy); open && run.Step == ops.StepGateDestroy && run.Help == "" {
		out = append(out,
			Button{Action: actDestroy, Label: "Destroy…", Gate: ops.GateDestroy, Digest: digest, Style: slackgo.StyleDanger},
			Button{Action: actSnooze, Label: "Snooze…", Gate: ops.OrderSnooze, Digest: run.ID})
	}
	if ops.MayExtend(run) {
		return append(out,
			Button{Action: actExtend, Label: "Extend " + ops.FormatDuration(ops.ExtendBy), Gate: ops.OrderExtend, Digest: run.ID, Style: slackgo.StylePrimary},
			Button{Action: actCancel, Label: "Return now", Gate: ops.OrderCancel, Digest: ops.CancelDigest(run), Style: slackgo.StyleDanger},
			details(run))
	}
	if run.Step == ops.StepRollbackMeter && run.Help == "" {
		return append(out, details(run)) // staying is what cancel would do
	}
	if p := ops.PlanCancel(run); p.Allowed && run.Help == "" || p.Allowed && !run.Step.Before(ops.StepFollowerCreate) {
		out = append(out, Button{Action: actCancel, Label: "Cancel", Gate: ops.OrderCancel, Digest: ops.CancelDigest(run), Style: slackgo.StyleDanger, Confirm: p.Text})
	}
	return append(out, details(run))
}

func details(run ops.Run) Button {
	return Button{Action: actDetails, Label: "Details", Gate: "details", Digest: run.ID}
}

// answers are the buttons of a question that is open and was not answered.
func answers(run ops.Run, gate ops.Gate, decisions []ops.Decision) []Button {
	digest, open := ops.OpenQuestion(run, gate)
	if !open || run.Help != "" {
		return nil
	}
	if gate == ops.GateLoss {
		return []Button{
			{Action: actApprove, Label: "Go back anyway", Gate: gate, Digest: digest, Style: slackgo.StyleDanger},
			{Action: actDecline, Label: "Stay on the new database", Gate: gate, Digest: digest, Style: slackgo.StylePrimary},
		}
	}
	if d, ok := given(decisions, gate, digest); ok && !d.At.Before(run.Asked.At) && d.Yes && run.Asked.Blocked != "" {
		return nil // approved, and held by something that passes
	}
	yes := map[ops.Gate]string{ops.GateCreate: "Approve follower", ops.GateCutover: "Approve cutover"}[gate]
	return []Button{
		{Action: actApprove, Label: yes, Gate: gate, Digest: digest, Style: slackgo.StylePrimary},
		{Action: actDecline, Label: "Decline", Gate: gate, Digest: digest, Confirm: declining(run, gate)},
	}
}

func declining(run ops.Run, gate ops.Gate) string {
	if gate == ops.GateCreate {
		return "This ends the upgrade. Nothing was created."
	}
	return "This ends the upgrade and destroys the follower " + run.Follower.Name + ". " + run.Database.Name + " and the app stay as they are."
}

// appButtons ask whether the app looks good, until somebody has said so.
func appButtons(run ops.Run, decisions []ops.Decision) []Button {
	digest, open := ops.OpenQuestion(run, ops.GateApp)
	if !open {
		return nil
	}
	d, answered := given(decisions, ops.GateApp, digest)
	if answered && d.Yes {
		return nil
	}
	out := []Button{{Action: actGood, Label: "App looks good", Gate: ops.GateApp, Digest: digest}}
	if !answered {
		out = append(out, Button{Action: actBad, Label: "Not good", Gate: ops.GateApp, Digest: digest})
	}
	return out
}

// given returns the newest decision at a gate about a digest.
func given(decisions []ops.Decision, gate ops.Gate, digest string) (ops.Decision, bool) {
	for i := len(decisions) - 1; i >= 0; i-- {
		if d := decisions[i]; d.Gate == gate && d.Digest == digest {
			return d, true
		}
	}
	return ops.Decision{}, false
}

// only keeps the buttons with the given actions, in that order of the list.
func only(all []Button, actions ...string) []Button {
	var out []Button
	for _, b := range all {
		for _, a := range actions {
			if b.Action == a {
				out = append(out, b)
			}
		}
	}
	return out
}

// actionRow draws buttons; nil when there are none.
func actionRow(run ops.Run, buttons []Button) []slackgo.Block {
	if len(buttons) == 0 {
		return nil
	}
	var elements []slackgo.BlockElement
	for _, b := range buttons {
		e := slackgo.NewButtonBlockElement(b.Action, target{run.ID, b.Gate, b.Digest}.String(), plainText(b.Label, 75))
		e.Style = b.Style
		e.AccessibilityLabel = cut(b.Label+" ("+run.App.Name+")", 75)
		if b.Confirm != "" {
			e.Confirm = slackgo.NewConfirmationBlockObject(plainText(b.Label+"?", 100), plainText(plain(strings.ReplaceAll(b.Confirm, "`", "")), 300),
				plainText(confirmWord(b), 30), plainText("Not now", 30))
			if b.Style == slackgo.StyleDanger {
				e.Confirm.Style = slackgo.StyleDanger
			}
		}
		elements = append(elements, e)
	}
	return []slackgo.Block{slackgo.NewActionBlock("", elements...)}
}

func confirmWord(b Button) string {
	if b.Action == actCancel {
		return "Stop the upgrade"
	}
	return b.Label
}
