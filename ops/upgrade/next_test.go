package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

var now = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

var (
	oldHost = ops.Endpoint{Host: "old.example.com", Port: "5432", Database: "d0"}
	newHost = ops.Endpoint{Host: "new.example.com", Port: "5432", Database: "d1"}
	orders  = ops.Ref{ID: "app-1", Name: "orders"}
	oldDB   = ops.Ref{ID: "old-1", Name: "postgresql-curved-1"}
	newDB   = ops.Ref{ID: "new-1", Name: "orders-pg17-abcde"}
)

// fixture is a run in the middle of a step, and a world in which everything
// that the step needs was read and is well. Each test changes what it is about.
type fixture struct {
	run ops.Run
	w   World
}

func at(step ops.Step) fixture {
	plan := &ops.RunPlan{
		Method: ops.MethodFollower, Mode: ops.ModeMaintenance, Old: oldDB, OldPlan: "heroku-postgresql:standard-0", From: "15", To: "17",
		Apps:    []ops.PlanApp{{Ref: orders, Attachments: []ops.PlanAttachment{{ID: "att-1", Name: "DATABASE"}}, HealthURL: "https://orders.example.com"}},
		NewName: newDB.Name, NewPlan: "heroku-postgresql:standard-0", NewAlias: "PG17_ABCDE", OldAlias: "PG15_ABCDE", BillingApp: orders,
		OneOffs: ops.OneOffWait, Cents: 5000, NeedsBackup: true, Forecast: forecast(8e9, 0),
	}
	run := ops.Run{
		ID: "orders-abcde", App: orders, Database: oldDB, Requester: ops.Actor{ID: "U1"}, CreatedAt: now.Add(-time.Hour),
		Step: step, StepSince: now.Add(-10 * time.Second), Plan: plan, Steps: []ops.StepRecord{{Step: step, Begun: now.Add(-10 * time.Second)}},
	}
	w := World{
		SlackAt: now.Add(-time.Second), SoakFor: 7 * 24 * time.Hour,
		Survey: ops.Known(ops.Survey{App: orders, Database: oldDB, Plan: plan}),
		Apps: map[string]AppFacts{orders.ID: {
			App:         ops.Known(ops.App{Ref: orders}),
			Formation:   ops.Known([]ops.Process{{Type: "web", Quantity: 2, Size: "standard-1X"}, {Type: "worker", Quantity: 1}, {Type: "release"}}),
			Dynos:       ops.Known([]ops.Dyno{{Name: "web.1", Type: "web", State: "up"}, {Name: "web.2", Type: "web", State: "up"}, {Name: "worker.1", Type: "worker", State: "up"}}),
			Releases:    ops.Known([]ops.Release{{ID: "r12", Version: 12, Description: "Attach PG15_ABCDE (@ref:postgresql-curved-1)", Status: ops.ReleaseSucceeded, Current: true, CreatedAt: now.Add(-time.Minute)}}),
			Builds:      ops.Known([]ops.Build{}),
			Attachments: ops.Known(attachments(oldDB)),
			Health:      ops.Known(ops.Health{Status: 200}),
		}},
		Old: DatabaseFacts{
			Addon:       ops.Known(Found[ops.Addon]{Exists: true, Value: ops.Addon{Ref: oldDB, App: orders, State: ops.AddonProvisioned}}),
			Info:        ops.Known(ops.Database{AddonID: oldDB.ID, Endpoint: oldHost, Version: "15.13", Connections: ops.Known(0)}),
			Attachments: ops.Known([]ops.Attachment{{ID: "att-2", Name: "PG15_ABCDE", App: orders, Addon: oldDB}}),
		},
		New: DatabaseFacts{
			Addon:       ops.Known(Found[ops.Addon]{Exists: true, Value: ops.Addon{Ref: newDB, App: orders, State: ops.AddonProvisioned}}),
			Info:        ops.Known(ops.Database{AddonID: newDB.ID, Endpoint: newHost, Version: "15.13", Following: oldHost, BehindBy: ops.Known(0)}),
			Wait:        ops.Known(ops.Wait{Message: "available"}),
			Upgrade:     ops.Known(ops.Wait{}),
			Attachments: ops.Known([]ops.Attachment{{ID: "att-3", Name: "PG17_ABCDE", App: orders, Addon: newDB}}),
		},
		Backup: ops.Known(Found[ops.Transfer]{Exists: true, Value: ops.Transfer{ID: "t1", Num: 7, FinishedAt: now, Succeeded: ops.Known(true)}}),
	}
	w.Retired = w.Old
	f := fixture{run, w}
	if !step.Before(ops.StepCatchUp) || step == ops.StepReturnFollower || step == ops.StepReturnUnfence {
		f.run.Follower = newDB
		f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone)
		f.run.Backup.Done = true
	}
	if step.Cutover() || !step.Before(ops.StepFence) && step != ops.StepReturnFollower {
		f.run.Baseline = &ops.Baseline{At: now.Add(-time.Minute), Apps: []ops.BaselineApp{{
			Ref: orders, Formation: f.w.Apps[orders.ID].Formation.Value, Release: 12, Attachments: attachments(oldDB), Health: ops.Health{Status: 200},
		}}}
		f.run.Outage = ops.Outage{From: now.Add(-time.Minute), Limit: now.Add(30 * time.Minute)}
	}
	switch step {
	case ops.StepCatchUpExact, ops.StepUpgrade, ops.StepVerifyNew, ops.StepPromote, ops.StepUnfence, ops.StepReturnUnfence:
		f.fenced()
	}
	switch step {
	case ops.StepUpgrade:
		f.run.Proof.LagZeroAt = now.Add(-time.Second)
	case ops.StepVerifyNew, ops.StepPromote, ops.StepUnfence:
		f.run.Proof.LagZeroAt, f.run.Proof.UpgradeSeen = now.Add(-time.Minute), now.Add(-time.Second)
		f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeDone)
		f.info(func(d *ops.Database) { d.Version, d.Following = "17.5", ops.Endpoint{} })
	}
	return f
}

func attachments(database ops.Ref) []ops.Attachment {
	return []ops.Attachment{
		{ID: "att-1", Name: "DATABASE", App: orders, Addon: database},
		{ID: "att-2", Name: "PG15_ABCDE", App: orders, Addon: oldDB},
		{ID: "att-3", Name: "PG17_ABCDE", App: orders, Addon: newDB},
	}
}

func (f *fixture) app(change func(*AppFacts)) {
	a := f.w.Apps[orders.ID]
	change(&a)
	f.w.Apps[orders.ID] = a
}

func (f *fixture) info(change func(*ops.Database)) {
	change(&f.w.New.Info.Value)
}

func (f *fixture) fenced() {
	f.app(func(a *AppFacts) {
		a.App = ops.Known(ops.App{Ref: orders, Maintenance: true})
		a.Formation = ops.Known([]ops.Process{{Type: "web", Size: "standard-1X"}, {Type: "worker"}, {Type: "release"}})
		a.Dynos = ops.Known([]ops.Dyno{})
	})
}

func (f *fixture) promoted() {
	f.sent(ops.ActPromote, ops.StepPromote, "orders DATABASE", ops.OutcomeDone)
	f.app(func(a *AppFacts) {
		a.Attachments = ops.Known(attachments(newDB))
		a.Releases = ops.Known([]ops.Release{
			{ID: "r14", Version: 14, Description: "Attach DATABASE (@ref:orders-pg17-abcde)", Status: ops.ReleaseSucceeded, Current: true},
			{ID: "r13", Version: 13, Description: "Detach DATABASE (@ref:postgresql-curved-1)", Status: ops.ReleaseFailed},
		})
		a.Hosts = ops.Known(map[string]ops.Endpoint{"DATABASE_URL": newHost})
	})
}

func (f *fixture) sent(kind ops.ActKind, step ops.Step, target, outcome string) {
	f.w.Acts = append(f.w.Acts, ops.Act{ID: int64(len(f.w.Acts) + 1), Kind: kind, Step: step, Target: target, Outcome: outcome, Detail: "said no",
		StartedAt: now.Add(-5 * time.Second), Deadline: now.Add(10 * time.Second), EndedAt: now.Add(-4 * time.Second)})
}

func (f *fixture) decide(gate ops.Gate, digest string, yes bool, how string) {
	f.w.Decisions = append(f.w.Decisions, ops.Decision{Run: f.run.ID, Gate: gate, Digest: digest, Yes: yes, How: how, Actor: ops.Actor{ID: "U2"}, At: now.Add(-time.Second), Expires: now.Add(time.Minute)})
}

func (f *fixture) approved() {
	digest := f.run.Plan.Digest(newDB.ID, nil)
	f.run.Asked = &ops.Ask{Gate: ops.GateCutover, Digest: digest, At: now.Add(-time.Minute)}
	f.decide(ops.GateCutover, digest, true, ops.ByButton)
}

// want is what Next must choose.
type want struct {
	kind Kind
	act  ops.ActKind // for Act
	step ops.Step    // "" means: unchanged
	says string      // part of Why, Help, Next or a posted event
}

// row is one rule: at a step, with one change to a world in which all is well.
type row struct {
	name   string
	step   ops.Step
	change func(*fixture)
	want   want
}

// TestNext is the table of the procedure: each row is one rule.
func TestNext(t *testing.T) {
	tests := []row{
		// Before the fence.
		{"survey without a block goes on", ops.StepSurvey, nil, want{kind: Again, step: ops.StepGateCreate}},
		{"survey with a block ends", ops.StepSurvey, func(f *fixture) {
			f.w.Survey.Value.Findings = []ops.Finding{{Check: "H1", Verdict: ops.Block, Evidence: "essential"}}
		}, want{kind: End, step: ops.StepEnd, says: "essential"}},
		{"survey that cannot be read is not a pass", ops.StepSurvey, func(f *fixture) { f.w.Survey = ops.Unknown[ops.Survey]("down") }, want{kind: Wait, says: "down"}},
		{"an approver's start is the decision", ops.StepGateCreate, func(f *fixture) { f.run.Request.ApprovesBy = ops.ByStart }, want{kind: Again, step: ops.StepBackup}},
		{"but not over a finding to acknowledge", ops.StepGateCreate, func(f *fixture) {
			f.run.Request.ApprovesBy = ops.ByStart
			f.run.Findings = []ops.Finding{{Check: "H16", Verdict: ops.Acknowledge}}
		}, want{kind: Again, says: "approver"}},
		{"the gate asks first", ops.StepGateCreate, nil, want{kind: Again, says: "approver"}},
		{"a backup is captured once", ops.StepBackup, nil, want{kind: Act, act: ops.ActBackup}},
		{"a captured backup goes on", ops.StepBackup, func(f *fixture) { f.sent(ops.ActBackup, ops.StepBackup, oldDB.ID, ops.OutcomeDone) }, want{kind: Again, step: ops.StepFollowerCreate}},
		{"a backup whose answer was lost is found", ops.StepBackup, func(f *fixture) { f.sent(ops.ActBackup, ops.StepBackup, oldDB.ID, ops.OutcomeUnknown) }, want{kind: Again, step: ops.StepFollowerCreate}},
		{"a refused backup asks for help", ops.StepBackup, func(f *fixture) { f.sent(ops.ActBackup, ops.StepBackup, oldDB.ID, ops.OutcomeRefused) }, want{kind: Again, says: "refused to take a backup"}},
		{"no follower: create it", ops.StepFollowerCreate, func(f *fixture) { f.w.New.Addon.Value = Found[ops.Addon]{} }, want{kind: Act, act: ops.ActCreate}},
		{"a create whose answer was lost is looked for, not repeated", ops.StepFollowerCreate, func(f *fixture) {
			f.w.New.Addon.Value = Found[ops.Addon]{}
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeUnknown)
		}, want{kind: Wait, says: "looking for"}},
		{"whether it exists is unknown: no create", ops.StepFollowerCreate, func(f *fixture) { f.w.New.Addon = ops.Unknown[Found[ops.Addon]]("timeout") }, want{kind: Wait, says: "timeout"}},
		{"an add-on of that name by somebody else is not taken", ops.StepFollowerCreate, nil, want{kind: End, step: ops.StepEnd, says: "not of this run"}},
		{"a refused create ends with nothing created", ops.StepFollowerCreate, func(f *fixture) {
			f.w.New.Addon.Value = Found[ops.Addon]{}
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeRefused)
		}, want{kind: End, step: ops.StepEnd, says: "said no"}},
		{"provisioning waits", ops.StepFollowerCreate, func(f *fixture) {
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone)
			f.w.New.Addon.Value.Value.State = ops.AddonProvisioning
		}, want{kind: Wait}},
		{"a new database that follows something else goes back", ops.StepFollowerCreate, func(f *fixture) {
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone)
			f.info(func(d *ops.Database) { d.Following = newHost })
		}, want{kind: Again, step: ops.StepReturnFollower, says: "does not follow"}},
		{"the old database gets a second name", ops.StepFollowerCreate, func(f *fixture) {
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone)
			f.app(func(a *AppFacts) { a.Attachments.Value = a.Attachments.Value[:1] })
		}, want{kind: Act, act: ops.ActAttach}},
		{"a pending release is waited for", ops.StepFollowerCreate, func(f *fixture) {
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone)
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Wait, says: "release v12"}},
		{"a failed release goes back: the switch would fail too", ops.StepFollowerCreate, func(f *fixture) {
			f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone)
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleaseFailed })
		}, want{kind: Again, step: ops.StepReturnFollower, says: "would fail"}},
		{"follower ready", ops.StepFollowerCreate, func(f *fixture) { f.sent(ops.ActCreate, ops.StepFollowerCreate, newDB.Name, ops.OutcomeDone) }, want{kind: Again, step: ops.StepCatchUp}},
		{"caught up", ops.StepCatchUp, nil, want{kind: Again, step: ops.StepGateCutover}},
		{"not caught up waits", ops.StepCatchUp, func(f *fixture) { f.info(func(d *ops.Database) { d.BehindBy = ops.Known(5000) }) }, want{kind: Wait}},
		{"a missing lag is not zero", ops.StepCatchUp, func(f *fixture) { f.info(func(d *ops.Database) { d.BehindBy = ops.Fact[int]{} }) }, want{kind: Wait, says: "Behind By"}},
		{"rising lag waits", ops.StepCatchUp, func(f *fixture) {
			f.run.Lag.Samples = []ops.LagSample{{At: now.Add(-time.Minute), Behind: 10}}
			f.info(func(d *ops.Database) { d.BehindBy = ops.Known(50) })
		}, want{kind: Wait}},

		// The cutover gate.
		{"asks", ops.StepGateCutover, nil, want{kind: Again, says: "approver"}},
		{"waits for an answer", ops.StepGateCutover, func(f *fixture) { f.approved(); f.w.Decisions = nil }, want{kind: Wait, says: "approver"}},
		{"a yes about another digest is nothing", ops.StepGateCutover, func(f *fixture) { f.approved(); f.w.Decisions[0].Digest = "other" }, want{kind: Wait, says: "approver"}},
		{"an expired yes is nothing: asked again", ops.StepGateCutover, func(f *fixture) { f.approved(); f.w.Decisions[0].Expires = now }, want{kind: Again, says: "no longer counts"}},
		{"a yes lapses when a verdict changes", ops.StepGateCutover, func(f *fixture) {
			f.approved()
			f.w.Survey.Value.Findings = []ops.Finding{{Check: "H15", Verdict: ops.Acknowledge, Title: "No copied URL"}}
		}, want{kind: Again, says: "approver"}},
		{"a block takes the question back", ops.StepGateCutover, func(f *fixture) {
			f.approved()
			f.w.Survey.Value.Findings = []ops.Finding{{Check: "H12", Verdict: ops.Block, Evidence: "also attached to billing"}}
		}, want{kind: Wait, says: "billing"}},
		{"no goes back", ops.StepGateCutover, func(f *fixture) { f.approved(); f.w.Decisions[0].Yes = false }, want{kind: Again, step: ops.StepReturnFollower, says: "declined"}},
		{"a one-off holds the yes", ops.StepGateCutover, func(f *fixture) {
			f.approved()
			f.app(func(a *AppFacts) { a.Dynos.Value = append(a.Dynos.Value, ops.Dyno{Name: "run.77", Type: "run"}) })
		}, want{kind: Wait, says: "run.77"}},
		{"a deploy holds the yes", ops.StepGateCutover, func(f *fixture) {
			f.approved()
			f.app(func(a *AppFacts) { a.Builds = ops.Known([]ops.Build{{Status: "pending"}}) })
		}, want{kind: Wait, says: "build"}},
		{"a silent Slack holds the yes", ops.StepGateCutover, func(f *fixture) { f.approved(); f.w.SlackAt = now.Add(-61 * time.Second) }, want{kind: Wait, says: "Slack"}},
		{"a silent Slack does not hold a yes from the terminal", ops.StepGateCutover, func(f *fixture) {
			f.approved()
			f.w.Decisions[len(f.w.Decisions)-1].How = ops.ByTerminal
			f.w.SlackAt = now.Add(-time.Hour)
		}, want{kind: Again, step: ops.StepFence}},
		{"unread dynos hold the yes", ops.StepGateCutover, func(f *fixture) { f.approved(); f.app(func(a *AppFacts) { a.Dynos = ops.Unknown[[]ops.Dyno]("503") }) }, want{kind: Wait, says: "503"}},
		{"too much lag holds the yes", ops.StepGateCutover, func(f *fixture) { f.approved(); f.info(func(d *ops.Database) { d.BehindBy = ops.Known(201) }) }, want{kind: Wait, says: "201"}},
		{"an unfinished backup holds the question", ops.StepGateCutover, func(f *fixture) {
			f.run.Backup.Done = false
			f.w.Backup.Value.Value = ops.Transfer{ID: "t1"}
		}, want{kind: Wait, says: "backup"}},
		{"a failed backup goes back", ops.StepGateCutover, func(f *fixture) {
			f.run.Backup.Done = false
			f.w.Backup.Value.Value.Succeeded = ops.Known(false)
		}, want{kind: Again, step: ops.StepReturnFollower, says: "backup failed"}},
		{"yes, all quiet: fence", ops.StepGateCutover, func(f *fixture) { f.approved() }, want{kind: Again, step: ops.StepFence}},

		// Fence to unfence.
		{"maintenance first", ops.StepFence, nil, want{kind: Act, act: ops.ActMaintenance}},
		{"then every process type to zero", ops.StepFence, func(f *fixture) { f.app(func(a *AppFacts) { a.App.Value.Maintenance = true }) }, want{kind: Act, act: ops.ActScale}},
		{"dynos that still run are waited for", ops.StepFence, func(f *fixture) {
			f.fenced()
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "web.1", Type: "web"}}) })
		}, want{kind: Wait, says: "web.1"}},
		{"dynos that do not end go back", ops.StepFence, func(f *fixture) {
			f.fenced()
			f.run.StepSince = now.Add(-2 * time.Minute)
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "run.1", Type: "run"}}) })
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "run.1"}},
		{"a release in the fence goes back", ops.StepFence, func(f *fixture) { f.app(func(a *AppFacts) { a.Releases.Value[0].Version = 13 }) }, want{kind: Again, step: ops.StepReturnUnfence, says: "v13"}},
		{"unread dynos are not none", ops.StepFence, func(f *fixture) { f.fenced(); f.app(func(a *AppFacts) { a.Dynos = ops.Unknown[[]ops.Dyno]("503") }) }, want{kind: Wait, says: "503"}},
		{"no dyno: fenced", ops.StepFence, func(f *fixture) { f.fenced() }, want{kind: Again, step: ops.StepCatchUpExact}},
		{"one read of zero is no proof", ops.StepCatchUpExact, nil, want{kind: Wait, says: "1 of 3"}},
		{"three reads over six seconds are", ops.StepCatchUpExact, func(f *fixture) { f.run.Exact = ops.Exact{Reads: 2, Since: now.Add(-6 * time.Second)} }, want{kind: Again, step: ops.StepUpgrade}},
		{"three reads in less are not", ops.StepCatchUpExact, func(f *fixture) { f.run.Exact = ops.Exact{Reads: 9, Since: now.Add(-5 * time.Second)} }, want{kind: Wait}},
		{"lag starts the proof again", ops.StepCatchUpExact, func(f *fixture) {
			f.run.Exact = ops.Exact{Reads: 2, Since: now.Add(-6 * time.Second)}
			f.info(func(d *ops.Database) { d.BehindBy = ops.Known(1) })
		}, want{kind: Wait, says: "1 commits behind"}},
		{"a dyno behind the fence goes back", ops.StepUpgrade, func(f *fixture) {
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "scheduler.9", Type: "scheduler"}}) })
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "scheduler.9"}},
		{"the upgrade is sent", ops.StepUpgrade, nil, want{kind: Act, act: ops.ActUpgrade}},
		{"not without lag zero behind the fence", ops.StepUpgrade, func(f *fixture) { f.run.Proof.LagZeroAt = time.Time{} }, want{kind: Again, step: ops.StepReturnUnfence, says: "lag zero"}},
		{"not when lag came back", ops.StepUpgrade, func(f *fixture) { f.info(func(d *ops.Database) { d.BehindBy = ops.Known(3) }) }, want{kind: Again, step: ops.StepReturnUnfence, says: "lag zero"}},
		{"never a second time: it is looked for", ops.StepUpgrade, func(f *fixture) { f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeUnknown) }, want{kind: Wait, says: "Looking whether"}},
		{"never a second time: then it goes back", ops.StepUpgrade, func(f *fixture) {
			f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeUnknown)
			f.w.Acts[len(f.w.Acts)-1].StartedAt = now.Add(-2 * time.Minute)
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "never sent twice"}},
		{"turned away is not sent: it is tried again", ops.StepUpgrade, func(f *fixture) { f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeBusy) }, want{kind: Act, act: ops.ActUpgrade}},
		{"refused goes back", ops.StepUpgrade, func(f *fixture) { f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeRefused) }, want{kind: Again, step: ops.StepReturnUnfence, says: "said no"}},
		{"under way waits", ops.StepUpgrade, func(f *fixture) {
			f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeDone)
			f.w.New.Upgrade = ops.Known(ops.Wait{Waiting: true, Message: "upgrading", Step: "1/3"})
		}, want{kind: Wait}},
		{"not waiting is not upgraded", ops.StepUpgrade, func(f *fixture) {
			f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeDone)
			f.info(func(d *ops.Database) { d.Following = ops.Endpoint{} })
		}, want{kind: Wait}},
		{"the version alone is not upgraded", ops.StepUpgrade, func(f *fixture) {
			f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeDone)
			f.info(func(d *ops.Database) { d.Version = "17.5" })
		}, want{kind: Wait}},
		{"an error goes back", ops.StepUpgrade, func(f *fixture) {
			f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeDone)
			f.w.New.Upgrade = ops.Known(ops.Wait{Error: true, Message: "internal error"})
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "internal error"}},
		{"a deploy during the upgrade goes back", ops.StepUpgrade, func(f *fixture) {
			f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeDone)
			f.app(func(a *AppFacts) {
				a.Releases.Value = append([]ops.Release{{Version: 13, Description: "Deploy 1a2b3c"}}, a.Releases.Value...)
			})
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "Deploy 1a2b3c"}},
		{"the outage's limit goes back", ops.StepUpgrade, func(f *fixture) { f.run.Outage.Limit = now }, want{kind: Again, step: ops.StepReturnUnfence, says: "limit"}},
		{"cancel goes back", ops.StepUpgrade, func(f *fixture) { f.decide(ops.OrderCancel, f.run.ID, true, ops.ByCommand) }, want{kind: Again, step: ops.StepReturnUnfence, says: "cancelled"}},
		{"version, following and waiting together are the end", ops.StepUpgrade, func(f *fixture) {
			f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeDone)
			f.info(func(d *ops.Database) { d.Version, d.Following = "17.5", ops.Endpoint{} })
		}, want{kind: Again, step: ops.StepVerifyNew}},
		{"verified goes on", ops.StepVerifyNew, nil, want{kind: Again, step: ops.StepPromote}},
		{"DATABASE is replaced", ops.StepPromote, nil, want{kind: Act, act: ops.ActPromote}},
		{"never a follower", ops.StepPromote, func(f *fixture) { f.info(func(d *ops.Database) { d.Following = oldHost }) }, want{kind: Again, step: ops.StepReturnUnfence, says: "still follows"}},
		{"never another version", ops.StepPromote, func(f *fixture) { f.info(func(d *ops.Database) { d.Version = "16.9" }) }, want{kind: Again, step: ops.StepReturnUnfence, says: "not at PostgreSQL 17"}},
		{"never unless its end was seen", ops.StepPromote, func(f *fixture) { f.run.Proof.UpgradeSeen = time.Time{} }, want{kind: Again, step: ops.StepReturnUnfence, says: "not seen to end"}},
		{"never another database", ops.StepPromote, func(f *fixture) { f.w.New.Addon.Value.Value.ID = "else" }, want{kind: Again, step: ops.StepReturnUnfence, says: "not the one"}},
		{"never after a foreign change", ops.StepPromote, func(f *fixture) {
			f.app(func(a *AppFacts) { a.Formation = ops.Known([]ops.Process{{Type: "worker", Quantity: 1}}) })
		}, want{kind: Again, step: ops.StepReturnUnfence, says: "worker of orders was scaled to 1"}},
		{"never on facts that could not be read", ops.StepPromote, func(f *fixture) { f.w.New.Info = ops.Unknown[ops.Database]("503") }, want{kind: Wait, says: "503"}},
		{"a pending release is waited for after the switch", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Wait, says: "v14"}},
		{"a failed Attach release calls for help; the fence stays", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleaseFailed })
		}, want{kind: Again, says: "v14"}},
		{"a retried release that succeeded ends the switch", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.app(func(a *AppFacts) {
				a.Releases.Value[0].Status = ops.ReleaseFailed
				a.Releases.Value = append([]ops.Release{{ID: "r15", Version: 15, Description: "Retry of v14: Attach DATABASE", Status: ops.ReleaseSucceeded, Current: true}}, a.Releases.Value...)
			})
		}, want{kind: Again, step: ops.StepUnfence}},
		{"a retried release is waited for", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.app(func(a *AppFacts) {
				a.Releases.Value[0].Status = ops.ReleaseFailed
				a.Releases.Value = append([]ops.Release{{ID: "r15", Version: 15, Description: "Retry of v14: Attach DATABASE", Status: ops.ReleasePending, Current: true}}, a.Releases.Value...)
			})
		}, want{kind: Wait, says: "v15"}},
		{"a retried release that failed calls for help again", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.app(func(a *AppFacts) {
				a.Releases.Value[0].Status = ops.ReleaseFailed
				a.Releases.Value = append([]ops.Release{{ID: "r15", Version: 15, Description: "Retry of v14: Attach DATABASE", Status: ops.ReleaseFailed, Current: true}}, a.Releases.Value...)
			})
		}, want{kind: Again, says: "v15"}},
		{"config vars with the old host are not a switch", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.app(func(a *AppFacts) { a.Hosts = ops.Known(map[string]ops.Endpoint{"DATABASE_URL": oldHost}) })
		}, want{kind: Wait, says: "DATABASE_URL"}},
		{"a cancel after the switch is ignored", ops.StepPromote, func(f *fixture) { f.promoted(); f.decide(ops.OrderCancel, f.run.ID, true, ops.ByCommand) }, want{kind: Again, step: ops.StepUnfence}},
		{"a failed Detach release does not matter", ops.StepPromote, func(f *fixture) { f.promoted() }, want{kind: Again, step: ops.StepUnfence}},
		{"dynos come back first", ops.StepUnfence, nil, want{kind: Act, act: ops.ActScale}},
		{"then maintenance goes off", ops.StepUnfence, func(f *fixture) {
			f.app(func(a *AppFacts) { a.Formation = ops.Known(f.run.Baseline.Apps[0].Formation) })
		}, want{kind: Act, act: ops.ActMaintenance}},
		{"maintenance that was on stays on", ops.StepUnfence, func(f *fixture) {
			f.run.Baseline.Apps[0].Maintenance = true
			f.app(func(a *AppFacts) { a.Formation = ops.Known(f.run.Baseline.Apps[0].Formation) })
		}, want{kind: Again, step: ops.StepVerifyApp}},

		// After.
		{"app good: soak", ops.StepVerifyApp, nil, want{kind: Again, step: ops.StepSoak}},
		{"app not up yet waits", ops.StepVerifyApp, func(f *fixture) { f.app(func(a *AppFacts) { a.Dynos.Value = a.Dynos.Value[:1] }) }, want{kind: Wait, says: "1 of 3 dynos"}},
		{"a worse answer than before waits", ops.StepVerifyApp, func(f *fixture) { f.app(func(a *AppFacts) { a.Health = ops.Known(ops.Health{Status: 500}) }) }, want{kind: Wait, says: "500"}},
		{"the soak waits", ops.StepSoak, func(f *fixture) { f.soaking(time.Hour, 0) }, want{kind: Wait, says: "Soaking"}},
		{"over and quiet: offered", ops.StepSoak, func(f *fixture) { f.soaking(-time.Second, 0) }, want{kind: Again, step: ops.StepGateDestroy}},
		{"used lately: not offered", ops.StepSoak, func(f *fixture) { f.soaking(-time.Second, 3) }, want{kind: Wait, says: "used the old database"}},
		{"attached elsewhere: not offered", ops.StepSoak, func(f *fixture) {
			f.soaking(-time.Second, 0)
			f.w.Retired.Attachments.Value = append(f.w.Retired.Attachments.Value, ops.Attachment{Name: "LEDGER", App: ops.Ref{ID: "app-2", Name: "billing"}})
		}, want{kind: Wait, says: "LEDGER on billing"}},
		{"a button alone does not destroy", ops.StepGateDestroy, func(f *fixture) {
			f.soaking(-time.Hour, 0)
			f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByButton)
		}, want{kind: Wait}},
		{"the typed name does", ops.StepGateDestroy, func(f *fixture) {
			f.soaking(-time.Hour, 0)
			f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByTyped)
		}, want{kind: Again, step: ops.StepDestroy}},
		{"of another run's database does not", ops.StepGateDestroy, func(f *fixture) {
			f.soaking(-time.Hour, 0)
			f.decide(ops.GateDestroy, "destroy:other:old-1", true, ops.ByTyped)
		}, want{kind: Wait}},
		{"use after the offer takes it back", ops.StepGateDestroy, func(f *fixture) { f.soaking(-time.Hour, 2); f.run.Soak.SafeAt = now.Add(-time.Minute) }, want{kind: Again, step: ops.StepSoak}},
		{"destroy by id", ops.StepDestroy, func(f *fixture) {
			f.soaking(-time.Hour, 0)
			f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByTyped)
		}, want{kind: Act, act: ops.ActDestroy}},
		{"not while attached", ops.StepDestroy, func(f *fixture) {
			f.soaking(-time.Hour, 0)
			f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByTyped)
			f.w.Retired.Attachments.Value = attachments(oldDB)[:1]
		}, want{kind: Again, step: ops.StepSoak}},
		{"not on a lapsed decision", ops.StepDestroy, func(f *fixture) { f.soaking(-time.Hour, 0) }, want{kind: Again, step: ops.StepSoak}},
		{"gone is done", ops.StepDestroy, func(f *fixture) { f.soaking(-time.Hour, 0); f.w.Retired.Addon.Value = Found[ops.Addon]{} }, want{kind: End, step: ops.StepEnd}},

		// The way back.
		{"a follower that still follows is destroyed", ops.StepReturnFollower, nil, want{kind: Act, act: ops.ActDestroy}},
		{"one that was upgraded is kept", ops.StepReturnFollower, func(f *fixture) { f.sent(ops.ActUpgrade, ops.StepUpgrade, newDB.ID, ops.OutcomeUnknown) }, want{kind: End, step: ops.StepEnd, says: "Kept"}},
		{"one that follows nothing is kept", ops.StepReturnFollower, func(f *fixture) { f.info(func(d *ops.Database) { d.Following = ops.Endpoint{} }) }, want{kind: End, step: ops.StepEnd, says: "Kept"}},
		{"one that is attached elsewhere is kept", ops.StepReturnFollower, func(f *fixture) { f.w.New.Attachments.Value[0].Name = "DATABASE" }, want{kind: End, step: ops.StepEnd, says: "Kept"}},
		{"whether it follows is unknown: wait", ops.StepReturnFollower, func(f *fixture) { f.w.New.Info = ops.Unknown[ops.Database]("503") }, want{kind: Wait}},
		{"users are let in first", ops.StepReturnUnfence, nil, want{kind: Act, act: ops.ActScale}},

		// Any step.
		{"an intent without an outcome is waited out", ops.StepPromote, func(f *fixture) { f.sent(ops.ActPromote, ops.StepPromote, "orders DATABASE", "") }, want{kind: Wait, says: "interrupted"}},
		{"help waits for a retry", ops.StepPromote, func(f *fixture) { f.run.Help, f.run.HelpSince = "x", now.Add(-time.Minute) }, want{kind: Wait, says: "retry"}},
		{"a retry looks again", ops.StepPromote, func(f *fixture) {
			f.run.Help, f.run.HelpSince = "x", now.Add(-time.Minute)
			f.decide(ops.OrderRetry, f.run.ID, true, ops.ByCommand)
		}, want{kind: Again}},
		{"an unknown step before the switch goes back", "upgrade.rehearse", nil, want{kind: Again, step: ops.StepReturnUnfence, says: "does not know"}},
		{"an unknown step after it asks for help", "promote.extra", func(f *fixture) { f.promoted() }, want{kind: Again, says: "does not know"}},
	}
	play(t, tests)
}

// play runs the rows of a table through Next.
func play(t *testing.T, tests []row) {
	for _, tt := range tests {
		t.Run(string(tt.step)+"/"+tt.name, func(t *testing.T) {
			f := at(tt.step)
			if tt.change != nil {
				tt.change(&f)
			}
			run, m := Next(f.run, f.w, now)
			step := tt.want.step
			if step == "" {
				step = tt.step
			}
			if m.Kind != tt.want.kind || m.Act.Kind != tt.want.act || run.Step != step {
				t.Fatalf("got %s %s, step %s (next %q, why %q, help %q); want %s %s, step %s", m.Kind, m.Act.Kind, run.Step, run.Next, run.Why, run.Help, tt.want.kind, tt.want.act, step)
			}
			said := run.Why + run.Help + run.Next
			for _, e := range m.Events {
				if e.Posted() {
					said += " " + e.Text
				}
			}
			if !strings.Contains(said, tt.want.says) {
				t.Errorf("said %q, want it to hold %q", said, tt.want.says)
			}
		})
	}
}

// soaking puts the run into a soak that ends in left, with so many connections now.
func (f *fixture) soaking(left time.Duration, connections int) {
	f.run.Soak = ops.Soak{From: now.Add(-7 * 24 * time.Hour), Until: now.Add(left)}
	f.w.Retired.Info.Value.Connections = ops.Known(connections)
	f.run.StepSince = now.Add(-time.Minute)
}
