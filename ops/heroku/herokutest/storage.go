package herokutest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Storage makes what holds the data behind the add-ons: the model, in memory
// and on the stand-in's clock, or real PostgreSQL clusters. What Heroku says
// about a database (names, plans, prices, refusals) is the stand-in's; what a
// database does with rows is the storage's. One contract test holds for both
// (package clusters).
//
// A method that takes long begins it and returns; Look says what became of it.
// A storage is safe for concurrent use.
type Storage interface {
	// Create begins an empty database.
	Create(spec DataSpec, now time.Time) Data
	// Follow begins a follower of a database of the same storage.
	Follow(leader Data, spec DataSpec, now time.Time) Data
	// Connect opens a session for a program that knows nothing but a URL. It never
	// fails: a program whose database is not there tries again, as real ones do.
	Connect(url string, s Session, j *Journal) Client
	// Play brings the data to now. Real clusters play by themselves.
	Play(from, now time.Time)
	// Majors are the versions that a database can have or be upgraded to, oldest first.
	Majors() []string
}

// DataSpec describes a database to a storage.
type DataSpec struct {
	ID      string
	Version string // "15.13"; a real cluster has the minor that is installed
	Bytes   int64  // real clusters have the size that they have
	Host    string // of the model's URL; "" is one of its own
	// Usable is when a follower can be read; its first lag is counted from there.
	Usable time.Time
}

// Session is how a program connects.
type Session struct {
	// ReadWrite asks for read-write by itself, so that a database whose default is
	// read-only does not stop it.
	ReadWrite bool
	// Once says that it does not come back when its session was ended.
	Once bool
}

// Client is a program's session: it writes rows and enters in its journal those
// that were acknowledged.
type Client interface {
	// Write asks for n more rows.
	Write(n int, now time.Time)
	// Close ends the session. A row under way may be in the database and in no journal.
	Close()
}

// Data is one database.
type Data interface {
	// URL is where a credential connects; "" is the default credential. A follower
	// is reached with its leader's credentials.
	URL(credential string) string
	// Pooler is the URL of its connection pooler. In front of a real cluster there
	// is none, and this is the default credential's.
	Pooler() string
	// Credential adds one. Followers have it too.
	Credential(name string) error
	// Revoke removes one.
	Revoke(name string) error
	// Rotate gives a credential a new password. Sessions stay. The model lets the
	// old password in until the next rotation unless it is forced; a real role has
	// one password.
	Rotate(name string, forced bool) error
	// Look says how it is.
	Look(now time.Time) Look
	// Unfollow makes a follower a database of its own. Rows that it had not received
	// are not in it, and never will be.
	Unfollow(now time.Time)
	// Upgrade ends the following and begins the upgrade to a major version. A
	// database whose upgrade failed is spent.
	Upgrade(major string, now time.Time)
	// Reset ends every session. A program comes back after a moment.
	Reset(now time.Time)
	// Break makes something go wrong, or ends that (see the Break constants).
	Break(what, arg string, now time.Time) error
	// Held lists the rows that are in it.
	Held(ctx context.Context) (Ledger, error)
	// Drop removes it with all that it holds.
	Drop()
}

// What Break takes. A follower that does not replay has received all the same,
// and loses nothing when it is unfollowed; one whose link is cut has not.
const (
	CutLink      = "cut link"
	MendLink     = "mend link"
	HoldReplay   = "hold replay"
	ResumeReplay = "resume replay"
	RaiseLag     = "raise lag" // it falls behind without end
	LetLagFall   = "let lag fall"
	FailUpgrade  = "fail upgrade"  // arg: what is said; a real cluster fails for a real reason
	StallUpgrade = "stall upgrade" // it does not end
	GoOn         = "go on"         // a stalled one goes on
	KeepVersion  = "keep version"  // it ends, and nothing was upgraded; the model only
)

// Look is how a database is.
type Look struct {
	Ready     bool   // takes sessions
	Broken    string // why it will never be ready; "" otherwise
	Version   string // "15.13"
	Following bool
	// Behind is how many commits of the leader a follower has not replayed, if that
	// can be said.
	Behind      int
	BehindKnown bool
	Upgrade     UpgradeLook
	Sessions    int // programs connected
	Bytes       int64
}

// UpgradeLook is how far an upgrade is.
type UpgradeLook struct {
	To     string // the major version; "" when there never was an upgrade
	Step   int    // 1 to 3 while it is under way
	Ended  bool   // with or without success
	Failed string // why
	Took   time.Duration
}

// Journal is a program's own list of the rows that were acknowledged to it. It
// outlives the program's sessions. It is safe for concurrent use.
type Journal struct {
	writer, kind string
	tally        *tally

	mu    sync.Mutex
	sent  int64
	acked Ranges
}

// NewJournal returns the journal of a writer, for tests of a storage.
func NewJournal(writer string) *Journal {
	return &Journal{writer: writer, tally: &tally{}}
}

// Writer names the program; it is unique in its app.
func (j *Journal) Writer() string { return j.writer }

// Take returns the number of the first of n rows that are now tried.
func (j *Journal) Take(n int64) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := j.sent + 1
	j.sent += n
	return first
}

// Ack enters rows first to last as acknowledged at a time.
func (j *Journal) Ack(first, last int64, at time.Time) {
	j.mu.Lock()
	j.acked.Add(first, last)
	j.mu.Unlock()
	j.tally.ack(at)
}

// Acknowledged returns the rows acknowledged so far.
func (j *Journal) Acknowledged() Ranges {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.acked.clone()
}

// Written is how many rows were tried.
func (j *Journal) Written() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sent
}

// tally measures how long no row of an app was acknowledged.
type tally struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (t *tally) ack(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.last.IsZero() {
		t.longest = max(t.longest, at.Sub(t.last))
	}
	if at.After(t.last) {
		t.last = at
	}
}

func (t *tally) stop() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.longest
}

// begin makes what holds the data of an add-on: a follower's, or an empty one
// of the version that Heroku gives.
func (s *Server) begin(d *database, now time.Time) {
	majors := s.storage.Majors()
	spec := DataSpec{ID: d.id, Version: d.version, Usable: d.provisioned}
	if d.leader != nil {
		d.data = s.storage.Follow(d.leader.data, spec, now)
		return
	}
	if d.version == "" {
		major := majors[len(majors)-1]
		if slices.Contains(majors, newest) {
			major = newest // what Heroku gives without being asked
		}
		d.version = major + minors[major]
	}
	spec.Version = d.version
	d.data = s.storage.Create(spec, now)
}

// place takes a storage's URL apart.
func place(at string) *url.URL {
	u, err := url.Parse(at)
	if err != nil {
		panic("a storage's URL cannot be parsed") // a mistake in the storage; it holds a password
	}
	return u
}

func port(u *url.URL) int {
	n, _ := strconv.Atoi(u.Port()) // a storage's URL has one
	return n
}

// outsider begins a program that holds the app's present URL and is on no list.
func (s *Server) outsider(a *app, kind string, session Session, now time.Time) {
	a.comes(kind, s.state.vars(a, now)["DATABASE_URL"], session)
}

func (a *app) comes(kind, url string, session Session) {
	a.outside++
	a.outsiders = append(a.outsiders, &outsider{writerKey: writerKey{fmt.Sprintf("outsider %d", a.outside), kind}, url: url, session: session})
}
