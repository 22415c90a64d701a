package slacktest

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// What Slack allows an app (docs.slack.dev/apis/events-api/using-socket-mode).
const (
	ackWithin  = 3 * time.Second
	largestAck = 20480 // bytes; one of that size is dropped in silence (found by slack-go's authors)
)

// ErrTimeout is what a person sees when the app did not acknowledge in time.
var ErrTimeout = errors.New("operation_timeout: the app did not answer within 3 seconds")

// ErrNobody is what a person sees when no socket of the app is open.
var ErrNobody = errors.New("dispatch_failed: the app is not connected")

// delivery is an envelope and what became of it.
type delivery struct {
	Envelope
	down  []*socket // the connections it went down
	began time.Time // by the machine's time
	acked chan json.RawMessage
}

// Envelope is what was sent down the connections, and what came back.
type Envelope struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	EventID string          `json:"event_id,omitempty"`
	Attempt int             `json:"attempt,omitempty"` // of an event: retry_attempt
	Sends   int             `json:"sends"`             // how often it went down a connection
	Acks    int             `json:"acks"`              // how often it was acknowledged in time
	Late    int             `json:"late,omitempty"`    // acknowledged after a person saw an error
	Foreign int             `json:"foreign,omitempty"` // acknowledged on a connection that it did not go down
	Dropped int             `json:"dropped,omitempty"` // acknowledged with 20 KiB or more
	Payload json.RawMessage `json:"payload,omitempty"` // of the first acknowledgement

	over bool
	took time.Duration
}

// Envelopes returns what was sent to the app so far, oldest first.
func (s *Server) Envelopes() []Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Envelope
	for _, d := range s.envelopes {
		out = append(out, d.Envelope)
	}
	return out
}

// Acks is how long the app took to acknowledge, by the machine's time, in order.
func (s *Server) Acks() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Duration
	for _, d := range s.envelopes {
		if d.Envelope.Acks > 0 {
			out = append(out, d.took)
		}
	}
	return out
}

// envelope makes an envelope.
func (s *Server) envelope(kind string) *delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &delivery{Envelope: Envelope{ID: s.next("envelope-"), Kind: kind}, began: time.Now(), acked: make(chan json.RawMessage, 1)}
	s.envelopes = append(s.envelopes, d)
	return d
}

// send sends an envelope down one connection, any of them; one that is dead
// without Slack knowing swallows it. False when there is none.
func (s *Server) send(d *delivery, envelope reply) bool {
	s.mu.Lock()
	sockets := slices.Clone(s.sockets)
	s.mu.Unlock()
	rand.Shuffle(len(sockets), func(i, j int) { sockets[i], sockets[j] = sockets[j], sockets[i] })
	for _, k := range sockets {
		s.mu.Lock()
		d.down = append(d.down, k)
		s.mu.Unlock()
		if k.send(envelope) != nil {
			continue
		}
		s.mu.Lock()
		d.Sends++
		s.change()
		s.mu.Unlock()
		return true
	}
	return false
}

// acknowledge takes what came on a connection.
func (s *Server) acknowledge(k *socket, raw []byte) {
	var ack struct {
		EnvelopeID string `json:"envelope_id"`
		Payload    json.RawMessage
	}
	if json.Unmarshal(raw, &ack) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.envelopes, func(d *delivery) bool { return d.ID == ack.EnvelopeID })
	if i < 0 {
		return
	}
	defer s.change()
	d := s.envelopes[i]
	switch {
	case len(raw) >= largestAck:
		d.Dropped++
		return
	case !slices.Contains(d.down, k):
		if d.Foreign++; !s.cfg.AckAnywhere {
			return
		}
	}
	if d.over && d.Envelope.Acks == 0 {
		d.Late++
		return
	}
	d.Envelope.Acks++
	if d.Envelope.Acks > 1 {
		return
	}
	d.took, d.Payload = time.Since(d.began), ack.Payload
	d.acked <- ack.Payload // it holds one
}

// deliver sends an interaction or a command and waits three seconds for its
// acknowledgement. It is not sent again: Slack is not known to do that.
func (s *Server) deliver(ctx context.Context, kind string, payload any, answers bool) (json.RawMessage, error) {
	d := s.envelope(kind)
	envelope := reply{"type": kind, "envelope_id": d.ID, "payload": payload, "accepts_response_payload": answers}
	defer s.end(d)
	sent := s.send(d, envelope)
	if sent && kind == "interactive" && s.again() {
		s.send(d, envelope)
	}
	if !sent {
		return nil, ErrNobody
	}
	elapsed, stop := s.cfg.After(ackWithin)
	defer stop()
	select {
	case p := <-d.acked:
		return p, nil
	case <-elapsed:
		return nil, ErrTimeout
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end notes that nobody waits for a delivery any more.
func (s *Server) end(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.over = true
}

// Twice makes the next n presses and submissions arrive twice, in the same
// envelope and down any connection.
func (s *Server) Twice(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.twice = n
}

func (s *Server) again() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.twice == 0 {
		return false
	}
	s.twice--
	return true
}
