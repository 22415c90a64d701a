package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// never is what must never be (the numbers are the rules'), seen from outside:
// from Heroku's side and from the rows, without asking the procedure what it
// thinks. It looks after every row that is written and around every call.
type never struct {
	w       *world
	id, app string
	was     herokutest.AppView // before the run
	touched bool               // somebody else changed something between fence and switch
	scaled  bool               // somebody else started dynos
	staged  bool               // somebody else changed formation or maintenance: they are theirs
	run     ops.Run            // as of the last check
	events  []ops.Event
	maybe   map[ops.ActKind]int // calls that may have taken effect
	made    map[ops.Step]int    // calls made in a step
	checks  int
	outs    int // of them, those at which users were kept out
	found   []string
}

func newNever(w *world) *never {
	return &never{w: w, maybe: map[ops.ActKind]int{}, made: map[ops.Step]int{}}
}

func (n *never) watch(r ops.Run, app string) { n.run, n.id, n.app, n.was = r, r.ID, app, n.w.app(app) }

func (n *never) broken(rule int, format string, args ...any) {
	text := fmt.Sprintf("rule %d: ", rule) + fmt.Sprintf(format, args...)
	n.found = append(n.found, text)
	if n.w.broken == 0 {
		n.w.t.Errorf("%s\n%s", text, n.w.tell(n.id))
	}
}

// saw reports whether a break of the rule was noticed.
func (n *never) saw(rule int) bool {
	return slices.ContainsFunc(n.found, func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("rule %d: ", rule)) })
}

func count(formation map[string]int) (sum int) {
	for _, q := range formation {
		sum += q
	}
	return sum
}

// shut reports whether users are kept out although they were not before.
func (n *never) shut(a herokutest.AppView) bool {
	return a.Maintenance && !n.was.Maintenance || count(a.Formation) == 0 && count(n.was.Formation) > 0
}

// check looks at the world at a moment.
func (n *never) check(moment string) {
	if n.id == "" {
		return
	}
	n.checks++
	ctx := context.Background()
	o := n.w.heroku.Overview()
	a, _ := find(o, n.app)
	run, err := n.w.store.Run(ctx, n.id)
	if err != nil {
		n.w.t.Fatal(err)
	}
	var last int64
	if len(n.events) > 0 {
		last = n.events[len(n.events)-1].ID
	}
	added, err := n.w.store.Events(ctx, n.id, last)
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.run = run
	n.events = append(n.events, added...)

	n.promoted(o, a, run, moment)
	n.fences(a, run, moment)
	n.told(a, run, moment)
	if !n.staged {
		for kind, q := range a.Formation {
			if q != 0 && q != n.was.Formation[kind] {
				n.broken(5, "%s: %s runs %d dynos, recorded were %d", moment, kind, q, n.was.Formation[kind])
			}
		}
	}
	for _, e := range added {
		if why := n.untrue(o, a, run, e); why != "" {
			n.broken(8, "%s: said %q, but %s", moment, e.Text, why)
		}
	}
}

// promoted is rule 1: what DATABASE leads to.
func (n *never) promoted(o herokutest.Overview, a herokutest.AppView, run ops.Run, moment string) {
	for _, at := range a.Attachments {
		name, to, _ := strings.Cut(at, " ")
		if name != "DATABASE" || to == n.was.Database {
			continue
		}
		d, ok := database(o, to)
		if !ok || d.Following != "" || !strings.HasPrefix(d.Version, run.Plan.To+".") || d.State != "provisioned" {
			n.broken(1, "%s: DATABASE leads to %+v", moment, d)
		}
	}
}

// fences is what must never be of read-only defaults: nobody is let in while the
// database that the app uses is read-only, and nobody is out of it on the new one
// while the old one is writable.
func (n *never) fences(a herokutest.AppView, run ops.Run, moment string) {
	if n.w.insides == nil || run.Baseline == nil || n.staged || n.touched || n.scaled || count(a.Formation) == 0 {
		return
	}
	own := (ops.DBFence{Setting: n.w.before}).On()
	for _, db := range []ops.Ref{run.Database, run.Follower} {
		f, there := n.w.insides.fence(db.ID)
		switch {
		case !there || own:
		case a.Database == db.Name && f.On():
			n.broken(4, "%s: dynos run on %s, which is read-only", moment, db.Name)
		case a.Database == run.Follower.Name && db.ID == run.Database.ID && !f.On():
			n.broken(12, "%s: the app uses %s, and %s is writable", moment, a.Database, db.Name)
		}
	}
}

// told is rule 4: whoever is kept out, somebody knows it, and knows how to end it.
func (n *never) told(a herokutest.AppView, run ops.Run, moment string) {
	if !n.shut(a) || n.staged {
		return
	}
	n.outs++
	if !run.Active() {
		n.broken(4, "%s: the run has ended (%s) and users are kept out", moment, run.Outcome)
		return
	}
	base := run.Recorded()
	if base == nil {
		n.broken(4, "%s: users are kept out and nothing was recorded", moment)
		return
	}
	undo := slices.ContainsFunc(n.events, func(e ops.Event) bool {
		return e.Kind == ops.EventUndo && e.Posted() && !e.At.Before(base.At) && n.undoes(e.Text)
	})
	if !undo {
		n.broken(4, "%s: users are kept out and nobody was told how to let them in", moment)
	}
	if run.Help != "" && !slices.ContainsFunc(n.events, func(e ops.Event) bool { return e.Kind == ops.EventHelp && e.Loud() && e.Text == run.Help }) {
		n.broken(4, "%s: the run waits for a person who was not called", moment)
	}
}

// undoes reports whether the commands bring everything back.
func (n *never) undoes(commands string) bool {
	for kind, q := range n.was.Formation {
		if q > 0 && !strings.Contains(commands, fmt.Sprintf(" %s=%d", kind, q)) {
			return false
		}
	}
	if n.w.insides != nil && !strings.Contains(commands, "RESET default_transaction_read_only") {
		return false
	}
	return strings.Contains(commands, "heroku ps:scale ") && (n.was.Maintenance || strings.Contains(commands, "heroku maintenance:off -a "+n.app))
}

// untrue is rule 8: what is said to be done must be so. It says what is not.
func (n *never) untrue(o herokutest.Overview, a herokutest.AppView, run ops.Run, e ops.Event) string {
	if e.Kind != ops.EventStep && e.Kind != ops.EventReport {
		return ""
	}
	d, _ := database(o, run.Follower.Name)
	for claim, holds := range map[string]bool{
		"Writers stopped":        a.Maintenance && len(a.Dynos) == 0,
		"Writers of ":            a.Maintenance && len(a.Dynos) == 0,
		"is ready and follows":   d.Following == n.was.Database && d.State == "provisioned",
		"Nothing is missing":     d.Following == n.was.Database && d.Behind == 0,
		"Upgraded to PostgreSQL": d.Following == "" && d.State == "provisioned" && strings.HasPrefix(d.Version, run.Plan.To),
		"Promoted: ":             a.Database == run.Follower.Name,
		"` is `postgresql-":      a.Database == n.was.Database,
		" is open again":         n.staged || a.Maintenance == n.was.Maintenance && fmt.Sprint(a.Formation) == fmt.Sprint(n.was.Formation),
		"the follower is gone":   d.Name == "",
	} {
		if strings.Contains(e.Text, claim) && !holds {
			return fmt.Sprintf("the app is %+v, the new database %+v", a, d)
		}
	}
	return ""
}

// called looks before a call that changes something.
func (n *never) called(step ops.Step, kind ops.ActKind, target string) {
	n.made[step]++
	ctx, w := context.Background(), n.w
	run, err := w.store.Run(ctx, n.id)
	if err != nil {
		w.t.Fatal(err)
	}
	acts, err := w.store.Acts(ctx, n.id)
	if err != nil {
		w.t.Fatal(err)
	}
	decisions, err := w.store.Decisions(ctx, n.id)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.own {
		n.broken(11, "%s %s is called on the database of the bot's own rows", kind, target)
	}
	n.intended(step, kind, target, acts)
	n.decided(step, kind, run, decisions)
	o := w.heroku.Overview()
	a, _ := find(o, n.app)
	switch kind {
	case ops.ActUpgrade:
		n.upgrades(o, a, run)
	case ops.ActCreate:
		for _, d := range o.Databases {
			if d.Following == n.was.Database {
				n.broken(3, "%s is created, and %s follows already", target, d.Name)
			}
		}
	case ops.ActPromote:
		if step == ops.StepPromote && n.touched {
			n.broken(1, "the switch goes on after somebody else changed something")
		}
	case ops.ActDestroy:
		n.destroys(target, o, a, run, decisions)
	}
}

// answered keeps whether a call may have taken effect.
func (n *never) answered(kind ops.ActKind, err error) {
	if err == nil || !errors.Is(err, ops.ErrRefused) && !errors.Is(err, ops.ErrBusy) && !errors.Is(err, ops.ErrNotFound) {
		n.maybe[kind]++
	}
}

// intended is rule 8: the intent and the audit row are committed before the call.
func (n *never) intended(step ops.Step, kind ops.ActKind, target string, acts []ops.Act) {
	if len(acts) == 0 {
		n.broken(8, "%s %s is called without an intent", kind, target)
		return
	}
	last := acts[len(acts)-1]
	if last.Kind != kind || last.Target != target || last.Step != step || last.Outcome != "" || last.Deadline.Before(n.w.carrier.Now()) {
		n.broken(8, "%s %s is called at %s, intended was %+v", kind, target, step, last)
	}
	events := n.w.events(n.id)
	if !slices.ContainsFunc(events, func(e ops.Event) bool {
		return e.Kind == ops.EventAudit && e.At.Equal(last.StartedAt) && strings.HasPrefix(e.Text, "about to: "+string(kind)+" "+target)
	}) {
		n.broken(8, "%s %s is called without an audit row", kind, target)
	}
}

// upgrades is rules 2 and 3 for the upgrade itself.
func (n *never) upgrades(o herokutest.Overview, a herokutest.AppView, run ops.Run) {
	d, _ := database(o, run.Follower.Name)
	if !a.Maintenance || len(a.Dynos) > 0 || count(a.Formation) > 0 {
		n.broken(2, "the upgrade is called with %v running, maintenance %v", a.Dynos, a.Maintenance)
	}
	if d.Following == n.was.Database && d.Behind > 0 || run.Baseline == nil || !run.Proof.LagZeroAt.After(run.Baseline.At) {
		n.broken(2, "the upgrade is called %d commits behind; lag zero was seen at %v", d.Behind, run.Proof.LagZeroAt)
	}
	if in := n.w.insides; in != nil {
		if f, _ := in.fence(run.Database.ID); !f.On() {
			n.broken(2, "the upgrade is called while %s is writable", run.Database.Name)
		}
		in.mu.Lock()
		if read := in.reached[run.Database.ID]; read < 2 && !run.SQL.Counted {
			n.broken(2, "the upgrade is called after %d looks at the leader's position", read)
		}
		in.mu.Unlock()
	}
	if n.maybe[ops.ActUpgrade] > 0 {
		n.broken(3, "the upgrade is called again, and an earlier call may have taken effect")
	}
}

// destroys is rule 6.
func (n *never) destroys(id string, o herokutest.Overview, a herokutest.AppView, run ops.Run, decisions []ops.Decision) {
	names := map[string]string{run.Follower.ID: run.Follower.Name, run.Database.ID: run.Database.Name}
	d, ok := database(o, names[id])
	own := id == run.Follower.ID && d.Following == n.was.Database && !strings.Contains(strings.Join(a.Attachments, "\n"), "DATABASE "+d.Name)
	typed := slices.ContainsFunc(decisions, func(x ops.Decision) bool {
		return x.Gate == ops.GateDestroy && x.Yes && x.How == ops.ByTyped && x.Digest == "destroy:"+run.ID+":"+id && n.w.carrier.Now().Before(x.Expires)
	})
	if !ok || a.Database == d.Name || !own && !typed {
		n.broken(6, "%s (%+v) is destroyed; typed decision %v, the app uses %s", id, d, typed, a.Database)
	}
}

// decided is rule 7: who said yes to what, and when.
func (n *never) decided(step ops.Step, kind ops.ActKind, run ops.Run, all []ops.Decision) {
	yes := func(gate ops.Gate, digest string, at time.Time, but string) bool {
		ok := false
		for _, d := range all { // the last word counts
			if d.Gate == gate && d.Digest == digest && !d.At.After(at) {
				ok = d.Yes && d.Actor.ID != but && (d.Actor.ID == "U1" || d.Actor.ID == "U2") && (d.Expires.IsZero() || at.Before(d.Expires))
			}
		}
		return ok
	}
	now := n.w.carrier.Now()
	switch {
	case kind == ops.ActCreate && !yes(ops.GateCreate, run.Plan.Digest("", run.Findings), now, ""):
		n.broken(7, "a follower is created without a decision")
	case step == ops.StepFence && kind == ops.ActMaintenance && !yes(ops.GateCutover, run.Plan.Digest(run.Follower.ID, run.Findings), run.Baseline.At, run.Requester.ID):
		n.broken(7, "users are kept out without a decision")
	case step == ops.StepRollbackFence && kind == ops.ActMaintenance && !yes(ops.GateRollback, "rollback:"+run.ID+":"+run.Database.ID+":"+run.Follower.ID, run.Rollback.From, ""):
		n.broken(7, "a rollback begins without a decision")
	case step == ops.StepRollbackAttach && kind == ops.ActPromote && !yes(ops.GateLoss, ops.LossDigest(run), run.StepSince, "") && !n.lossless(run):
		n.broken(7, "the old database is attached without the second decision")
	}
}

// lossless reports whether every row of the new database is in the old one: then
// nobody need be asked twice.
func (n *never) lossless(run ops.Run) bool {
	if n.w.insides == nil {
		return false
	}
	has, err := n.w.insides.of(run.Follower.ID).Held(context.Background())
	if err != nil {
		n.w.t.Fatal(err)
	}
	old, err := n.w.insides.of(run.Database.ID).Held(context.Background())
	if err != nil {
		n.w.t.Fatal(err)
	}
	for writer, rows := range has {
		if rows.Missing(old[writer]) > 0 {
			return false
		}
	}
	return true
}

// ended looks at what a run leaves behind.
func (n *never) ended() {
	n.checks++
	a := n.w.app(n.app)
	for _, db := range []ops.Ref{n.run.Database, n.run.Follower} {
		if n.w.insides == nil || db.Name != a.Database {
			continue
		}
		if f, _ := n.w.insides.fence(db.ID); f.Setting != n.w.before {
			n.broken(5, "the read-only default of %s is %q, recorded was %q", db.Name, f.Setting, n.w.before)
		}
	}
	if a.Maintenance != n.was.Maintenance || fmt.Sprint(a.Formation) != fmt.Sprint(n.was.Formation) {
		n.broken(5, "maintenance %v, formation %v; recorded were %v, %v", a.Maintenance, a.Formation, n.was.Maintenance, n.was.Formation)
	}
	for _, r := range n.w.heroku.Rows() {
		// Of what people agreed to lose, the model's rounding may be a row off.
		off := r.Missing - n.w.accepted
		if r.App == n.app && off != 0 && (n.w.accepted == 0 || off < -1 || off > 1) {
			n.broken(10, "%d of %d acknowledged rows are missing, accepted were %d", r.Missing, r.Acknowledged, n.w.accepted)
		}
	}
}

// most is how often an effect may come about in a story that goes one way.
var most = map[string]int{"backup.capture": 1, "addon.create": 1, "upgrade.run": 1, "attachment.replace": 1, "attachment.create": 1, "addon.destroy": 1,
	"maintenance.on": 1, "maintenance.off": 1, "formation.scale": 2}

// twice is how often with a rollback.
var twice = map[string]int{"attachment.replace": 2, "maintenance.on": 2, "maintenance.off": 2, "formation.scale": 4}

// once checks that nothing took effect more often than it may.
func (n *never) once(other map[string]int) {
	times := map[string]int{}
	for _, e := range n.w.heroku.Effects() {
		kind, _, _ := strings.Cut(e, " ")
		times[kind]++
		if strings.Contains(e, "force") {
			n.broken(6, "force was sent: %s", e)
		}
	}
	for kind, limit := range most {
		if l, ok := other[kind]; ok {
			limit = l
		}
		if times[kind] > limit {
			n.broken(3, "%s took effect %d times: %v", kind, times[kind], n.w.heroku.Effects())
		}
	}
}
