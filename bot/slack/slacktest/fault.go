package slacktest

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Fault makes calls of the Web API go wrong. One of Error, Status, Drop, Hang,
// Malformed and Delay says how.
type Fault struct {
	Method string // "": every method; "response_url": posts to a response_url
	After  bool   // the call is done first, then it goes wrong
	Times  int    // 0: until removed

	Error     string        // Slack's error word in a 200 answer
	Status    int           // another HTTP status, as text
	Retry     int           // Retry-After in seconds, for 429
	Drop      bool          // the connection is reset instead of an answer
	Hang      bool          // no answer comes, until the faults are removed
	Malformed bool          // a 200 answer that ends in the middle
	Delay     time.Duration // the answer is late; the call is done

	left    int
	removed chan struct{}
}

// String says what the fault is, as History tells it.
func (f *Fault) String() string {
	var s string
	switch {
	case f.Error != "":
		s = f.Error
	case f.Drop:
		s = "reset"
	case f.Hang:
		s = "no answer"
	case f.Malformed:
		s = "malformed"
	case f.Delay > 0:
		s = "slow"
	default:
		s = strconv.Itoa(f.Status)
	}
	if f.After {
		s += " after acting"
	}
	return s
}

// Fault adds a fault.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.left, f.removed = f.Times, make(chan struct{})
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults. Calls that were left without an answer are reset.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		close(f.removed)
	}
	s.faults = nil
}

// strike takes the fault that a call meets, if any, and notes it.
func (s *Server) strike(method string, args url.Values) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if (f.Method == "" || f.Method == method) && (f.Times == 0 || f.left > 0) {
			f.left--
			if !f.After && f.Delay == 0 { // else the call notes itself
				s.history = append(s.history, Request{Method: method, Error: f.String(), Fault: f.String(), Args: args})
				s.change()
			}
			return f
		}
	}
	return nil
}

// struckBy answers a call with what do returns, or as the fault that it meets
// has it.
func (s *Server) struckBy(w http.ResponseWriter, r *http.Request, method string, args url.Values, do func() reply) {
	f := s.strike(method, args)
	if f == nil {
		s.answer(w, do())
		return
	}
	if f.Delay > 0 && !f.After {
		if !s.late(r, f) {
			return
		}
		s.answer(w, do())
		return
	}
	var out reply
	if f.After {
		out = do()
	}
	switch {
	case f.Delay > 0:
		if s.late(r, f) {
			s.answer(w, out)
		}
	case f.Hang:
		select {
		case <-f.removed:
			reset(w)
		case <-r.Context().Done():
		}
	case f.Drop:
		reset(w)
	case f.Error != "":
		s.answer(w, fails(f.Error))
	case f.Malformed:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(`{"ok":true,"channel":"C1","ts":"17`)) // that is the fault
	default:
		if f.Retry > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.Retry))
		}
		http.Error(w, strings.ToLower(http.StatusText(f.Status)), f.Status)
	}
}

// late waits as a slow answer does; false when the client went away meanwhile.
func (s *Server) late(r *http.Request, f *Fault) bool {
	elapsed, stop := s.cfg.After(f.Delay)
	defer stop()
	select {
	case <-elapsed:
		return true
	case <-f.removed:
		return true
	case <-r.Context().Done():
		return false
	}
}

// reset ends the connection as a crashed peer does: without a word and with what
// is under way thrown away.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http closes it
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0) // then Close sends a reset
	}
	conn.Close()
}
