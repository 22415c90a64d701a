package herokutest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Request is one request as the stand-in saw it.
type Request struct {
	Seq       int             `json:"seq"`
	At        time.Time       `json:"at"` // on the stand-in's clock
	Method    string          `json:"method"`
	Path      string          `json:"path"`
	Body      json.RawMessage `json:"body,omitempty"`
	Status    int             `json:"status"`           // 0: it was never answered by a route
	Effect    string          `json:"effect,omitempty"` // what it changed: "upgrade.run orders-pg17-x 17"; "" for nothing
	RequestID string          `json:"request_id"`
}

func (s *Server) record(req *http.Request, body []byte) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &Request{Seq: len(s.history) + 1, At: s.Now(), Method: req.Method, Path: req.URL.Path, RequestID: rand.Text()}
	if sent := req.Header.Get("Request-Id"); sent != "" {
		h.RequestID = sent + "," + h.RequestID
	}
	if json.Valid(body) {
		h.Body = body
	}
	s.history = append(s.history, h)
	return h
}

// History returns every request so far, oldest first.
func (s *Server) History() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Request, 0, len(s.history))
	for _, h := range s.history {
		out = append(out, *h)
	}
	return out
}

// Effects returns what requests changed, oldest first.
func (s *Server) Effects() []string {
	var out []string
	for _, h := range s.History() {
		if h.Effect != "" {
			out = append(out, h.Effect)
		}
	}
	return out
}

// When says whether a fault or a hold strikes before the request acts or after.
type When string

// The moments.
const (
	Before When = "before"
	After  When = "after"
)

// Fault makes requests fail. It strikes requests of that method whose path
// holds Path, Times times (0: until it is removed).
type Fault struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	When   When   `json:"when"`
	Skip   int    `json:"skip"` // lets so many matching requests through first
	Times  int    `json:"times"`
	Status int    `json:"status"` // 0: the connection is dropped
	Body   string `json:"body"`   // "": an error of Heroku's shape
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

func (s *Server) struck(req *http.Request, when When) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.When == when && (f.Method == "" || f.Method == req.Method) && strings.Contains(req.URL.Path, f.Path) && (f.Times == 0 || f.left > 0) {
			if f.Skip > 0 {
				f.Skip--
				continue
			}
			f.left--
			return f
		}
	}
	return nil
}

// fault answers, or drops the connection, when a fault strikes.
func (s *Server) fault(w http.ResponseWriter, req *http.Request, h *Request, when When) bool {
	f := s.struck(req, when)
	if f == nil {
		return false
	}
	if f.Status == 0 {
		panic(http.ErrAbortHandler) // net/http drops the connection
	}
	if when == Before {
		s.mu.Lock()
		h.Status = f.Status
		s.mu.Unlock()
	}
	if f.Body != "" {
		w.Header().Set("Content-Type", "application/json") // as the Data API did for HTML
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body)) // the client went away
		return true
	}
	id := map[int]string{429: "rate_limit", 401: "unauthorized", 403: "forbidden", 422: "invalid_params"}[f.Status]
	writeJSON(w, f.Status, map[string]any{"id": id, "message": "scripted fault"})
	return true
}

type hold struct {
	id, method, path string
	when             When
	reached          chan struct{}
	release          chan struct{}
	taken            bool
}

// Hold stops the next request of that method whose path holds path, before or
// after it acts. reached is closed when it is there; release lets it go on.
func (s *Server) Hold(method, path string, when When) (reached <-chan struct{}, release func()) {
	h := s.hold(method, path, when)
	return h.reached, func() { s.let(h) }
}

func (s *Server) hold(method, path string, when When) *hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &hold{id: rand.Text(), method: method, path: path, when: when, reached: make(chan struct{}), release: make(chan struct{})}
	s.holds = append(s.holds, h)
	return h
}

func (s *Server) let(h *hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-h.release:
	default:
		close(h.release)
	}
	h.taken = true
}

func (s *Server) waitHold(req *http.Request, when When) {
	s.mu.Lock()
	var at *hold
	for _, h := range s.holds {
		if !h.taken && h.when == when && h.method == req.Method && strings.Contains(req.URL.Path, h.path) {
			h.taken, at = true, h
			break
		}
	}
	s.mu.Unlock()
	if at == nil {
		return
	}
	close(at.reached)
	select {
	case <-at.release:
	case <-req.Context().Done():
	}
}
