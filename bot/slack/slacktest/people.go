package slacktest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Command types a slash command as a person. Nobody else sees what was typed.
func (s *Server) Command(ctx context.Context, user, channel, text string) error {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	s.mu.Lock()
	u, c := s.user(user), s.channel(channel)
	if u == nil || c == nil {
		s.mu.Unlock()
		return fmt.Errorf("no user %s or channel %s", user, channel)
	}
	if !strings.HasPrefix(name, "/") { // an ordinary message
		s.posts = append(s.posts, &Post{TS: s.ts(), Channel: channel, User: user, Text: text})
		s.change()
		s.mu.Unlock()
		return nil
	}
	s.posts = append(s.posts, &Post{TS: s.ts(), Channel: channel, User: user, Text: strings.TrimSpace(text), Ephemeral: user, Typed: true})
	s.change()
	payload := map[string]any{"token": "x", "team_id": u.team(), "team_domain": "acme", "channel_id": channel, "channel_name": c.Name, "user_id": user, "user_name": u.Name, "command": name,
		"text": strings.TrimSpace(rest), "api_app_id": AppID, "is_enterprise_install": "false", "response_url": s.newResponseURL(channel, user, ""), "trigger_id": s.newTrigger(user)}
	s.mu.Unlock()
	if name != "/pgupgrade" {
		return fmt.Errorf("%s is not a valid command", name)
	}
	answer, err := s.deliver(ctx, "slash_commands", payload, true)
	if err != nil {
		s.ephemeral(channel, user, "/pgupgrade failed with the error “"+err.Error()+"”")
		return err
	}
	return s.show(channel, user, answer)
}

func (s *Server) ephemeral(channel, user, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = append(s.posts, &Post{TS: s.ts(), Channel: channel, User: BotUID, Text: text, Ephemeral: user})
	s.change()
}

// show shows what came with the acknowledgement of a command.
func (s *Server) show(channel, user string, raw json.RawMessage) error {
	var m response
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("the acknowledgement is no message: %w", err)
	}
	text, blocks, bad := content(url.Values{"text": {m.Text}, "blocks": {string(m.Blocks)}})
	if bad != nil {
		s.ephemeral(channel, user, "/pgupgrade failed with the error “invalid_command_response”")
		return fmt.Errorf("the acknowledgement is refused: %v", bad)
	}
	if text == "" && empty(blocks) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Post{TS: s.ts(), Channel: channel, User: BotUID, Text: cut(text, longestText), Blocks: blocks, Ephemeral: user}
	if m.ResponseType == "in_channel" {
		p.Ephemeral = ""
	}
	s.posts = append(s.posts, p)
	s.change()
	return nil
}

// button is a button as it stands in a message.
type button struct {
	blockID, actionID, value string
	text                     any
}

// Buttons returns the action ids of the buttons of a message, in order.
func (p Post) Buttons() []string {
	var out []string
	for _, b := range p.buttons() {
		out = append(out, b.actionID)
	}
	return out
}

// Button returns the action id of the first button with this label.
func (p Post) Button(label string) (actionID string, ok bool) {
	for _, b := range p.buttons() {
		if text, _ := b.text.(map[string]any); text["text"] == label {
			return b.actionID, true
		}
	}
	return "", false
}

func (p Post) buttons() []button {
	var blocks []struct {
		BlockID   string `json:"block_id"`
		Elements  []map[string]any
		Accessory map[string]any
	}
	if json.Unmarshal(p.Blocks, &blocks) != nil {
		return nil
	}
	var out []button
	for i, b := range blocks {
		if b.BlockID == "" {
			b.BlockID = fmt.Sprintf("b%d", i)
		}
		for j, e := range append(b.Elements, b.Accessory) {
			if e["type"] != "button" {
				continue
			}
			id, _ := e["action_id"].(string)
			if id == "" {
				id = fmt.Sprintf("a%d", j)
			}
			value, _ := e["value"].(string)
			out = append(out, button{blockID: b.BlockID, actionID: id, value: value, text: e["text"]})
		}
	}
	return out
}

// Value is the value of the first button with this label.
func (p Post) Value(label string) (value string, ok bool) {
	for _, b := range p.buttons() {
		if text, _ := b.text.(map[string]any); text["text"] == label {
			return b.value, true
		}
	}
	return "", false
}

// Click presses a button of a message as a person.
func (s *Server) Click(ctx context.Context, user, channel, ts, actionID string) error {
	s.mu.Lock()
	var post *Post
	for _, p := range s.posts {
		if p.Channel == channel && p.TS == ts && (p.Ephemeral == "" || p.Ephemeral == user) {
			post = p
		}
	}
	u := s.user(user)
	if post == nil || u == nil {
		s.mu.Unlock()
		return fmt.Errorf("no message %s in %s for %s", ts, channel, user)
	}
	i := slices.IndexFunc(post.buttons(), func(b button) bool { return b.actionID == actionID })
	if i < 0 {
		s.mu.Unlock()
		return fmt.Errorf("message %s has no button %q, only %v", ts, actionID, post.Buttons())
	}
	return s.press(ctx, u, post, post.buttons()[i])
}

// Forge presses a button that stands in no message any more, or never did: with a
// value of the caller's own, as a client of another make could send it. ts names
// the message that it pretends to be in.
func (s *Server) Forge(ctx context.Context, user, channel, ts, actionID, value string) error {
	s.mu.Lock()
	var post *Post
	for _, p := range s.posts {
		if p.Channel == channel && p.TS == ts {
			post = p
		}
	}
	u := s.user(user)
	if post == nil || u == nil {
		s.mu.Unlock()
		return fmt.Errorf("no message %s in %s, or no user %s", ts, channel, user)
	}
	return s.press(ctx, u, post, button{blockID: "b9", actionID: actionID, value: value, text: map[string]any{"type": "plain_text", "text": actionID}})
}

// press sends what Slack sends when a button is pressed. s.mu is held, and let go.
func (s *Server) press(ctx context.Context, u *User, post *Post, b button) error {
	user, channel, ts := u.ID, post.Channel, post.TS
	container := map[string]any{"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": post.Ephemeral != ""}
	if post.ThreadTS != "" {
		container["thread_ts"] = post.ThreadTS
	}
	payload := s.interaction("block_actions", u)
	for k, v := range map[string]any{"container": container, "channel": map[string]any{"id": channel, "name": s.channel(channel).Name}, "response_url": s.newResponseURL(channel, user, post.TS),
		"state": map[string]any{"values": map[string]any{}}, "actions": []any{map[string]any{"action_id": b.actionID, "block_id": b.blockID, "type": "button", "value": b.value, "text": b.text, "action_ts": s.ts()}}} {
		payload[k] = v
	}
	if post.Ephemeral == "" {
		payload["message"] = s.postJSON(post, false)
	}
	s.mu.Unlock()
	_, err := s.deliver(ctx, "interactive", payload, false)
	return err
}

// interaction is what every interaction's payload holds. s.mu is held.
func (s *Server) interaction(kind string, u *User) map[string]any {
	return map[string]any{"type": kind, "token": "x", "trigger_id": s.newTrigger(u.ID), "user": map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.team()},
		"team": map[string]any{"id": TeamID, "domain": "acme"}, "enterprise": nil, "api_app_id": AppID, "is_enterprise_install": false}
}
