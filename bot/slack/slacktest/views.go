package slacktest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// View is an open modal.
type View struct {
	ID     string            `json:"id"`
	User   string            `json:"user"`
	Hash   string            `json:"hash"`
	Raw    json.RawMessage   `json:"view"`
	Errors map[string]string `json:"errors,omitempty"` // by block id, shown in the modal
	Home   bool              `json:"home,omitempty"`   // it is the person's Home tab
}

func (v *View) kind() string {
	if v.Home {
		return "home"
	}
	return "modal"
}

// trigger is what a press or a command gives for opening one modal.
type trigger struct {
	user string
	at   time.Time
	used bool
}

const (
	triggerLife = 3 * time.Second
	deepest     = 3 // modals on top of each other
	largestView = 250_000
)

// newTrigger makes a trigger id for something a person just did. s.mu is held.
func (s *Server) newTrigger(user string) string {
	id := s.next("1337.4242.trigger")
	s.triggers[id] = &trigger{user: user, at: s.cfg.Now()}
	return id
}

// viewBody is what of a view is checked.
type viewBody struct {
	Type          string
	Blocks        json.RawMessage
	Title         map[string]any
	Submit        map[string]any
	Close         map[string]any
	Metadata      string `json:"private_metadata"`
	CallbackID    string `json:"callback_id"`
	ExternalID    string `json:"external_id"`
	NotifyOnClose bool   `json:"notify_on_close"`
}

func parseView(raw json.RawMessage) (v viewBody, err error) {
	err = json.Unmarshal(raw, &v)
	return v, err
}

// checkView checks a view as docs.slack.dev/surfaces/modals has it; nil when
// nothing is wrong. s.mu is held.
func (s *Server) checkView(raw json.RawMessage, kind string, own *View) reply {
	if len(raw) > largestView {
		return fails("view_too_large")
	}
	v, err := parseView(raw)
	if err != nil {
		return refused("invalid_arguments", []string{"[ERROR] failed to parse the view [json-pointer:/view]"})
	}
	c := &checker{}
	on := surfaceModal
	c.oneOf("/view/type", v.Type, kind)
	if kind == "home" {
		on = surfaceHome
	} else {
		c.text("/view/title", any(v.Title), 24, true)
		for name, t := range map[string]map[string]any{"submit": v.Submit, "close": v.Close} {
			if t != nil {
				c.text("/view/"+name, t, 24, true)
			}
		}
		if v.Submit == nil && hasInput(v.Blocks) {
			c.bad("/view/submit", "submit is required when an input is within blocks")
		}
	}
	c.length("/view/private_metadata", v.Metadata, 0, 3000)
	c.length("/view/callback_id", v.CallbackID, 0, 255)
	c.length("/view/external_id", v.ExternalID, 0, 255)
	_, problems := checkBlocks(v.Blocks, on)
	for _, p := range problems {
		c.problems = append(c.problems, strings.Replace(p, "[json-pointer:/blocks", "[json-pointer:/view/blocks", 1))
	}
	if len(c.problems) > 0 {
		return refused("invalid_arguments", c.problems)
	}
	if v.ExternalID != "" && slices.ContainsFunc(s.views, func(x *View) bool {
		other, _ := parseView(x.Raw)
		return x != own && other.ExternalID == v.ExternalID
	}) {
		return fails("duplicate_external_id")
	}
	return nil
}

func hasInput(blocks json.RawMessage) bool {
	var list []struct{ Type string }
	return json.Unmarshal(blocks, &list) == nil && slices.ContainsFunc(list, func(b struct{ Type string }) bool { return b.Type == "input" })
}

// exchange takes a trigger, once and within three seconds.
func (s *Server) exchange(id string) (user string, bad reply) {
	t := s.triggers[id]
	switch {
	case t == nil:
		return "", fails("invalid_trigger_id")
	case t.used:
		return "", fails("exchanged_trigger_id")
	case s.cfg.Now().Sub(t.at) > triggerLife:
		return "", fails("expired_trigger_id")
	}
	t.used = true
	return t.user, nil
}

// openView answers views.open and views.push.
func (s *Server) openView(method string, a url.Values) reply {
	raw := json.RawMessage(a.Get("view"))
	if bad := s.checkView(raw, "modal", nil); bad != nil {
		return bad
	}
	user, bad := s.exchange(a.Get("trigger_id"))
	if bad != nil {
		return bad
	}
	stack := s.stack(user)
	switch {
	case method == "views.push" && len(stack) == 0:
		return fails("not_found")
	case len(stack) >= deepest:
		return fails("push_limit_reached")
	}
	return reply{"ok": true, "view": s.viewJSON(s.addView(user, raw))}
}

func (s *Server) addView(user string, raw json.RawMessage) *View {
	v := &View{ID: s.next("V"), User: user, Hash: s.next("1700000000."), Raw: raw}
	s.views = append(s.views, v)
	s.change()
	return v
}

// stack is a person's open modals, the topmost last.
func (s *Server) stack(user string) (out []*View) {
	for _, v := range s.views {
		if v.User == user && !v.Home {
			out = append(out, v)
		}
	}
	return out
}

func (s *Server) updateView(a url.Values) reply {
	i := slices.IndexFunc(s.views, func(x *View) bool {
		v, _ := parseView(x.Raw)
		return a.Get("view_id") != "" && x.ID == a.Get("view_id") || a.Get("external_id") != "" && v.ExternalID == a.Get("external_id")
	})
	if i < 0 {
		return fails("not_found")
	}
	v, raw := s.views[i], json.RawMessage(a.Get("view"))
	if h := a.Get("hash"); h != "" && h != v.Hash {
		return fails("hash_conflict")
	}
	if bad := s.checkView(raw, v.kind(), v); bad != nil {
		return bad
	}
	s.renew(v, raw)
	return reply{"ok": true, "view": s.viewJSON(v)}
}

func (s *Server) renew(v *View, raw json.RawMessage) {
	v.Raw, v.Hash, v.Errors = raw, s.next("1700000000."), nil
	s.change()
}

// publishView sets a person's Home tab.
func (s *Server) publishView(a url.Values) reply {
	raw := json.RawMessage(a.Get("view"))
	if s.user(a.Get("user_id")) == nil {
		return fails("user_not_found")
	}
	i := slices.IndexFunc(s.views, func(x *View) bool { return x.Home && x.User == a.Get("user_id") })
	var own *View
	if i >= 0 {
		own = s.views[i]
	}
	if bad := s.checkView(raw, "home", own); bad != nil {
		return bad
	}
	if h := a.Get("hash"); h != "" && (own == nil || h != own.Hash) {
		return fails("hash_conflict")
	}
	if own == nil {
		own = s.addView(a.Get("user_id"), raw)
		own.Home = true
	}
	s.renew(own, raw)
	return reply{"ok": true, "view": s.viewJSON(own)}
}

func (s *Server) viewJSON(v *View) map[string]any {
	var m map[string]any
	if json.Unmarshal(v.Raw, &m) != nil {
		m = map[string]any{}
	}
	for name, empty := range map[string]any{"private_metadata": "", "callback_id": "", "external_id": "", "clear_on_close": false, "notify_on_close": false} {
		if m[name] == nil {
			m[name] = empty
		}
	}
	root := v.ID
	if stack := s.stack(v.User); len(stack) > 0 && !v.Home {
		root = stack[0].ID
	}
	m["id"], m["hash"], m["team_id"], m["app_id"], m["bot_id"], m["root_view_id"] = v.ID, v.Hash, TeamID, AppID, BotID, root
	m["state"] = map[string]any{"values": map[string]any{}}
	return m
}

// Views returns a person's open modals, the topmost last.
func (s *Server) Views(user string) []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []View
	for _, v := range s.stack(user) {
		out = append(out, *v)
	}
	return out
}

// Home returns what a person's Home tab holds, nil when the app published none.
func (s *Server) Home(user string) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.views {
		if v.Home && v.User == user {
			copied := *v
			return &copied
		}
	}
	return nil
}
