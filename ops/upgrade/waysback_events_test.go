package upgrade_test

import (
	"net/http"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// event is something that happens to a run at the beginning of a step.
type event struct {
	name string
	what string
	// at returns the plays of the event at a step: usually one.
	at func(step ops.Step) map[string]*cell
}

// one is an event that is played in one way.
func one(strike func(c *cell)) func(ops.Step) map[string]*cell {
	return func(step ops.Step) map[string]*cell { return map[string]*cell{"": {step: step, strike: strike}} }
}

// happenings are the columns of the table.
func happenings() []event {
	return []event{
		{"decline", "people say no to what they are asked at that step", one(decline)},
		{"cancel", "`/pgupgrade cancel`, confirmed", one(func(c *cell) { c.cancel() })},
		{"fail", "Heroku refuses the step's first change, or what the step waits for fails", at1(failures, nothingSent)},
		{"stall", "what the step waits for does not come", at1(stalls, nothingSent)},
		{"limit", "two hours pass at once: the machine stood still", one(func(c *cell) { c.carrier.Advance(2 * time.Hour) })},
		{"foreign change", "somebody deploys; while users are kept out also each of: scales, starts a one-off dyno, turns maintenance off, attaches a database", foreign},
		{"kill", "the program is killed when the step has begun", one(func(c *cell) { c.kill = true })},
		{"Slack away", "Slack takes and brings nothing for 20 minutes", one(func(c *cell) { c.silent = c.carrier.Now().Add(20 * time.Minute) })},
		{"store away", "for 2 minutes no row can be read or written; the last write before was committed and its answer lost", one(func(c *cell) {
			c.down, c.loses = c.carrier.Now().Add(2*time.Minute), true
		})},
		{"429", "Heroku turns away the next three calls, and the first two changes", one(func(c *cell) {
			c.fault(herokutest.Fault{When: herokutest.Before, Times: 2, Status: 429})
			c.heroku.Fault(herokutest.Fault{When: herokutest.Before, Times: 3, Status: 429})
		})},
		{"500", "Heroku fails in the next eight calls, and in the first change", one(func(c *cell) {
			c.fault(herokutest.Fault{When: herokutest.Before, Times: 1, Status: 500, Body: "oops"})
			c.heroku.Fault(herokutest.Fault{When: herokutest.Before, Times: 8, Status: 500, Body: "oops"})
		})},
		{"reset before", "the connection breaks before Heroku makes the step's first change", one(func(c *cell) {
			c.fault(herokutest.Fault{When: herokutest.Before, Times: 1})
			nothingSent(c)
		})},
		{"reset after", "the connection breaks after Heroku made the step's first change", one(func(c *cell) {
			c.fault(herokutest.Fault{When: herokutest.After, Times: 1})
			nothingSent(c)
		})},
	}
}

// decline is a no. Where nothing is asked there is nothing to say no to, and the
// service refuses whoever tries.
func decline(c *cell) {
	gates := map[ops.Step]ops.Gate{ops.StepGateCreate: ops.GateCreate, ops.StepGateCutover: ops.GateCutover, ops.StepRollbackMeter: ops.GateLoss, ops.StepGateDestroy: ops.GateDestroy,
		ops.StepVerifyApp: ops.GateApp, ops.StepSoak: ops.GateApp}
	switch gates[c.step] {
	case "":
		c.cannot = "Nothing is asked here."
		r := c.run(c.id)
		for _, gate := range []ops.Gate{ops.GateCreate, ops.GateCutover, ops.GateLoss, ops.GateApp, ops.GateDestroy} {
			digest, open := ops.OpenQuestion(r, gate)
			_, err := c.service.Answer(c.t.Context(), ops.Actor{ID: "U2"}, ops.Answer{Run: c.id, Gate: gate, Digest: digest, How: ops.ByButton})
			if open || c.refusal(err) == "" {
				c.t.Errorf("gate %s is open", gate)
			}
		}
	case ops.GateApp: // "Not good" is kept; what follows is people's choice
		if _, err := c.service.Answer(c.t.Context(), ops.Actor{ID: "U1"}, ops.Answer{Run: c.id, Gate: ops.GateApp, Digest: "app:" + c.id, How: ops.ByButton}); err != nil {
			c.t.Fatal(err)
		}
	default:
		c.no = true
	}
}

// sends are the steps that send a change to Heroku.
var sends = map[ops.Step]bool{
	ops.StepBackup: true, ops.StepFollowerCreate: true, ops.StepFence: true, ops.StepUpgrade: true, ops.StepPromote: true, ops.StepUnfence: true, ops.StepDestroy: true,
	ops.StepReturnAttach: true, ops.StepReturnUnfence: true, ops.StepReturnFollower: true,
	ops.StepRollbackFence: true, ops.StepRollbackAttach: true, ops.StepRollbackUnfence: true, ops.StepRollbackLift: true,
}

// nothingSent says that an event cannot happen where no change is sent. That
// none is, is checked when the run has ended.
func nothingSent(c *cell) {
	if !sends[c.step] {
		c.idle = "Nothing is sent to Heroku at this step but questions, which are repeated."
	}
}

// at1 is an event that differs from step to step; where it is none, or the
// fault of a change, otherwise says why.
func at1(steps map[ops.Step]func(c *cell), otherwise func(c *cell)) func(ops.Step) map[string]*cell {
	return func(step ops.Step) map[string]*cell {
		c := &cell{step: step, strike: func(c *cell) {
			if f := steps[c.step]; f != nil {
				f(c)
				return
			}
			c.fault(herokutest.Fault{When: herokutest.Before, Times: 1, Status: 422, Body: `{"id":"invalid_params","message":"Not now."}`})
			otherwise(c)
		}}
		if step == ops.StepFollowerCreate && steps[step] != nil { // there is one to strike
			c.ready = func(c *cell) bool { return c.follower() != "" }
		}
		return map[string]*cell{"": c}
	}
}

func stage(what, name string) func(c *cell) { return func(c *cell) { c.stage(what, name) } }

func (c *cell) follower() string { return c.run(c.id).Follower.Name }

// failures are those that are not a refused change.
var failures = map[ops.Step]func(c *cell){
	ops.StepSurvey:         func(c *cell) { c.stageWith("fork/follow", "postgresql-curved-41822", "Unavailable") },
	ops.StepCatchUp:        func(c *cell) { c.stage("destroy", c.follower()) },
	ops.StepGateCutover:    stage("fail backups", "orders"),
	ops.StepCatchUpExact:   func(c *cell) { c.stage("destroy", c.follower()) },
	ops.StepUpgrade:        func(c *cell) { c.stage("fail upgrade", c.follower()) },
	ops.StepVerifyNew:      func(c *cell) { c.stage("destroy", c.follower()) },
	ops.StepPromote:        failedRelease,
	ops.StepVerifyApp:      func(c *cell) { c.stage("sick", "orders") },
	ops.StepRollbackAttach: failedRelease,
}

func failedRelease(c *cell) {
	c.stage("fail releases", "orders")
	c.mend = func() { c.stage("pass releases", "orders"); c.stage("retry release", "orders") }
}

// stalls are what does not come, at each step that waits for something.
var stalls = map[ops.Step]func(c *cell){
	ops.StepSurvey: func(c *cell) { // questions are refused, not failed: those are repeated in real time
		c.heroku.Fault(herokutest.Fault{Method: http.MethodGet, When: herokutest.Before, Status: 403, Body: `{"id":"forbidden","message":"Not now."}`})
		c.in(15*time.Minute, c.heroku.ClearFaults)
	},
	ops.StepGateCreate: nobody, ops.StepGateDestroy: nobody,
	ops.StepBackup: func(c *cell) {
		c.stage("stall backups", "orders")
		c.mend = func() { c.stage("pass backups", "orders") }
	},
	ops.StepFollowerCreate: func(c *cell) { c.stage("stick", c.follower()) },
	ops.StepCatchUp:        risingLag,
	ops.StepGateCutover:    func(c *cell) { risingLag(c); c.in(5*time.Minute, c.mend) },
	ops.StepFence:          stage("one-off", "orders"), ops.StepRollbackFence: stage("one-off", "orders"),
	ops.StepCatchUpExact: risingLag,
	ops.StepUpgrade:      func(c *cell) { c.stage("stall upgrade", c.follower()) },
	ops.StepVerifyNew: func(c *cell) {
		c.heroku.Fault(herokutest.Fault{Method: http.MethodGet, Path: "upgrade/wait_status", When: herokutest.Before, Status: 403, Body: `{"id":"forbidden","message":"Not now."}`})
	},
	ops.StepPromote: stalledRelease, ops.StepReturnAttach: turnedAway, ops.StepRollbackAttach: stalledRelease,
	ops.StepUnfence: turnedAway, ops.StepReturnUnfence: turnedAway, ops.StepRollbackUnfence: turnedAway, ops.StepRollbackLift: turnedAway,
	ops.StepVerifyApp: stage("hang dynos", "orders"),
	ops.StepSoak: func(c *cell) {
		c.stageWith("connect", "orders", "postgresql-curved-41822")
		c.in(5*time.Minute, func() { c.stage("disconnect", "orders") })
	},
	ops.StepDestroy: func(c *cell) {
		c.stage("linger", "postgresql-curved-41822")
		c.mend = func() { c.stage("go", "postgresql-curved-41822") }
	},
	ops.StepReturnFollower: func(c *cell) { c.stage("linger", c.follower()) },
	ops.StepRollbackMeter:  nobody,
}

// absence is how long nobody answers.
const absence = 15 * time.Minute

func nobody(c *cell) { c.nobody = c.carrier.Now().Add(absence) }

func risingLag(c *cell) {
	name := c.follower()
	c.stage("raise lag", name)
	c.mend = func() { c.stage("let lag fall", name) }
}

func stalledRelease(c *cell) {
	c.stage("stall releases", "orders")
	c.mend = func() { c.stage("pass releases", "orders") }
}

// turnedAway: Heroku takes no change for eight minutes.
func turnedAway(c *cell) {
	c.fault(herokutest.Fault{When: herokutest.Before, Status: 429})
	c.in(8*time.Minute, c.heroku.ClearFaults)
}

// foreign is what somebody else does. Behind a fence each kind is played.
func foreign(step ops.Step) map[string]*cell {
	cells := map[string]*cell{"deploy": foreignCell(step, "deploy", "")}
	switch step {
	case ops.StepFence, ops.StepCatchUpExact, ops.StepUpgrade, ops.StepVerifyNew, ops.StepPromote, ops.StepReturnAttach, ops.StepRollbackFence, ops.StepRollbackMeter, ops.StepRollbackAttach:
		cells["scale"] = foreignCell(step, "scale worker", "")
		cells["one-off"] = foreignCell(step, "one-off", "")
		cells["maintenance off"] = foreignCell(step, "maintenance off", "")
		cells["attach"] = foreignCell(step, "attach", "EXTRA postgresql-flat-77310")
	}
	return cells
}

func foreignCell(step ops.Step, what, arg string) *cell {
	c := &cell{step: step, strike: func(c *cell) {
		c.stageWith(what, "orders", arg)
		c.never.scaled = what == "scale worker"
		c.never.touched = !step.Before(ops.StepFence) && !ops.StepPromote.Before(step) && !step.Rollback()
	}}
	if step == ops.StepReturnAttach && what == "one-off" {
		c.mend = func() { c.stage("end one-offs", "orders") }
	}
	if step == ops.StepFence || step == ops.StepRollbackFence { // once the fence stands, so that there is something to undo
		c.ready = func(c *cell) bool { a := c.app("orders"); return a.Maintenance && count(a.Formation) == 0 }
	}
	return c
}
