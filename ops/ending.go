package ops

// Ending is a database on a version that Heroku ends soon, or has ended.
type Ending struct {
	App      string
	Database string
	Version  string // "15"
	When     string // in words: "2026-09-30", "the 3rd quarter of 2026"
	Over     bool   // the date has passed
	Said     string // where the date is from, and how old that is
}
