package ops

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is read from a database through SQL. Every type here is a plain value
// that survives JSON; the rules over them are pure functions beside them.

// LSN is a place in a database's write-ahead log.
type LSN uint64

// ParseLSN reads PostgreSQL's own notation, "16/B374D848".
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	h, err := strconv.ParseUint(hi, 16, 32)
	if ok && err == nil {
		var l uint64
		if l, err = strconv.ParseUint(lo, 16, 32); err == nil {
			return LSN(h<<32 | l), nil
		}
	}
	return 0, fmt.Errorf("%q is no WAL position", s)
}

func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint64(l)&0xFFFFFFFF) }

// Position is where a database stands in the write-ahead log.
type Position struct {
	At       time.Time `json:"at"`     // the database's clock
	System   string    `json:"system"` // system identifier: a follower has its leader's, pg_upgrade makes a new one
	Follower bool      `json:"follower"`
	End      LSN       `json:"end"`      // leader: where its log ends; 0 on a follower
	Received LSN       `json:"received"` // follower: what it holds; 0 on a leader
	Replayed LSN       `json:"replayed"` // follower: what can be seen on it; 0 on a leader
	Paused   bool      `json:"paused"`   // follower: replay was paused by somebody
}

// Replayed reports whether the follower has replayed the leader's log to the
// end that was read, and if not, why in words. A target, not a proof that
// writers stopped: an idle leader's log grows too.
func Replayed(leader, follower Position) (bool, string) {
	switch {
	case leader.Follower:
		return false, "the old database is in recovery, so it is no leader"
	case !follower.Follower:
		return false, "the new database is not in recovery, so it follows nothing"
	case leader.System != follower.System:
		return false, "the new database is no copy of the old one: their system identifiers differ"
	case leader.End == 0:
		return false, "the leader's position was not read"
	case follower.Replayed >= leader.End:
		return true, ""
	}
	why := fmt.Sprintf("replayed %s of %s, %s to go", follower.Replayed, leader.End, FormatBytes(int64(leader.End-follower.Replayed)))
	switch {
	case follower.Paused:
		why += "; replay is paused"
	case follower.Received < leader.End:
		why += fmt.Sprintf("; %s not received yet", FormatBytes(int64(leader.End-follower.Received)))
	}
	return false, why
}

// Server is what a database says about itself.
type Server struct {
	Version  string    `json:"version"` // "17.11"
	Major    int       `json:"major"`
	Follower bool      `json:"follower"` // in recovery: read-only whatever is set
	System   string    `json:"system"`   // system identifier; "" where the credential may not read it
	Timeline int       `json:"timeline"` // raised by every failover; 0 where it may not be read
	Owner    bool      `json:"owner"`    // the credential may set the database's defaults
	AllStats bool      `json:"allstats"` // it sees what other roles' sessions do
	Started  time.Time `json:"started"`
}

// TableCounts is what was counted for one table. Rows of rolled-back
// transactions count too; a truncate counts nothing but makes a new file.
type TableCounts struct {
	OID  uint32 `json:"o"`
	File uint32 `json:"f"` // relfilenode: changed by TRUNCATE and by every rewrite
	Ins  int64  `json:"i,omitempty"`
	Upd  int64  `json:"u,omitempty"`
	Del  int64  `json:"d,omitempty"`
}

// Session is one connection to the database that is not the bot's.
type Session struct {
	PID   int32     `json:"pid"`
	Role  string    `json:"role"`
	App   string    `json:"app"`   // application_name
	Seen  bool      `json:"seen"`  // what it does is visible; if not, State, Began and Since are unknown
	State string    `json:"state"` // "active", "idle", "idle in transaction"
	Began time.Time `json:"began"`
	Since time.Time `json:"since"` // when State began
	// Platform marks sessions of a superuser and the server's own workers:
	// Heroku's, not the app's.
	Platform bool `json:"platform"`
	Writing  bool `json:"writing"` // it holds a transaction id
}

// Activity is one reading of everything that moves when somebody uses a database.
type Activity struct {
	At       time.Time `json:"at"` // the database's clock
	Major    int       `json:"major"`
	System   string    `json:"system"`
	Follower bool      `json:"follower"`
	// NextXID is the transaction id after the newest that ended, with its epoch,
	// for the whole server. It moves at once; the counters are told by each
	// session when it gets to it.
	NextXID  uint64 `json:"next_xid"`
	Writing  int    `json:"writing"`  // transactions in progress that hold a transaction id, of any database and role
	Prepared int    `json:"prepared"` // prepared transactions
	// Tables is every table of the database but temporary ones, by "schema.name",
	// and pg_largeobject with its metadata.
	Tables map[string]TableCounts `json:"tables"`
	// Reset changes when counters begin anew: a reset, a crash, a failover.
	Reset    string    `json:"reset"`
	Sessions []Session `json:"sessions"`
	// Opened counts sessions ever opened on this database since Reset, the bot's
	// too; 0 before PostgreSQL 14.
	Opened int64 `json:"opened"`
	Scans  int64 `json:"scans"` // reads of tables since Reset
}

// Foreign returns the sessions that are neither the bot's nor the platform's.
func (a Activity) Foreign() []Session {
	return slices.DeleteFunc(slices.Clone(a.Sessions), func(s Session) bool { return s.Platform })
}

// statsHeld is how long a session may sit on counts that it has not told yet
// (pgstat.c, PGSTAT_MAX_INTERVAL): ten seconds when idle, a minute at worst.
const statsHeld = time.Minute

// LastID is when the last transaction id of a server was drawn, as far as looks
// at it tell: before Seen, by the database's clock. The zero value says nothing.
type LastID struct {
	Next uint64    `json:"next"` // Activity.NextXID, as it stands since Seen
	Seen time.Time `json:"seen"`
	PIDs []int32   `json:"pids"` // who was connected when it was first seen to stand there
}

// Look returns what is known once a was read too.
func (l LastID) Look(a Activity) LastID {
	if !l.Seen.IsZero() && l.Next == a.NextXID {
		return l
	}
	l = LastID{Next: a.NextXID, Seen: a.At}
	for _, s := range a.Sessions {
		l.PIDs = append(l.PIDs, s.PID)
	}
	return l
}

// before reports whether a session may have begun before the last id was drawn.
func (l LastID) before(s Session) bool {
	switch {
	case l.Seen.IsZero():
		return true
	case s.Seen:
		return !s.Began.After(l.Seen)
	}
	return slices.Contains(l.PIDs, s.PID)
}

// Unsettled names the sessions that may still hold back row counts, in words; ""
// when the counters are complete. Whoever came after the last transaction id was
// drawn has written nothing. A session tells its counts when it ends, and since
// PostgreSQL 15 within a minute after its last transaction; before that an idle
// one may keep them for as long as it lives. A session that is never idle for
// long, such as a reader's, has told all when a transaction of it ended a minute
// after that id.
func (a Activity) Unsettled(last LastID) string {
	var who []Session
	for _, s := range a.Sessions {
		told := a.At.Sub(s.Since) > statsHeld || !last.Seen.IsZero() && s.Since.Sub(last.Seen) > statsHeld
		if a.Major >= 15 && s.Seen && s.State == "idle" && told {
			continue
		}
		if !s.Writing && (s.Platform || !last.before(s)) {
			continue
		}
		who = append(who, s)
	}
	if len(who) == 0 {
		return ""
	}
	return SessionWords(who) + " may not have told all they wrote"
}

// SessionWords counts sessions by role and application: "2 sessions of u1 (web.1)".
func SessionWords(sessions []Session) string {
	count := map[string]int{}
	for _, s := range sessions {
		name := s.Role
		if s.App != "" {
			name += " (" + s.App + ")"
		}
		if !s.Seen {
			name += ", state not visible"
		}
		count[name]++
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		noun := "sessions"
		if count[name] == 1 {
			noun = "session"
		}
		out = append(out, fmt.Sprintf("%d %s of %s", count[name], noun, name))
	}
	return strings.Join(out, ", ")
}

// TableChange is what was counted for one table between two readings.
type TableChange struct {
	Table    string `json:"table"`
	Inserted int64  `json:"inserted"`
	Updated  int64  `json:"updated"`
	Deleted  int64  `json:"deleted"`
	// Note says what counters do not: "truncated or rewritten", "created", "dropped".
	Note string `json:"note,omitempty"`
	// First and Last are when its rows that are newer than the first reading
	// were committed; zero when not knowable (track_commit_timestamp is off).
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

func (c TableChange) String() string {
	var parts []string
	for _, p := range []struct {
		n    int64
		verb string
	}{{c.Inserted, "inserted"}, {c.Updated, "updated"}, {c.Deleted, "deleted"}} {
		if p.n != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.verb))
		}
	}
	if c.Note != "" {
		parts = append(parts, c.Note)
	}
	return c.Table + ": " + strings.Join(parts, ", ")
}

func (c TableChange) rows() int64 { return c.Inserted + c.Updated + c.Deleted }

// Largest first, so that a cut list shows what matters.
func sortChanges(changes []TableChange) {
	slices.SortFunc(changes, func(a, b TableChange) int {
		return cmp.Or(cmp.Compare(b.rows(), a.rows()), cmp.Compare(a.Table, b.Table))
	})
}

// changes compares two readings table by table. It says false when a counter
// went back, which means that they began anew between the two.
func changes(a, b map[string]TableCounts) ([]TableChange, bool) {
	byOID := map[uint32]string{}
	for name, t := range a {
		byOID[t.OID] = name
	}
	var out []TableChange
	kept := map[string]bool{}
	for name, now := range b {
		was, ok := a[name]
		from := name
		if !ok || was.OID != now.OID {
			if from, ok = byOID[now.OID]; ok {
				was = a[from]
			} else {
				was = TableCounts{File: now.File}
			}
		}
		c := TableChange{Table: name, Inserted: now.Ins - was.Ins, Updated: now.Upd - was.Upd, Deleted: now.Del - was.Del}
		if c.Inserted < 0 || c.Updated < 0 || c.Deleted < 0 {
			return nil, false
		}
		switch {
		case !ok:
			c.Note = "created"
		case from != name:
			c.Note = "renamed from " + from
		case was.File != now.File:
			c.Note = "truncated or rewritten"
		}
		if ok {
			kept[from] = true
		}
		if c.rows() != 0 || c.Note != "" {
			out = append(out, c)
		}
	}
	for name := range a {
		if !kept[name] {
			out = append(out, TableChange{Table: name, Note: "dropped"})
		}
	}
	sortChanges(out)
	return out, true
}
