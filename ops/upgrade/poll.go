package upgrade

import "time"

// pollCutover is how long to wait between looks while users are kept out, after
// waiting for waited: late by at most half a second and one per cent.
func pollCutover(waited time.Duration) time.Duration {
	return max(500*time.Millisecond, waited/100)
}

// poll is pollCutover stretched by the number of apps: each is read whole at
// every look, and the account has 4,500 calls an hour.
func (t *turn) poll(waited time.Duration) time.Duration {
	apps := 1
	if t.run.Plan != nil {
		apps = max(1, len(t.run.Plan.Apps))
	}
	return max(pollCutover(waited), time.Duration(apps)*pollCutover(0))
}

// pollOutside is how long to wait between looks at something expected to take
// forecast, after waiting for waited: a tenth of the forecast at most, sooner
// at first, between 2 s and 5 min.
func pollOutside(waited, forecast time.Duration) time.Duration {
	return min(max(min(forecast/10, waited/5), 2*time.Second), 5*time.Minute)
}

// pollSoak is how long to wait between samples of the old database.
func pollSoak(soak time.Duration) time.Duration {
	return min(max(soak/100, 2*time.Second), time.Hour)
}
