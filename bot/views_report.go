package bot

import (
	"fmt"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// report is the last word of a run: versions, durations, downtime, decisions,
// cost, and what is left to clean up.
func (s Story) report(e ops.Event) View {
	run := s.Run
	title := map[string]string{
		ops.Succeeded: "Upgrade of " + run.App.Name + " is done",
		ops.Returned:  "Upgrade of " + run.App.Name + " went back",
		ops.Cancelled: "Upgrade of " + run.App.Name + " was cancelled",
		ops.Refused:   "Upgrade of " + run.App.Name + " did not start",
	}[run.Outcome]
	lines := []string{stateMark(run) + " " + prose(upperFirst(run.Why))}
	if run.Plan != nil && run.Outcome == ops.Succeeded {
		was, is := orElse(run.Plan.FromMinor, run.Plan.From), orElse(run.Proof.Version, run.Plan.To)
		lines = append(lines, "*Versions:* PostgreSQL "+escape(was)+" → "+escape(is))
	}
	if line := downtime(run); line != "" {
		lines = append(lines, line)
	}
	if rb := run.Rollback; rb != nil && !rb.Until.IsZero() {
		lines = append(lines, "*Downtime of the rollback:* "+ops.FormatDuration(rb.Until.Sub(rb.From)))
	}
	if parts := durations(run); len(parts) > 0 {
		lines = append(lines, "*Durations:* "+strings.Join(parts, " · "))
	}
	if parts := against(run); len(parts) > 0 {
		lines = append(lines, "*Against the forecast:* "+strings.Join(parts, " · "))
	}
	if who := s.decisions(); len(who) > 0 {
		lines = append(lines, "*Decisions:* "+strings.Join(who, "; "))
	}
	if soFar(run, run.EndedAt) != "" {
		lines = append(lines, "*Cost:* "+soFar(run, run.EndedAt)+" for the time in which both databases existed")
	}
	switch {
	case len(run.Leftovers) > 0:
		lines = append(lines, "*To clean up by hand:*")
		for _, l := range run.Leftovers {
			lines = append(lines, "• "+prose(l))
		}
	case run.Outcome != ops.Refused || run.Follower.ID != "":
		lines = append(lines, "*To clean up:* nothing")
	}
	if run.Outcome != ops.Succeeded {
		lines = append(lines, "*Next:* `/pgupgrade check "+run.App.Name+"` looks again, `/pgupgrade start "+run.App.Name+"` opens a new upgrade.")
	}
	v := View{Blocks: append([]slackgo.Block{header(title)}, sections(lines)...)}
	v.Blocks = append(v.Blocks, small(code(run.ID)+" · asked for by "+mention(run.Requester)+" "+date(run.CreatedAt, dayAndTime)+" · ended "+date(run.EndedAt, dayAndTime)))
	v.Text = escape(title) + ".\n" + strings.TrimSpace(unmark(strings.Join(lines, "\n")))
	return fit(v)
}

func downtime(run ops.Run) string {
	o := run.Outage
	if o.From.IsZero() || o.Until.IsZero() {
		return ""
	}
	s := "*Downtime:* "
	if run.Plan != nil && run.Plan.ReadOnly() {
		s = "*Writes stopped for:* "
	}
	s += ops.FormatDuration(o.Until.Sub(o.From))
	if run.Plan != nil {
		s += ", forecast " + ops.FormatDuration(run.Plan.Forecast.Outage)
	}
	if run.Proof.ProvingTook > 0 {
		s += "; " + ops.FormatDuration(run.Proof.ProvingTook) + " of it were proof that nothing was missing"
	}
	return s
}

// durations of the stages that were gone through.
func durations(run ops.Run) []string {
	var out []string
	for _, x := range []struct {
		name  string
		steps []ops.Step
	}{
		{"follower", []ops.Step{ops.StepBackup, ops.StepFollowerCreate}}, {"catching up", []ops.Step{ops.StepCatchUp}},
		{"waiting for approval", []ops.Step{ops.StepGateCreate, ops.StepGateCutover}}, {"stopping writers", []ops.Step{ops.StepFence}},
		{"last commits", []ops.Step{ops.StepCatchUpExact}}, {"upgrade", []ops.Step{ops.StepUpgrade, ops.StepVerifyNew}},
		{"promote", []ops.Step{ops.StepPromote}}, {"switching back", []ops.Step{ops.StepReturnAttach}}, {"opening", []ops.Step{ops.StepUnfence, ops.StepReturnUnfence}},
		{"rollback", []ops.Step{ops.StepRollbackFence, ops.StepRollbackMeter, ops.StepRollbackAttach, ops.StepRollbackUnfence, ops.StepRollbackLift}},
		{"soak", []ops.Step{ops.StepSoak, ops.StepGateDestroy}},
	} {
		var sum, any = int64(0), false
		for _, step := range x.steps {
			d, ended := took(run, step)
			sum += int64(d)
			any = any || ended
		}
		if d := durationOf(sum); any && d != "" {
			out = append(out, x.name+" "+d)
		}
	}
	return out
}

// against compares what each step took with what it was expected to take.
func against(run ops.Run) []string {
	if run.Plan == nil {
		return nil
	}
	var out []string
	for _, s := range run.Plan.Forecast.Steps {
		if d, ended := took(run, s.Step); ended && s.Takes > 0 && !wayBackFrom(run, lastRecord(run, s.Step)) {
			out = append(out, fmt.Sprintf("%s %s of %s", stepWords[s.Step], ops.FormatDuration(d), ops.FormatDuration(s.Takes)))
		}
	}
	return out
}

// decisions says who decided what, and how.
func (s Story) decisions() []string {
	var out []string
	for _, d := range s.Decisions {
		what := map[ops.Gate]string{
			ops.GateCreate: "follower", ops.GateCutover: "cutover", ops.GateApp: "app", ops.GateDestroy: "destroy", ops.GateRollback: "rollback", ops.GateLoss: "going back with a loss",
			ops.OrderCancel: "cancel", ops.OrderRetry: "look again", ops.OrderSnooze: "snooze",
		}[d.Gate]
		if what == "" {
			continue
		}
		answer := "yes"
		switch {
		case d.Gate == ops.GateApp && d.Yes:
			answer = "looks good"
		case d.Gate == ops.GateApp:
			answer = "not good"
		case d.Gate == ops.OrderCancel || d.Gate == ops.OrderRetry || d.Gate == ops.OrderSnooze:
			answer = "ordered"
		case !d.Yes:
			answer = "no"
		}
		how := map[string]string{ops.ByStart: " with the start", ops.ByTyped: " by typing the app's name", ops.ByTerminal: " at the terminal"}[d.How]
		out = append(out, fmt.Sprintf("%s %s by %s%s", what, answer, mention(d.Actor), how))
	}
	return out
}
