package ops

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DBFence is the read-only default of one database
// (ALTER DATABASE ... SET default_transaction_read_only), as it was read. The
// one read before the fence is what is restored; the one read behind it tells
// which sessions it does not stop.
type DBFence struct {
	At time.Time `json:"at"` // the database's clock
	// Setting is what is set for the whole database; "" when nothing is.
	Setting string `json:"setting"`
	// Overrides names settings for single roles, which win over the database's:
	// those roles are not stopped by the fence.
	Overrides []string `json:"overrides"`
	Owner     bool     `json:"owner"` // the bot's credential may change it
	// PIDs are the sessions of others at that moment. Those that live on are
	// not stopped by a fence that was put up later.
	PIDs []int32 `json:"pids"`
}

// On reports whether new sessions are read-only unless they ask otherwise.
// PostgreSQL takes any unambiguous beginning of these words for a yes.
func (f DBFence) On() bool {
	s := strings.ToLower(f.Setting)
	return s != "" && (s == "1" || s == "on" || strings.HasPrefix("true", s) || strings.HasPrefix("yes", s))
}

// Same reports whether what is set is what was recorded.
func (f DBFence) Same(recorded DBFence) bool { return f.Setting == recorded.Setting }

// Undo is the SQL that restores this recorded setting by hand on the database of
// that name. It asks for read-write itself, since behind the fence nothing else
// would let it.
func (f DBFence) Undo(database string) string {
	set := "RESET default_transaction_read_only"
	if f.Setting != "" {
		set = "SET default_transaction_read_only = '" + strings.ReplaceAll(f.Setting, "'", "''") + "'"
	}
	return fmt.Sprintf(`BEGIN READ WRITE; ALTER DATABASE "%s" %s; COMMIT`, strings.ReplaceAll(database, `"`, `""`), set)
}

// Ended is what ending the sessions of a database came to.
type Ended struct {
	Ended int `json:"ended"`
	// Left are the sessions that the bot's credential may not end. Heroku's
	// connection_reset ends those of all credentials.
	Left []Session `json:"left"`
}

// MinGap is the least time between two samples that prove stillness.
const MinGap = 2 * time.Second

// Motion is whether somebody writes.
type Motion string

// The motions.
const (
	Still         Motion = "still"
	Moved         Motion = "moved"   // somebody wrote, or may write at any moment
	MotionUnknown Motion = "unknown" // it cannot be told, which is not still
)

// Stillness is what two readings of one database say about writers.
type Stillness struct {
	Motion Motion        `json:"motion"`
	Why    string        `json:"why"` // in words, for moved and unknown
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	Tables []TableChange `json:"tables"` // what moved, largest first
	XIDs   uint64        `json:"xids"`   // transaction ids drawn in between, by anybody on the server
}

// StillBetween compares two readings of a database behind fence, which was read
// while it stood.
//
// The transaction id is what proves: it moves at once, while sessions tell
// their row counts late. The counters name who was written to. A session that
// is older than the fence is not stopped by it, so while one lives, or may
// live, nothing is proven.
func StillBetween(fence DBFence, a, b Activity) Stillness {
	s := Stillness{Motion: MotionUnknown, From: a.At, To: b.At}
	switch {
	case a.System != b.System || a.Follower != b.Follower:
		s.Why = "the two samples are not of the same server"
		return s
	case b.Follower:
		s.Why = "it is a follower; only its leader can be still"
		return s
	case !fence.On():
		s.Why = "no fence stands on the database"
		return s
	case b.At.Sub(a.At) < MinGap:
		s.Why = fmt.Sprintf("the samples are only %s apart", FormatDuration(b.At.Sub(a.At)))
		return s
	case b.NextXID < a.NextXID:
		s.Why = "transaction ids went back"
		return s
	case a.Reset != b.Reset:
		s.Why = "the counters began anew between the samples"
		return s
	}
	s.XIDs = b.NextXID - a.NextXID
	tables, ok := changes(a.Tables, b.Tables)
	if !ok {
		s.Why = "the counters began anew between the samples"
		return s
	}
	s.Tables = tables
	var moved []string
	for _, t := range tables {
		moved = append(moved, t.String())
	}
	if s.XIDs > 0 && len(tables) == 0 {
		ids := fmt.Sprintf("%s drawn though no row was counted", Count(int(s.XIDs), "transaction id"))
		if slices.ContainsFunc(b.Sessions, func(s Session) bool { return s.Platform && s.Role == "" }) {
			ids += ", while autovacuum is at work"
		}
		moved = append(moved, ids)
	}
	if b.Writing > 0 {
		moved = append(moved, fmt.Sprintf("%s still open", Count(b.Writing, "writing transaction")))
	}
	if b.Prepared > 0 {
		moved = append(moved, fmt.Sprintf("%s still to be committed or rolled back", Count(b.Prepared, "prepared transaction")))
	}
	if len(moved) > 0 {
		s.Motion, s.Why = Moved, strings.Join(moved, "; ")
		return s
	}
	if open := OlderThanFence(fence, b.Sessions); len(open) > 0 {
		s.Why = SessionWords(open) + " may be older than the fence, which does not stop them"
		return s
	}
	s.Motion = Still
	return s
}

// OlderThanFence returns the sessions, but the platform's, that may have begun
// before the fence stood. Where their begin is not visible, those that were
// there when the fence was read count as older.
func OlderThanFence(fence DBFence, sessions []Session) []Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool {
		if s.Platform {
			return true
		}
		if s.Seen {
			return s.Began.After(fence.At)
		}
		return !slices.Contains(fence.PIDs, s.PID)
	})
}

// Use is what two readings of a retired database say about anybody using it.
type Use struct {
	Known    bool          `json:"known"`
	Why      string        `json:"why"` // when unknown: the clock of the soak begins anew
	Sessions []Session     `json:"sessions"`
	Opened   int64         `json:"opened"` // sessions opened in between, the bot's and Heroku's too
	Scans    int64         `json:"scans"`  // reads of tables in between
	Tables   []TableChange `json:"tables"`
}

// Used reports evidence of use: somebody else is connected, or rows or scans
// were counted. Sessions that were only opened are no evidence, since Heroku's
// own count too.
func (u Use) Used() bool { return len(u.Sessions) > 0 || len(u.Tables) > 0 || u.Scans > 0 }

func (u Use) String() string {
	if !u.Known {
		return "unknown: " + u.Why
	}
	var parts []string
	if len(u.Sessions) > 0 {
		parts = append(parts, SessionWords(u.Sessions)+" connected")
	}
	for i, t := range u.Tables {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("and %d more tables", len(u.Tables)-i))
			break
		}
		parts = append(parts, t.String())
	}
	if u.Scans > 0 {
		parts = append(parts, fmt.Sprintf("tables were read %d times", u.Scans))
	}
	if len(parts) == 0 {
		return "no use seen"
	}
	return strings.Join(parts, "; ")
}

// UseBetween compares two readings of a retired database.
func UseBetween(a, b Activity) Use {
	u := Use{Sessions: b.Foreign()}
	tables, ok := changes(a.Tables, b.Tables)
	switch {
	case a.System != b.System:
		u.Why = "the two samples are not of the same server"
	case a.Reset != b.Reset || !ok || b.Scans < a.Scans:
		u.Why = "the counters began anew since the last sample"
	default:
		u.Known, u.Tables, u.Scans, u.Opened = true, tables, b.Scans-a.Scans, b.Opened-a.Opened
	}
	return u
}
