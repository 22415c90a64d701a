package ops

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestSecretNeverPrints(t *testing.T) {
	s := NewSecret("xoxb-123")
	b, err := json.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), s.LogValue().String(), string(b), fmt.Sprintf("%v %#v", struct{ S Secret }{s}, struct{ S Secret }{s})} {
		if contains(got, "123") {
			t.Errorf("printed %q", got)
		}
	}
	if s.Reveal() != "xoxb-123" {
		t.Errorf("Reveal = %q", s.Reveal())
	}
}

func contains(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

func TestFormat(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 400 * time.Millisecond: "0.4 s", 8 * time.Second: "8 s", 12*time.Minute + 5*time.Second: "12 min 5 s",
		3 * time.Hour: "3 h", 3*time.Hour + 20*time.Second: "3 h", 24 * time.Hour: "1 day", 6*24*time.Hour + 4*time.Hour: "6 days 4 h", -time.Second: "0.0 s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 bytes", 39_900_000: "40 MB", 8_200_000_000: "8.2 GB", 2_000_000_000_000: "2.0 TB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", n, got, want)
		}
	}
	if got := FormatCents(5000) + " " + FormatCents(167); got != "$50 $1.67" {
		t.Errorf("FormatCents: %q", got)
	}
	if got := CentsFor(5000, 24*time.Hour); got != 167 {
		t.Errorf("a day of a $50 database costs %d cents, want 167", got)
	}
}

// TestDigest shows what an approval is about, and what it is not.
func TestDigest(t *testing.T) {
	base := func() (RunPlan, string, []Finding) {
		return RunPlan{
			Method: MethodFollower, Mode: ModeMaintenance, Old: Ref{ID: "old"}, To: "17", NewPlan: "standard-0", OneOffs: OneOffWait,
			Apps: []PlanApp{{Ref: Ref{ID: "a"}, Attachments: []PlanAttachment{{ID: "1", Name: "DATABASE"}}}},
		}, "new", []Finding{{Check: "H15", Verdict: Acknowledge, Title: "copies"}}
	}
	p, follower, findings := base()
	digest := p.Digest(follower, findings)
	tests := []struct {
		name   string
		change func(*RunPlan, *string, *[]Finding)
		same   bool
	}{
		{"size", func(p *RunPlan, _ *string, _ *[]Finding) { p.Bytes = 7 }, true},
		{"forecast", func(p *RunPlan, _ *string, _ *[]Finding) { p.Forecast.Outage = time.Hour }, true},
		{"price", func(p *RunPlan, _ *string, _ *[]Finding) { p.Cents = 1 }, true},
		{"a warning", func(_ *RunPlan, _ *string, f *[]Finding) { *f = append(*f, Finding{Check: "H9", Verdict: Warn}) }, true},
		{"evidence", func(_ *RunPlan, _ *string, f *[]Finding) { (*f)[0].Evidence = "3 GB" }, true},
		{"version", func(p *RunPlan, _ *string, _ *[]Finding) { p.To = "16" }, false},
		{"plan", func(p *RunPlan, _ *string, _ *[]Finding) { p.NewPlan = "premium-0" }, false},
		{"mode", func(p *RunPlan, _ *string, _ *[]Finding) { p.Mode = "read-only" }, false},
		{"method", func(p *RunPlan, _ *string, _ *[]Finding) { p.Method = "direct" }, false},
		{"old database", func(p *RunPlan, _ *string, _ *[]Finding) { p.Old.ID = "x" }, false},
		{"new database", func(_ *RunPlan, n *string, _ *[]Finding) { *n = "x" }, false},
		{"another app", func(p *RunPlan, _ *string, _ *[]Finding) { p.Apps = append(p.Apps, PlanApp{Ref: Ref{ID: "b"}}) }, false},
		{"an attachment", func(p *RunPlan, _ *string, _ *[]Finding) { p.Apps[0].Attachments[0].ID = "2" }, false},
		{"one-off policy", func(p *RunPlan, _ *string, _ *[]Finding) { p.OneOffs = OneOffStop }, false},
		{"a new acknowledge", func(_ *RunPlan, _ *string, f *[]Finding) {
			*f = append(*f, Finding{Check: "H16", Verdict: Acknowledge})
		}, false},
		{"an acknowledge that became a block", func(_ *RunPlan, _ *string, f *[]Finding) { (*f)[0].Verdict = Block }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, follower, findings := base()
			tt.change(&p, &follower, &findings)
			if same := p.Digest(follower, findings) == digest; same != tt.same {
				t.Errorf("same digest: %v, want %v", same, tt.same)
			}
		})
	}
}

// TestPlanCancel shows what cancel means at every step.
func TestPlanCancel(t *testing.T) {
	for step, want := range map[Step]struct{ allowed, confirm bool }{
		StepSurvey: {true, false}, StepGateCreate: {true, false}, StepBackup: {true, false},
		StepFollowerCreate: {true, true}, StepCatchUp: {true, true}, StepGateCutover: {true, true},
		StepFence: {true, true}, StepCatchUpExact: {true, true}, StepUpgrade: {true, true}, StepVerifyNew: {true, true},
		StepPromote: {false, false}, StepUnfence: {false, false}, StepVerifyApp: {false, false}, StepSoak: {false, false}, StepGateDestroy: {false, false}, StepDestroy: {false, false},
	} {
		p := PlanCancel(Run{App: Ref{Name: "orders"}, Step: step, Plan: &RunPlan{NewName: "n"}})
		if p.Allowed != want.allowed || p.Confirm != want.confirm || p.Text == "" {
			t.Errorf("%s: %+v, want %+v and a text", step, p, want)
		}
	}
	if p := PlanCancel(Run{Step: StepUpgrade, Returning: true}); p.Allowed {
		t.Error("a run that is going back cannot be cancelled")
	}
}

func TestStepOrder(t *testing.T) {
	all := Steps()
	for i, s := range all[:len(all)-1] {
		if !s.Before(all[i+1]) || s.Following() != all[i+1] || all[i+1].Before(s) {
			t.Errorf("%s does not come right before %s", s, all[i+1])
		}
	}
	if Step("made-up").Known() || Step("made-up").Before(StepEnd) || StepReturnUnfence.Before(StepEnd) {
		t.Error("a step off the way forward has no place on it")
	}
}
