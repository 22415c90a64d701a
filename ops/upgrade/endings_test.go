package upgrade_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

var update = flag.Bool("update", false, "write docs/endings.md anew")

// endingsFile is the table of step by event, for people.
const endingsFile = "../../docs/endings.md"

// mishap is something that happens to a run at the moment when it begins a step.
type mishap struct {
	name string
	// strike makes it happen and returns what people are told at once, if that is
	// the end of it ("refused: ..."), else "".
	strike func(c *cell) string
}

// cell is one step with one mishap.
type cell struct {
	*world
	t      *testing.T
	step   ops.Step
	id     string
	struck bool
	down   time.Time // rows cannot be written until then
	silent time.Time // Slack takes no post until then
	kill   bool
	said   string
	mend   func() // what a person puts right before a retry
	no     bool   // the gate is answered with no
	waits  bool   // nobody answers
}

var changing = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (c *cell) fault(f herokutest.Fault) {
	for _, f.Method = range changing {
		c.heroku.Fault(f)
	}
}

func (c *cell) stage(what, name string) {
	if err := c.heroku.Stage(what, name, ""); err != nil {
		c.t.Fatal(err)
	}
}

func mishaps() []mishap {
	return []mishap{
		{"decline", func(c *cell) string { c.no = true; return "" }},
		{"cancel", func(c *cell) string {
			r := c.run(c.id)
			_, err := c.service.Cancel(c.t.Context(), ops.Actor{ID: "U1"}, "orders", ops.CancelDigest(r))
			var user *ops.UserError
			if errors.As(err, &user) {
				return "refused: “" + user.Text + "”; "
			}
			if err != nil {
				c.t.Fatal(err)
			}
			return ""
		}},
		{"fail", func(c *cell) string {
			switch c.step {
			case ops.StepUpgrade:
				c.stage("fail upgrade", c.run(c.id).Follower.Name)
			case ops.StepPromote, ops.StepRollbackAttach:
				c.stage("fail releases", "orders")
				c.mend = func() { c.stage("pass releases", "orders"); c.stage("retry release", "orders") }
			default:
				c.fault(herokutest.Fault{When: herokutest.Before, Times: 1, Status: 422, Body: `{"id":"invalid_params","message":"Not now."}`})
				c.mend = func() {}
			}
			return ""
		}},
		{"stall", func(c *cell) string {
			r := c.run(c.id)
			switch c.step {
			case ops.StepFollowerCreate:
				c.heroku.Fault(herokutest.Fault{Method: http.MethodGet, Path: "wait_status", When: herokutest.Before, Times: 40, Status: 503, Body: "down"})
			case ops.StepCatchUp, ops.StepGateCutover, ops.StepCatchUpExact:
				c.stage("raise lag", r.Follower.Name)
			case ops.StepUpgrade:
				c.stage("stall upgrade", r.Follower.Name)
			case ops.StepFence, ops.StepRollbackFence:
				c.stage("one-off", "orders")
			default:
				c.waits = true
			}
			return ""
		}},
		{"limit", func(c *cell) string { c.carrier.Advance(2 * time.Hour); return "" }},
		{"foreign change", func(c *cell) string { c.stage("deploy", "orders"); return "" }},
		{"kill", func(c *cell) string { c.kill = true; return "" }},
		{"Slack away 20 min", func(c *cell) string { c.silent = c.carrier.Now().Add(20 * time.Minute); return "" }},
		{"store away 2 min", func(c *cell) string { c.down = c.carrier.Now().Add(2 * time.Minute); return "" }},
		{"429", func(c *cell) string {
			c.heroku.Fault(herokutest.Fault{When: herokutest.Before, Times: 3, Status: 429, Body: `{"id":"rate_limit","message":"Slow down."}`})
			return ""
		}},
		{"500", func(c *cell) string {
			c.heroku.Fault(herokutest.Fault{When: herokutest.Before, Times: 8, Status: 500, Body: "oops"})
			return ""
		}},
		{"reset before", func(c *cell) string { c.fault(herokutest.Fault{When: herokutest.Before, Times: 1}); return "" }},
		{"reset after", func(c *cell) string { c.fault(herokutest.Fault{When: herokutest.After, Times: 1}); return "" }},
	}
}

func endingSteps() []ops.Step {
	var out []ops.Step
	for _, s := range ops.Steps() {
		if s != ops.StepEnd {
			out = append(out, s)
		}
	}
	return append(out, ops.StepRollbackFence, ops.StepRollbackMeter, ops.StepRollbackAttach, ops.StepRollbackUnfence)
}

// TestEndings plays every mishap at every step to its end, checks what must
// never be, and keeps the table of how each ends.
func TestEndings(t *testing.T) {
	var mu sync.Mutex
	ends := map[string]string{}
	t.Run("play", func(t *testing.T) {
		for _, step := range endingSteps() {
			for _, m := range mishaps() {
				t.Run(string(step)+"/"+m.name, func(t *testing.T) {
					t.Parallel()
					end := playCell(t, step, m)
					mu.Lock()
					ends[string(step)+"/"+m.name] = end
					mu.Unlock()
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	table := endingsTable(t, ends)
	if *update {
		if err := os.WriteFile(endingsFile, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(endingsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(kept), table); diff != "" {
		t.Errorf("%s differs; go test ./ops/upgrade -run TestEndings -update rewrites it:\n%s", endingsFile, diff)
	}
}

func playCell(t *testing.T, step ops.Step, m mishap) string {
	c := &cell{world: newWorld(t), t: t, step: step}
	who := "U1"
	if step == ops.StepGateCreate && m.name == "decline" {
		who = "U3" // no approver, so that the question is put
	}
	started, err := c.service.Start(t.Context(), ops.Actor{ID: who}, "C1", "orders", ops.Request{})
	if err != nil {
		t.Fatal(err)
	}
	c.id = started.Run.ID
	begins := func() {
		if !c.struck && c.run(c.id).Step == step {
			c.struck = true
			c.said = m.strike(c)
		}
	}
	inTick := false
	c.silence = func() bool { return c.carrier.Now().Before(c.silent) }
	c.crash = func(op, when string) {
		if !inTick || !counts(op) {
			return
		}
		if when == "before" && c.carrier.Now().Before(c.down) {
			panic(crashed{"no store"})
		}
		if when == "after" {
			begins()
		}
		if c.kill {
			c.kill = false
			panic(crashed{"killed"})
		}
	}
	begins()
	helped := 0
	for range 20_000 {
		r := c.run(c.id)
		if !r.Active() {
			break
		}
		if r.Help != "" {
			if helped++; helped > 3 {
				break
			}
			if c.mend != nil {
				c.mend()
			}
			if _, err := c.service.Retry(t.Context(), ops.Actor{ID: "U1"}, "orders"); err != nil {
				t.Fatal(err)
			}
		}
		c.people(r)
		inTick = true
		more := c.carrier.Step(t.Context())
		inTick = false
		if !more {
			break
		}
	}
	if !c.struck {
		t.Fatalf("the run never came to step %s: %s", step, c.tell(c.id))
	}
	return c.ending(helped)
}

// people answer what is asked: yes to everything, no where the mishap is a
// decline; where it is a stall, nobody is there for an hour.
func (c *cell) people(r ops.Run) {
	rolling := c.step.Rollback()
	says := func(gate ops.Gate, typed string) {
		digest, open := ops.OpenQuestion(r, gate)
		if !open {
			return
		}
		all, err := c.store.Decisions(c.t.Context(), c.id)
		if err != nil {
			c.t.Fatal(err)
		}
		if _, given := ops.LatestDecision(all, gate, digest, r.StepSince, c.carrier.Now()); given {
			return
		}
		no := c.no && c.struck && r.Step == c.step
		if no && gate == ops.GateDestroy {
			return // there is no "no": nobody answers
		}
		if _, err := c.service.Answer(c.t.Context(), ops.Actor{ID: "U2"}, ops.Answer{Run: c.id, Gate: gate, Digest: digest, Yes: !no, How: ops.ByButton, Typed: typed}); err != nil {
			c.t.Fatalf("answer %s: %v", gate, err)
		}
	}
	switch {
	case c.waits && c.struck && r.Step == c.step && c.carrier.Now().Sub(r.StepSince) < time.Hour:
		return
	case r.Step == ops.StepGateCreate:
		says(ops.GateCreate, "")
	case r.Step == ops.StepGateCutover:
		says(ops.GateCutover, "")
	case rolling && r.Step == ops.StepSoak && r.Rollback == nil:
		says(ops.GateRollback, "orders")
	case r.Step == ops.StepRollbackMeter:
		if c.accepted == 0 {
			c.accepted = -1 // whatever was written since the switch
		}
		says(ops.GateLoss, "")
	case r.Step == ops.StepGateDestroy:
		says(ops.GateDestroy, "orders")
	}
}

// ending checks what must never be, and says in a few words how it ended.
func (c *cell) ending(helped int) string {
	c.t.Helper()
	r, a := c.run(c.id), c.app("orders")
	if r.Active() && r.Help == "" {
		c.t.Fatalf("it neither ends nor calls for help: %s", c.tell(c.id))
	}
	onOld := strings.HasPrefix(a.Database, "postgresql-")
	for _, rows := range c.heroku.Rows() {
		if rows.App == "orders" && rows.Missing != 0 && (!onOld || c.accepted == 0) {
			c.t.Errorf("%d acknowledged rows are missing: %s", rows.Missing, c.tell(c.id))
		}
	}
	if r.Help == "" {
		if a.Maintenance || fmt.Sprint(a.Formation) != fmt.Sprint(map[string]int{"web": 2, "worker": 1, "clock": 1}) {
			c.t.Errorf("not as recorded: maintenance %v, formation %v: %s", a.Maintenance, a.Formation, c.tell(c.id))
		}
	}
	most := map[string]int{"maintenance.on": 1, "maintenance.off": 1, "formation.scale": 2}
	if c.step.Rollback() {
		most = rolledBackTwice
	}
	c.atMost(most)

	how := ""
	switch {
	case r.Help != "":
		how = "needs a person, the fence stays"
		if !a.Maintenance {
			how = "needs a person, the app is open"
		}
	case r.RolledBack():
		how = "rolled back"
	case r.Outcome == ops.Succeeded:
		how = "upgraded"
	case r.Outcome == ops.Cancelled:
		how = "ended, nothing created"
	case r.Outcome == ops.Returned && len(r.Leftovers) > 0:
		how = "went back, new one kept"
	case r.Outcome == ops.Returned:
		how = "went back, follower destroyed"
	default:
		how = r.Outcome
	}
	if r.Outcome == ops.Returned && !onOld {
		c.t.Errorf("it went back, and the app uses %s", a.Database)
	}
	if r.Rollback != nil && !r.Rollback.Lifted.IsZero() {
		how += ", rollback given up first"
	}
	if helped > 0 && r.Help == "" {
		how += ", after a person helped"
	}
	if c.said != "" {
		how = "refused; " + how
	}
	return how
}

func endingsTable(t *testing.T, ends map[string]string) string {
	var b strings.Builder
	b.WriteString(`# How it ends

What becomes of an upgrade when something happens at the moment a step begins. The table is written by
` + "`TestEndings`" + `, which plays each cell on the stand-in for Heroku to its end and checks that no acknowledged row is
missing (but for those that a confirmed rollback gives up), that maintenance and formation are as recorded, and
that nothing took effect twice. People say yes to what they are asked, and *Look again* when they are called.

- *decline*: the answer at that step is no. *cancel*: ` + "`/pgupgrade cancel`" + `. *limit*: two hours pass at once.
- *fail*: the upgrade or the release fails; elsewhere Heroku refuses the first change of that step or a later one.
- *stall*: provisioning cannot be seen, the lag rises, the upgrade never ends, a one-off dyno stays; elsewhere nobody answers for an hour.
- *foreign change*: somebody deploys. *reset*: the connection breaks before or after Heroku acts.

| Step |`)
	rule := "\n|---|"
	for _, m := range mishaps() {
		b.WriteString(" " + m.name + " |")
		rule += "---|"
	}
	b.WriteString(rule + "\n")
	for _, step := range endingSteps() {
		b.WriteString("| " + string(step) + " |")
		for _, m := range mishaps() {
			end := ends[string(step)+"/"+m.name]
			if end == "" {
				t.Errorf("the cell %s × %s is empty", step, m.name)
			}
			b.WriteString(" " + end + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}
