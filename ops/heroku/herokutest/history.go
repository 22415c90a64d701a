package herokutest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
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
