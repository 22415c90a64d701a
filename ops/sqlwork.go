package ops

import "time"

// Place is where a connection URL can be read: a config var that an attachment
// makes. It holds no secret.
type Place struct {
	AddonID string `json:"addon_id"`
	App     string `json:"app"`
	Var     string `json:"var"` // "DATABASE_URL"
}

// SQLWork is what a run knows and did inside the databases, by SQL. Readings of
// whole databases are rows of their own (Runner's Rows.SaveReading).
type SQLWork struct {
	// On says that the database fence is part of this cutover: frozen when the
	// fence begins. Why says why it is not.
	On  bool   `json:"on"`
	Why string `json:"why"`

	Before   *DBFence  `json:"before"` // of the old database, before its fence: what is restored
	Fence    *DBFence  `json:"fence"`  // of the old database, once it was seen up
	FencedAt time.Time `json:"fenced_at"`
	Sampled  time.Time `json:"sampled"`  // of the first of two samples that may prove stillness
	Moved    string    `json:"moved"`    // what was seen moving behind the fence, in words
	LastID   LastID    `json:"last_id"`  // of the old database's server, since nobody writes
	EndedAt  time.Time `json:"ended_at"` // the sessions that might hold back counts were seen gone, before the switch
	StillAt  time.Time `json:"still_at"` // nobody wrote: what every later look is compared with
	Reached  int       `json:"reached"`  // readings in which the follower had replayed the leader's position
	LastRead time.Time `json:"last_read"`
	Target   LSN       `json:"target"` // the leader's position that the follower reached

	NewCleared time.Time      `json:"new_cleared"` // the fence's setting was seen gone on the new database
	Proven     string         `json:"proven"`      // what the trial write on the new database showed; "" before it
	Analyzed   string         `json:"analyzed"`    // how far statistics came, in words
	Compared   []RowsCompared `json:"compared"`
	ComparedAt time.Time      `json:"compared_at"`
	BaseAt     time.Time      `json:"base_at"`    // of the reading of the new database that losses are counted from
	MeasureAt  time.Time      `json:"measure_at"` // since when what was written to the new database is read, because the switch cannot go on
	Objects    string         `json:"objects"`    // what the comparison of object counts and sequences said

	NewBefore *DBFence `json:"new_before"` // of the new database, before a rollback's fence
	NewFence  *DBFence `json:"new_fence"`
	Counted   bool     `json:"counted"` // positions could not be read: lag zero was counted instead
	Loss      *Loss    `json:"loss"`    // what a rollback would lose, as it was told
}

// The names of the readings that a run keeps.
const (
	ReadingSample = "sample" // Activity of the old database, first of two
	ReadingStill  = "still"  // Activity of the old database when nobody wrote
	ReadingBase   = "base"   // Reading of the new database before the switch
	ReadingUse    = "use"    // Activity of the retired database, last sample of the soak
)

// Incomparable says why what was written between two readings of a database can
// never be told, such as after a crash; "" when it can.
func Incomparable(still, now Activity) string {
	if still.System != now.System || still.Follower != now.Follower {
		return "it is another server than the one that was still"
	}
	if _, ok := changes(still.Tables, now.Tables); !ok || still.Reset != now.Reset {
		return "its row counters began anew"
	}
	return ""
}

// WrittenSince says what was written to a database since it was seen still.
// While sessions may hold back counts, or the two cannot be compared, unsettled
// says so: nothing seen is then no proof.
func WrittenSince(still, now Activity, last LastID) (written []TableChange, unsettled string) {
	if why := Incomparable(still, now); why != "" {
		return nil, why
	}
	written, _ = changes(still.Tables, now.Tables)
	switch {
	case now.NextXID == still.NextXID && now.Writing == 0 && now.Prepared == 0:
		return written, ""
	case now.Writing > 0:
		return written, Count(now.Writing, "transaction") + " that may write is open"
	case now.Prepared > 0:
		return written, Count(now.Prepared, "prepared transaction") + " can be committed at any time"
	}
	return written, now.Unsettled(last)
}
