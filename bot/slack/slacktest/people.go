package slacktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type trigger struct {
	user string
	at   time.Time
	used bool
}

type responseURL struct {
	channel, user, ts string // ts of an ephemeral message that may be replaced
	uses              int
	at                time.Time
}

// View is an open modal.
type View struct {
	ID     string            `json:"id"`
	User   string            `json:"user"`
	Hash   string            `json:"hash"`
	Raw    json.RawMessage   `json:"view"`
	Errors map[string]string `json:"errors,omitempty"` // by block id, shown in the modal
}

// newTrigger makes a trigger id for something a person just did. s.mu is held.
func (s *Server) newTrigger(user string) string {
	id := s.next("trigger.")
	s.triggers[id] = &trigger{user: user, at: s.cfg.Now()}
	return id
}

func (s *Server) newResponseURL(channel, user, ts string) string {
	id := s.next("r")
	s.replies[id] = &responseURL{channel: channel, user: user, ts: ts, at: s.cfg.Now()}
	return s.cfg.BaseURL + "/response/" + id
}

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
	team := u.Team
	if team == "" {
		team = TeamID
	}
	payload := map[string]any{"token": "x", "team_id": team, "team_domain": "acme", "channel_id": channel, "channel_name": c.Name, "user_id": user, "user_name": u.Name, "command": name,
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
	s.show(channel, user, answer)
	return nil
}

func (s *Server) ephemeral(channel, user, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = append(s.posts, &Post{TS: s.ts(), Channel: channel, User: BotUID, Text: text, Ephemeral: user})
	s.change()
}

// show shows what came with an acknowledgement or through a response_url.
func (s *Server) show(channel, user string, raw json.RawMessage) {
	var m struct {
		Text         string
		Blocks       json.RawMessage
		ResponseType string `json:"response_type"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &m) != nil || m.Text == "" && len(m.Blocks) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Post{TS: s.ts(), Channel: channel, User: BotUID, Text: m.Text, Blocks: m.Blocks, Ephemeral: user}
	if m.ResponseType == "in_channel" {
		p.Ephemeral = ""
	}
	s.posts = append(s.posts, p)
	s.change()
}

func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Text            string
		Blocks          json.RawMessage
		ResponseType    string `json:"response_type"`
		ReplaceOriginal bool   `json:"replace_original"`
		DeleteOriginal  bool   `json:"delete_original"`
		ThreadTS        string `json:"thread_ts"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		writeJSON(w, http.StatusBadRequest, fails("invalid_payload"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.replies[r.PathValue("id")]
	switch {
	case u == nil || s.cfg.Now().Sub(u.at) > 30*time.Minute:
		writeJSON(w, http.StatusNotFound, fails("expired_url"))
		return
	case u.uses >= 5:
		writeJSON(w, http.StatusNotFound, fails("used_url"))
		return
	}
	if len(m.Blocks) > 0 {
		if problems := checkBlocks(m.Blocks, 50); len(problems) > 0 {
			writeJSON(w, http.StatusOK, reply{"ok": false, "error": "invalid_blocks", "response_metadata": reply{"messages": problems}})
			return
		}
	}
	u.uses++
	s.history = append(s.history, Request{Method: "response_url"})
	var original *Post
	for _, p := range s.posts {
		if p.TS == u.ts && p.Channel == u.channel {
			original = p
		}
	}
	switch {
	case m.DeleteOriginal && original != nil:
		s.posts = slices.DeleteFunc(s.posts, func(p *Post) bool { return p == original })
	case m.ReplaceOriginal && original != nil:
		original.Text, original.Blocks = m.Text, m.Blocks
	default:
		p := &Post{TS: s.ts(), Channel: u.channel, User: BotUID, Text: m.Text, Blocks: m.Blocks, ThreadTS: m.ThreadTS, Ephemeral: u.user}
		if m.ResponseType == "in_channel" {
			p.Ephemeral = ""
		}
		s.posts = append(s.posts, p)
	}
	s.change()
	writeJSON(w, http.StatusOK, reply{"ok": true})
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
		for _, e := range append(b.Elements, b.Accessory) {
			if e["type"] != "button" {
				continue
			}
			id, _ := e["action_id"].(string)
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
	own := ""
	if post.Ephemeral != "" {
		own = post.TS
	}
	payload := map[string]any{"type": "block_actions", "trigger_id": s.newTrigger(user), "user": s.who(u), "team": map[string]any{"id": TeamID, "domain": "acme"}, "api_app_id": AppID,
		"container": container, "channel": map[string]any{"id": channel, "name": s.channel(channel).Name}, "response_url": s.newResponseURL(channel, user, own), "is_enterprise_install": false,
		"state": map[string]any{"values": map[string]any{}}, "actions": []any{map[string]any{"action_id": b.actionID, "block_id": b.blockID, "type": "button", "value": b.value, "text": b.text, "action_ts": s.ts()}}}
	if post.Ephemeral == "" {
		payload["message"] = s.postJSON(post, false)
	}
	s.mu.Unlock()
	_, err := s.deliver(ctx, "interactive", payload, false)
	return err
}

func (s *Server) who(u *User) map[string]any {
	team := u.Team
	if team == "" {
		team = TeamID
	}
	return map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": team}
}

// view answers views.open, update and push. s.mu is held.
func (s *Server) view(method string, a map[string][]string) reply {
	get := func(k string) string {
		if v := a[k]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	raw := json.RawMessage(get("view"))
	var v struct {
		Type   string
		Blocks json.RawMessage
		Title  struct{ Text string }
		Submit *struct{ Text string }
		Close  *struct{ Text string }
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return fails("invalid_arguments")
	}
	problems := checkBlocks(v.Blocks, 100)
	if n := len([]rune(v.Title.Text)); n < 1 || n > 24 {
		problems = append(problems, "[ERROR] title must be 1 to 24 characters [json-pointer:/view/title/text]")
	}
	for _, t := range []*struct{ Text string }{v.Submit, v.Close} {
		if t != nil && len([]rune(t.Text)) > 24 {
			problems = append(problems, "[ERROR] must be less than 25 characters [json-pointer:/view]")
		}
	}
	if v.Submit == nil && strings.Contains(string(v.Blocks), `"input"`) {
		problems = append(problems, "[ERROR] submit is required when an input is within blocks [json-pointer:/view/submit]")
	}
	if len(problems) > 0 {
		return reply{"ok": false, "error": "invalid_arguments", "response_metadata": reply{"messages": problems}}
	}
	if method == "views.update" {
		i := slices.IndexFunc(s.views, func(x *View) bool { return x.ID == get("view_id") })
		if i < 0 {
			return fails("not_found")
		}
		if h := get("hash"); h != "" && h != s.views[i].Hash {
			return fails("hash_conflict")
		}
		s.views[i].Raw, s.views[i].Hash, s.views[i].Errors = raw, s.next("hash"), nil
		s.change()
		return reply{"ok": true, "view": s.viewJSON(s.views[i])}
	}
	t := s.triggers[get("trigger_id")]
	switch {
	case t == nil:
		return fails("invalid_trigger_id")
	case t.used:
		return fails("exchanged_trigger_id")
	case s.cfg.Now().Sub(t.at) > 3*time.Second:
		return fails("expired_trigger_id")
	}
	t.used = true
	x := &View{ID: s.next("V"), User: t.user, Hash: s.next("hash"), Raw: raw}
	s.views = append(s.views, x)
	s.change()
	return reply{"ok": true, "view": s.viewJSON(x)}
}

func (s *Server) viewJSON(v *View) map[string]any {
	var m map[string]any
	if json.Unmarshal(v.Raw, &m) != nil {
		m = map[string]any{}
	}
	m["id"], m["hash"], m["team_id"], m["app_id"], m["bot_id"] = v.ID, v.Hash, TeamID, AppID, BotID
	return m
}

// Views returns a person's open modals, the topmost last.
func (s *Server) Views(user string) []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []View
	for _, v := range s.views {
		if v.User == user {
			out = append(out, *v)
		}
	}
	return out
}

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
	payload := map[string]any{"type": "view_submission", "team": map[string]any{"id": TeamID, "domain": "acme"}, "user": s.who(s.user(user)), "api_app_id": AppID,
		"trigger_id": s.newTrigger(user), "view": view, "response_urls": []any{}, "is_enterprise_install": false}
	s.mu.Unlock()
	raw, err := s.deliver(ctx, "interactive", payload, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.change()
	if err != nil {
		v.Errors = map[string]string{"": "We had some trouble connecting. Try again?"}
		return err
	}
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			return err
		}
	}
	switch answer.Action {
	case "errors":
		v.Errors = answer.Errors
	case "update":
		v.Raw, v.Hash, v.Errors = answer.View, s.next("hash"), nil
	case "push":
		s.views = append(s.views, &View{ID: s.next("V"), User: user, Hash: s.next("hash"), Raw: answer.View})
	case "clear":
		s.views = slices.DeleteFunc(s.views, func(x *View) bool { return x.User == user })
	default:
		s.views = slices.DeleteFunc(s.views, func(x *View) bool { return x == v })
	}
	return nil
}

// CloseView closes a modal without submitting it.
func (s *Server) CloseView(user, viewID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views = slices.DeleteFunc(s.views, func(v *View) bool { return v.User == user && v.ID == viewID })
	s.change()
}

// Messages returns what a person sees in a channel and its threads, oldest
// first; with user "" what everybody sees.
func (s *Server) Messages(channel, user string) []Post {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Post
	for _, p := range s.posts {
		if p.Channel == channel && (p.Ephemeral == "" || p.Ephemeral == user) {
			out = append(out, *p)
		}
	}
	return out
}

// Users returns everybody.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []User
	for _, u := range s.users {
		out = append(out, *u)
	}
	return out
}

// Await waits until want holds of the workspace, looking at every change.
func (s *Server) Await(ctx context.Context, want func() bool) error {
	for {
		changed := s.Changed()
		if want() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
