package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// set changes what is set for the app, as the look right before the gate sees it.
func (f *fixture) set(change func(*ops.RunPlan)) {
	p := *f.w.Survey.Value.Plan
	change(&p)
	f.w.Survey.Value.Plan = &p
}

// asked is the question as it stands, unanswered.
func (f *fixture) asked() {
	f.approved()
	f.w.Decisions = nil
}

// window is open from so long after now until so long after now; now is a Monday, 03:00.
func window(from, until time.Duration) []ops.Window {
	clock := func(d time.Duration) ops.Clock {
		at := now.Add(d)
		return ops.Clock(at.Hour()*60 + at.Minute())
	}
	return []ops.Window{{Day: now.Add(from).Weekday(), From: clock(from), To: clock(until)}}
}

// TestGateAtATime is the gate before the cutover where a time, a window or a
// freeze says when it may begin. now is Mon 2026-11-23 03:00 UTC; the outage is
// forecast to take 12 minutes.
func TestGateAtATime(t *testing.T) {
	gate := ops.StepGateCutover
	at := func(d time.Duration) func(*ops.RunPlan) {
		return func(p *ops.RunPlan) { p.NotBefore = now.Add(d) }
	}
	play(t, []row{
		{"the question names the time", gate, func(f *fixture) { at(time.Hour)(f.run.Plan) }, want{kind: Again, says: "May the cutover begin on Mon 2026-11-23 04:00 (UTC)?"}},
		{"the question names the window", gate, func(f *fixture) { f.set(func(p *ops.RunPlan) { p.Windows = window(24*time.Hour, 26*time.Hour) }) }, want{kind: Again, says: "on Tue 2026-11-24 03:00 (UTC)?"}},
		{"a yes waits for its time", gate, func(f *fixture) { f.approved(); at(time.Hour)(f.run.Plan) }, want{kind: Wait, says: "Approved; waiting: for Mon 2026-11-23 04:00 (UTC)"}},
		{"a silent Slack, one-offs and lag do not matter before the time", gate, func(f *fixture) {
			f.approved()
			at(time.Hour)(f.run.Plan)
			f.w.SlackAt = now.Add(-time.Hour)
			f.app(func(a *AppFacts) { a.Dynos.Value = append(a.Dynos.Value, ops.Dyno{Name: "run.1", Type: "run"}) })
		}, want{kind: Wait, says: "for Mon 2026-11-23 04:00"}},
		{"at the time it begins", gate, func(f *fixture) { f.approved(); at(0)(f.run.Plan) }, want{kind: Again, step: ops.StepFence}},
		{"and what must pass is looked at then", gate, func(f *fixture) { f.approved(); at(0)(f.run.Plan); f.w.SlackAt = now.Add(-time.Hour) }, want{kind: Wait, says: "Slack"}},
		{"a no does not wait", gate, func(f *fixture) { f.approved(); at(time.Hour)(f.run.Plan); f.w.Decisions[0].Yes = false }, want{kind: Again, step: ops.StepReturnFollower, says: "declined"}},
		{"a yes lapses when a verdict changes before the time", gate, func(f *fixture) {
			f.approved()
			at(time.Hour)(f.run.Plan)
			f.w.Survey.Value.Findings = []ops.Finding{{Check: "H15", Verdict: ops.Acknowledge}}
		}, want{kind: Again, says: "no longer counts"}},
		{"in the window it begins", gate, func(f *fixture) {
			f.approved()
			f.set(func(p *ops.RunPlan) { p.Windows = window(-time.Hour, time.Hour) })
		}, want{kind: Again, step: ops.StepFence}},
		{"not when it would outlast the window", gate, func(f *fixture) {
			f.approved()
			f.set(func(p *ops.RunPlan) { p.Windows = window(-time.Hour, 11*time.Minute) })
		}, want{kind: Wait, says: "for Mon 2026-11-30 02:00"}},
		{"but when it just fits", gate, func(f *fixture) {
			f.approved()
			f.set(func(p *ops.RunPlan) { p.Windows = window(-time.Hour, 12*time.Minute) })
		}, want{kind: Again, step: ops.StepFence}},
		{"a freeze that was set since holds the yes", gate, func(f *fixture) {
			f.approved()
			f.set(func(p *ops.RunPlan) {
				p.Freezes = []ops.Freeze{{First: ops.Date{Year: 2026, Month: 11, Day: 20}, Last: ops.Date{Year: 2026, Month: 11, Day: 30}}}
			})
		}, want{kind: Wait, says: "for Tue 2026-12-01 00:00"}},
		{"a window that was taken back lets it begin", gate, func(f *fixture) {
			f.approved()
			f.run.Plan.Windows = window(24*time.Hour, 26*time.Hour)
			f.set(func(p *ops.RunPlan) { p.Windows = nil })
		}, want{kind: Again, step: ops.StepFence}},
		{"a window in which it never fits asks for a change", gate, func(f *fixture) {
			f.asked()
			f.set(func(p *ops.RunPlan) { p.Windows = window(time.Hour, time.Hour+5*time.Minute) })
		}, want{kind: Wait, says: "No time within a year"}},
		{"a yes that expired after its time is asked for anew", gate, func(f *fixture) {
			f.approved()
			at(-time.Hour)(f.run.Plan)
			f.w.Decisions[0].Expires = now.Add(-time.Minute)
		}, want{kind: Again, says: "has expired"}},
	})
}

// TestApprovalsLapse has a row for each reason for which a yes to the cutover no
// longer counts; TestDigest has what does not matter.
func TestApprovalsLapse(t *testing.T) {
	gate := ops.StepGateCutover
	lapsed := want{kind: Again, says: "an earlier approval no longer counts"}
	with := func(change func(f *fixture)) func(*fixture) {
		return func(f *fixture) { f.approved(); change(f) }
	}
	play(t, []row{
		{"nothing has changed", gate, with(func(*fixture) {}), want{kind: Again, step: ops.StepFence}},
		{"a finding to accept appeared", gate, with(func(f *fixture) {
			f.w.Survey.Value.Findings = []ops.Finding{{Check: "H27", Title: "App is not in maintenance mode", Verdict: ops.Acknowledge}}
		}), lapsed},
		{"a finding that was accepted is gone", gate, func(f *fixture) {
			accepted := []ops.Finding{{Check: "H15", Title: "No copied database URL", Verdict: ops.Acknowledge}}
			digest := f.run.Plan.Digest(newDB.ID, accepted)
			f.run.Asked = &ops.Ask{Gate: ops.GateCutover, Digest: digest, At: now.Add(-time.Minute)}
			f.decide(ops.GateCutover, digest, true, ops.ByButton)
		}, lapsed},
		{"another app is attached", gate, with(func(f *fixture) {
			f.set(func(p *ops.RunPlan) {
				p.Apps = append(append([]ops.PlanApp(nil), p.Apps...), ops.PlanApp{Ref: ops.Ref{ID: "app-2", Name: "reports"}})
			})
		}), lapsed},
		{"DATABASE was attached anew", gate, with(func(f *fixture) {
			f.set(func(p *ops.RunPlan) {
				p.Apps = []ops.PlanApp{{Ref: orders, Attachments: []ops.PlanAttachment{{ID: "att-9", Name: "DATABASE"}}}}
			})
		}), lapsed},
		{"one-offs would be stopped now", gate, with(func(f *fixture) {
			f.set(func(p *ops.RunPlan) { p.OneOffs = ops.OneOffStop })
		}), lapsed},
		{"another follower", gate, with(func(f *fixture) { f.run.Follower.ID = "new-2" }), lapsed},
		{"another version", gate, with(func(f *fixture) { f.run.Plan.To = "16" }), lapsed},
		{"30 minutes are over", gate, with(func(f *fixture) { f.w.Decisions[0].Expires = now }), want{kind: Again, says: "has expired"}},
		{"it was about another question", gate, with(func(f *fixture) { f.w.Decisions[0].Digest = "other" }), want{kind: Wait, says: "Waiting for an approver"}},
		{"it was given before the question was put anew", gate, with(func(f *fixture) { f.run.Asked.At = now }), want{kind: Wait, says: "Waiting for an approver"}},
		{"a block appeared", gate, with(func(f *fixture) {
			f.w.Survey.Value.Findings = []ops.Finding{{Check: "H3", Verdict: ops.Block, Evidence: "not available"}}
		}), want{kind: Wait, says: "cannot be approved yet"}},
		{"a check could not look: nothing is begun, and nothing lapses", gate, with(func(f *fixture) {
			f.w.Survey.Value.Findings = []ops.Finding{{Check: "H3", Verdict: ops.Block, Unknown: true, Evidence: "unknown: 429"}}
		}), want{kind: Wait, says: "Looking again: could not read what is checked before the cutover (unknown: 429)"}},
		{"only the health address, the soak or the window has changed: it counts", gate, with(func(f *fixture) {
			f.set(func(p *ops.RunPlan) {
				p.Soak, p.Bytes, p.Windows = time.Hour, 99, window(-time.Hour, time.Hour)
				p.Apps = []ops.PlanApp{p.Apps[0]}
				p.Apps[0].HealthURL = "https://other.example.com"
			})
		}), want{kind: Again, step: ops.StepFence}},
	})
}

// TestAnUnknownBlockKeepsTheQuestion, so that a yes that was given still counts
// when it can be looked again.
func TestAnUnknownBlockKeepsTheQuestion(t *testing.T) {
	f := at(ops.StepGateCutover)
	f.approved()
	f.w.Survey.Value.Findings = []ops.Finding{{Check: "H3", Verdict: ops.Block, Unknown: true, Evidence: "unknown: 429"}}
	run, _ := Next(f.run, f.w, now)
	f.run, f.w.Survey.Value.Findings = run, nil
	if run, m := Next(f.run, f.w, now); m.Kind != Again || run.Step != ops.StepFence {
		t.Errorf("after the check could look again: %s, step %s, next %q", m.Kind, run.Step, run.Next)
	}
}

// TestAHeldYesStretchesItsLooks: a yes that waits for half an hour does not eat the
// account's budget of calls.
func TestAHeldYesStretchesItsLooks(t *testing.T) {
	f := at(ops.StepGateCutover)
	f.approved()
	f.app(func(a *AppFacts) { a.Dynos.Value = append(a.Dynos.Value, ops.Dyno{Name: "run.1", Type: "run"}) })
	looks := 0
	for moment := now; moment.Before(now.Add(ops.CutoverHolds)); looks++ {
		f.w.Decisions[0].Expires = now.Add(time.Hour)
		f.w.SlackAt = moment
		run, m := Next(f.run, f.w, moment)
		if m.Kind != Wait {
			t.Fatalf("%s: %q", m.Kind, run.Next)
		}
		f.run, moment = run, moment.Add(m.In)
	}
	if looks > 80 {
		t.Errorf("%d looks in 30 min", looks)
	}
}
