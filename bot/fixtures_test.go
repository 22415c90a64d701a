package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// now is the moment of every golden file: the third hour of a Monday.
var now = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

var (
	alice = ops.Actor{ID: "UALICE", Name: "alice"}
	bob   = ops.Actor{ID: "UBOB", Name: "bob"}
)

func findings() []ops.Finding {
	return []ops.Finding{
		{Check: "H1", Title: "Plan can be upgraded with a follower", Verdict: ops.Pass, Evidence: "standard-0"},
		{Check: "H3", Title: "Database is available", Verdict: ops.Pass, Evidence: "Available"},
		{Check: "H5", Title: "Version can be upgraded", Verdict: ops.Pass, Evidence: "15.13 → 17"},
		{Check: "H5", Title: "Heroku has not confirmed this version", Verdict: ops.Inform, Evidence: "No dry run was made.", Fix: "`heroku pg:upgrade:dryrun` tries it on a copy beforehand."},
		{Check: "H15", Title: "Copies of the URL", Verdict: ops.Acknowledge, Evidence: "`REPORTING_URL` of `orders` holds the same host.", Fix: "Change it by hand after the switch."},
		{Check: "H9", Title: "Size", Verdict: ops.Inform, Evidence: "8.2 GB"},
		{Check: "H31", Title: "Checks inside the database", Verdict: ops.Warn, Unknown: true, Evidence: "unknown: cannot reach the database by SQL. Extensions, data types and open transactions were not looked at."},
	}
}

// manyFindings is one of each verdict, and as many passes as there are checks.
func manyFindings() []ops.Finding {
	all := append(findings(), ops.Finding{Check: "S2", Title: "Columns of a type that refers to the catalogue", Verdict: ops.Block, Evidence: "2: public.jobs.handler, public.rules.parser", Fix: "Change their type, for example to `text`."},
		ops.Finding{Check: "D1", Title: "Unlogged tables", Verdict: ops.Acknowledge, Evidence: "1: public.cache (12 MB)", Fix: "`ALTER TABLE … SET LOGGED` before the follower is created."})
	for i := range 12 {
		all = append(all, ops.Finding{Check: fmt.Sprintf("W%d", i), Title: "A warning", Verdict: ops.Warn, Evidence: "3: a, b, c", Fix: "Do this."})
	}
	for i := range 60 {
		all = append(all, ops.Finding{Check: fmt.Sprintf("P%d", i), Title: "A check that passes", Verdict: ops.Pass, Evidence: "none"})
	}
	return all
}

func endings() []ops.Ending {
	return []ops.Ending{
		{App: "orders", Database: "postgresql-curved-12345", Version: "15", When: "the 3rd quarter of 2026", Over: true, Said: "devcenter.heroku.com/articles/heroku-postgres-version-support, read 2024-10, 25 months ago; Heroku may have changed it"},
		{App: "billing", Database: "postgresql-flat-77310", Version: "16", When: "2027-03-31", Said: "as set in PGUPGRADE_DEADLINES"},
	}
}

func plan() *ops.RunPlan {
	return &ops.RunPlan{
		Method: ops.MethodFollower, Mode: ops.ModeMaintenance, From: "15", FromMinor: "15.13", To: "17",
		Apps: []ops.PlanApp{{Ref: ops.Ref{ID: "app-1", Name: "orders"}, Attachments: []ops.PlanAttachment{{ID: "att-1", Name: "DATABASE"}}}},
		Old:  ops.Ref{ID: "old-1", Name: "postgresql-curved-12345"}, OldPlan: "heroku-postgresql:standard-0", OldCents: 5000,
		NewName: "orders-pg17-k3f9q", NewPlan: "heroku-postgresql:standard-0", NewAlias: "PG17_K3F9Q", OldAlias: "PG15_K3F9Q", Cents: 5000,
		BillingApp: ops.Ref{ID: "app-1", Name: "orders"}, OneOffs: ops.OneOffWait, Bytes: 8_200_000_000, NeedsBackup: true,
		SQLWhy: "the host is not known",
		Fates: []ops.Fate{
			{What: "`DATABASE` of `orders`", Fate: "moves to the new database"}, {What: "`PG15_K3F9Q` of `orders`", Fate: "is the name that the old database keeps"},
			{What: "the backup schedule daily at 02:00 Europe/Berlin", Fate: "is made again on the new database after the switch"},
		},
		Forecast: ops.Forecast{
			Provision: 6*time.Minute + 20*time.Second, CatchUp: 2*time.Minute + 40*time.Second, Upgrade: 10 * time.Minute, Outage: 12 * time.Minute, Limit: 30 * time.Minute,
			Why: "Heroku's documentation says about 10 minutes for the upgrade itself; no dry run was made",
			Steps: []ops.StepForecast{
				{Step: ops.StepFollowerCreate, Takes: 6*time.Minute + 20*time.Second}, {Step: ops.StepCatchUp, Takes: 2*time.Minute + 40*time.Second}, {Step: ops.StepFence, Takes: 35 * time.Second},
				{Step: ops.StepCatchUpExact, Takes: 10 * time.Second}, {Step: ops.StepUpgrade, Takes: 10 * time.Minute}, {Step: ops.StepVerifyNew, Takes: 5 * time.Second},
				{Step: ops.StepPromote, Takes: 40 * time.Second}, {Step: ops.StepUnfence, Takes: 30 * time.Second},
			},
		},
	}
}

// story is a run that went through every step before the given one, as the
// procedure would have left it, with its events and decisions.
func story(step ops.Step) Story {
	begun := now.Add(-10 * 24 * time.Hour)
	r := ops.Run{
		ID: "orders-k3f9q", App: ops.Ref{ID: "app-1", Name: "orders"}, Database: plan().Old, Requester: alice, Channel: "C1",
		CreatedAt: begun, UpdatedAt: now, Findings: nil, Next: "Looking at the app and its database.",
	}
	s := Story{Approvers: []string{"UBOB", "SOPS"}}
	at := begun
	id := int64(0)
	say := func(e ops.Event) {
		id++
		e.ID, e.Run, e.At = id, r.ID, at
		if e.Actor.ID == "" {
			e.Actor = ops.BotActor()
		}
		s.Events = append(s.Events, e)
	}
	say(ops.Event{Kind: ops.EventStarted, Step: ops.StepSurvey, Actor: alice, Text: "Upgrade of `postgresql-curved-12345` on `orders` asked for. The cutover must be approved by <@UBOB>."})
	for _, x := range ops.Steps() {
		r.Step, r.StepSince = x, at
		if x == ops.StepEnd {
			break
		}
		r.Steps = append(r.Steps, ops.StepRecord{Step: x, Begun: at})
		during(&r, &s, x, at, say)
		if x == step {
			break
		}
		at = at.Add(lasts[x])
		r.Steps[len(r.Steps)-1].Ended = at
		after(&r, &s, x, at, say)
	}
	if step == ops.StepEnd {
		r.Outcome, r.EndedAt, r.Destroyed, r.Next = ops.Succeeded, at, at, ""
		r.Why = "`orders` runs on PostgreSQL 17; the old database is destroyed."
		say(ops.Event{Kind: ops.EventReport, Text: r.Why})
	}
	s.Run = r
	return s
}

var lasts = map[ops.Step]time.Duration{
	ops.StepSurvey: 4 * time.Second, ops.StepGateCreate: 200 * time.Second, ops.StepBackup: 2 * time.Second, ops.StepFollowerCreate: 6 * time.Minute, ops.StepCatchUp: 3 * time.Minute,
	ops.StepGateCutover: 25 * time.Minute, ops.StepFence: 31 * time.Second, ops.StepCatchUpExact: 7 * time.Second, ops.StepUpgrade: 9*time.Minute + 12*time.Second,
	ops.StepVerifyNew: time.Second, ops.StepPromote: 22 * time.Second, ops.StepUnfence: 11 * time.Second, ops.StepVerifyApp: 18 * time.Second, ops.StepSoak: 7 * 24 * time.Hour,
	ops.StepGateDestroy: 26 * time.Hour, ops.StepDestroy: 40 * time.Second,
}

func during(r *ops.Run, s *Story, x ops.Step, at time.Time, say func(ops.Event)) {
	ask := func(gate ops.Gate, digest, text string) {
		r.Asked = &ops.Ask{Gate: gate, Digest: digest, At: at, Last: at}
		r.Next = "Waiting for an approver to answer."
		say(ops.Event{Kind: ops.EventAsked, Step: x, Gate: gate, Text: text})
	}
	switch x {
	case ops.StepGateCreate:
		ask(ops.GateCreate, "d-create", "May the follower be created? It costs $50 a month while it exists; creating it restarts the dynos of `orders` once or twice.")
	case ops.StepBackup:
		r.Next = "Starting a backup."
	case ops.StepFollowerCreate:
		r.Backup.TransferID = "t-7"
		r.Follower = ops.Ref{ID: "new-1", Name: "orders-pg17-k3f9q"}
		r.Next = "Heroku creates the follower `orders-pg17-k3f9q`."
	case ops.StepCatchUp:
		for i := range 5 {
			r.Lag.Samples = append(r.Lag.Samples, ops.LagSample{At: at.Add(time.Duration(i) * 20 * time.Second), Behind: 3204 - 500*i})
		}
		r.Next = "The follower is catching up; about 48 s to go."
	case ops.StepGateCutover:
		r.Lag.Samples = append(r.Lag.Samples, ops.LagSample{At: at, Behind: 3})
		r.Backup.Done, r.Backup.Note = true, "b007 8.2 GB"
		say(ops.Event{Kind: ops.EventNote, Step: x, Text: "Backup taken: `b007`."})
		ask(ops.GateCutover, "d-cutover", "May the cutover begin? `orders` will be in maintenance for about 12 min.")
	case ops.StepFence:
		r.Outage = ops.Outage{From: at, Limit: at.Add(30 * time.Minute)}
		r.Baseline = &ops.Baseline{At: at, Apps: []ops.BaselineApp{{Ref: ops.Ref{ID: "app-1", Name: "orders"}, Formation: []ops.Process{{Type: "web", Quantity: 2}, {Type: "worker", Quantity: 1}}}}}
		say(ops.Event{Kind: ops.EventUndo, Step: x, Text: "heroku ps:scale web=2 worker=1 -a orders\nheroku maintenance:off -a orders"})
		r.Next = "Waiting for the dynos to end: web.1, worker.1."
	case ops.StepCatchUpExact:
		r.Lag.Samples = append(r.Lag.Samples, ops.LagSample{At: at, Behind: 0})
		r.Next = "Lag is zero; making sure (2 of 3 reads)."
	case ops.StepUpgrade:
		r.Next, r.Progress = "Heroku upgrades the follower to 17.", "upgrading (2/3)"
	case ops.StepVerifyNew:
		r.Next, r.Progress = "", ""
	case ops.StepPromote:
		r.Next = "Waiting for release v48 of orders (Attach DATABASE)."
	case ops.StepUnfence:
		r.Proof.PromotedAt = at
		r.Next = "Starting the dynos."
	case ops.StepVerifyApp:
		r.Outage.Until = at
		r.Verified.Health = "1 of 3 dynos of orders are up"
		r.Next = "Checking the app: 1 of 3 dynos of orders are up."
	case ops.StepSoak:
		r.Verified = ops.Verified{Good: true}
		r.Soak = ops.Soak{From: at, Until: at.Add(7 * 24 * time.Hour), Samples: 31, LastSample: at}
		r.Next = "Soaking: watching both databases."
	case ops.StepGateDestroy:
		r.Soak.Samples, r.Soak.SafeAt = 168, at
		ask(ops.GateDestroy, ops.DestroyDigest(*r), "The old database `postgresql-curved-12345` is safe to destroy: 7 days on the new one, 168 samples, no connection to the old one in any of them, attached to no app but under its spare name.")
	case ops.StepDestroy:
		r.Next = "Heroku destroys `postgresql-curved-12345`."
	}
}

func after(r *ops.Run, s *Story, x ops.Step, at time.Time, say func(ops.Event)) {
	decide := func(gate ops.Gate, digest, how, text string) {
		d := ops.Decision{ID: int64(len(s.Decisions) + 1), Run: r.ID, Gate: gate, Digest: digest, Actor: bob, Yes: true, How: how, At: at, Expires: at.Add(ops.CutoverHolds)}
		s.Decisions = append(s.Decisions, d)
		say(ops.Event{Kind: ops.EventDecided, Step: x, Gate: gate, Actor: bob, Text: text})
		r.Asked = nil
		r.Steps[len(r.Steps)-1].Note = "approved by <@UBOB>"
	}
	done := func(format string, args ...any) {
		say(ops.Event{Kind: ops.EventStep, Step: x, Took: lasts[x], Text: fmt.Sprintf(format, args...)})
	}
	switch x {
	case ops.StepSurvey:
		r.Plan, r.Findings = plan(), findings()
		say(ops.Event{Kind: ops.EventSurvey, Step: x, Text: "Looked at `orders` and `postgresql-curved-12345`."})
	case ops.StepGateCreate:
		decide(ops.GateCreate, "d-create", ops.ByButton, "<@UBOB> approved creating the follower.")
	case ops.StepFollowerCreate:
		done("Follower `orders-pg17-k3f9q` is ready and follows `postgresql-curved-12345`.")
	case ops.StepCatchUp:
		done("Caught up: 3 commits behind.")
	case ops.StepGateCutover:
		decide(ops.GateCutover, "d-cutover", ops.ByButton, "<@UBOB> approved the cutover.")
	case ops.StepFence:
		done("Writers stopped: maintenance is on and no dyno runs.")
	case ops.StepCatchUpExact:
		r.Proof.ProvingTook = 7 * time.Second
		done("Nothing is missing: lag zero in 3 reads over 7 s.")
	case ops.StepUpgrade:
		r.Proof.Version = "17.2"
		done("Upgraded to PostgreSQL 17.2.")
	case ops.StepPromote:
		done("Promoted: `DATABASE` of `orders` is `orders-pg17-k3f9q` now.")
	case ops.StepUnfence:
		done("`orders` is open again on PostgreSQL 17: formation and maintenance as before.")
		say(ops.Event{Kind: ops.EventOutage, Step: x, Text: "Downtime 10 min 24 s, forecast 12 min. 7 s of it were proof that nothing was missing."})
	case ops.StepVerifyApp:
		done("App health: good. 3 of 3 dynos of `orders` are up, health address answers 200.")
	case ops.StepGateDestroy:
		decide(ops.GateDestroy, ops.DestroyDigest(*r), ops.ByTyped, "<@UBOB> approved destroying `postgresql-curved-12345` by typing the app's name.")
	}
}

// Stories beside the way forward.

func helpStory() Story {
	s := story(ops.StepPromote)
	s.Run.Help = "Release v48 of `orders` (Attach DATABASE) failed, so the app does not use the new database yet. The fence stays: no dyno runs. See `heroku releases:output v48 -a orders`, put it right, and `/pgupgrade retry orders` looks again."
	s.Run.HelpSince = s.Run.StepSince.Add(20 * time.Second)
	s.add(ops.Event{Kind: ops.EventHelp, Step: ops.StepPromote, Text: s.Run.Help})
	return s
}

func returningStory() Story {
	s := story(ops.StepUpgrade)
	r := &s.Run
	r.Returning, r.Why = true, "Heroku could not upgrade the follower: extension `postgis` <2.5> is not supported"
	at := r.StepSince.Add(3 * time.Minute)
	r.Steps[len(r.Steps)-1].Ended, r.Steps[len(r.Steps)-1].Note = at, r.Why
	r.Step, r.StepSince = ops.StepReturnUnfence, at
	r.Steps = append(r.Steps, ops.StepRecord{Step: ops.StepReturnUnfence, Begun: at})
	r.Next, r.Progress = "Starting the dynos.", ""
	s.add(ops.Event{Kind: ops.EventReturning, Step: ops.StepUpgrade, Text: "Going back: " + r.Why + ". `orders` stays on `postgresql-curved-12345`, which was not changed; maintenance and formation come back as they were."})
	return s
}

func returnedStory() Story {
	s := returningStory()
	r := &s.Run
	at := r.StepSince.Add(9 * time.Second)
	r.Steps[len(r.Steps)-1].Ended = at
	r.Outage.Until = at
	r.Steps = append(r.Steps, ops.StepRecord{Step: ops.StepReturnFollower, Begun: at, Ended: at.Add(20 * time.Second)})
	r.Step, r.Outcome, r.EndedAt, r.Returning = ops.StepEnd, ops.Returned, at.Add(20*time.Second), true
	r.Leftovers = []string{"the new database `orders-pg17-k3f9q`, which no longer follows: `heroku addons:destroy orders-pg17-k3f9q -a orders`"}
	r.Why = "Went back: " + r.Why + ". `orders` runs on `postgresql-curved-12345` as before."
	s.add(ops.Event{Kind: ops.EventReport, Text: r.Why})
	return s
}

func blockedStory() Story {
	s := story(ops.StepGateCreate)
	r := &s.Run
	r.Findings = append([]ops.Finding{{Check: "H1", Title: "Plan can be upgraded with a follower", Verdict: ops.Block, Evidence: "`postgresql-curved-12345` is on essential-0, which cannot have followers.", Fix: "Upgrade it in place by hand: `heroku maintenance:on -a orders`, `heroku pg:upgrade:run postgresql-curved-12345 --version 17 -a orders`."}}, findings()...)
	r.Step, r.Outcome, r.Asked, r.EndedAt = ops.StepEnd, ops.Refused, nil, r.StepSince
	r.Steps = r.Steps[:1]
	r.Why = "Not started: " + r.Findings[0].Evidence + " " + r.Findings[0].Fix
	s.Events = s.Events[:2]
	s.add(ops.Event{Kind: ops.EventReport, Text: r.Why})
	return s
}

func heldStory() Story {
	s := story(ops.StepGateCutover)
	s.Run.Asked.Blocked = "one-off dynos run on orders (run.4859)"
	s.Run.Next = "Approved; waiting: one-off dynos run on orders (run.4859)."
	at := s.Run.StepSince.Add(time.Minute)
	s.Decisions = append(s.Decisions, ops.Decision{Run: s.Run.ID, Gate: ops.GateCutover, Digest: "d-cutover", Actor: bob, Yes: true, At: at, Expires: at.Add(ops.CutoverHolds)})
	s.addAt(at, ops.Event{Kind: ops.EventDecided, Gate: ops.GateCutover, Actor: bob, Text: "<@UBOB> approved the cutover."})
	return s
}

// timedStory waits for an approval of a cutover at a set time, in a window.
func timedStory() Story {
	s := story(ops.StepGateCutover)
	opens := now.Add(6 * 24 * time.Hour)
	p := *s.Run.Plan
	p.NotBefore, p.Zone = opens, "Europe/Berlin"
	p.Windows = []ops.Window{{Day: time.Sunday, From: 4 * 60, To: 6 * 60}}
	p.Freezes = []ops.Freeze{{First: ops.Date{Year: 2026, Month: 12, Day: 20}, Last: ops.Date{Year: 2027, Month: 1, Day: 3}}}
	s.Run.Plan, s.Run.Asked.Opens = &p, opens
	s.Events[len(s.Events)-1].Text = "May the cutover begin on Sun 2026-11-29 04:00 (Europe/Berlin)? `orders` will be in maintenance for about 12 min."
	return s
}

// timedHeldStory is the same, approved.
func timedHeldStory() Story {
	s := timedStory()
	s.Run.Asked.Blocked = "for Sun 2026-11-29 04:00 (Europe/Berlin)"
	s.Run.Next = "Approved; waiting: for Sun 2026-11-29 04:00 (Europe/Berlin)."
	at := s.Run.StepSince.Add(time.Minute)
	s.Decisions = append(s.Decisions, ops.Decision{Run: s.Run.ID, Gate: ops.GateCutover, Digest: "d-cutover", Actor: bob, Yes: true, At: at, Expires: s.Run.Asked.Opens.Add(ops.CutoverHolds)})
	s.addAt(at, ops.Event{Kind: ops.EventDecided, Gate: ops.GateCutover, Actor: bob, Text: "<@UBOB> approved the cutover."})
	return s
}

// kept are settings as the rows hold them.
func kept() map[string]string {
	return map[string]string{"window": "Sun 04:00-06:00", "soak": "72h0m0s", "health": "https://orders.example.com/health", "one-offs": ""}
}

// trail is the audit trail of runs, newest first.
func trail(all ...Story) ops.Trail {
	var t ops.Trail
	for _, s := range all {
		t.Upgrades = append(t.Upgrades, ops.Record{Run: s.Run, Decisions: s.Decisions, Events: s.Events})
	}
	return t
}

// refusedTrail has refusals, and events apart from upgrades.
func refusedTrail() ops.Trail {
	s := timedHeldStory()
	s.addAt(s.Run.StepSince.Add(2*time.Minute), ops.Event{Kind: ops.EventAudit, Refused: ops.RefusedOwn, Actor: alice, Gate: ops.GateCutover, Text: "refused: You asked for this upgrade, so somebody else must approve it: <@UBOB>."})
	t := trail(s, returnedStory())
	t.Apart = []ops.Event{
		{Run: ops.NoRun, App: "orders", At: now, Kind: ops.EventAudit, Actor: bob, Text: "<@UBOB> set window of `orders` to Sun 04:00-06:00."},
		{Run: ops.NoRun, App: "orders", At: now, Kind: ops.EventAudit, Actor: ops.Actor{ID: "UGUEST"}, Refused: ops.RefusedBarred, Text: "refused: You cannot start an upgrade: you are a guest of this workspace."},
	}
	return t
}

func notGoodStory() Story {
	s := story(ops.StepSoak)
	at := s.Run.StepSince.Add(time.Minute)
	s.Decisions = append(s.Decisions, ops.Decision{Run: s.Run.ID, Gate: ops.GateApp, Digest: "app:" + s.Run.ID, Actor: alice, At: at})
	s.addAt(at, ops.Event{Kind: ops.EventDecided, Gate: ops.GateApp, Actor: alice, Text: "<@UALICE> says the app does not look good."})
	return s
}

func remindedStory() Story {
	s := story(ops.StepGateDestroy)
	s.add(ops.Event{Kind: ops.EventReminder, Gate: ops.GateDestroy, Step: ops.StepGateDestroy, Text: remindDestroy(s.Run, now)})
	return s
}

// rollbackStory stands at a step of a rollback that was ordered in the soak.
func rollbackStory(step ops.Step) Story {
	s := story(ops.StepSoak)
	r := &s.Run
	at := r.StepSince.Add(26 * time.Hour)
	r.Steps[len(r.Steps)-1].Ended = at
	r.Steps[len(r.Steps)-1].Note = "rollback ordered by <@UBOB>"
	s.Decisions = append(s.Decisions, ops.Decision{ID: 90, Run: r.ID, Gate: ops.GateRollback, Digest: ops.RollbackDigest(*r), Actor: bob, Yes: true, How: ops.ByTyped, At: at})
	s.addAt(at, ops.Event{Kind: ops.EventDecided, Gate: ops.GateRollback, Actor: bob, Text: "<@UBOB> approved going back to `postgresql-curved-12345` by typing the app's name."})
	r.Rollback = &ops.Rollback{Decided: at, By: bob, Origin: ops.StepSoak, From: at, Baseline: r.Baseline}
	begin := func(x ops.Step) {
		if n := len(r.Steps) - 1; r.Steps[n].Ended.IsZero() {
			r.Steps[n].Ended = at
		}
		r.Step, r.StepSince, r.Next = x, at, ""
		r.Steps = append(r.Steps, ops.StepRecord{Step: x, Begun: at})
	}
	begin(ops.StepRollbackFence)
	s.addAt(at, ops.Event{Kind: ops.EventReturning, Text: "Rolling back to `postgresql-curved-12345` (PostgreSQL 15), ordered by <@UBOB>. First the writers stop; then I say what would be lost and ask once more. `/pgupgrade cancel orders` gives it up until then."})
	r.Next = "Stopping the dynos."
	if step == r.Step {
		return s
	}
	at = at.Add(30 * time.Second)
	begin(ops.StepRollbackMeter)
	r.Rollback.Asked, r.Rollback.Meter = at, "unknown: cannot reach the database by SQL"
	s.addAt(at, ops.Event{Kind: ops.EventAsked, Gate: ops.GateLoss, Text: "Go back without knowing what is lost? What was written to `orders-pg17-k3f9q` since the switch is unknown: cannot reach the database by SQL. The app has used it for 26 h; all of that may be missing from `postgresql-curved-12345`. Without an answer within 10 min `orders` stays as it was before the rollback."})
	r.Next = "Waiting for an approver: go back without knowing what is lost, or stay."
	if step == r.Step {
		return s
	}
	at = at.Add(time.Minute)
	if step == ops.StepRollbackLift {
		begin(ops.StepRollbackLift)
		return s
	}
	begin(ops.StepRollbackAttach)
	if step == r.Step {
		return s
	}
	at = at.Add(20 * time.Second)
	r.Rollback.Attached = at
	begin(ops.StepRollbackUnfence)
	r.Rollback.Until = at.Add(10 * time.Second)
	r.Soak = ops.Soak{From: at, Until: at.Add(7 * 24 * time.Hour), Samples: 12, LastSample: at}
	begin(ops.StepSoak)
	r.Next = "Soaking: watching both databases."
	if step == r.Step {
		return s
	}
	at = at.Add(7 * 24 * time.Hour)
	begin(ops.StepGateDestroy)
	r.Asked = &ops.Ask{Gate: ops.GateDestroy, Digest: ops.DestroyDigest(*r), At: at, Last: at}
	s.addAt(at, ops.Event{Kind: ops.EventAsked, Gate: ops.GateDestroy, Text: "The new database `orders-pg17-k3f9q` is safe to destroy: 7 days on the other one, 168 samples, no connection to this one in any of them, attached to no app but under its spare name."})
	if step == r.Step {
		return s
	}
	begin(ops.StepEnd)
	r.Outcome, r.EndedAt, r.Destroyed, r.Asked = ops.Returned, at, at, nil
	r.Why = "Rolled back by <@UBOB>: `orders` runs on `postgresql-curved-12345` (PostgreSQL 15); the new database is destroyed."
	s.addAt(at, ops.Event{Kind: ops.EventReport, Text: r.Why})
	return s
}

func (s *Story) add(e ops.Event) { s.addAt(s.Run.StepSince, e) }

func (s *Story) addAt(at time.Time, e ops.Event) {
	e.ID, e.Run, e.At = int64(len(s.Events)+1), s.Run.ID, at
	if e.Actor.ID == "" {
		e.Actor = ops.BotActor()
	}
	s.Events = append(s.Events, e)
}

// stories are every situation that has a golden file.
func stories() map[string]Story {
	all := map[string]Story{
		"help": helpStory(), "returning": returningStory(), "returned": returnedStory(), "blocked": blockedStory(),
		"held": heldStory(), "timed": timedStory(), "timed-held": timedHeldStory(), "not-good": notGoodStory(), "reminded": remindedStory(),
	}
	for name, s := range insideStories() {
		all[name] = s
	}
	for i, step := range []ops.Step{ops.StepRollbackFence, ops.StepRollbackMeter, ops.StepRollbackLift, ops.StepRollbackAttach, ops.StepSoak, ops.StepGateDestroy, ops.StepEnd} {
		all[fmt.Sprintf("rollback-%d-%s", i, strings.TrimPrefix(string(step), "rollback."))] = rollbackStory(step)
	}
	for i, step := range ops.Steps() {
		all[fmt.Sprintf("step-%02d-%s", i, step)] = story(step)
	}
	return all
}
