package bot

import (
	"fmt"
	"regexp"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Story is what the views of a run's thread are drawn from: rows, and whom to
// mention. Nothing in it depends on the moment, so a reply changes only when
// the run does.
type Story struct {
	Run       ops.Run
	Events    []ops.Event // of the whole run, oldest first
	Decisions []ops.Decision
	Approvers []string // ids of users and user groups, as configured
}

// emojiName is an emoji in mrkdwn, not a part of a word such as pg:upgrade:run.
var emojiName = regexp.MustCompile(`(^|[\s(*]):[a-z_]+: ?`)

// Reply is the message of one event in the run's thread.
func (s Story) Reply(e ops.Event) View {
	switch e.Kind {
	case ops.EventSurvey:
		return s.survey(e)
	case ops.EventAsked:
		return s.asked(e)
	case ops.EventDecided:
		return s.decided(e)
	case ops.EventUndo:
		return s.undo(e)
	case ops.EventHelp:
		return s.help(e)
	case ops.EventReturning:
		return s.loud(e, ":leftwards_arrow_with_hook: "+prose(e.Text), nil)
	case ops.EventReminder:
		return s.reminder(e)
	case ops.EventReport:
		return s.report(e)
	}
	return simple(lineMark[e.Kind] + prose(e.Text) + tookWords(e))
}

var lineMark = map[ops.EventKind]string{
	ops.EventStarted: ":rocket: ", ops.EventStep: ":white_check_mark: ", ops.EventNote: ":information_source: ",
	ops.EventOutage: ":stopwatch: ", ops.EventWarning: ":warning: ",
}

func tookWords(e ops.Event) string {
	if e.Took <= 0 {
		return ""
	}
	return " (" + ops.FormatDuration(e.Took) + ")"
}

func simple(s string) View {
	return fit(View{Text: strings.TrimSpace(unmark(s)), Blocks: []slackgo.Block{section(s)}})
}

// whom mentions everybody who must notice: the requester and the approvers.
func (s Story) whom() string {
	ids := []string{s.Run.Requester.ID}
	for _, a := range s.Approvers {
		if a != ids[0] {
			ids = append(ids, a)
		}
	}
	return mentionIDs(ids)
}

// loud is a reply that people must notice, with the buttons that still count.
func (s Story) loud(_ ops.Event, text string, buttons []Button, more ...string) View {
	v := View{Blocks: []slackgo.Block{section(text)}}
	v.Blocks = append(v.Blocks, sections(more)...)
	v.Blocks = append(v.Blocks, small(escape(s.title())+" · "+code(s.Run.ID)+" · "+s.whom()))
	v.Blocks = append(v.Blocks, actionRow(s.Run, buttons)...)
	v.Text = escape(s.title()) + ": " + strings.TrimSpace(unmark(strings.Join(append([]string{text}, more...), "\n"))) + "\n" + s.whom()
	return fit(v)
}

func (s Story) title() string { return "Upgrade " + s.Run.App.Name + ", " + versions(s.Run) }

func (s Story) legal(actions ...string) []Button {
	return only(LegalButtons(s.Run, s.Decisions), actions...)
}

// newest reports whether e is the last event of its kind (and gate) in the run.
func (s Story) newest(e ops.Event) bool {
	for _, x := range s.Events {
		if x.ID > e.ID && x.Kind == e.Kind && x.Gate == e.Gate {
			return false
		}
	}
	return true
}

func (s Story) survey(e ops.Event) View {
	lead := verdict(s.Run.Findings)
	v := View{Blocks: []slackgo.Block{section("*Looked at " + code(s.Run.App.Name) + " and " + code(s.Run.Database.Name) + ".* " + lead)}}
	lines := findingLines(s.Run.Findings)
	v.Blocks = append(v.Blocks, sections(lines)...)
	if s.Run.Plan != nil {
		v.Blocks = append(v.Blocks, slackgo.NewDividerBlock())
		plan := append(planLines(s.Run.Plan), fateLines(s.Run.Plan, false)...)
		v.Blocks = append(v.Blocks, sections(plan)...)
		lines = append(lines, plan...)
	}
	v.Text = prose(e.Text) + " " + unmark(lead) + "\n" + unmark(strings.Join(lines, "\n"))
	return fit(v)
}

// asked is a gate's question, with everything an answer should rest on.
func (s Story) asked(e ops.Event) View {
	run := s.Run
	lead := ":raised_hand: *" + prose(firstSentence(e.Text)) + "*" + prose(afterFirstSentence(e.Text))
	var more []string
	switch e.Gate {
	case ops.GateCreate:
		more = createWords(run)
	case ops.GateCutover:
		more = cutoverWords(run)
	case ops.GateLoss:
		more = []string{
			"*Go back anyway:* " + prose(movedNames(run)) + " " + verb(severalNames(run), "leads", "lead") + " to " + code(run.Database.Name) + " again, and the dynos of " + apps(run) + " start. " + code(run.Follower.Name) + " is kept with all its data, so rows can be copied by hand.",
			"*Stay on the new database:* " + apps(run) + " open again as before. Nothing is lost.",
		}
		if run.Rollback != nil && run.Rollback.Fenced {
			more[1] = "*Stay on the new database:* the switch goes on waiting for a person, with users locked out."
		}
	case ops.OrderExtend:
		if !ops.MayExtend(run) || !s.newest(e) {
			return s.loud(e, lead, nil, ":ballot_box_with_check: *No longer open.*")
		}
		return s.loud(e, lead, s.legal(actExtend, actCancel, actDetails), "*Next:* *Extend* waits longer; *Return now* goes back to "+code(run.Database.Name)+", which was not changed. Without an answer I go back at the limit.")
	case ops.GateDestroy:
		lead, more = ":wastebasket: "+prose(e.Text), destroyWords(run)
	}
	if !s.open(e) { // what was asked stays to be read: it is what was decided on
		return s.loud(e, lead, nil, append(more, ":ballot_box_with_check: *"+s.answered(e)+"*")...)
	}
	if e.Gate == ops.GateDestroy {
		return s.loud(e, lead, s.legal(actDestroy, actSnooze), more...)
	}
	return s.loud(e, lead, s.legal(actApprove, actDecline, actDryRun, actDetails), more...)
}

// firstSentence ends at the first question mark or full stop.
func firstSentence(s string) string {
	if i := strings.IndexAny(s, "?"); i >= 0 {
		return s[:i+1]
	}
	return s
}

func afterFirstSentence(s string) string { return s[len(firstSentence(s)):] }

// open reports whether the question of an event still waits for an answer.
func (s Story) open(e ops.Event) bool {
	digest, open := ops.OpenQuestion(s.Run, e.Gate)
	if !open || !s.newest(e) || e.Gate == ops.GateDestroy && s.Run.Step != ops.StepGateDestroy {
		return false
	}
	d, answered := given(s.Decisions, e.Gate, digest)
	return !answered || d.At.Before(e.At) || !d.Expires.IsZero() && d.Expires.Before(s.Run.UpdatedAt)
}

// answered says what became of a question.
func (s Story) answered(e ops.Event) string {
	until := s.Run.EndedAt
	for _, x := range s.Events {
		if x.ID > e.ID && x.Kind == ops.EventAsked {
			until = x.At
			break
		}
	}
	for _, d := range s.Decisions {
		if d.Gate == e.Gate && !d.At.Before(e.At) && (until.IsZero() || d.At.Before(until)) {
			word := "Declined by "
			if d.Yes {
				word = "Approved by "
			}
			return word + mention(d.Actor) + " " + date(d.At, dayAndTime) + "."
		}
	}
	return "No longer open: the upgrade has moved on, or the question was asked anew below."
}

func createWords(run ops.Run) []string {
	if run.Plan == nil {
		return nil
	}
	lines := []string{
		"*Price:* " + price(run.Plan) + ".",
		"*What happens:* Heroku creates the follower; its new config vars restart the dynos of " + code(run.Plan.BillingApp.Name) + " once or twice. Users notice no more than that, and the database in use is not changed.",
		"*Way back:* cancel destroys the follower, at any time before the cutover.",
	}
	if need := ops.With(run.Findings, ops.Acknowledge); len(need) > 0 {
		lines = append(lines, "*A yes also accepts:*")
		for _, f := range need {
			lines = append(lines, findingLine(f))
		}
	}
	return append(lines, "*Next:* yes creates the follower and waits until it has caught up; then I ask again before anything is stopped. No ends the upgrade.")
}

// cutoverWords is what an approver must have read before users are kept out.
func cutoverWords(run ops.Run) []string {
	p := run.Plan
	if p == nil {
		return nil
	}
	names := prose(movedNames(run))
	what, out := "maintenance mode on for "+apps(run)+"; every dyno stops, web and workers", "*Users are locked out*"
	back := "the dynos come back as they were"
	if p.ReadOnly() {
		what, out, back = code(p.Old.Name)+" is made read-only; the dynos of "+apps(run)+" run on and read from it", "*Users can read but not write*", "the dynos restart with the new one and write again"
	}
	lines := []string{
		"*What happens:* " + what + "; the follower catches up to the last commit; Heroku upgrades it to PostgreSQL " + escape(p.To) + "; " + names + " " + verb(severalNames(run), "moves", "move") + " to it; " + back + ".",
		fmt.Sprintf("%s for about %s%s. Past %s I go back by myself.", out, ops.FormatDuration(p.Forecast.Outage), forecastWords(p.Forecast), ops.FormatDuration(p.Forecast.Limit)),
		writersWords(p),
		confirmedWords(run) + " If the upgrade fails, it fails on the follower, and " + code(p.Old.Name) + " goes on.",
		"*Way back:* until the switch, everything returns as it was, with nothing lost. After that, a rollback goes back and may lose what was written since" + lossCounted(p) + ".",
	}
	if !p.NeedsBackup && p.BackupWhy != "" {
		lines = append(lines, "*Backup:* none was taken: "+prose(p.BackupWhy)+".")
	} else if run.Backup.Note != "" {
		lines = append(lines, "*Backup:* "+prose(run.Backup.Note)+".")
	}
	if need := ops.With(run.Findings, ops.Acknowledge); len(need) > 0 {
		lines = append(lines, "*A yes also accepts:*")
		for _, f := range need {
			lines = append(lines, findingLine(f))
		}
	}
	if run.Asked != nil && !run.Asked.Opens.IsZero() {
		return append(lines, "*Next:* a yes begins the cutover at "+date(run.Asked.Opens, dayAndTime)+", if everything is still as it is here, no one-off dyno runs and no deploy is under way; it holds until "+ops.FormatDuration(ops.CutoverHolds)+" after that. No destroys the follower and ends the upgrade.")
	}
	return append(lines, "*Next:* a yes holds for "+ops.FormatDuration(ops.CutoverHolds)+"; the cutover begins as soon as no one-off dyno runs and no deploy is under way. No destroys the follower and ends the upgrade.")
}

// confirmedWords says whether Heroku has tried this upgrade on a copy.
func confirmedWords(run ops.Run) string {
	for _, f := range run.Findings {
		if f.Title == ops.ConfirmedTitle {
			return "*Tried by Heroku:* " + prose(f.Evidence) + "."
		}
	}
	return "*Not confirmed:* Heroku has not confirmed this version for this database; no dry run was made."
}

// forecastWords are the parts of the outage, and from what they are known.
func forecastWords(f ops.Forecast) string {
	var parts []string
	for _, s := range f.Steps {
		if s.Step.Cutover() && s.Takes > 0 {
			parts = append(parts, stepWords[s.Step]+" "+ops.FormatDuration(s.Takes))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ": " + prose(f.Why) + ")"
}

var stepWords = map[ops.Step]string{
	ops.StepFollowerCreate: "follower", ops.StepCatchUp: "catching up", ops.StepFence: "stopping writers", ops.StepCatchUpExact: "last commits", ops.StepUpgrade: "upgrade",
	ops.StepVerifyNew: "looking at it", ops.StepPromote: "promote", ops.StepUnfence: "opening",
}

// decided says what somebody decided, and what follows from it.
func (s Story) decided(e ops.Event) View {
	mark := ":ballot_box_with_check: "
	d, known := s.decision(e)
	text := prose(e.Text)
	switch {
	case e.Gate == ops.GateCutover && known && d.Yes:
		format := timeOnly
		if d.Expires.Sub(d.At) > ops.CutoverHolds {
			format = dayAndTime
		}
		text += " It holds until " + date(d.Expires, format) + "."
	case e.Gate == ops.GateApp && known && !d.Yes:
		return s.byHand(text)
	case e.Gate == ops.GateApp && known:
		mark = ":tada: "
	}
	return simple(mark + text)
}

// decision is the row that belongs to an event.
func (s Story) decision(e ops.Event) (ops.Decision, bool) {
	for _, d := range s.Decisions {
		if d.Gate == e.Gate && d.At.Equal(e.At) && d.Actor.ID == e.Actor.ID {
			return d, true
		}
	}
	return ops.Decision{}, false
}

// byHand is how to go back after the switch: the bot does not do it by itself,
// since what was written since would be lost.
func (s Story) byHand(text string) View {
	run := s.Run
	more := []string{
		"*Roll back…* goes back to " + code(run.Database.Name) + ", with one more question before anything is lost. *By hand* it is, in this order:",
		"```" + strings.Join(backCommands(run), "\n") + "```",
		"*What is lost:* everything that was written since the switch" + sinceSwitch(run) + " is only in " + code(run.Follower.Name) + ". Keep that database until it was copied by hand.",
		"*If the app only needs a fix:* deploy it; nothing has to go back. *App looks good* closes the question.",
	}
	return s.loud(ops.Event{}, ":warning: "+text, s.legal(actRollback), more...)
}

func sinceSwitch(run ops.Run) string {
	if run.Proof.PromotedAt.IsZero() {
		return ""
	}
	return " (" + date(run.Proof.PromotedAt, dayAndTime) + ")"
}

// backCommands attach the old database again under every name that the switch
// moved, with nothing running meanwhile (heroku/cli src/commands/addons/attach.ts
// replaces an attachment of the same name with --confirm).
func backCommands(run ops.Run) []string {
	apps := []ops.PlanApp{{Ref: run.App, Attachments: []ops.PlanAttachment{{Name: "DATABASE"}}}}
	if run.Plan != nil && len(run.Plan.Apps) > 0 {
		apps = run.Plan.Apps
	}
	var stop, move, open []string
	for _, a := range apps {
		stop = append(stop, "heroku maintenance:on -a "+escape(a.Name))
		down, up := scaleWords(run, a.ID)
		if down != "" {
			stop = append(stop, "heroku ps:scale "+down+" -a "+escape(a.Name))
			open = append(open, "heroku ps:scale "+up+" -a "+escape(a.Name))
		}
		for _, n := range a.Attachments {
			c := "heroku addons:attach " + escape(run.Database.Name)
			if n.Namespace != "" {
				c += " --credential " + escape(strings.TrimPrefix(n.Namespace, "credential:"))
			}
			move = append(move, c+" --as "+escape(n.Name)+" -a "+escape(a.Name)+" --confirm "+escape(a.Name))
		}
		open = append(open, "heroku maintenance:off -a "+escape(a.Name))
	}
	return append(append(stop, move...), open...)
}

// scaleWords are the arguments that stop an app's processes and start them as
// they were recorded at the fence.
func scaleWords(run ops.Run, app string) (down, up string) {
	b, _ := run.Baseline.App(app)
	var zero, was []string
	for _, p := range b.Formation {
		if p.Type != ops.ReleaseProcess && p.Quantity > 0 {
			zero = append(zero, escape(p.Type)+"=0")
			was = append(was, fmt.Sprintf("%s=%d", escape(p.Type), p.Quantity))
		}
	}
	return strings.Join(zero, " "), strings.Join(was, " ")
}

func (s Story) undo(e ops.Event) View {
	lead := "Should I be gone, this opens " + opens(s.Run) + " again by hand"
	if e.Step.Rollback() { // until DATABASE goes back; after that the same commands open it there
		lead += ", on the database that it uses then"
	}
	text := ":wrench: *" + lead + ":*"
	block := "```" + escape(strings.ReplaceAll(e.Text, "`", "'")) + "```"
	return fit(View{
		Text:   lead + ":\n" + block,
		Blocks: []slackgo.Block{section(text + "\n" + block)},
	})
}

// stillTold reports whether what people were told in a call for help, which did
// not stop the run, is still so.
func stillTold(run ops.Run, e ops.Event) bool {
	return run.Active() && (run.Key.Told.Equal(e.At) || run.Outage.Told.Equal(e.At) && fenced(run))
}

// help calls people, with what they can press.
func (s Story) help(e ops.Event) View {
	if s.Run.Help == "" && s.newest(e) && stillTold(s.Run, e) { // it goes on trying meanwhile
		return s.loud(e, ":octagonal_sign: *I need a person.* "+prose(e.Text), s.legal(actCancel, actDetails))
	}
	if s.Run.Help == "" || !s.newest(e) {
		return s.loud(e, ":octagonal_sign: *A person was needed:* "+prose(e.Text), nil)
	}
	more := []string{}
	if fenced(s.Run) {
		more = append(more, ":construction: "+keptOut(s.Run)+" since "+date(fencedSince(s.Run), dayAndTime)+".")
	}
	more = append(more, "*Next:* put it right, then press *Look again* or type `/pgupgrade retry "+s.Run.App.Name+"`.", "*To stop:* "+stopWords(s.Run))
	return s.loud(e, ":octagonal_sign: *I need a person.* "+prose(e.Text), s.legal(actRetry, actRollback, actCancel, actDetails), more...)
}
