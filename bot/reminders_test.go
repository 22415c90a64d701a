package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestReminderDue is the table of when something is repeated.
func TestReminderDue(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	schedule, err := ParseSchedule("", berlin)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		x, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	monday := at("2026-11-23 12:00")
	gate := ops.Run{ID: "r", App: ops.Ref{Name: "orders"}, Database: ops.Ref{Name: "old"}, Step: ops.StepGateDestroy, StepSince: monday, Soak: ops.Soak{From: monday.AddDate(0, 0, -7), Samples: 100}}
	asked := ops.Run{ID: "r", App: ops.Ref{Name: "orders"}, Step: ops.StepGateCutover, Asked: &ops.Ask{Gate: ops.GateCutover, At: monday}}
	with := func(r ops.Run, f func(*ops.Run)) ops.Run { f(&r); return r }
	tests := []struct {
		name string
		run  ops.Run
		last string
		now  string
		want string // "" for none
		says string
	}{
		{"destroy: not before the first firing", gate, "", "2026-11-24 09:59", "", ""},
		{"destroy: weekdays at ten in the time zone", gate, "", "2026-11-24 10:00", "2026-11-24 10:00", "safe to destroy"},
		{"destroy: once a firing", gate, "2026-11-24 10:00", "2026-11-24 15:00", "", ""},
		{"destroy: several that were missed are made up once", gate, "2026-11-24 10:00", "2026-11-27 18:00", "2026-11-27 10:00", "safe to destroy"},
		{"destroy: not on a weekend", gate, "2026-11-27 10:00", "2026-11-29 18:00", "", ""},
		{"destroy: snoozed", with(gate, func(r *ops.Run) { r.Soak.Snoozed = at("2026-11-25 12:00") }), "", "2026-11-25 11:00", "", ""},
		{"destroy: at the first firing after the snooze", with(gate, func(r *ops.Run) { r.Soak.Snoozed = at("2026-11-25 12:00") }), "", "2026-11-26 10:01", "2026-11-26 10:00", "safe"},
		{"a question: not within four hours", asked, "", "2026-11-23 15:59", "", ""},
		{"a question: after four hours", asked, "", "2026-11-23 16:00", "2026-11-23 16:00", "Still waiting for an answer, since 4 h"},
		{"a question: then daily", asked, "2026-11-23 16:00", "2026-11-24 15:59", "", ""},
		{"a question: a day later", asked, "2026-11-23 16:00", "2026-11-24 16:05", "2026-11-24 16:00", "whether the cutover may begin"},
		{"a question: with the follower's cost so far", with(asked, func(r *ops.Run) {
			r.Follower, r.Plan = ops.Ref{ID: "new-1", Name: "orders-pg17-k3f9q"}, &ops.RunPlan{Cents: 5000}
			r.Steps = []ops.StepRecord{{Step: ops.StepFollowerCreate, Begun: monday.AddDate(0, 0, -2)}}
		}), "2026-11-23 16:00", "2026-11-24 16:05", "2026-11-24 16:00", "The follower `orders-pg17-k3f9q` has cost $5.28 so far."},
		{"a question that was answered and waits for its time", with(asked, func(r *ops.Run) {
			r.Asked = &ops.Ask{Gate: ops.GateCutover, At: monday, Opens: monday.AddDate(0, 0, 5), Blocked: "for Sat"}
		}), "", "2026-11-24 16:05", "", ""},
		{"a question that was answered and waits", with(asked, func(r *ops.Run) { r.Asked = &ops.Ask{Gate: ops.GateCutover, At: monday, Blocked: "a deploy"} }), "", "2026-11-24 16:05", "", ""},
		{"help: after four hours", with(asked, func(r *ops.Run) { r.Help, r.HelpSince = "Look at it.", monday }), "", "2026-11-23 16:00", "2026-11-23 16:00", "Still waiting for a person"},
		{"help while users are locked out: every ten minutes", with(asked, func(r *ops.Run) {
			r.Step, r.Help, r.HelpSince, r.Outage.From = ops.StepPromote, "Look at it.", monday, monday
		}), "2026-11-23 12:10", "2026-11-23 12:21", "2026-11-23 12:20", "maintenance page"},
		{"an ended run", with(gate, func(r *ops.Run) { r.Outcome = ops.Succeeded }), "", "2026-11-27 18:00", "", ""},
		{"a step with nothing to answer", ops.Run{Step: ops.StepUpgrade}, "", "2026-11-27 18:00", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var last time.Time
			if tt.last != "" {
				last = at(tt.last)
			}
			firing, e, due := reminderDue(tt.run, schedule, last, at(tt.now))
			got := ""
			if due {
				got = firing.In(berlin).Format("2006-01-02 15:04")
			}
			if got != tt.want || due && !strings.Contains(e.Text, tt.says) {
				t.Errorf("due %q with %q, want %q with %q", got, e.Text, tt.want, tt.says)
			}
		})
	}
}

func TestParseSchedule(t *testing.T) {
	for _, good := range []string{"", "0 10 * * 1-5", "*/5 * * * * *", "@daily", "@every 7s"} {
		if _, err := ParseSchedule(good, time.UTC); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"tomorrow", "99 10 * * *", "* * *"} {
		if _, err := ParseSchedule(bad, time.UTC); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
