package herokutest

import (
	"crypto/rand"
	"net/http"
	"strings"
)

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
