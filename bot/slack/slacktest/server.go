// Package slacktest is a stand-in for Slack: the Web API and Socket Mode of one
// workspace with state, rules, refusals, limits and faults, and people who type
// and press. It follows docs.slack.dev as read in November 2026.
//
// It is linked into the sandbox, so it does not import testing.
package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
	Now     func() time.Time
	Log     *slog.Logger
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
	users    []*User
	groups   map[string][]string
	channels []*Channel
	posts    []*Post
	views    []*View
	triggers map[string]*trigger
	replies  map[string]*responseURL
	sockets  []*socket
	tickets  map[string]bool
	waiting  map[string]*delivery
	faults   []*Fault
	history  []Request
	lastTS   int64
	serial   int
	acks     []time.Duration
	changed  chan struct{} // closed and replaced at every change
	posted   map[string]*rate
}

// User is a person, or a bot, of the workspace or of another one.
type User struct {
	ID, Name, Title string
	Bot, Deleted    bool
	Guest           bool   // is_restricted
	SingleGuest     bool   // is_ultra_restricted
	Team            string // "": this workspace
}

// Channel is a channel or a direct message.
type Channel struct {
	ID, Name  string
	Member    bool // the bot is in it
	Archived  bool
	ExtShared bool
	DM        string // the person, for a direct message
}

// Post is one message.
type Post struct {
	TS        string          `json:"ts"`
	Channel   string          `json:"channel"`
	User      string          `json:"user"`
	Text      string          `json:"text"`
	Blocks    json.RawMessage `json:"blocks,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	ThreadTS  string          `json:"thread_ts,omitempty"`
	Broadcast bool            `json:"broadcast,omitempty"`
	Edits     int             `json:"edits,omitempty"`
	Ephemeral string          `json:"ephemeral,omitempty"` // the only person who sees it
	Typed     bool            `json:"typed,omitempty"`     // a person typed it as a command
	InChannel bool            `json:"-"`
}

// New returns a workspace with nobody in it.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: c, groups: map[string][]string{}, triggers: map[string]*trigger{}, replies: map[string]*responseURL{}, tickets: map[string]bool{},
		waiting: map[string]*delivery{}, changed: make(chan struct{}), posted: map[string]*rate{}}
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

// AddUser adds a person.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = append(s.users, &u)
	s.change()
}

// ChangeUser lets f change a person.
func (s *Server) ChangeUser(id string, f func(*User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.user(id); u != nil {
		f(u)
	}
}

// SetGroup sets who is in a user group.
func (s *Server) SetGroup(id string, members ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[id] = members
}

// AddChannel adds a channel.
func (s *Server) AddChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels = append(s.channels, &c)
}

// ChangeChannel lets f change a channel.
func (s *Server) ChangeChannel(id string, f func(*Channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channel(id); c != nil {
		f(c)
	}
}

// Acme adds the people and the channel of the sandbox.
func (s *Server) Acme() {
	s.AddUser(User{ID: "U1", Name: "ana", Title: "approver"})
	s.AddUser(User{ID: "U2", Name: "ben", Title: "approver"})
	s.AddUser(User{ID: "U3", Name: "cleo", Title: "not an approver"})
	s.AddChannel(Channel{ID: "C1", Name: "db-upgrades", Member: true})
	s.AddChannel(Channel{ID: "C2", Name: "general"})
}

func (s *Server) user(id string) *User {
	for _, u := range s.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

func (s *Server) channel(id string) *Channel {
	for _, c := range s.channels {
		if c.ID == id {
			return c
		}
	}
	return nil
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
	Method string
	Error  string // "" when ok
	Args   url.Values
}

// History returns every call so far.
func (s *Server) History() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.history...)
}

// Fault makes calls of the Web API fail.
type Fault struct {
	Method string        // "": every method
	Error  string        // Slack's error in a 200 answer
	Status int           // another HTTP status; with Error empty
	Retry  int           // Retry-After, for 429
	After  bool          // act first, then fail
	Drop   bool          // cut the connection instead of answering
	Delay  time.Duration // answer late
	Times  int           // 0: until removed
	left   int
}

// Fault adds a fault.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.left = f.Times
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) struck(method string) *Fault {
	for _, f := range s.faults {
		if (f.Method == "" || f.Method == method) && (f.Times == 0 || f.left > 0) {
			f.left--
			return f
		}
	}
	return nil
}

type reply map[string]any

func fails(code string) reply { return reply{"ok": false, "error": code} }

func (s *Server) serveMethod(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	args, token, err := arguments(r)
	if err != nil {
		writeJSON(w, http.StatusOK, fails("invalid_form_data"))
		return
	}
	s.mu.Lock()
	f := s.struck(method)
	s.mu.Unlock()
	if f != nil && f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return
		}
	}
	var out reply
	if f == nil || f.After || f.Delay > 0 {
		out = s.call(method, args, token)
	}
	if f != nil && f.Delay == 0 {
		switch {
		case f.Drop:
			panic(http.ErrAbortHandler) // net/http cuts the connection
		case f.Error != "":
			out = fails(f.Error)
		case f.Status != 0:
			if f.Retry > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(f.Retry))
			}
			http.Error(w, "<html>scripted</html>", f.Status)
			return
		}
	}
	if wait, ok := out["retry_after"].(int); ok {
		w.Header().Set("Retry-After", strconv.Itoa(wait))
		writeJSON(w, http.StatusTooManyRequests, fails("ratelimited"))
		return
	}
	w.Header().Set("X-OAuth-Scopes", strings.Join(s.scopes(), ","))
	writeJSON(w, http.StatusOK, out)
}

func (s *Server) call(method string, args url.Values, token string) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.do(method, args, token)
	code, _ := out["error"].(string)
	args.Del("token")
	s.history = append(s.history, Request{Method: method, Error: code, Args: args})
	return out
}

// arguments reads a call's arguments wherever Slack allows them: a form, JSON,
// or the query.
func arguments(r *http.Request) (args url.Values, token string, err error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		args = r.URL.Query()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, "", err
		}
		var m map[string]json.RawMessage
		if len(body) > 0 {
			if err := json.Unmarshal(body, &m); err != nil {
				return nil, "", err
			}
		}
		for k, v := range m {
			var text string
			if json.Unmarshal(v, &text) == nil {
				args.Set(k, text)
			} else {
				args.Set(k, string(v))
			}
		}
	case "multipart/form-data":
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			return nil, "", err
		}
		args = r.Form
	default:
		if err := r.ParseForm(); err != nil {
			return nil, "", err
		}
		args = r.Form
	}
	token = args.Get("token")
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = t
	}
	return args, token, nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the client went away
}

var allScopes = []string{"commands", "chat:write", "channels:history", "groups:history", "channels:read", "groups:read", "users:read", "usergroups:read", "im:write", "im:history"}

func (s *Server) scopes() []string {
	if s.cfg.Scopes != nil {
		return s.cfg.Scopes
	}
	return allScopes
}
