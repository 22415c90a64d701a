package slacktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// noConnection is what a person sees in a modal when the app's answer did not
// come or cannot be shown.
const noConnection = "We had some trouble connecting. Try again?"

// ErrBadAnswer is what becomes of a submission whose answer Slack cannot show:
// an error for a block that is no input, or a view that is refused.
var ErrBadAnswer = errors.New("the answer to the submission cannot be shown")

// Submit submits a modal with what was typed, by block and action id.
func (s *Server) Submit(ctx context.Context, user, viewID string, values map[string]map[string]string) error {
	s.mu.Lock()
	i := slices.IndexFunc(s.views, func(v *View) bool { return v.ID == viewID && v.User == user })
	if i < 0 {
		s.mu.Unlock()
		return errors.New("the modal is closed")
	}
	v := s.views[i]
	state := map[string]any{}
	for block, actions := range values {
		m := map[string]any{}
		for action, value := range actions {
			m[action] = map[string]any{"type": "plain_text_input", "value": value}
		}
		state[block] = m
	}
	view := s.viewJSON(v)
	view["state"] = map[string]any{"values": state}
	payload := s.interaction("view_submission", s.user(user))
	payload["view"], payload["response_urls"] = view, []any{}
	s.mu.Unlock()
	raw, err := s.deliver(ctx, "interactive", payload, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.change()
	if err == nil {
		err = s.submitted(v, raw)
	}
	if err != nil {
		v.Errors = map[string]string{"": noConnection}
	}
	return err
}

// submitted does what the acknowledgement of a submission says.
func (s *Server) submitted(v *View, raw json.RawMessage) error {
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			return fmt.Errorf("%w: %w", ErrBadAnswer, err)
		}
	}
	if answer.Action == "update" || answer.Action == "push" {
		if bad := s.checkView(answer.View, v.kind(), v); bad != nil {
			return fmt.Errorf("%w: %v", ErrBadAnswer, bad)
		}
	}
	switch answer.Action {
	case "errors":
		for block := range answer.Errors {
			if !isInput(v.Raw, block) {
				return fmt.Errorf("%w: an error for %q, which is no input block", ErrBadAnswer, block)
			}
		}
		v.Errors = answer.Errors
	case "update":
		s.renew(v, answer.View)
	case "push":
		if len(s.stack(v.User)) >= deepest {
			return fmt.Errorf("%w: push_limit_reached", ErrBadAnswer)
		}
		s.addView(v.User, answer.View)
	case "clear":
		s.views = slices.DeleteFunc(s.views, func(x *View) bool { return x.User == v.User && !x.Home })
	case "":
		s.views = slices.DeleteFunc(s.views, func(x *View) bool { return x == v })
	default:
		return fmt.Errorf("%w: response_action %q", ErrBadAnswer, answer.Action)
	}
	return nil
}

func isInput(view json.RawMessage, blockID string) bool {
	var m struct {
		Blocks []struct {
			Type    string
			BlockID string `json:"block_id"`
		}
	}
	if json.Unmarshal(view, &m) != nil {
		return false
	}
	for _, b := range m.Blocks {
		if b.Type == "input" && b.BlockID == blockID {
			return true
		}
	}
	return false
}

// CloseView closes a modal without submitting it; what is below it is seen
// again. The app is told if the view asked for that.
func (s *Server) CloseView(user, viewID string) {
	s.mu.Lock()
	i := slices.IndexFunc(s.views, func(v *View) bool { return v.User == user && v.ID == viewID })
	if i < 0 {
		s.mu.Unlock()
		return
	}
	v := s.views[i]
	body, _ := parseView(v.Raw) // it was checked when it came
	payload := s.interaction("view_closed", s.user(user))
	payload["view"], payload["is_cleared"] = s.viewJSON(v), false
	s.views = slices.Delete(s.views, i, i+1)
	s.change()
	s.mu.Unlock()
	if body.NotifyOnClose {
		// The person has closed it and waits for nothing.
		go func() { _, _ = s.deliver(context.Background(), "interactive", payload, false) }()
	}
}
