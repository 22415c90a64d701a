package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestForecast is the table of what each step is expected to take, and why.
func TestForecast(t *testing.T) {
	day := time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)
	// ran is a run whose step of that name took so long, followed by next.
	ran := func(took time.Duration, step, next ops.Step, bytes int64) ops.Run {
		return ops.Run{CreatedAt: day, Plan: &ops.RunPlan{Bytes: bytes}, Steps: []ops.StepRecord{{Step: step, Begun: day, Ended: day.Add(took)}, {Step: next, Begun: day.Add(took)}}}
	}
	trial := ops.DryRun{Version: "17", Passed: true, Took: 4 * time.Minute}
	upgrade := func(took time.Duration) ops.Run { return ran(took, ops.StepUpgrade, ops.StepVerifyNew, 1e9) }
	for _, tt := range []struct {
		name string
		in   forecastFrom
		step ops.Step
		want time.Duration
		why  string
	}{
		{"documented", forecastFrom{To: 17}, ops.StepUpgrade, 10 * time.Minute, "Heroku's documentation"},
		{"ten thousand objects", forecastFrom{To: 17, Objects: 10_000}, ops.StepUpgrade, 10 * time.Minute, "no dry run was made"},
		{"thirty thousand objects", forecastFrom{To: 17, Objects: 30_000}, ops.StepUpgrade, 30 * time.Minute, "30000 objects"},
		{"the dry run", forecastFrom{To: 17, Trial: trial, Objects: 30_000, Past: []ops.Run{upgrade(time.Minute)}}, ops.StepUpgrade, 4 * time.Minute, "dry run, 4 min"},
		{"a dry run to another version", forecastFrom{To: 16, Trial: trial}, ops.StepUpgrade, 10 * time.Minute, "no dry run"},
		{"a dry run that failed", forecastFrom{To: 17, Trial: ops.DryRun{Version: "17", Took: time.Minute}}, ops.StepUpgrade, 10 * time.Minute, ""},
		{"an earlier run", forecastFrom{To: 17, Past: []ops.Run{upgrade(3 * time.Minute)}}, ops.StepUpgrade, 3 * time.Minute, "upgrade of 2026-05-01"},
		{"the longest of the newest three", forecastFrom{To: 17, Past: []ops.Run{upgrade(time.Minute), upgrade(3 * time.Minute), upgrade(2 * time.Minute), upgrade(time.Hour)}}, ops.StepUpgrade, 3 * time.Minute, ""},
		{"not one that went back from there", forecastFrom{To: 17, Past: []ops.Run{ran(time.Hour, ops.StepUpgrade, ops.StepReturnUnfence, 1e9)}}, ops.StepUpgrade, 10 * time.Minute, ""},
		{"not one that is there now", forecastFrom{To: 17, Past: []ops.Run{{Steps: []ops.StepRecord{{Step: ops.StepUpgrade, Begun: day}}}}}, ops.StepUpgrade, 10 * time.Minute, ""},
		{"a follower by size", forecastFrom{Bytes: 30e9}, ops.StepFollowerCreate, 10 * time.Minute, ""},
		{"a follower as before, grown", forecastFrom{Bytes: 30e9, Past: []ops.Run{ran(4*time.Minute, ops.StepFollowerCreate, ops.StepCatchUp, 20e9)}}, ops.StepFollowerCreate, 6 * time.Minute, ""},
		{"a follower as before, shrunk", forecastFrom{Bytes: 10e9, Past: []ops.Run{ran(4*time.Minute, ops.StepFollowerCreate, ops.StepCatchUp, 20e9)}}, ops.StepFollowerCreate, 4 * time.Minute, ""},
		{"a release phase", forecastFrom{ReleasePhase: true}, ops.StepPromote, 100 * time.Second, "release phase"},
	} {
		f := forecast(tt.in)
		if got := f.Of(tt.step); got != tt.want || !strings.Contains(f.Why, tt.why) {
			t.Errorf("%s: %s (%s), want %s and %q", tt.name, got, f.Why, tt.want, tt.why)
		}
		var outage time.Duration
		for _, s := range f.Steps {
			if s.Step.Cutover() {
				outage += s.Takes
			}
		}
		if f.Outage != outage || f.Upgrade != f.Of(ops.StepUpgrade) || f.Provision != f.Of(ops.StepFollowerCreate) || f.CatchUp != f.Of(ops.StepCatchUp) {
			t.Errorf("%s: the parts do not add up: %+v", tt.name, f)
		}
		if f.Limit != max(2*f.Outage, 30*time.Minute) {
			t.Errorf("%s: limit %s for an outage of %s", tt.name, f.Limit, f.Outage)
		}
	}
	if f := forecast(forecastFrom{Limit: time.Hour}); f.Limit != time.Hour {
		t.Errorf("the limit that was set is %s", f.Limit)
	}
}
