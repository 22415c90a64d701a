package bot

import (
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// stage is one line of the list that people read: one or more steps.
type stage struct {
	name    string // while it is to come or under way: "Catch up"
	past    string // when it is done: "Caught up"
	steps   []ops.Step
	mark    stageMark
	note    string
	d       time.Duration
	since   time.Time
	parts   []stage // of the cutover
	cutover bool
}

type stageMark string

const (
	markDone stageMark = "done"
	markNow  stageMark = "now"
	markWait stageMark = "waiting for people"
	markHelp stageMark = "needs a person"
	markNext stageMark = "next"
)

var emoji = map[stageMark]string{
	markDone: ":white_check_mark:", markNow: ":arrow_forward:", markWait: ":raised_hand:", markHelp: ":octagonal_sign:", markNext: ":white_circle:",
}

// stages sorts a run's steps into the few lines that people understand. Stages
// that an ended or returning run never reached are left out.
func stages(run ops.Run) []stage {
	to, soak := "the new version", "Watch both databases (soak)"
	if run.Plan != nil {
		to = "PostgreSQL " + run.Plan.To
	}
	if !run.Soak.Until.IsZero() {
		soak = "Watch both databases until " + date(run.Soak.Until, dayOnly)
	}
	all := []stage{
		{name: "Check", past: "Checked", steps: []ops.Step{ops.StepSurvey}},
		{name: "Approve the follower", past: "Follower approved", steps: []ops.Step{ops.StepGateCreate}, note: approvedBy(run, ops.StepGateCreate)},
		{name: "Create the follower", past: "Follower ready", steps: []ops.Step{ops.StepBackup, ops.StepFollowerCreate}},
		{name: "Take a backup", past: "Backup", note: run.Backup.Note},
		{name: "Catch up", past: "Caught up", steps: []ops.Step{ops.StepCatchUp}},
		{name: "Approve the cutover", past: "Cutover approved", steps: []ops.Step{ops.StepGateCutover}, note: approvedBy(run, ops.StepGateCutover)},
		{name: "Cutover", past: "Cutover", parts: []stage{
			{name: "Stop the writers", past: "Writers stopped", steps: []ops.Step{ops.StepFence}},
			{name: "See that nothing is missing", past: "Nothing missing", steps: []ops.Step{ops.StepCatchUpExact}},
			{name: "Upgrade to " + to, past: "Upgraded to " + to, steps: []ops.Step{ops.StepUpgrade, ops.StepVerifyNew}},
			{name: "Promote", past: "Promoted", steps: []ops.Step{ops.StepPromote}},
			{name: "Open again", past: "Open again", steps: []ops.Step{ops.StepUnfence}},
		}},
		{name: "Verify the app", past: "App verified", steps: []ops.Step{ops.StepVerifyApp}},
		{name: soak, past: "Soaked", steps: []ops.Step{ops.StepSoak}},
		{name: "Destroy the " + retired(run) + " database", past: upperFirst(retired(run)) + " database destroyed", steps: []ops.Step{ops.StepGateDestroy, ops.StepDestroy}},
	}
	var out []stage
	for _, s := range all {
		switch {
		case len(s.parts) > 0:
			out = append(out, cutoverStages(run, s)...)
			continue
		case s.past == "Backup":
			s.mark = backupMark(run)
		default:
			mark(run, &s)
		}
		out = append(out, s)
	}
	out = append(prepared(out), wayBack(run)...)
	if run.Rollback != nil {
		out = rollbackStages(run, out)
	}
	if run.Active() && !run.Returning {
		return out
	}
	var reached []stage
	for _, s := range out {
		if s.mark != markNext {
			reached = append(reached, s)
		}
	}
	return reached
}

// cutoverStages are the parts of the cutover one by one while it is under way,
// and one line before and after it.
func cutoverStages(run ops.Run, s stage) []stage {
	begun, done := false, true
	s.cutover = true
	for i := range s.parts {
		p := &s.parts[i]
		p.cutover = true
		mark(run, p)
		begun = begun || p.mark != markNext
		done = done && p.mark == markDone
		if p.mark == markDone {
			s.d += p.d
		}
	}
	switch {
	case done:
		s.mark, s.past = markDone, "Cutover"
		if !run.Outage.Until.IsZero() {
			s.d = run.Outage.Until.Sub(run.Outage.From)
			s.past = "Cutover, users locked out for"
		}
		return []stage{s}
	case begun:
		return s.parts
	}
	s.mark = markNext
	s.name = "Cutover: stop the writers, upgrade, promote, open again"
	return []stage{s}
}

// prepared makes one line of the stages before the cutover once it has begun,
// so that what matters then stands on top.
func prepared(all []stage) []stage {
	i := 0
	for i < len(all) && !all[i].cutover && all[i].mark == markDone {
		i++
	}
	if i == 0 || i == len(all) || !all[i].cutover || all[i].mark == markNext {
		return all
	}
	one := stage{name: "Prepare", mark: markDone, past: "Prepared: follower ready, backup, caught up; cutover approved", note: all[i-1].note}
	for _, s := range all[:i] {
		one.d += s.d
	}
	return append([]stage{one}, all[i:]...)
}

// mark says how far a stage is. The last of its steps decides.
func mark(run ops.Run, s *stage) {
	last := s.steps[len(s.steps)-1]
	s.mark = markNext
	for _, step := range s.steps {
		if run.Step == step && run.Active() {
			s.mark, s.since = markNow, run.StepSince
			switch {
			case run.Help != "":
				s.mark = markHelp
			case step == ops.StepGateDestroy, run.Asked != nil && run.Asked.Blocked == "" && (step == ops.StepGateCreate || step == ops.StepGateCutover):
				s.mark = markWait
			}
			return
		}
	}
	if _, ended := took(run, last); !ended {
		return
	}
	if i := lastRecord(run, last); run.Active() && run.Step.Before(last) || wayBackFrom(run, i) {
		return // it was left for the way back, or stands before it again
	}
	s.mark = markDone
	for _, step := range s.steps {
		if step != ops.StepGateDestroy {
			d, _ := took(run, step)
			s.d += d
		}
	}
}

func lastRecord(run ops.Run, step ops.Step) int {
	for i := len(run.Steps) - 1; i >= 0; i-- {
		if run.Steps[i].Step == step {
			return i
		}
	}
	return -1
}

// wayBackFrom reports whether the i-th step was not finished but left: for the
// way back, or by the end of the run.
func wayBackFrom(run ops.Run, i int) bool {
	if i+1 < len(run.Steps) {
		next := run.Steps[i+1].Step
		return next == ops.StepReturnAttach || next == ops.StepReturnUnfence || next == ops.StepReturnFollower
	}
	return !run.Active() && run.Outcome != ops.Succeeded
}

func backupMark(run ops.Run) stageMark {
	switch {
	case run.Backup.Done:
		return markDone
	case run.Backup.TransferID != "" && run.Active() && !run.Returning:
		return markNow
	}
	return markNext
}

func wayBack(run ops.Run) []stage {
	var out []stage
	for _, s := range []stage{
		{name: "Attach the old database again", past: "Old database attached again", steps: []ops.Step{ops.StepReturnAttach}},
		{name: "Open again as before", past: "Open again as before", steps: []ops.Step{ops.StepReturnUnfence}},
		{name: "Destroy the follower", past: "Follower destroyed", steps: []ops.Step{ops.StepReturnFollower}},
	} {
		i := lastRecord(run, s.steps[0])
		if i < 0 {
			continue
		}
		switch {
		case run.Step == s.steps[0] && run.Active():
			s.mark, s.since = markNow, run.StepSince
			if run.Help != "" {
				s.mark = markHelp
			}
		default:
			s.mark = markDone
			s.d, _ = took(run, s.steps[0])
			if s.steps[0] == ops.StepReturnFollower && len(run.Leftovers) > 0 {
				s.past = "Follower kept"
			}
		}
		out = append(out, s)
	}
	return out
}

// approvedBy is who said yes at a gate, out of the note of its step.
func approvedBy(run ops.Run, step ops.Step) string {
	if n := note(run, step); strings.HasPrefix(n, "approved by ") {
		return strings.TrimPrefix(n, "approved ")
	}
	return ""
}

// draw is the stage with its mark in a symbol and in words.
func (s stage) draw() string {
	switch s.mark {
	case markDone:
		return emoji[s.mark] + " " + s.past + s.result()
	case markNext:
		return emoji[s.mark] + " " + s.name
	}
	return emoji[s.mark] + " *" + s.name + "* · " + string(s.mark) + s.running()
}

// say is the stage in words only.
func (s stage) say() string {
	switch s.mark {
	case markDone:
		return "done: " + s.past + s.result()
	case markNext:
		return "next: " + s.name
	}
	return string(s.mark) + ": " + s.name + s.running()
}

func (s stage) result() string {
	out := ""
	if s.note != "" {
		out += " " + prose(s.note)
	}
	if s.d >= 500*time.Millisecond {
		if strings.HasSuffix(s.past, " for") {
			return out + " " + ops.FormatDuration(s.d)
		}
		out += " · " + ops.FormatDuration(s.d)
	}
	return out
}

func (s stage) running() string {
	if s.since.IsZero() {
		return ""
	}
	return " since " + date(s.since, timeOnly)
}

// rollbackStages puts the parts of a rollback behind what was done before it;
// once it is over, behind the cutover, which it undid.
func rollbackStages(run ops.Run, all []stage) []stage {
	parts := []stage{
		{name: "Stop the writers for the rollback", past: "Writers stopped for the rollback", steps: []ops.Step{ops.StepRollbackFence}},
		{name: "Decide about the loss", past: "Loss decided on", steps: []ops.Step{ops.StepRollbackMeter}},
		{name: "Switch back to " + run.Database.Name, past: "Switched back to " + run.Database.Name, steps: []ops.Step{ops.StepRollbackAttach}},
		{name: "Open again on " + run.Database.Name, past: "Open again on " + run.Database.Name, steps: []ops.Step{ops.StepRollbackUnfence}},
	}
	if lastRecord(run, ops.StepRollbackLift) >= 0 && !run.RolledBack() {
		parts = []stage{{name: "Give the rollback up", past: "Rollback given up", steps: []ops.Step{ops.StepRollbackLift}}}
	}
	var did []stage
	for _, p := range parts {
		mark(run, &p)
		if p.steps[0] == ops.StepRollbackMeter && p.mark == markNow {
			p.mark = markWait
		}
		if run.RollingBack() || p.mark != markNext {
			did = append(did, p)
		}
	}
	at := len(all)
	for i, s := range all {
		if run.RollingBack() && s.mark != markDone || !run.RollingBack() && s.steps != nil && s.steps[0] == ops.StepVerifyApp {
			at = i
			break
		}
	}
	return append(append(append([]stage(nil), all[:at]...), did...), all[at:]...)
}
