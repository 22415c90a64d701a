package slacktest

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// retries is when an event that nobody acknowledged is sent again, each after
// the one before: the first as seen in a trace of Socket Mode, the others as
// docs.slack.dev/apis/events-api says.
var retries = []time.Duration{4 * time.Second, time.Minute, 5 * time.Minute}

// ErrUnheard is what becomes of an event that was never acknowledged.
var ErrUnheard = errors.New("the event was given up: no attempt was acknowledged")

// Event sends an event to the app until it is acknowledged or given up. Each
// retry comes in an envelope of its own, with the same event_id, and is followed
// by the first envelope once more, as it was seen to happen.
func (s *Server) Event(ctx context.Context, event any) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	id := s.next("Ev")
	s.mu.Unlock()
	payload := reply{"token": "x", "team_id": TeamID, "api_app_id": AppID, "type": "event_callback", "event_id": id, "event_time": s.cfg.Now().Unix(), "event": event,
		"authorizations": []any{reply{"team_id": TeamID, "user_id": BotUID, "is_bot": true, "is_enterprise_install": false}}, "is_ext_shared_channel": false}
	acked := make(chan struct{}, 1)
	var first *delivery
	for attempt := range len(retries) + 1 {
		d := s.envelope("events_api")
		defer s.end(d)
		reason := ""
		if attempt == 0 {
			first = d
		} else {
			reason = "timeout"
		}
		s.mu.Lock()
		d.EventID, d.Attempt = id, attempt
		s.mu.Unlock()
		go relay(ctx, d.acked, acked)
		s.send(d, reply{"type": "events_api", "envelope_id": d.ID, "payload": payload, "accepts_response_payload": false, "retry_attempt": attempt, "retry_reason": reason})
		if attempt > 0 {
			s.send(first, reply{"type": "events_api", "envelope_id": first.ID, "payload": payload, "accepts_response_payload": false, "retry_attempt": 0, "retry_reason": ""})
		}
		if attempt == len(retries) {
			break
		}
		if heard, err := s.heard(ctx, acked, retries[attempt]); heard || err != nil {
			return err
		}
	}
	if heard, err := s.heard(ctx, acked, retries[0]); heard || err != nil {
		return err
	}
	return ErrUnheard
}

func relay(ctx context.Context, from <-chan json.RawMessage, to chan<- struct{}) {
	select {
	case <-from:
		select {
		case to <- struct{}{}:
		default:
		}
	case <-ctx.Done():
	}
}

func (s *Server) heard(ctx context.Context, acked <-chan struct{}, d time.Duration) (bool, error) {
	elapsed, stop := s.cfg.After(d)
	defer stop()
	select {
	case <-acked:
		return true, nil
	case <-elapsed:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
