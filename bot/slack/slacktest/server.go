// Package slacktest is a stand-in for Slack: the Web API and Socket Mode of one
// workspace with state, rules, refusals, limits and faults, and people who type
// and press. It follows docs.slack.dev as read in November 2026; slack-go, Bolt
// and Slack's other JavaScript clients work against it with nothing but its address.
//
// It is linked into the sandbox, so it does not import testing.
package slacktest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Config says how the workspace is.
type Config struct {
	AppToken string
	BotToken string
	Scopes   []string // of the bot token; nil: every scope
	// BaseURL is where API can be reached, without a trailing slash.
	BaseURL string
	// Now and After are the stand-in's time; nil: the machine's. Pings go by the
	// machine's time whatever they are, since the clients' do.
	Now   func() time.Time
	After func(time.Duration) (elapsed <-chan time.Time, stop func())
	// PingEvery is between two pings down a connection; 0: two seconds. Slack
	// does not say what its own period is.
	PingEvery time.Duration
	// AckAnywhere takes an acknowledgement from any connection of the app. Nobody
	// says whether Slack does, so by default it counts only on a connection that
	// the envelope went down.
	AckAnywhere bool
	Log         *slog.Logger
}

// Ids of the workspace.
const (
	TeamID = "T0ACME"
	AppID  = "A0PGUPGRADE"
	BotUID = "U0BOT"
	BotID  = "B0BOT"
)

// Server is the stand-in. It is safe for concurrent use.
type Server struct {
	cfg Config
	api http.Handler

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	serial   int
	lastTS   int64
	history  []Request
	revoked  map[string]bool // by token
	users    []*User
	groups   map[string][]string
	channels []*Channel
	posts    []*Post
	views    []*View
	triggers map[string]*trigger
	replies  map[string]*responseURL

	faults  []*Fault
	methods map[string]*bucket // by method, or "chat.postMessage C1"

	sockets   []*socket
	tickets   map[string]time.Time
	envelopes []*delivery
	twice     int    // so many interactions are sent twice
	storm     string // the reason with which every new connection is ended at once
	leaveOpen bool   // TCP stays open after the close frames
}

// New returns a workspace with nobody in it.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.After == nil {
		c.After = after
	}
	if c.PingEvery == 0 {
		c.PingEvery = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: c, changed: make(chan struct{}), revoked: map[string]bool{}, groups: map[string][]string{}, triggers: map[string]*trigger{},
		replies: map[string]*responseURL{}, methods: map[string]*bucket{}, tickets: map[string]time.Time{}}
	s.users = append(s.users, &User{ID: BotUID, Name: "pgupgrade", Bot: true})
	m := http.NewServeMux()
	m.HandleFunc("/api/{method}", s.serveMethod)
	m.HandleFunc("/link/", s.serveSocket)
	m.HandleFunc("POST /response/{id}", s.serveResponse)
	s.api = m
	return s
}

// API is the handler of the Web API and of Socket Mode; the Web API is below
// /api/.
func (s *Server) API() http.Handler { return s.api }

// SetBaseURL says where API can be reached, once that is known.
func (s *Server) SetBaseURL(u string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.BaseURL = u
}

// change tells those who wait that something changed. s.mu is held.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed is closed at the next change of anything that people can see.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Await waits until want holds of the workspace, looking at every change.
func (s *Server) Await(ctx context.Context, want func() bool) error {
	for {
		changed := s.Changed()
		if want() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ts makes the next message's id. s.mu is held.
func (s *Server) ts() string {
	n := max(s.cfg.Now().UnixMicro(), s.lastTS+1)
	s.lastTS = n
	return fmt.Sprintf("%d.%06d", n/1e6, n%1e6)
}

func (s *Server) next(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s%06d", prefix, s.serial)
}

// Request is one call of the Web API as it went.
type Request struct {
	Method string     `json:"method"`
	Error  string     `json:"error,omitempty"` // "" when it was done and said so
	Fault  string     `json:"fault,omitempty"` // the fault that struck it
	Args   url.Values `json:"args,omitempty"`
}

// History returns every call so far.
func (s *Server) History() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.history...)
}

// Revoke makes a token ("app" or "bot") one that is refused with token_revoked.
// Connections that are open stay open.
func (s *Server) Revoke(which string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch which {
	case "app":
		s.revoked[s.cfg.AppToken] = true
	case "bot":
		s.revoked[s.cfg.BotToken] = true
	default:
		return fmt.Errorf("there is no %q token, only app and bot", which)
	}
	return nil
}
