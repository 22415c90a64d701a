package upgrade

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// VerifyFor is how long the app may take to come up well before people are told.
const VerifyFor = 3 * time.Minute

// verifyApp: the dynos are up and the health address answers as it did before.
func verifyApp(t *turn) {
	v := ops.Verified{Good: true}
	var bad []string
	for _, b := range t.run.Recorded().Apps {
		f := t.w.Apps[b.ID]
		x := ops.VerifiedApp{Ref: b.Ref}
		for _, p := range b.Formation {
			if p.Type != ops.ReleaseProcess {
				x.DynosWanted += p.Quantity
			}
		}
		if !f.Dynos.Known {
			bad = append(bad, "the dynos of "+b.Name+" cannot be read ("+f.Dynos.Why+")")
		}
		for _, d := range f.Dynos.Value {
			if d.State == "up" || d.State == "idle" {
				x.DynosUp++
			}
		}
		if f.Dynos.Known && x.DynosUp < x.DynosWanted {
			bad = append(bad, fmt.Sprintf("%d of %d dynos of %s are up", x.DynosUp, x.DynosWanted, b.Name))
		}
		x.Health = f.Health.Value
		if why := unhealthy(b.Health, f.Health); why != "" && !b.Maintenance {
			bad = append(bad, why)
		}
		v.Apps = append(v.Apps, x)
	}
	waited := t.now.Sub(t.run.StepSince)
	v.Good = len(bad) == 0
	v.Health = strings.Join(bad, "; ")
	t.run.Verified = v
	switch {
	case v.Good:
		t.done("App health: good. %s", goodHealth(v))
	case waited < VerifyFor:
		t.wait(min(max(time.Second, waited/10), 10*time.Second), "Checking the app: %s.", v.Health)
		return
	default:
		t.run.Verified.Told = true
		t.say(ops.EventHelp, "The app is open on `%s`, but not well after %s: %s.%s", t.run.InUse().Name, ops.FormatDuration(waited), v.Health, t.whatNow())
	}
	t.run.Soak = ops.Soak{From: t.now, Until: t.now.Add(t.w.SoakFor)}
	t.to(ops.StepSoak, "%s", map[bool]string{true: "good", false: v.Health}[v.Good])
}

// whatNow is what people can do about an app that is not well after the switch.
func (t *turn) whatNow() string {
	if t.run.RolledBack() {
		return " It was rolled back, so look for another cause: `heroku logs -a " + t.run.App.Name + "`."
	}
	return fmt.Sprintf(" `/pgupgrade rollback %s` goes back to `%s`; rows written since the switch would be missing.", t.run.App.Name, t.run.Database.Name)
}

// retired names the database that is watched until it can be destroyed.
func (t *turn) retired() string {
	if t.run.RolledBack() {
		return "the new database"
	}
	return "the old database"
}

// ended is the run's last sentence once the retired database is gone.
func (t *turn) ended(how string) {
	if t.run.RolledBack() {
		t.end(ops.Returned, "Rolled back by %s: `%s` runs on `%s` (PostgreSQL %s); the new database %s.", t.run.Rollback.By.Mention(), t.run.App.Name, t.run.Database.Name, t.run.Plan.From, how)
		return
	}
	t.keepReplicas()
	t.end(ops.Succeeded, "`%s` runs on PostgreSQL %s; the old database %s.", t.run.App.Name, t.run.Plan.To, how)
}

// unhealthy compares the app's answer with the one before the fence. An app
// that answered badly before is not held against the upgrade.
func unhealthy(before ops.Health, now ops.Fact[ops.Health]) string {
	if before.Status == 0 || before.Status >= 500 {
		return ""
	}
	switch {
	case !now.Known:
		return "the health address cannot be asked (" + now.Why + ")"
	case now.Value.Status == 0:
		return "the health address does not answer (" + now.Value.Error + ")"
	case now.Value.Status != before.Status && now.Value.Status >= 400:
		return fmt.Sprintf("the health address answers %d (before: %d)", now.Value.Status, before.Status)
	}
	return ""
}

func goodHealth(v ops.Verified) string {
	var parts []string
	for _, a := range v.Apps {
		s := fmt.Sprintf("%d of %d dynos of `%s` are up", a.DynosUp, a.DynosWanted, a.Name)
		if a.Health.Status > 0 {
			s += fmt.Sprintf(", health address answers %d", a.Health.Status)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ") + "."
}

// quietFor is how long nobody must have used the old database: 72 hours of a
// week's soak, in proportion for other soaks.
func quietFor(soak time.Duration) time.Duration { return min(soak*3/7, 72*time.Hour) }

// soak samples the old database until time and evidence say that nobody uses it.
func soak(t *turn) {
	t.snooze()
	t.tellReplicas()
	if t.goDestroy() || !t.inspected() || !t.moreStatistics() || !t.care() || !t.sample() {
		return
	}
	s := &t.run.Soak
	quiet := quietFor(s.Until.Sub(s.From))
	switch used := latest(s.LastUse, s.From); {
	case t.now.Before(s.Until):
		t.wait(min(pollSoak(s.Until.Sub(s.From)), s.Until.Sub(t.now)), "Soaking: watching both databases.")
	case len(s.Attached) > 0:
		t.wait(pollSoak(s.Until.Sub(s.From)), "The soak is over, but %s is still attached as %s.", t.retired(), strings.Join(s.Attached, ", "))
	case t.now.Sub(used) < quiet:
		t.wait(min(pollSoak(s.Until.Sub(s.From)), quiet-t.now.Sub(used)), "The soak is over, but somebody used %s %s ago.", t.retired(), ops.FormatDuration(t.now.Sub(used)))
	case s.Samples == 0:
		t.wait(pollSoak(s.Until.Sub(s.From)), "The soak is over, but %s could not be looked at.", t.retired())
	default:
		s.SafeAt = t.now
		t.to(ops.StepGateDestroy, "no use seen in %d samples", s.Samples)
		t.ask(ops.GateDestroy, ops.DestroyDigest(t.run), "%s `%s` is safe to destroy: %s.%s", upperFirst(t.retired()), t.run.Retired().Name, evidence(t.run, t.now), replicaWords(t.run))
	}
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// evidence says what the soak saw, in words.
func evidence(run ops.Run, now time.Time) string {
	s := run.Soak
	text := fmt.Sprintf("%s on the other one, %d samples", ops.FormatDuration(now.Sub(s.From)), s.Samples)
	if s.LastUse.IsZero() {
		text += ", no connection to this one in any of them"
	} else {
		text += ", last connection to this one " + ops.FormatDuration(now.Sub(s.LastUse)) + " ago"
	}
	return text + ", attached to no app but under its spare name"
}

func (t *turn) snooze() {
	if d, ok := t.w.order(ops.OrderSnooze, t.run.Soak.From, t.now); ok {
		t.run.Soak.Snoozed, t.run.Soak.SnoozeReason = d.Expires, d.Note
	} else {
		t.run.Soak.Snoozed, t.run.Soak.SnoozeReason = time.Time{}, ""
	}
}

// sample looks whether the old database is used. It reports false when the turn is decided.
func (t *turn) sample() bool {
	s := &t.run.Soak
	if !s.LastSample.IsZero() && t.now.Sub(s.LastSample) < pollSoak(s.Until.Sub(s.From))*9/10 && t.now.Before(s.Until) {
		return true
	}
	old := t.w.Retired
	if old.Addon.Known && !old.Addon.Value.Exists {
		t.run.Destroyed = t.now
		t.ended("was destroyed by somebody else")
		return false
	}
	use := t.use(old)
	if !use.connections.Known || !old.Attachments.Known {
		s.Unread++
		t.blind(t.retired(), firstWhy(use.connections.Why, old.Attachments.Why))
		return false
	}
	s.Samples++
	s.LastSample, s.Connections, s.Seen = t.now, use.connections.Value, use.words
	if use.used {
		s.LastUse = t.now
	}
	connections := use.connections
	s.Attached = stillAttached(t.run, old.Attachments.Value)
	t.move.Samples = append(t.move.Samples, ops.Sample{Run: t.run.ID, At: t.now, Connections: connections, Attached: s.Attached})
	return true
}

// usage is one look at whether somebody uses the retired database.
type usage struct {
	connections ops.Fact[int] // of others
	used        bool
	words       string // what was seen by SQL; "" without it
}

// use looks by SQL where it can: who else is connected, and what was written
// since the last sample. Without it Heroku's row of connections is all there is.
func (t *turn) use(d DatabaseFacts) usage {
	if a := d.SQL.Activity; t.run.Plan.SQL && a.Known {
		t.keepReading(ops.ReadingUse, a.Value)
		foreign := len(a.Value.Foreign())
		if !t.w.Kept.Use.Known {
			return usage{ops.Known(foreign), foreign > 0, "watching its row counters"}
		}
		u := ops.UseBetween(t.w.Kept.Use.Value, a.Value)
		// Where the counters began anew, what was written before is not known.
		return usage{ops.Known(foreign), !u.Known || len(u.Sessions) > 0 || len(u.Tables) > 0, u.String()}
	}
	if !d.Info.Known {
		return usage{connections: ops.Unknown[int](d.Info.Why)}
	}
	c := d.Info.Value.Connections
	return usage{connections: c, used: c.Value > 0}
}

// stillAttached names the attachments of the retired database other than its own
// spare names on the billing app, as recorded at the fence.
func stillAttached(run ops.Run, now []ops.Attachment) []string {
	spare := map[string]bool{}
	for _, b := range run.Recorded().Apps {
		for _, a := range b.Attachments {
			if a.Addon.ID == run.Retired().ID && a.Namespace == "" && !planned(run, b, a.Name) {
				spare[b.ID+" "+a.Name] = true
			}
		}
	}
	var out []string
	for _, a := range now {
		if !spare[a.App.ID+" "+a.Name] {
			out = append(out, a.Name+" on "+a.App.Name)
		}
	}
	return out
}

// goDestroy follows a decision to destroy, given for this very database.
func (t *turn) goDestroy() bool {
	d, ok := ops.LatestDecision(t.w.Decisions, ops.GateDestroy, ops.DestroyDigest(t.run), t.run.StepSince, t.now)
	if !ok || !d.Yes || d.How != ops.ByTyped && d.How != ops.ByTerminal {
		return false
	}
	if t.run.Step == ops.StepSoak {
		if d.Note != ops.NoteOverride {
			return false
		}
		t.run.Soak.Overridden = d.Actor.ID
	}
	t.run.Asked = nil
	t.to(ops.StepDestroy, "approved by %s", d.Actor.Mention())
	return true
}

// gateDestroy waits for the decision and keeps watching. New use takes the
// offer back.
func gateDestroy(t *turn) {
	t.snooze()
	if t.goDestroy() || !t.sample() {
		return
	}
	s := &t.run.Soak
	if s.LastUse.After(s.SafeAt) || len(s.Attached) > 0 {
		what := fmt.Sprintf("%d connections", s.Connections)
		if len(s.Attached) > 0 {
			what = "attached as " + strings.Join(s.Attached, ", ")
		}
		t.run.Asked = nil
		s.SafeAt = time.Time{}
		t.say(ops.EventWarning, "%s `%s` is in use again (%s), so it is not safe to destroy; I keep watching.", upperFirst(t.retired()), t.run.Retired().Name, what)
		t.to(ops.StepSoak, "in use again")
		return
	}
	t.wait(min(pollSoak(s.Until.Sub(s.From)), time.Hour), "Waiting for somebody to destroy %s, or to snooze the reminder.", t.retired())
}

// destroy deletes the one database that the run's last decision retired, by id,
// never with force, and only while nothing but its spare name leads to it.
func destroy(t *turn) {
	old := t.w.Retired
	if !old.Addon.Known {
		t.blind(t.retired(), old.Addon.Why)
		return
	}
	if a := old.Addon.Value; !a.Exists || a.Value.State == ops.AddonDeprovisioned {
		t.seen(ops.ActDestroy, t.run.Retired().ID)
		t.run.Destroyed = t.now
		t.done("%s `%s` is destroyed and no longer billed.", upperFirst(t.retired()), t.run.Retired().Name)
		t.ended("is destroyed")
		return
	} else if a.Value.State == ops.AddonDeprovisioning {
		if t.now.Sub(t.run.StepSince) >= DestroyWait {
			t.help("Heroku has not destroyed `%s` within %s. `heroku addons:info %s` shows it; `/pgupgrade retry %s` looks again.", t.run.Retired().Name, ops.FormatDuration(DestroyWait), t.run.Retired().Name, t.run.App.Name)
			return
		}
		t.wait(pollOutside(t.now.Sub(t.run.StepSince), 5*time.Minute), "Heroku destroys `%s`.", t.run.Retired().Name)
		return
	}
	if !old.Attachments.Known {
		t.blind("the attachments of "+t.retired(), old.Attachments.Why)
		return
	}
	if in := stillAttached(t.run, old.Attachments.Value); len(in) > 0 {
		t.say(ops.EventWarning, "Not destroyed: `%s` is attached as %s.", t.run.Retired().Name, strings.Join(in, ", "))
		t.to(ops.StepSoak, "still attached")
		return
	}
	if _, ok := destroyDecision(t.w, t.run, t.now); !ok {
		t.say(ops.EventWarning, "Not destroyed: the decision has lapsed. Please decide again.")
		t.to(ops.StepSoak, "decision lapsed")
		return
	}
	if t.w.Replicas.Known { // behind the destroy they follow nothing
		t.run.Replicas, t.run.ReplicasAt = t.w.Replicas.Value, t.now
	}
	refusal := t.try(ops.Act{Kind: ops.ActDestroy, Target: t.run.Retired().ID, App: t.run.Plan.BillingApp.ID}, "Destroying "+t.retired()+".")
	if refusal != "" {
		t.help("Heroku refused to destroy `%s`: %s. `/pgupgrade retry %s` tries again.", t.run.Retired().Name, refusal, t.run.App.Name)
	}
}

func destroyDecision(w World, run ops.Run, now time.Time) (ops.Decision, bool) {
	d, ok := ops.LatestDecision(w.Decisions, ops.GateDestroy, ops.DestroyDigest(run), run.CreatedAt, now)
	return d, ok && d.Yes
}
