package slacktest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// needed is the scope of each method, any one of the listed.
var needed = map[string][]string{
	"chat.postMessage": {"chat:write"}, "chat.update": {"chat:write"}, "chat.delete": {"chat:write"}, "chat.postEphemeral": {"chat:write"},
	"conversations.history": {"channels:history", "groups:history", "im:history"}, "conversations.replies": {"channels:history", "groups:history", "im:history"},
	"conversations.info": {"channels:read", "groups:read"}, "conversations.members": {"channels:read", "groups:read"}, "conversations.list": {"channels:read", "groups:read"},
	"conversations.open": {"im:write"}, "users.info": {"users:read"}, "users.list": {"users:read"},
	"usergroups.users.list": {"usergroups:read"}, "usergroups.list": {"usergroups:read"},
}

// do answers one call. s.mu is held.
func (s *Server) do(method string, a url.Values, token string) reply {
	if method == "apps.connections.open" {
		return s.open(token)
	}
	switch {
	case token == "":
		return fails("not_authed")
	case token == s.cfg.AppToken:
		return fails("not_allowed_token_type")
	case token != s.cfg.BotToken:
		return fails("invalid_auth")
	}
	if need := needed[method]; need != nil && !slices.ContainsFunc(need, func(x string) bool { return slices.Contains(s.scopes(), x) }) {
		return reply{"ok": false, "error": "missing_scope", "needed": need[0], "provided": strings.Join(s.scopes(), ",")}
	}
	switch method {
	case "auth.test":
		return reply{"ok": true, "url": "https://acme.slack.com/", "team": "Acme", "user": "pgupgrade", "team_id": TeamID, "user_id": BotUID, "bot_id": BotID}
	case "chat.postMessage":
		return s.postMessage(a)
	case "chat.update":
		return s.update(a)
	case "chat.delete":
		return s.delete(a)
	case "chat.postEphemeral":
		return s.postEphemeral(a)
	case "chat.getPermalink":
		return reply{"ok": true, "channel": a.Get("channel"), "permalink": "https://acme.slack.com/archives/" + a.Get("channel") + "/p" + strings.ReplaceAll(a.Get("message_ts"), ".", "")}
	case "conversations.info":
		return s.info(a)
	case "conversations.history":
		return s.list(a, func(p *Post) bool { return p.ThreadTS == "" || p.ThreadTS == p.TS || p.Broadcast }, true)
	case "conversations.replies":
		return s.list(a, func(p *Post) bool { return p.TS == a.Get("ts") || p.ThreadTS == a.Get("ts") }, false)
	case "conversations.open":
		return s.openDM(a)
	case "users.info":
		u := s.user(a.Get("user"))
		if u == nil {
			return fails("user_not_found")
		}
		return reply{"ok": true, "user": u.json()}
	case "users.list":
		var all []any
		for _, u := range s.users {
			all = append(all, u.json())
		}
		return reply{"ok": true, "members": all, "response_metadata": reply{"next_cursor": ""}}
	case "usergroups.users.list":
		members, ok := s.groups[a.Get("usergroup")]
		if !ok {
			return fails("no_such_subteam")
		}
		return reply{"ok": true, "users": members}
	case "views.open", "views.update", "views.push", "views.publish":
		return s.view(method, a)
	case "reactions.add":
		return reply{"ok": true}
	}
	return fails("unknown_method")
}

func (u *User) json() reply {
	team := u.Team
	if team == "" {
		team = TeamID
	}
	return reply{"id": u.ID, "team_id": team, "name": u.Name, "real_name": u.Name, "deleted": u.Deleted, "is_bot": u.Bot, "is_restricted": u.Guest || u.SingleGuest,
		"is_ultra_restricted": u.SingleGuest, "is_stranger": team != TeamID, "tz": "UTC", "profile": reply{"real_name": u.Name, "display_name": u.Name, "title": u.Title}}
}

// reachable says why the bot cannot post to a channel, or "".
func (s *Server) reachable(id string) string {
	c := s.channel(id)
	switch {
	case c == nil:
		return "channel_not_found"
	case c.Archived:
		return "is_archived"
	case !c.Member && c.DM == "":
		return "not_in_channel"
	}
	return ""
}

// rate is a channel's allowance: one post a second, with a burst of ten.
type rate struct {
	left float64
	at   time.Time
}

func (s *Server) limited(channel string) bool {
	now := s.cfg.Now()
	r := s.posted[channel]
	if r == nil {
		r = &rate{left: 10, at: now}
		s.posted[channel] = r
	}
	r.left = min(10, r.left+now.Sub(r.at).Seconds())
	r.at = now
	if r.left < 1 {
		return true
	}
	r.left--
	return false
}

func (s *Server) content(a url.Values) (text string, blocks json.RawMessage, bad reply) {
	text = a.Get("text")
	if b := a.Get("blocks"); b != "" && b != "null" {
		blocks = json.RawMessage(b)
		if problems := checkBlocks(blocks, 50); len(problems) > 0 {
			return "", nil, reply{"ok": false, "error": "invalid_blocks", "response_metadata": reply{"messages": problems}}
		}
	}
	if text == "" && len(blocks) == 0 {
		return "", nil, fails("no_text")
	}
	return text, blocks, nil
}

func (s *Server) postMessage(a url.Values) reply {
	if code := s.reachable(a.Get("channel")); code != "" {
		return fails(code)
	}
	text, blocks, bad := s.content(a)
	if bad != nil {
		return bad
	}
	if s.limited(a.Get("channel")) {
		return reply{"retry_after": 1}
	}
	p := &Post{TS: s.ts(), Channel: a.Get("channel"), User: BotUID, Text: text, Blocks: blocks, ThreadTS: a.Get("thread_ts")}
	p.Broadcast = p.ThreadTS != "" && (a.Get("reply_broadcast") == "true" || a.Get("reply_broadcast") == "1")
	if m := a.Get("metadata"); m != "" {
		p.Metadata = json.RawMessage(m)
	}
	s.posts = append(s.posts, p)
	s.change()
	return reply{"ok": true, "channel": p.Channel, "ts": p.TS, "message": s.postJSON(p, true)}
}

func (s *Server) find(channel, ts string) *Post {
	for _, p := range s.posts {
		if p.Channel == channel && p.TS == ts && p.Ephemeral == "" {
			return p
		}
	}
	return nil
}

func (s *Server) update(a url.Values) reply {
	p := s.find(a.Get("channel"), a.Get("ts"))
	if p == nil {
		return fails("message_not_found")
	}
	if p.User != BotUID {
		return fails("cant_update_message")
	}
	text, blocks, bad := s.content(a)
	if bad != nil {
		return bad
	}
	if len([]rune(text)) > 4000 {
		return fails("msg_too_long")
	}
	p.Text, p.Blocks = text, blocks
	p.Edits++
	s.change()
	return reply{"ok": true, "channel": p.Channel, "ts": p.TS, "text": p.Text, "message": s.postJSON(p, true)}
}

func (s *Server) delete(a url.Values) reply {
	p := s.find(a.Get("channel"), a.Get("ts"))
	if p == nil {
		return fails("message_not_found")
	}
	s.posts = slices.DeleteFunc(s.posts, func(x *Post) bool { return x == p })
	s.change()
	return reply{"ok": true, "channel": p.Channel, "ts": p.TS}
}

// Delete removes a message as a person with rights would.
func (s *Server) Delete(channel, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = slices.DeleteFunc(s.posts, func(x *Post) bool { return x.Channel == channel && x.TS == ts })
	s.change()
}

func (s *Server) postEphemeral(a url.Values) reply {
	if code := s.reachable(a.Get("channel")); code != "" {
		return fails(code)
	}
	if s.user(a.Get("user")) == nil {
		return fails("user_not_in_channel")
	}
	text, blocks, bad := s.content(a)
	if bad != nil {
		return bad
	}
	p := &Post{TS: s.ts(), Channel: a.Get("channel"), User: BotUID, Text: text, Blocks: blocks, ThreadTS: a.Get("thread_ts"), Ephemeral: a.Get("user")}
	s.posts = append(s.posts, p)
	s.change()
	return reply{"ok": true, "message_ts": p.TS}
}

func (s *Server) info(a url.Values) reply {
	c := s.channel(a.Get("channel"))
	if c == nil {
		return fails("channel_not_found")
	}
	return reply{"ok": true, "channel": reply{"id": c.ID, "name": c.Name, "is_channel": c.DM == "", "is_im": c.DM != "", "is_member": c.Member, "is_archived": c.Archived,
		"is_ext_shared": c.ExtShared, "is_shared": c.ExtShared, "is_private": false, "user": c.DM}}
}

func (s *Server) openDM(a url.Values) reply {
	u := s.user(a.Get("users"))
	if u == nil {
		return fails("user_not_found")
	}
	id := "D" + u.ID
	if s.channel(id) == nil {
		s.channels = append(s.channels, &Channel{ID: id, Member: true, DM: u.ID})
	}
	return reply{"ok": true, "channel": reply{"id": id}}
}

func (s *Server) postJSON(p *Post, metadata bool) reply {
	m := reply{"type": "message", "ts": p.TS, "user": p.User, "text": p.Text}
	if p.User == BotUID {
		m["bot_id"], m["app_id"] = BotID, AppID
	}
	if len(p.Blocks) > 0 {
		m["blocks"] = p.Blocks
	}
	if p.ThreadTS != "" {
		m["thread_ts"] = p.ThreadTS
	}
	if p.Broadcast {
		m["subtype"] = "thread_broadcast"
	}
	if len(p.Metadata) > 0 {
		m["metadata"] = p.Metadata
		if !metadata {
			var only struct {
				EventType string `json:"event_type"`
			}
			_ = json.Unmarshal(p.Metadata, &only) // it was checked when it came
			m["metadata"] = reply{"event_type": only.EventType}
		}
	}
	return m
}

func (s *Server) list(a url.Values, want func(*Post) bool, newestFirst bool) reply {
	if c := s.channel(a.Get("channel")); c == nil {
		return fails("channel_not_found")
	} else if !c.Member {
		return fails("not_in_channel")
	}
	var all []*Post
	for _, p := range s.posts {
		if p.Channel == a.Get("channel") && p.Ephemeral == "" && !p.Typed && want(p) && p.TS > a.Get("oldest") && (a.Get("latest") == "" || p.TS < a.Get("latest")) {
			all = append(all, p)
		}
	}
	if newestFirst {
		slices.Reverse(all)
	}
	limit, _ := strconv.Atoi(a.Get("limit"))
	if limit <= 0 {
		limit = 100
	}
	start, _ := strconv.Atoi(a.Get("cursor"))
	start = min(max(start, 0), len(all))
	end := min(start+limit, len(all))
	messages := []any{}
	for _, p := range all[start:end] {
		messages = append(messages, s.postJSON(p, a.Get("include_all_metadata") == "1" || a.Get("include_all_metadata") == "true"))
	}
	next := ""
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return reply{"ok": true, "messages": messages, "has_more": next != "", "response_metadata": reply{"next_cursor": next}}
}
