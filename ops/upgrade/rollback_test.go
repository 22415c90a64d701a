package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// ordered gives a typed decision to roll back.
func (f *fixture) ordered(how string) {
	f.decide(ops.GateRollback, ops.RollbackDigest(f.run), true, how)
}

// switchedOver is the world after the switch: the app runs on the new database.
func (f *fixture) switchedOver() {
	f.sent(ops.ActPromote, ops.StepPromote, "orders DATABASE", ops.OutcomeDone)
	f.run.Proof.PromotedAt = now.Add(-time.Hour)
	f.run.Outage.Until = now.Add(-time.Hour)
	f.app(func(a *AppFacts) {
		a.Attachments = ops.Known(attachments(newDB))
		a.Releases.Value[0].Version = 14
		a.Hosts = ops.Known(map[string]ops.Endpoint{"DATABASE_URL": newHost})
	})
}

// rolling is a rollback under way, with the apps recorded as they were when
// they were open on the new database.
func (f *fixture) rolling() {
	f.switchedOver()
	rb := &ops.Rollback{Decided: now.Add(-time.Minute), By: ops.Actor{ID: "U2"}, Origin: ops.StepSoak, From: now.Add(-time.Minute)}
	rb.Baseline = &ops.Baseline{At: now.Add(-time.Minute), Apps: []ops.BaselineApp{{
		Ref: orders, Formation: []ops.Process{{Type: "web", Quantity: 3, Size: "standard-1X"}, {Type: "worker", Quantity: 1}}, Release: 14,
		Attachments: attachments(newDB), Health: ops.Health{Status: 200},
	}}}
	f.run.Rollback = rb
	if f.run.Step != ops.StepRollbackFence {
		f.fenced()
	}
	if f.run.Step == ops.StepRollbackMeter || f.run.Step == ops.StepRollbackAttach {
		rb.Asked, rb.Meter = now.Add(-30*time.Second), meterUnknown
	}
}

// attachedBack is the world once DATABASE leads to the old database again.
func (f *fixture) attachedBack(status string) {
	f.sent(ops.ActPromote, ops.StepRollbackAttach, "orders DATABASE", ops.OutcomeDone)
	f.app(func(a *AppFacts) {
		a.Attachments = ops.Known(attachments(oldDB))
		a.Releases = ops.Known([]ops.Release{{ID: "r15", Version: 15, Description: "Attach DATABASE (@ref:postgresql-curved-1)", Status: status, Current: true}})
		a.Hosts = ops.Known(map[string]ops.Endpoint{"DATABASE_URL": oldHost})
	})
}

func TestRollback(t *testing.T) {
	play(t, []row{
		// The order.
		{"a typed order begins it", ops.StepSoak, func(f *fixture) { f.switchedOver(); f.soaking(time.Hour, 0); f.ordered(ops.ByTyped) }, want{kind: Again, step: ops.StepRollbackFence, says: "Rolling back"}},
		{"so does one at the terminal", ops.StepGateDestroy, func(f *fixture) { f.switchedOver(); f.soaking(-time.Hour, 0); f.ordered(ops.ByTerminal) }, want{kind: Again, step: ops.StepRollbackFence}},
		{"and before the app is verified", ops.StepVerifyApp, func(f *fixture) { f.switchedOver(); f.ordered(ops.ByTyped) }, want{kind: Again, step: ops.StepRollbackFence}},
		{"and when the switch needs a person", ops.StepPromote, func(f *fixture) {
			f.promoted()
			f.run.Help, f.run.HelpSince = "the release failed", now.Add(-time.Minute)
			f.ordered(ops.ByTyped)
		}, want{kind: Again, step: ops.StepRollbackFence}},
		{"a button alone does not", ops.StepSoak, func(f *fixture) { f.switchedOver(); f.soaking(time.Hour, 0); f.ordered(ops.ByButton) }, want{kind: Wait, says: "Soaking"}},
		{"nor an order about another database", ops.StepSoak, func(f *fixture) {
			f.switchedOver()
			f.soaking(time.Hour, 0)
			f.decide(ops.GateRollback, "rollback:orders-abcde:old-1:other", true, ops.ByTyped)
		}, want{kind: Wait, says: "Soaking"}},
		{"nor one that has expired", ops.StepSoak, func(f *fixture) {
			f.switchedOver()
			f.soaking(time.Hour, 0)
			f.ordered(ops.ByTyped)
			f.w.Decisions[0].Expires = now
		}, want{kind: Wait, says: "Soaking"}},
		{"nor one that a given-up rollback has used", ops.StepSoak, func(f *fixture) {
			f.switchedOver()
			f.soaking(time.Hour, 0)
			f.ordered(ops.ByTyped)
			f.run.Rollback = &ops.Rollback{Lifted: now}
		}, want{kind: Wait, says: "Soaking"}},
		{"nor a second one after it was done", ops.StepSoak, func(f *fixture) {
			f.switchedOver()
			f.soaking(time.Hour, 0)
			f.ordered(ops.ByTyped)
			f.run.Rollback = &ops.Rollback{Attached: now.Add(-time.Minute)}
		}, want{kind: Wait, says: "Soaking"}},
		{"it goes before an order to destroy", ops.StepGateDestroy, func(f *fixture) {
			f.switchedOver()
			f.soaking(-time.Hour, 0)
			f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByTyped)
			f.ordered(ops.ByTyped)
		}, want{kind: Again, step: ops.StepRollbackFence}},
		{"not while the switch goes well", ops.StepPromote, func(f *fixture) { f.promoted(); f.ordered(ops.ByTyped) }, want{kind: Again, step: ops.StepUnfence}},

		// The fence.
		{"the apps are recorded before anything is touched", ops.StepRollbackFence, func(f *fixture) { f.rolling(); f.run.Rollback.Baseline = nil }, want{kind: Again, says: "web=2 worker=1"}},
		{"an old database that is gone ends it", ops.StepRollbackFence, func(f *fixture) {
			f.rolling()
			f.run.Rollback.Baseline = nil
			f.w.Old.Addon.Value = Found[ops.Addon]{}
		}, want{kind: Again, step: ops.StepSoak, says: "not there any more"}},
		{"whether it is there cannot be seen: wait", ops.StepRollbackFence, func(f *fixture) {
			f.rolling()
			f.run.Rollback.Baseline = nil
			f.w.Old.Addon = ops.Unknown[Found[ops.Addon]]("503")
		}, want{kind: Wait, says: "503"}},
		{"a deploy is waited for", ops.StepRollbackFence, func(f *fixture) {
			f.rolling()
			f.run.Rollback.Baseline = nil
			f.app(func(a *AppFacts) { a.Releases.Value[0].Status = ops.ReleasePending })
		}, want{kind: Wait, says: "waiting"}},
		{"maintenance first", ops.StepRollbackFence, func(f *fixture) { f.rolling() }, want{kind: Act, act: ops.ActMaintenance}},
		{"then the dynos", ops.StepRollbackFence, func(f *fixture) {
			f.rolling()
			f.app(func(a *AppFacts) { a.App.Value.Maintenance = true })
		}, want{kind: Act, act: ops.ActScale}},
		{"no dyno runs: the meter", ops.StepRollbackFence, func(f *fixture) { f.rolling(); f.fenced() }, want{kind: Again, step: ops.StepRollbackMeter}},
		{"a release meanwhile gives it up", ops.StepRollbackFence, func(f *fixture) {
			f.rolling()
			f.app(func(a *AppFacts) { a.Releases.Value[0].Version = 15 })
		}, want{kind: Again, step: ops.StepRollbackLift, says: "v15"}},
		{"a refused fence gives it up", ops.StepRollbackFence, func(f *fixture) {
			f.rolling()
			f.sent(ops.ActMaintenance, ops.StepRollbackFence, "orders", ops.OutcomeRefused)
		}, want{kind: Again, step: ops.StepRollbackLift, says: "said no"}},
		{"a cancel gives it up", ops.StepRollbackFence, func(f *fixture) { f.rolling(); f.decide(ops.OrderCancel, f.run.ID, true, ops.ByCommand) }, want{kind: Again, step: ops.StepRollbackLift, says: "cancelled by"}},

		// The meter and the second decision.
		{"the meter says unknown and asks", ops.StepRollbackMeter, func(f *fixture) { f.rolling(); f.run.Rollback.Asked = time.Time{} }, want{kind: Again, says: "unknown: cannot reach the database by SQL"}},
		{"without an answer it waits", ops.StepRollbackMeter, func(f *fixture) { f.rolling() }, want{kind: Wait, says: "Waiting for an approver"}},
		{"a yes goes on", ops.StepRollbackMeter, func(f *fixture) { f.rolling(); f.decide(ops.GateLoss, ops.LossDigest(f.run), true, ops.ByButton) }, want{kind: Again, step: ops.StepRollbackAttach}},
		{"a yes to an earlier question does not", ops.StepRollbackMeter, func(f *fixture) {
			f.rolling()
			f.decide(ops.GateLoss, "loss:orders-abcde:1", true, ops.ByButton)
		}, want{kind: Wait}},
		{"a no gives it up", ops.StepRollbackMeter, func(f *fixture) {
			f.rolling()
			f.decide(ops.GateLoss, ops.LossDigest(f.run), false, ops.ByButton)
		}, want{kind: Again, step: ops.StepRollbackLift, says: "declined by"}},
		{"no answer for ten minutes gives it up", ops.StepRollbackMeter, func(f *fixture) { f.rolling(); f.run.Rollback.Asked = now.Add(-ops.LossWait) }, want{kind: Again, step: ops.StepRollbackLift, says: "nobody answered"}},
		{"maintenance lifted by somebody gives it up", ops.StepRollbackMeter, func(f *fixture) {
			f.rolling()
			f.app(func(a *AppFacts) { a.App.Value.Maintenance = false })
		}, want{kind: Again, step: ops.StepRollbackLift, says: "maintenance mode of orders"}},

		// The switch back.
		{"DATABASE goes back", ops.StepRollbackAttach, func(f *fixture) { f.rolling() }, want{kind: Act, act: ops.ActPromote}},
		{"not after a foreign change", ops.StepRollbackAttach, func(f *fixture) {
			f.rolling()
			f.app(func(a *AppFacts) { a.Dynos = ops.Known([]ops.Dyno{{Name: "run.1", Type: "run"}}) })
		}, want{kind: Again, step: ops.StepRollbackLift, says: "run.1"}},
		{"a refusal gives it up", ops.StepRollbackAttach, func(f *fixture) {
			f.rolling()
			f.sent(ops.ActPromote, ops.StepRollbackAttach, "orders DATABASE", ops.OutcomeRefused)
		}, want{kind: Again, step: ops.StepRollbackLift, says: "said no"}},
		{"a lost answer is looked for", ops.StepRollbackAttach, func(f *fixture) {
			f.rolling()
			f.sent(ops.ActPromote, ops.StepRollbackAttach, "orders DATABASE", ops.OutcomeUnknown)
			f.w.Acts[len(f.w.Acts)-1].EndedAt = now.Add(-time.Second)
		}, want{kind: Wait, says: "answer was lost"}},
		{"its release must succeed", ops.StepRollbackAttach, func(f *fixture) { f.rolling(); f.attachedBack(ops.ReleasePending) }, want{kind: Wait, says: "v15"}},
		{"a failed one calls for help", ops.StepRollbackAttach, func(f *fixture) { f.rolling(); f.attachedBack(ops.ReleaseFailed) }, want{kind: Again, says: "does not use `postgresql-curved-1` yet"}},
		{"attached: open again", ops.StepRollbackAttach, func(f *fixture) { f.rolling(); f.attachedBack(ops.ReleaseSucceeded) }, want{kind: Again, step: ops.StepRollbackUnfence}},
		{"what the rollback recorded is restored", ops.StepRollbackUnfence, func(f *fixture) { f.rolling() }, want{kind: Act, act: ops.ActScale}},
		{"given up: the same is restored", ops.StepRollbackLift, func(f *fixture) { f.rolling() }, want{kind: Act, act: ops.ActScale}},
		{"given up where the switch needs a person: the fence stays", ops.StepRollbackLift, func(f *fixture) {
			f.rolling()
			f.run.Rollback.Fenced, f.run.Rollback.Origin = true, ops.StepPromote
		}, want{kind: Again, step: ops.StepPromote, says: "still needs a person"}},

		// Afterwards.
		{"the new database is the one that is retired", ops.StepDestroy, func(f *fixture) {
			f.rolling()
			f.run.Rollback.Attached = now.Add(-time.Minute)
			f.soaking(-time.Hour, 0)
			f.w.Retired = f.w.New
			f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByTyped)
		}, want{kind: Act, act: ops.ActDestroy}},
		{"an order to destroy the old one no longer counts", ops.StepGateDestroy, func(f *fixture) {
			f.rolling()
			f.decide(ops.GateDestroy, ops.DestroyDigest(ops.Run{ID: f.run.ID, Database: oldDB}), true, ops.ByTyped)
			f.run.Rollback.Attached = now.Add(-time.Minute)
			f.soaking(-time.Hour, 0)
			f.w.Retired = f.w.New
		}, want{kind: Wait}},
	})
}

// TestRollbackTargets: the acts of a rollback are about the right database.
func TestRollbackTargets(t *testing.T) {
	f := at(ops.StepRollbackAttach)
	f.rolling()
	if _, m := Next(f.run, f.w, now); m.Act.Args["addon"] != oldDB.ID {
		t.Errorf("DATABASE is moved to %q", m.Act.Args["addon"])
	}
	f = at(ops.StepDestroy)
	f.rolling()
	f.run.Rollback.Attached = now
	f.soaking(-time.Hour, 0)
	f.w.Retired = f.w.New
	f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByTyped)
	if _, m := Next(f.run, f.w, now); m.Act.Target != newDB.ID {
		t.Errorf("%q is destroyed", m.Act.Target)
	}
	f = at(ops.StepRollbackUnfence)
	f.rolling()
	_, m := Next(f.run, f.w, now)
	if want := `[{"type":"web","quantity":3`; len(m.Act.Args["formation"]) < len(want) || m.Act.Args["formation"][:len(want)] != want {
		t.Errorf("restores %s, recorded was web=3", m.Act.Args["formation"])
	}
}
