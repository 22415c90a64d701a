package upgrade

import (
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// forecast says how long the parts will probably take. Without a dry run there
// is little to go by: Heroku's articles say 3 to 5 minutes for an empty
// database, and about 10 minutes of downtime for the upgrade itself
// (devcenter.heroku.com/articles/upgrading-heroku-postgres-databases, 2025-10-22).
func forecast(bytes int64, limit time.Duration) ops.Forecast {
	gigabytes := time.Duration(bytes / 1_000_000_000)
	f := ops.Forecast{
		Provision: 5*time.Minute + gigabytes*10*time.Second,
		CatchUp:   2*time.Minute + gigabytes*5*time.Second,
		Upgrade:   10 * time.Minute,
		Why:       "Heroku's documentation says about 10 minutes for the upgrade itself; no dry run was made",
	}
	f.Outage = f.Upgrade + 2*time.Minute
	f.Limit = max(2*f.Outage, 30*time.Minute)
	if limit > 0 {
		f.Limit = limit
	}
	return f
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
