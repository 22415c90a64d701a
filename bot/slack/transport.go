package slack

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// requestLimit ends a call that Slack does not answer; slack-go has no limit of its own.
const requestLimit = 15 * time.Second

// limited ends each request after a while. It is no http.Client's Timeout because
// that would count the time which slowOpen waits before.
type limited struct {
	next  http.RoundTripper
	limit time.Duration
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), l.limit)
	a, err := l.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	a.Body = &body{a.Body, cancel}
	return a, nil
}

// body ends the limit when it has been read.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// slowOpen keeps apps.connections.open from being called in a storm: slack-go
// reconnects without any delay when Slack ends a good connection at once, and
// Slack allows about one a minute with some burst.
type slowOpen struct {
	next  http.RoundTripper
	after func(time.Duration) <-chan time.Time
	mu    sync.Mutex
	left  float64
	at    time.Time
}

const (
	openBurst = 6.0
	openEvery = 10 * time.Second
)

func (s *slowOpen) RoundTrip(r *http.Request) (*http.Response, error) {
	// A process that was stopped comes back here before its timers fire.
	if d, ok := r.Context().Deadline(); ok && !time.Now().Before(d) {
		return nil, context.DeadlineExceeded
	}
	if strings.HasSuffix(r.URL.Path, "/apps.connections.open") {
		if err := s.wait(r.Context()); err != nil {
			return nil, err
		}
	}
	return s.next.RoundTrip(r)
}

func (s *slowOpen) wait(ctx context.Context) error {
	over := s.turn(time.Now())
	if over == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.after(over):
		return nil
	}
}

// turn is how long to wait before the next call.
func (s *slowOpen) turn(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() {
		s.left = openBurst
	} else {
		s.left = min(openBurst, s.left+now.Sub(s.at).Seconds()/openEvery.Seconds())
	}
	s.at = now
	s.left = max(s.left-1, -sockets) // so many wait at most
	return time.Duration(max(0, -s.left) * float64(openEvery))
}
