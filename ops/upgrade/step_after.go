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
	for _, b := range t.run.Baseline.Apps {
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
		t.say(ops.EventHelp, "The app is open on the new database, but not well after %s: %s. To go back by hand: `heroku maintenance:on -a %s`, then `heroku pg:promote %s -a %s`, then `heroku maintenance:off -a %s`; rows written since the switch would be missing.",
			ops.FormatDuration(waited), v.Health, t.run.App.Name, t.run.Database.Name, t.run.App.Name, t.run.App.Name)
	}
	t.run.Soak = ops.Soak{From: t.now, Until: t.now.Add(t.w.SoakFor)}
	t.to(ops.StepSoak, "%s", map[bool]string{true: "good", false: v.Health}[v.Good])
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
	if t.goDestroy() || !t.sample() {
		return
	}
	s := &t.run.Soak
	quiet := quietFor(s.Until.Sub(s.From))
	switch used := latest(s.LastUse, s.From); {
	case t.now.Before(s.Until):
		t.wait(min(pollSoak(s.Until.Sub(s.From)), s.Until.Sub(t.now)), "Soaking: watching both databases.")
	case len(s.Attached) > 0:
		t.wait(pollSoak(s.Until.Sub(s.From)), "The soak is over, but the old database is still attached as %s.", strings.Join(s.Attached, ", "))
	case t.now.Sub(used) < quiet:
		t.wait(min(pollSoak(s.Until.Sub(s.From)), quiet-t.now.Sub(used)), "The soak is over, but somebody used the old database %s ago.", ops.FormatDuration(t.now.Sub(used)))
	case s.Samples == 0:
		t.wait(pollSoak(s.Until.Sub(s.From)), "The soak is over, but the old database could not be looked at.")
	default:
		s.SafeAt = t.now
		t.to(ops.StepGateDestroy, "no use seen in %d samples", s.Samples)
		t.ask(ops.GateDestroy, ops.DestroyDigest(t.run), "The old database `%s` is safe to destroy: %s.", t.run.Database.Name, evidence(t.run, t.now))
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// evidence says what the soak saw, in words.
func evidence(run ops.Run, now time.Time) string {
	s := run.Soak
	text := fmt.Sprintf("%s on the new one, %d samples", ops.FormatDuration(now.Sub(s.From)), s.Samples)
	if s.LastUse.IsZero() {
		text += ", no connection to the old one in any of them"
	} else {
		text += ", last connection to the old one " + ops.FormatDuration(now.Sub(s.LastUse)) + " ago"
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
	old := t.w.Old
	if old.Addon.Known && !old.Addon.Value.Exists {
		t.run.Destroyed = t.now
		t.end(ops.Succeeded, "Upgraded to PostgreSQL %s. The old database `%s` was destroyed by somebody else.", t.run.Plan.To, t.run.Database.Name)
		return false
	}
	var connections ops.Fact[int]
	if old.Info.Known {
		connections = old.Info.Value.Connections
	} else {
		connections = ops.Unknown[int](old.Info.Why)
	}
	if !connections.Known || !old.Attachments.Known {
		s.Unread++
		t.blind("the old database", firstWhy(connections.Why, old.Attachments.Why))
		return false
	}
	s.Samples++
	s.LastSample, s.Connections = t.now, connections.Value
	if connections.Value > 0 {
		s.LastUse = t.now
	}
	s.Attached = stillAttached(t.run, old.Attachments.Value)
	t.move.Samples = append(t.move.Samples, ops.Sample{Run: t.run.ID, At: t.now, Connections: connections, Attached: s.Attached})
	return true
}

// stillAttached names the attachments of the old database other than its own
// spare names on the billing app, as recorded at the fence.
func stillAttached(run ops.Run, now []ops.Attachment) []string {
	spare := map[string]bool{}
	for _, b := range run.Baseline.Apps {
		for _, a := range b.Attachments {
			if a.Addon.ID == run.Database.ID && a.Namespace == "" && !planned(run, b, a.Name) {
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
		t.say(ops.EventWarning, "The old database `%s` is in use again (%s), so it is not safe to destroy; I keep watching.", t.run.Database.Name, what)
		t.to(ops.StepSoak, "in use again")
		return
	}
	t.wait(min(pollSoak(s.Until.Sub(s.From)), time.Hour), "Waiting for somebody to destroy the old database, or to snooze the reminder.")
}

// destroy deletes the one database that the run's last decision retired, by id,
// never with force, and only while nothing but its spare name leads to it.
func destroy(t *turn) {
	old := t.w.Old
	if !old.Addon.Known {
		t.blind("the old database", old.Addon.Why)
		return
	}
	if a := old.Addon.Value; !a.Exists || a.Value.State == ops.AddonDeprovisioned {
		t.seen(ops.ActDestroy, t.run.Database.ID)
		t.run.Destroyed = t.now
		t.done("The old database `%s` is destroyed and no longer billed.", t.run.Database.Name)
		t.end(ops.Succeeded, "`%s` runs on PostgreSQL %s; the old database is destroyed.", t.run.App.Name, t.run.Plan.To)
		return
	} else if a.Value.State == ops.AddonDeprovisioning {
		t.wait(pollOutside(t.now.Sub(t.run.StepSince), time.Minute), "Heroku destroys `%s`.", t.run.Database.Name)
		return
	}
	if !old.Attachments.Known {
		t.blind("the attachments of the old database", old.Attachments.Why)
		return
	}
	if in := stillAttached(t.run, old.Attachments.Value); len(in) > 0 {
		t.say(ops.EventWarning, "Not destroyed: `%s` is attached as %s.", t.run.Database.Name, strings.Join(in, ", "))
		t.to(ops.StepSoak, "still attached")
		return
	}
	if _, ok := destroyDecision(t.w, t.run, t.now); !ok {
		t.say(ops.EventWarning, "Not destroyed: the decision has lapsed. Please decide again.")
		t.to(ops.StepSoak, "decision lapsed")
		return
	}
	refusal := t.try(ops.Act{Kind: ops.ActDestroy, Target: t.run.Database.ID, App: t.run.Plan.BillingApp.ID}, "Destroying the old database.")
	if refusal != "" {
		t.help("Heroku refused to destroy `%s`: %s. `/pgupgrade retry %s` tries again.", t.run.Database.Name, refusal, t.run.App.Name)
	}
}

func destroyDecision(w World, run ops.Run, now time.Time) (ops.Decision, bool) {
	d, ok := ops.LatestDecision(w.Decisions, ops.GateDestroy, ops.DestroyDigest(run), run.CreatedAt, now)
	return d, ok && d.Yes
}
