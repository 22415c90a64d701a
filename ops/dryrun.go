package ops

import "time"

// DryRun is Heroku's trial of an upgrade on a copy that it makes and destroys
// itself. The zero DryRun: none was asked for.
type DryRun struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"` // when it was asked for
	By      Actor     `json:"by"`
	// Ended is unknown until somebody said what Heroku's e-mail says: no call
	// tells it.
	Ended  Fact[time.Time] `json:"ended"`
	Told   Actor           `json:"told"` // who said it
	Passed bool            `json:"passed"`
	Took   time.Duration   `json:"took"` // as the e-mail says; 0 when not said
	Why    string          `json:"why"`  // of a failure
}
