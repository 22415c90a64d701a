package upgrade

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// SlackFresh is how recently Slack must have taken a post before users are kept out.
const SlackFresh = 60 * time.Second

// gateCutover asks, and acts on a yes only when everything is fresh and quiet.
func gateCutover(t *turn) {
	behind, ok := t.lag()
	if !ok || !t.awaitBackup() {
		return
	}
	if !t.w.Survey.Known {
		t.blind("the checks before the cutover", t.w.Survey.Why)
		return
	}
	fresh := t.w.Survey.Value
	if fresh.Plan == nil {
		t.blind("the checks before the cutover", "no plan could be made")
		return
	}
	// What passes by itself neither blocks the question nor voids its answer: a
	// given yes waits for it.
	stays, passing := check.Split(fresh.Findings)
	if blocks := ops.With(stays, ops.Block); len(blocks) > 0 {
		if seen := slices.DeleteFunc(slices.Clone(blocks), func(f ops.Finding) bool { return f.Unknown }); len(seen) > 0 {
			t.blocked(seen)
		} else { // not "no": the question and its answer stand until it can be read again
			t.blind("what is checked before the cutover", blocks[0].Evidence)
		}
		return
	}
	t.run.Plan.Apps = fresh.Plan.Apps
	p := fresh.Plan // what was set for the app since counts; people see it, and a yes to something else lapses
	t.run.Plan.OneOffs, t.run.Plan.Soak, t.run.Plan.Windows, t.run.Plan.Freezes = p.OneOffs, p.Soak, p.Windows, p.Freezes
	opening, ok := t.run.Plan.Schedule(t.w.Zone).Next(t.now, t.run.Plan.Forecast.Outage)
	if !ok {
		t.blocked([]ops.Finding{{Evidence: "No time within a year is open to a cutover of " + ops.FormatDuration(t.run.Plan.Forecast.Outage) + ".", Fix: "Change the window or the freeze with `/pgupgrade set`."}})
		return
	}
	digest := t.run.Plan.Digest(t.run.Follower.ID, stays)
	if t.run.Asked == nil || t.run.Asked.Digest != digest {
		t.run.Findings = append(stays, asWarnings(passing)...)
		t.run.Plan.Forecast = fresh.Plan.Forecast // what is approved is what is shown with this question
		again := ""
		if t.run.Asked != nil {
			again = "The checks, the settings or the attachments have changed, so an earlier approval no longer counts. "
		}
		t.askCutover(digest, again, opening)
		return
	}
	if d, expired := ops.ExpiredDecision(t.w.Decisions, ops.GateCutover, digest, t.run.Asked.At, t.now); expired {
		t.askCutover(digest, fmt.Sprintf("The approval of %s has expired before the cutover could begin. ", d.Actor.Mention()), opening)
		return
	}
	t.run.Asked.Opens = opens(opening, t.now)
	d, answered := ops.LatestDecision(t.w.Decisions, ops.GateCutover, digest, t.run.Asked.At, t.now)
	switch {
	case !answered:
		t.run.Asked.Blocked = ""
		t.wait(pollOutside(t.now.Sub(t.run.Asked.At), 5*time.Minute), "Waiting for an approver to answer.")
	case !d.Yes:
		t.back("the cutover was declined by %s", d.Actor.Mention())
	case opening.From.After(t.now):
		t.hold("for "+ops.FormatMoment(opening.From, t.w.Zone), d)
		t.wait(min(opening.From.Sub(t.now), 5*time.Minute), "%s", t.run.Next)
	default:
		why := t.unready(behind, d)
		if why == "" && len(passing) > 0 {
			why = waitingFor(passing)
		}
		if why != "" {
			t.hold(why, d)
			return
		}
		t.beginFence(d)
	}
}

// askCutover puts the question, with the time for which it is put.
func (t *turn) askCutover(digest, again string, opening ops.Opening) {
	when := ""
	if from := opens(opening, t.now); !from.IsZero() {
		when = " on " + ops.FormatMoment(from, t.w.Zone)
	}
	t.ask(ops.GateCutover, digest, "%sMay the cutover begin%s? %s will be %s for about %s.", again, when, t.run.Plan.AppNames(), kept(t.run.Plan), ops.FormatDuration(t.run.Plan.Forecast.Outage))
	t.run.Asked.Opens = opens(opening, t.now)
}

// kept is how users find the apps during the cutover.
func kept(p *ops.RunPlan) string {
	if p.ReadOnly() {
		return "read-only"
	}
	return "in maintenance"
}

// opens is when the cutover may begin; zero when it may now.
func opens(o ops.Opening, now time.Time) time.Time {
	if o.From.After(now) {
		return o.From
	}
	return time.Time{}
}

// blocked waits while something blocks, and says so once.
func (t *turn) blocked(blocks []ops.Finding) {
	text := "The cutover cannot be approved yet: " + blocking(blocks)
	if t.run.Next != text {
		t.say(ops.EventWarning, "%s", text)
	}
	t.run.Asked = nil
	t.wait(30*time.Second, "%s", text)
}

// hold keeps a given yes waiting for something that passes, and says so once. A
// look right before the fence is some 25 calls, so it stretches: at most 30 s.
func (t *turn) hold(why string, d ops.Decision) {
	if t.run.Asked.Blocked != why {
		t.say(ops.EventNote, "Approved; waiting: %s.", why)
	}
	ask := *t.run.Asked
	ask.Blocked = why
	t.run.Asked = &ask
	t.wait(pollOutside(t.now.Sub(d.At), 5*time.Minute), "Approved; waiting: %s.", why)
}

// asWarnings are findings that are not decided on: they will have passed.
func asWarnings(passing []ops.Finding) []ops.Finding {
	out := slices.Clone(passing)
	for i := range out {
		out[i].Verdict = ops.Warn
	}
	return out
}

// waitingFor names what a given yes waits for.
func waitingFor(passing []ops.Finding) string {
	var out []string
	for _, f := range passing {
		out = append(out, fmt.Sprintf("%s (%s): %s", f.Title, f.Check, strings.TrimSuffix(f.Evidence, ".")))
	}
	return strings.Join(out, "; ")
}

// unready says what must pass before the fence, or "".
func (t *turn) unready(behind int, d ops.Decision) string {
	for _, app := range t.run.Plan.Apps {
		f := t.w.Apps[app.ID]
		if why := f.unreadable(app.Name); why != "" {
			return "could not read " + why
		}
		if app.Flag != "" && t.run.Plan.ReadOnly() && !f.Flag.Known {
			return fmt.Sprintf("the config vars of %s cannot be read (%s)", app.Name, firstWhy(f.Flag.Why))
		}
		if names := check.OneOffs(f.Dynos.Value, f.Formation.Value); len(names) > 0 && t.run.Plan.OneOffs != ops.OneOffStop {
			return fmt.Sprintf("one-off dynos run on %s (%s)", app.Name, strings.Join(names, ", "))
		}
		if why := check.Deploying(f.Releases.Value, f.Builds); why != "" {
			return why + " on " + app.Name
		}
	}
	if t.run.Plan.SQL {
		if ok, why := insideWhy(t.w.Old.SQL.Server); !ok {
			return fmt.Sprintf("`%s` cannot be reached by SQL just now (%s), and without it its writers cannot be stopped", t.run.Database.Name, why)
		}
	}
	if behind > CaughtUp {
		return fmt.Sprintf("the follower is %d commits behind", behind)
	}
	// Whoever approves at a terminal does so because Slack is away, and watches there.
	if d.How != ops.ByTerminal && (t.w.SlackAt.IsZero() || t.now.Sub(t.w.SlackAt) > SlackFresh) {
		return "Slack has not taken a message from me within the last minute, so nobody could follow the cutover"
	}
	return ""
}

func unread[T any](f ops.Fact[T]) string {
	if f.Known {
		return ""
	}
	return firstWhy(f.Why)
}

// beginFence records the baseline and posts how to undo the fence by hand,
// before anything is touched.
func (t *turn) beginFence(d ops.Decision) {
	b := &ops.Baseline{At: t.now}
	var undo []string
	for _, app := range t.run.Plan.Apps {
		f := t.w.Apps[app.ID]
		b.Apps = append(b.Apps, ops.BaselineApp{
			Ref: app.Ref, Maintenance: f.App.Value.Maintenance, Formation: f.Formation.Value,
			Release: newest(f.Releases.Value).Version, Attachments: f.Attachments.Value, Health: f.Health.Value, Flagged: f.Flag.Value,
		})
		if !t.run.Plan.ReadOnly() {
			undo = append(undo, undoCommands(b.Apps[len(b.Apps)-1])...)
		}
	}
	t.run.Baseline = b
	t.run.SQL = ops.SQLWork{On: t.run.Plan.SQL, Why: t.run.Plan.SQLWhy}
	if t.run.SQL.On {
		undo = append(unflagByHand(t.run.Plan), undo...)
		undo = append([]string{clearByHand(oldPlace(t.run), t.w.database(t.run, t.run.Database.ID), ops.DBFence{})}, undo...)
	}
	t.run.Outage.From = t.now
	t.run.Outage.Limit = t.now.Add(t.run.Plan.Forecast.Limit)
	t.run.Asked = nil
	t.to(ops.StepFence, "approved by %s", d.Actor.Mention())
	t.say(ops.EventUndo, "%s", strings.Join(undo, "\n"))
}

func undoCommands(app ops.BaselineApp) []string {
	var scale []string
	for _, p := range app.Formation {
		if p.Type != ops.ReleaseProcess && p.Quantity > 0 {
			scale = append(scale, fmt.Sprintf("%s=%d", p.Type, p.Quantity))
		}
	}
	var out []string
	if len(scale) > 0 {
		out = append(out, fmt.Sprintf("heroku ps:scale %s -a %s", strings.Join(scale, " "), app.Name))
	}
	if !app.Maintenance {
		out = append(out, "heroku maintenance:off -a "+app.Name)
	}
	return out
}
