// Package herokutest is a stand-in for Heroku: the Platform API and the Data
// API of one account on one listener, with state, rules, refusals, limits,
// scripted durations and faults, on a clock of its own. A second handler stages
// things and tells the history of requests.
//
// It is linked into the sandbox, so it does not import testing.
package herokutest

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Times is how long things take, on the stand-in's clock.
type Times struct {
	Provision time.Duration // a follower
	CatchUp   time.Duration // from provisioned to a small lag
	Upgrade   time.Duration
	Release   time.Duration // a release phase
	Backup    time.Duration
	DynoStop  time.Duration // from scaled down to gone
	DynoStart time.Duration // from starting to up
	Destroy   time.Duration
	Settle    time.Duration // from a database's becoming its own to when it can be followed
	Request   time.Duration // the longest that a request goes on: the router's limit
}

// DefaultTimes tell the whole story in about two minutes.
func DefaultTimes() Times {
	return Times{Provision: 8 * time.Second, CatchUp: 10 * time.Second, Upgrade: 12 * time.Second, Release: 2 * time.Second,
		Backup: 6 * time.Second, DynoStop: 1500 * time.Millisecond, DynoStart: 1200 * time.Millisecond, Destroy: time.Second,
		Settle: 20 * time.Second, Request: 30 * time.Second}
}

// Config says how the stand-in behaves.
type Config struct {
	// Token is the one API key that is accepted.
	Token string
	// BaseURL is where the API can be reached; the apps' own pages are below it.
	BaseURL string
	// Now is the clock; nil means the machine's, Speed times as fast.
	Now   func() time.Time
	Speed float64
	Times Times
	// Storage holds the data of the databases; nil is a model in memory.
	Storage Storage
	Log     *slog.Logger
}

// Server is the stand-in. It is safe for concurrent use.
type Server struct {
	cfg     Config
	started time.Time
	api     http.Handler
	storage Storage

	mu      sync.Mutex
	state   state
	faults  []*Fault
	holds   []*hold
	history []*Request
	limits  map[string]*bucket
	success int  // staged: the status of what creates; 0: Heroku's usual one
	revoked bool // staged: the key is refused
}

// New returns a stand-in without apps.
func New(c Config) *Server {
	if c.Speed <= 0 {
		c.Speed = 1
	}
	if c.Times == (Times{}) {
		c.Times = DefaultTimes()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Storage == nil {
		c.Storage = NewModel(c.Times)
	}
	s := &Server{cfg: c, started: time.Now(), limits: map[string]*bucket{}, storage: c.Storage}
	s.state.init()
	s.api = s.routes()
	return s
}

// SetBaseURL says where the API can be reached, once that is known.
func (s *Server) SetBaseURL(u string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.BaseURL = u
}

// Now is the stand-in's clock.
func (s *Server) Now() time.Time {
	if s.cfg.Now != nil {
		return s.cfg.Now()
	}
	return s.started.Add(time.Duration(float64(time.Since(s.started)) * s.cfg.Speed)).UTC()
}

// id makes an id that is the same in every run of the program.
func (s *state) id(kind string) string {
	s.ids++
	return uuidOf([]byte{byte(s.ids >> 8), byte(s.ids), kind[0]})
}

// fixedID is the id of something that is the same in every account, such as a plan.
func fixedID(what string) string { return uuidOf([]byte(what)) }

// uuidOf makes a well-formed uuid of a seed, the same each time.
func uuidOf(seed []byte) string {
	sum := sha256.Sum256(seed)
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}
