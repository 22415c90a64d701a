package upgrade

import (
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// survey: nothing is created while a finding blocks.
func survey(t *turn) {
	if !t.w.Survey.Known {
		if t.now.Sub(t.run.StepSince) > 10*time.Minute {
			t.end(ops.Refused, "The app could not be looked at for 10 minutes: %s. Nothing was changed.", t.w.Survey.Why)
			return
		}
		t.blind("the app", t.w.Survey.Why)
		return
	}
	s := t.w.Survey.Value
	if why, ok := unseen(s.Findings); ok && t.now.Sub(t.run.StepSince) < surveyAgain {
		t.blind("the app", why)
		return
	}
	t.run.Plan, t.run.Findings = s.Plan, s.Findings
	t.say(ops.EventSurvey, "Looked at `%s` and `%s`.", t.run.App.Name, t.run.Database.Name)
	if blocks := ops.With(s.Findings, ops.Block); len(blocks) > 0 || s.Plan == nil {
		t.end(ops.Refused, "Not started: %s", blocking(blocks))
		return
	}
	t.to(ops.StepGateCreate, "nothing blocks")
}

// surveyAgain is how long what could not be read is looked at again before it
// counts as a reason not to start.
const surveyAgain = 15 * time.Second

// unseen reports whether nothing blocks but what could not be read, and why not.
func unseen(findings []ops.Finding) (why string, ok bool) {
	for _, f := range ops.With(findings, ops.Block) {
		if !f.Unknown {
			return "", false
		}
		why, ok = f.Evidence, true
	}
	return why, ok
}

func blocking(blocks []ops.Finding) string {
	if len(blocks) == 0 {
		return "no plan could be made."
	}
	return ops.Blocking(blocks[0])
}

// gateCreate: money is spent only on a decision. An approver's start is one,
// unless the survey found something that must be acknowledged.
func gateCreate(t *turn) {
	digest := t.run.Plan.Digest("", t.run.Findings)
	if t.run.Request.ApprovesBy == ops.ByStart && len(ops.With(t.run.Findings, ops.Acknowledge)) == 0 {
		t.move.Decisions = append(t.move.Decisions, ops.Decision{
			Run: t.run.ID, Gate: ops.GateCreate, Digest: digest, Actor: t.run.Requester, Yes: true, How: ops.ByStart, At: t.now,
		})
		t.say(ops.EventAudit, "%s is an approver and asked for it: that is the decision to create the follower.", t.run.Requester.Mention())
		t.to(ops.StepBackup, "approved by %s with the start", t.run.Requester.Mention())
		return
	}
	if t.run.Asked == nil || t.run.Asked.Digest != digest {
		t.ask(ops.GateCreate, digest, "May the follower be created? It costs %s a month while it exists; creating it restarts the dynos of `%s` once or twice.", ops.FormatCents(t.run.Plan.Cents), t.run.App.Name)
		return
	}
	d, ok := ops.LatestDecision(t.w.Decisions, ops.GateCreate, digest, t.run.Asked.At, t.now)
	switch {
	case !ok:
		t.wait(10*time.Minute, "Waiting for an approver to answer.")
	case d.Yes:
		t.run.Asked = nil
		t.to(ops.StepBackup, "approved by %s", d.Actor.Mention())
	default:
		t.end(ops.Cancelled, "declined by %s; nothing was created", d.Actor.Mention())
	}
}

func (t *turn) ask(gate ops.Gate, digest, format string, args ...any) {
	t.run.Asked = &ops.Ask{Gate: gate, Digest: digest, At: t.now, Last: t.now}
	t.say(ops.EventAsked, format, args...)
	t.move.Events[len(t.move.Events)-1].Gate = gate
	t.run.Next, t.run.Due = "Waiting for an approver to answer.", t.now
	t.move.Kind = Again
}

// backup: the capture is started here and awaited at the cutover gate, so that
// it runs beside the follower's creation.
func backup(t *turn) {
	if !t.run.Plan.NeedsBackup {
		t.run.Backup = ops.Backup{Done: true, Note: t.run.Plan.BackupWhy}
		t.to(ops.StepFollowerCreate, "accepted: %s", t.run.Plan.BackupWhy)
		return
	}
	a, sent := t.w.sent(ops.ActBackup, ops.StepBackup)
	if sent && a.Outcome == ops.OutcomeDone {
		t.run.Backup.TransferID = a.Detail
		t.to(ops.StepFollowerCreate, "started")
		return
	}
	if sent { // the answer was lost: a backup of ours shows in the list
		if !t.w.Backup.Known {
			t.blind("the list of backups", t.w.Backup.Why)
			return
		}
		if t.w.Backup.Value.Exists {
			t.run.Backup.TransferID = t.w.Backup.Value.Value.ID
			t.resolve(a, ops.OutcomeDone, t.run.Backup.TransferID)
			t.to(ops.StepFollowerCreate, "started")
			return
		}
	}
	if refusal := t.try(ops.Act{Kind: ops.ActBackup, Target: t.run.Database.ID, App: t.run.Plan.BillingApp.ID}, "Starting a backup."); refusal != "" {
		t.help("Heroku refused to take a backup: %s. Nothing else was done. Put it right, then `/pgupgrade retry %s`.", refusal, t.run.App.Name)
	}
}

// BackupWait is how long the cutover's question waits for the backup before
// people are called.
const BackupWait = 3 * time.Hour

// awaitBackup reports whether the backup is there. It never gives up silently.
func (t *turn) awaitBackup() bool {
	if t.run.Backup.Done {
		return true
	}
	if !t.w.Backup.Known {
		t.blind("the backup", t.w.Backup.Why)
		return false
	}
	b := t.w.Backup.Value.Value
	switch {
	case !t.w.Backup.Value.Exists:
		t.help("The backup that was started for this upgrade is gone. `/pgupgrade cancel %s` destroys the follower; the app was not touched.", t.run.App.Name)
	case b.FinishedAt.IsZero() && t.now.Sub(t.run.StepSince) >= BackupWait:
		t.help("The backup is not done %s after the follower caught up (%s so far). `/pgupgrade retry %s` waits on; `/pgupgrade cancel %s` destroys the follower; the app was not touched.",
			ops.FormatDuration(BackupWait), ops.FormatBytes(b.Bytes), t.run.App.Name, t.run.App.Name)
	case b.FinishedAt.IsZero():
		t.wait(pollOutside(t.now.Sub(t.run.StepSince), 5*time.Minute), "Waiting for the backup (%s so far).", ops.FormatBytes(b.Bytes))
	case b.Succeeded.Known && b.Succeeded.Value:
		t.run.Backup.Done = true
		t.run.Backup.Note = "b" + pad3(b.Num) + " " + ops.FormatBytes(b.Bytes)
		t.say(ops.EventNote, "Backup taken: `%s`.", "b"+pad3(b.Num))
		t.move.Kind = Again
	default:
		t.back("the backup failed")
	}
	return false
}

func pad3(n int) string {
	s := []byte{byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)}
	return string(s)
}
