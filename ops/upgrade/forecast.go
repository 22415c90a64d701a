package upgrade

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// forecastFrom is what a forecast is made from. What is not known is zero.
type forecastFrom struct {
	Bytes        int64
	Objects      int
	ReleasePhase bool
	To           int
	Trial        ops.DryRun
	Past         []ops.Run // of the app, newest first
	Limit        time.Duration
}

// What is known without a trial and without an earlier run. Heroku's articles
// say 3 to 5 minutes for an empty database, about 10 minutes of downtime for the
// upgrade itself, and that it grows with the number of objects above 10,000
// (devcenter.heroku.com/articles/upgrading-heroku-postgres-databases, 2025-10-22
// and 2025-05-29). A dyno has 30 seconds to end (articles/dynos#shutdown); the
// rest is what the sandbox shows.
var documented = []ops.StepForecast{
	{Step: ops.StepFollowerCreate, Takes: 5 * time.Minute}, {Step: ops.StepCatchUp, Takes: 2 * time.Minute},
	{Step: ops.StepFence, Takes: 35 * time.Second}, {Step: ops.StepCatchUpExact, Takes: 10 * time.Second},
	{Step: ops.StepUpgrade, Takes: 10 * time.Minute}, {Step: ops.StepVerifyNew, Takes: 5 * time.Second},
	{Step: ops.StepPromote, Takes: 40 * time.Second}, {Step: ops.StepUnfence, Takes: 30 * time.Second},
}

// earlierRuns is how many earlier runs count; the longest of them is taken.
const earlierRuns = 3

// forecast says how long each step will probably take, and why: what Heroku's
// trial took, else what it took in earlier runs of this app, else what is
// documented for its size. It is pure.
func forecast(in forecastFrom) ops.Forecast {
	f := ops.Forecast{Objects: in.Objects}
	var why []string
	for _, s := range documented {
		s = forecastStep(in, s)
		f.Steps = append(f.Steps, s)
		if s.Why != "" {
			why = append(why, s.Why)
		}
		switch {
		case s.Step == ops.StepFollowerCreate:
			f.Provision = s.Takes
		case s.Step == ops.StepCatchUp:
			f.CatchUp = s.Takes
		default:
			f.Outage += s.Takes
		}
		if s.Step == ops.StepUpgrade {
			f.Upgrade = s.Takes
		}
	}
	f.Why = strings.Join(slices.Compact(why), "; ")
	f.Limit = max(2*f.Outage, 30*time.Minute)
	if in.Limit > 0 {
		f.Limit = in.Limit
	}
	return f
}

func forecastStep(in forecastFrom, s ops.StepForecast) ops.StepForecast {
	gigabytes := time.Duration(in.Bytes / 1_000_000_000)
	if r := in.Trial; s.Step == ops.StepUpgrade && r.Passed && r.Took > 0 && r.Version == fmt.Sprint(in.To) {
		s.Takes, s.Why = r.Took, "the upgrade itself as in Heroku's dry run, "+ops.FormatDuration(r.Took)
		return s
	}
	if d, when := earlier(in.Past, s.Step, in.Bytes); d > 0 {
		s.Takes, s.Why = d, "as in this app's upgrade of "+when
		return s
	}
	switch s.Step {
	case ops.StepFollowerCreate:
		s.Takes += gigabytes * 10 * time.Second
	case ops.StepCatchUp:
		s.Takes += gigabytes * 5 * time.Second
	case ops.StepUpgrade:
		s.Why = "Heroku's documentation says about 10 minutes for the upgrade itself; no dry run was made"
		if in.Objects > check.ManyObjects {
			s.Takes = s.Takes * time.Duration(in.Objects) / check.ManyObjects
			s.Why += fmt.Sprintf("; with %d objects it takes longer, reckoned in proportion above %d", in.Objects, check.ManyObjects)
		}
	case ops.StepPromote:
		if in.ReleasePhase {
			s.Takes += time.Minute
			s.Why = "the release phase runs twice, about 30 s each"
		}
	}
	return s
}

// earlier is the longest that a step took in the newest runs that went through
// it; making and filling a follower grows with the database.
func earlier(past []ops.Run, step ops.Step, bytes int64) (longest time.Duration, when string) {
	n := 0
	for _, run := range past {
		if n == earlierRuns {
			break
		}
		took, through := wentThrough(run, step)
		if !through {
			continue
		}
		n++
		if grows := step == ops.StepFollowerCreate || step == ops.StepCatchUp; grows && run.Plan != nil && run.Plan.Bytes > 0 && bytes > run.Plan.Bytes {
			took = time.Duration(float64(took) * float64(bytes) / float64(run.Plan.Bytes))
		}
		if took > longest {
			longest, when = took, run.CreatedAt.UTC().Format(time.DateOnly)
		}
	}
	return longest, when
}

// wentThrough is how long a run took for a step that it finished and went on
// from, forwards.
func wentThrough(run ops.Run, step ops.Step) (time.Duration, bool) {
	for i, r := range run.Steps {
		if r.Step == step && !r.Ended.IsZero() && i+1 < len(run.Steps) && step.Before(run.Steps[i+1].Step) {
			return r.Ended.Sub(r.Begun), true
		}
	}
	return 0, false
}

// catchUpForecast says how long the follower will need to catch up at the rate
// seen, and whether that can be told.
func catchUpForecast(samples []ops.LagSample) (time.Duration, bool) {
	if len(samples) < 2 {
		return 0, false
	}
	first, last := samples[max(0, len(samples)-6)], samples[len(samples)-1]
	fell, took := first.Behind-last.Behind, last.At.Sub(first.At)
	if fell <= 0 || took <= 0 {
		return 0, false
	}
	return time.Duration(float64(last.Behind) / float64(fell) * float64(took)), true
}
