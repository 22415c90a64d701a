package ops

import "time"

// Writable is what was seen when the bot tried to write to the new database, in
// a transaction that it rolled back, on a table of its own.
type Writable struct {
	Server Server  `json:"server"`
	Fence  DBFence `json:"fence"`
	Wrote  bool    `json:"wrote"`
	// Default says whether a session that asks for nothing may write: what the
	// app will find.
	Default bool   `json:"default"`
	Why     string `json:"why"` // why not, in words
}

// OK reports whether the app can write to it and it is the major wanted.
func (w Writable) OK(major int) bool {
	return w.Wrote && w.Default && !w.Server.Follower && w.Server.Major == major
}

// SequenceBehind is a sequence whose next number is already in its column.
type SequenceBehind struct {
	Sequence string `json:"sequence"`
	Column   string `json:"column"` // "public.orders.id"
	Last     int64  `json:"last"`
	Max      int64  `json:"max"`
	// Skipped says why it could not be told; "" when it is behind.
	Skipped string `json:"skipped,omitempty"`
}

// RowsCompared is one table compared on two databases.
type RowsCompared struct {
	Table string `json:"table"`
	// Whole: every row was counted and hashed; else only Rows rows, picked by
	// primary key from the first database.
	Whole bool  `json:"whole"`
	Rows  int64 `json:"rows"`
	// Differs says what differs, in words and without row data; "" when nothing does.
	Differs string `json:"differs"`
	// Skipped says why the table was not compared; "" when it was.
	Skipped string `json:"skipped"`
}

// CompareLimits bound a comparison of rows; zero values take the defaults.
type CompareLimits struct {
	WholeBelow int64         // bytes up to which a table is compared whole; 8 MB
	Sample     int           // rows picked of a larger one; 200
	Tables     int           // at most so many tables, largest first; 200
	Within     time.Duration // for all of it; 20 s
}

// Analyzed is how far ANALYZE came.
type Analyzed struct {
	Done    []string          `json:"done"`
	Left    []string          `json:"left"`   // the time was over
	Failed  map[string]string `json:"failed"` // table to reason
	Elapsed time.Duration     `json:"elapsed"`
}
