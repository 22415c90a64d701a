package upgrade_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// cell is one step with one event: a run that is led to the step, at whose
// beginning the event happens, and is then followed to its end.
type cell struct {
	*world
	t       *testing.T
	step    ops.Step
	inside  bool // the databases can be reached by SQL
	route   route
	id      string
	struck  bool
	strike  func(c *cell)      // makes the event happen
	ready   func(c *cell) bool // the step has come so far that it can; nil: at once
	later   []later            // what happens by itself afterwards
	leave   func()             // when the step has ended
	mend    func()             // what people put right when they are called
	no      bool               // at that step people say no
	nobody  time.Time          // until then nobody answers
	silent  time.Time          // until then Slack takes no post
	down    time.Time          // until then no row can be read or written
	kill    bool               // the program is stopped
	cannot  string             // why the event cannot happen here
	idle    string             // the same, if it is so that the step sends nothing
	refused string             // what people were told when they asked for it
	helped  int                // how often people were called
	shut    bool               // users were kept out when they were
	before  int                // rows acknowledged at the switch
}

type later struct {
	at time.Time
	do func()
}

// route is the way to a step.
type route string

const (
	forward  route = "forward"
	back     route = "back"     // cancelled behind the fence
	rollback route = "rollback" // ordered in the soak
	given    route = "given up" // ordered in the soak, and declined once the writers are stopped
	undone   route = "undone"   // the second name cannot be switched, where no app has a release phase
)

// twoNames is an app with two names for its database, and no release command
// that could write.
func twoNames(s *herokutest.Server) {
	s.AddApp(herokutest.AppSpec{Name: "orders", Formation: map[string]int{"web": 2, "worker": 1, "clock": 1}})
	s.AddDatabase(herokutest.DatabaseSpec{Name: "postgresql-curved-41822", App: "orders", Plan: "standard-0", Version: "15.13", Bytes: 8_214_000_000})
	if err := s.Stage("attach", "orders", "REPORTING postgresql-curved-41822"); err != nil {
		panic("stage a second name: " + err.Error())
	}
	s.AddApp(herokutest.AppSpec{Name: "billing", Formation: map[string]int{"web": 1}})
	s.AddDatabase(herokutest.DatabaseSpec{Name: "postgresql-flat-77310", App: "billing", Plan: "premium-0", Version: "16.9", Bytes: 31_900_000_000})
}

func routeTo(step ops.Step) route {
	switch {
	case step == ops.StepRollbackLift:
		return given
	case step.Rollback():
		return rollback
	case step == ops.StepReturnAttach:
		return undone
	case step == ops.StepReturnUnfence || step == ops.StepReturnFollower:
		return back
	}
	return forward
}

// play leads a run to the step, lets the event happen, and follows it to its end.
func (c *cell) play(t *testing.T) ending {
	c.t, c.route, c.world = t, routeTo(c.step), &world{sql: c.inside}
	if c.route == undone {
		c.stock = twoNames
	}
	c.silence = func() bool { return c.carrier.Now().Before(c.silent) }
	c.away = func() bool { return c.carrier.Now().Before(c.down) && !c.loses }
	c.stop = c.moment
	build(t, c.world)
	who := "U1"
	if c.step == ops.StepGateCreate {
		who = "U3" // no approver, so that the question is put
	}
	c.id = c.startAs(who, "orders").ID
	c.carrier.Advance(time.Second)
	c.begin()
	for n := 0; c.cannot == ""; n++ {
		r := c.run(c.id)
		if !r.Active() || c.helped > 2 {
			break
		}
		if n > 20_000 {
			t.Fatalf("it does not end: %s", c.tell(c.id))
		}
		c.happen()
		c.people(r)
		if !c.carrier.Step(t.Context()) {
			break
		}
	}
	if !c.struck {
		t.Fatalf("the run never came to step %s: %s", c.step, c.tell(c.id))
	}
	return c.ending()
}

// moment is told of every row and call of the program.
func (c *cell) moment(moment string) {
	if !strings.HasPrefix(moment, "after ") {
		return
	}
	c.inTick = false // what others do now is not the program's
	r := c.never.run
	if c.route == back && r.Step == ops.StepCatchUpExact && !slices.ContainsFunc(c.events(c.id), func(e ops.Event) bool { return e.Gate == ops.OrderCancel }) {
		c.cancel()
	}
	if c.route == undone && r.Step == ops.StepPromote && moment == "after call attachment.replace" {
		c.heroku.Fault(herokutest.Fault{Method: http.MethodPost, Path: "/addon-attachments", When: herokutest.Before, Times: 1, Status: 422, Body: `{"id":"invalid_params","message":"Not now."}`})
	}
	if r.Step == ops.StepPromote && c.before == 0 {
		c.before = c.acknowledged("orders")
	}
	c.begin()
	if c.struck && c.leave != nil && r.Step != c.step {
		c.leave()
		c.leave = nil
	}
	c.inTick = true
	if c.kill {
		c.kill = false
		panic(crashed{moment})
	}
}

// begin lets the event happen once its step has come.
func (c *cell) begin() {
	if !c.struck && c.never.run.Step == c.step && (c.ready == nil || c.ready(c)) {
		c.struck = true
		c.strike(c)
	}
}

// happen is what has become due.
func (c *cell) happen() {
	c.later = slices.DeleteFunc(c.later, func(l later) bool {
		due := !c.carrier.Now().Before(l.at)
		if due {
			l.do()
		}
		return due
	})
}

func (c *cell) in(d time.Duration, do func()) {
	c.later = append(c.later, later{c.carrier.Now().Add(d), do})
}

// cancel is `/pgupgrade cancel orders`, confirmed.
func (c *cell) cancel() {
	_, err := c.service.Cancel(c.t.Context(), ops.Actor{ID: "U1"}, "orders", ops.CancelDigest(c.run(c.id)))
	c.refused = c.refusal(err)
}

// refusal is what people are told, "" when they are obeyed.
func (c *cell) refusal(err error) string {
	var user *ops.UserError
	if err != nil && !errors.As(err, &user) {
		c.t.Fatal(err)
	}
	if err != nil {
		return user.Text
	}
	return ""
}

// people say yes to what they are asked, look again when they are called, and
// put right what they can. They read Slack, so they do nothing while it is away.
func (c *cell) people(r ops.Run) {
	now := c.carrier.Now()
	if absent := latest(c.silent, c.down, c.nobody); now.Before(absent) {
		if r.Step == ops.StepSoak || r.Step == ops.StepGateDestroy { // nothing but samples meanwhile
			c.carrier.Advance(absent.Sub(now) - time.Second)
		}
		return
	}
	if r.Help != "" {
		a := c.app("orders")
		c.shut = c.never.shut(a)
		c.helped++
		c.carrier.Advance(time.Second) // nobody is faster
		if c.mend != nil {
			c.mend()
		}
		if r.Proof.Doubt != "" { // looking again cannot help
			c.say(r, ops.GateRollback, "orders")
			return
		}
		if _, err := c.service.Retry(c.t.Context(), ops.Actor{ID: "U1"}, "orders"); err != nil {
			c.t.Fatal(err)
		}
		return
	}
	switch {
	case r.Step == ops.StepGateCreate:
		c.say(r, ops.GateCreate, "")
	case r.Step == ops.StepGateCutover:
		c.say(r, ops.GateCutover, "")
	case (c.route == rollback || c.route == given) && r.Step == ops.StepSoak && r.Rollback == nil:
		c.say(r, ops.GateRollback, "orders")
	case r.Step == ops.StepRollbackMeter:
		c.say(r, ops.GateLoss, "")
	case r.Step == ops.StepGateDestroy:
		c.say(r, ops.GateDestroy, "orders")
	}
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// say answers a question once.
func (c *cell) say(r ops.Run, gate ops.Gate, typed string) {
	digest, open := ops.OpenQuestion(r, gate)
	if !open {
		return
	}
	since := r.StepSince
	if r.Asked != nil {
		since = r.Asked.At
	}
	all, err := c.store.Decisions(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	now := c.carrier.Now()
	if _, given := ops.LatestDecision(all, gate, digest, since, now); given && !(gate == ops.GateDestroy && !c.no) {
		return
	}
	no := c.no && r.Step == c.step || c.route == given && gate == ops.GateLoss
	if gate == ops.GateLoss && !no {
		c.accepted = c.acknowledged("orders") - c.before
	}
	if no && gate == ops.GateDestroy { // some other day
		c.no = false
		c.nobody = now.Add(absence)
	}
	if _, err := c.service.Answer(c.t.Context(), ops.Actor{ID: "U2"}, ops.Answer{Run: c.id, Gate: gate, Digest: digest, Yes: !no, How: ops.ByButton, Typed: typed}); err != nil {
		c.t.Fatalf("answer %s: %v", gate, err)
	}
}

// fault lays a fault of calls that change something, until the step has ended.
func (c *cell) fault(f herokutest.Fault) {
	for _, f.Method = range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		c.heroku.Fault(f)
	}
	c.leave = c.heroku.ClearFaults
}

// ending is how a cell ended: in a few words, and in a sentence.
type ending struct{ short, long string }

// ending checks what must never be, and says how it ended.
func (c *cell) ending() ending {
	c.t.Helper()
	if c.cannot != "" {
		return ending{"not possible", c.cannot}
	}
	r, a := c.run(c.id), c.app("orders")
	if r.Active() {
		c.t.Fatalf("it does not end, though people helped %d times: %s", c.helped, c.tell(c.id))
	}
	if (c.never.made[c.step] > 0) != (sends[c.step] || c.inside && c.step == ops.StepVerifyNew) && c.idle != "" {
		c.t.Errorf("%d changes were sent at step %s", c.never.made[c.step], c.step)
	}
	if r.Rollback != nil && !r.RolledBack() { // given up: nothing may be missing
		c.accepted = 0
	}
	c.never.ended()
	limits := map[string]int(nil)
	if c.step.Rollback() {
		limits = twice
	} else if c.route == undone {
		limits = map[string]int{"attachment.replace": 2, "maintenance.on": 2, "formation.scale": 3}
	}
	c.never.once(limits)
	onOld := a.Database == c.never.was.Database
	var short string
	long := r.Why
	switch {
	case r.Outcome == ops.Cancelled || r.Outcome == ops.Refused:
		short = "ends"
		if !onOld || c.spent() {
			c.t.Errorf("it ended %s, the app uses %s, a follower was made: %v", r.Outcome, a.Database, c.spent())
		}
	case r.Outcome == ops.Returned && !r.RolledBack() && (c.route == back || c.route == undone):
		short, long = "goes on", ""
		if len(r.Leftovers) > 0 {
			long = r.Why
		}
	case r.Outcome == ops.Returned && !r.RolledBack():
		short = "goes back"
	case r.Rollback != nil && !r.Rollback.Lifted.IsZero() && c.route == rollback:
		short, long = "gives up", c.last(ops.EventReturning)
	default:
		short, long = "goes on", ""
	}
	if r.Outcome == ops.Returned && !onOld || r.Outcome == ops.Succeeded && onOld {
		c.t.Errorf("it ended %s, and the app uses %s", r.Outcome, a.Database)
	}
	c.told(short, r)
	switch {
	case c.idle != "":
		if short != "goes on" {
			c.t.Errorf("nothing can happen here, and it %s: %s", short, c.tell(c.id))
		}
		return ending{"not possible", c.idle}
	case c.refused != "":
		return ending{"refused, " + short, c.refused}
	case c.helped > 0:
		state := "The app is open meanwhile."
		if c.shut {
			state = "The fence stays meanwhile; the commands that lift it were posted."
		}
		return ending{"asks, " + short, c.last(ops.EventHelp) + " " + state}
	case c.last(ops.EventHelp) != "":
		return ending{"tells, " + short, c.last(ops.EventHelp)}
	case short == "goes on" && c.waited(r):
		return ending{"waits, goes on", ""}
	}
	return ending{short, long}
}

// spent reports whether a follower was created.
func (c *cell) spent() bool {
	return slices.ContainsFunc(c.heroku.Effects(), func(e string) bool { return strings.HasPrefix(e, "addon.create") })
}

// last is the text of the newest event of a kind.
func (c *cell) last(kind ops.EventKind) string {
	text := ""
	for _, e := range c.events(c.id) {
		if e.Kind == kind && e.Posted() {
			text = e.Text
		}
	}
	return text
}

// told checks that people were told how it went.
func (c *cell) told(short string, r ops.Run) {
	c.t.Helper()
	if c.last(ops.EventReport) == "" {
		c.t.Errorf("it ended without a report: %s", c.tell(c.id))
	}
	if (short == "goes back" || short == "gives up") && c.last(ops.EventReturning) == "" {
		c.t.Errorf("it %s, and nobody was told: %s", short, c.tell(c.id))
	}
	if r.Outcome == ops.Returned && !strings.Contains(r.Why, "is gone") && !r.RolledBack() && len(r.Leftovers) == 0 {
		c.t.Errorf("it went back, and what became of the follower was not said: %q", r.Why)
	}
}

// waited reports whether the step took much longer than it does undisturbed.
func (c *cell) waited(r ops.Run) bool {
	var took time.Duration
	for _, s := range r.Steps {
		if s.Step == c.step {
			took += s.Ended.Sub(s.Begun)
		}
	}
	return took > usual(c.step)+15*time.Second
}

// usual is about how long a step takes in this world.
func usual(step ops.Step) time.Duration {
	if step == ops.StepSoak || step == ops.StepVerifyApp {
		return soakFor
	}
	return 10 * time.Second
}

func (e ending) String() string {
	if e.long == "" {
		return e.short
	}
	return fmt.Sprintf("%s: %s", e.short, e.long)
}
