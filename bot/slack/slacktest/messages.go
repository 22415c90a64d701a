package slacktest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Post is one message.
type Post struct {
	TS        string          `json:"ts"`
	Channel   string          `json:"channel"`
	User      string          `json:"user"`
	Text      string          `json:"text"`
	Blocks    json.RawMessage `json:"blocks,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	ThreadTS  string          `json:"thread_ts,omitempty"`
	Broadcast bool            `json:"broadcast,omitempty"`
	Edits     int             `json:"edits,omitempty"`
	Ephemeral string          `json:"ephemeral,omitempty"` // the only person who sees it
	Typed     bool            `json:"typed,omitempty"`     // a person typed it as a command
}

// Lengths of a message's text (docs.slack.dev/reference/methods/chat.postMessage
// and chat.update).
const (
	longestText     = 40_000 // a longer one is cut
	longestEdit     = 4_000  // a longer one is refused
	longestMarkdown = 12_000
)

// content reads and checks what a message is to hold. blocks is nil when none
// were given, and "[]" when they are to go.
func content(a url.Values) (text string, blocks json.RawMessage, bad reply) {
	text = a.Get("text")
	if b := a.Get("blocks"); b != "" && b != "null" {
		blocks = json.RawMessage(b)
		if code, problems := checkBlocks(blocks, surfaceMessage); code != "" {
			return "", nil, refused(code, problems)
		}
	}
	if m := a.Get("markdown_text"); m != "" {
		if text != "" || len(blocks) > 0 {
			return "", nil, fails("markdown_text_conflict")
		}
		if length(m) > longestMarkdown {
			return "", nil, fails("msg_too_long")
		}
		text = m
	}
	return text, blocks, nil
}

func empty(blocks json.RawMessage) bool {
	var list []json.RawMessage
	return json.Unmarshal(blocks, &list) != nil || len(list) == 0
}

// metadata reads metadata; nil when none was given.
func metadata(a url.Values) (json.RawMessage, reply) {
	m := a.Get("metadata")
	if m == "" || m == "null" {
		return nil, nil
	}
	var x struct {
		EventType    string         `json:"event_type"`
		EventPayload map[string]any `json:"event_payload"`
	}
	if err := json.Unmarshal([]byte(m), &x); err != nil {
		return nil, fails("invalid_metadata_format")
	}
	if m != "{}" && (x.EventType == "" || x.EventPayload == nil) {
		return nil, fails("invalid_metadata_schema")
	}
	return json.RawMessage(m), nil
}

func (s *Server) postMessage(a url.Values) reply {
	if code := s.reachable(a.Get("channel")); code != "" {
		return fails(code)
	}
	text, blocks, bad := content(a)
	if bad == nil && text == "" && empty(blocks) {
		bad = fails("no_text")
	}
	if bad != nil {
		return bad
	}
	meta, bad := metadata(a)
	if bad != nil {
		return bad
	}
	p := &Post{Channel: a.Get("channel"), User: BotUID, Text: cut(text, longestText), Blocks: blocks, Metadata: meta}
	if bad := s.place(p, a); bad != nil {
		return bad
	}
	if bad := s.tooManyPosts(p.Channel); bad != nil {
		return bad
	}
	p.TS = s.ts()
	s.posts = append(s.posts, p)
	s.change()
	return reply{"ok": true, "channel": p.Channel, "ts": p.TS, "message": s.postJSON(p, true)}
}

// place puts a post into the thread that was asked for. When the parent is gone,
// it lands in the channel.
func (s *Server) place(p *Post, a url.Values) reply {
	ts := a.Get("thread_ts")
	if ts == "" {
		return nil
	}
	parent := s.find(p.Channel, ts)
	switch {
	case parent == nil:
		return nil
	case parent.ThreadTS != "" && parent.ThreadTS != parent.TS: // a reply cannot be replied to
		return fails("cannot_reply_to_message")
	}
	p.ThreadTS = ts
	p.Broadcast = truth(a.Get("reply_broadcast"))
	return nil
}

func truth(v string) bool { return v == "true" || v == "1" }

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

func (s *Server) find(channel, ts string) *Post {
	for _, p := range s.posts {
		if p.Channel == channel && p.TS == ts && p.Ephemeral == "" {
			return p
		}
	}
	return nil
}

// update edits: text without blocks removes the blocks, neither keeps both;
// metadata that is left out stays.
func (s *Server) update(a url.Values) reply {
	if c := s.channel(a.Get("channel")); c == nil || c.Private && !c.Member {
		return fails("channel_not_found")
	} else if c.Archived {
		return fails("is_archived")
	}
	p := s.find(a.Get("channel"), a.Get("ts"))
	if p == nil {
		return fails("message_not_found")
	}
	if p.User != BotUID {
		return fails("cant_update_message")
	}
	text, blocks, bad := content(a)
	if bad != nil {
		return bad
	}
	if length(text) > longestEdit {
		return fails("msg_too_long")
	}
	meta, bad := metadata(a)
	if bad != nil {
		return bad
	}
	if text != "" || blocks != nil {
		if text == "" && empty(blocks) {
			return fails("no_text")
		}
		p.Text, p.Blocks = text, blocks
	}
	if meta != nil {
		p.Metadata = meta
		if string(meta) == "{}" {
			p.Metadata = nil
		}
	}
	p.Edits++
	s.change()
	return reply{"ok": true, "channel": p.Channel, "ts": p.TS, "text": p.Text, "message": s.postJSON(p, true)}
}

func (s *Server) delete(a url.Values) reply {
	p := s.find(a.Get("channel"), a.Get("ts"))
	if p == nil {
		return fails("message_not_found")
	}
	if p.User != BotUID {
		return fails("cant_delete_message")
	}
	s.remove(p)
	return reply{"ok": true, "channel": p.Channel, "ts": p.TS}
}

func (s *Server) remove(p *Post) {
	s.posts = slices.DeleteFunc(s.posts, func(x *Post) bool { return x == p })
	s.change()
}

// Delete removes a message as a person with rights would.
func (s *Server) Delete(channel, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.find(channel, ts); p != nil {
		s.remove(p)
	}
}

func (s *Server) postEphemeral(a url.Values) reply {
	if code := s.reachable(a.Get("channel")); code != "" {
		return fails(code)
	}
	if s.user(a.Get("user")) == nil {
		return fails("user_not_in_channel")
	}
	text, blocks, bad := content(a)
	if bad == nil && text == "" && empty(blocks) {
		bad = fails("no_text")
	}
	if bad != nil {
		return bad
	}
	p := &Post{TS: s.ts(), Channel: a.Get("channel"), User: BotUID, Text: cut(text, longestText), Blocks: blocks, ThreadTS: a.Get("thread_ts"), Ephemeral: a.Get("user")}
	s.posts = append(s.posts, p)
	s.change()
	return reply{"ok": true, "message_ts": p.TS}
}

func (s *Server) permalink(a url.Values) reply {
	if c := s.channel(a.Get("channel")); c == nil || c.Private && !c.Member {
		return fails("channel_not_found")
	}
	p := s.find(a.Get("channel"), a.Get("message_ts"))
	if p == nil {
		return fails("message_not_found")
	}
	link := "https://acme.slack.com/archives/" + p.Channel + "/p" + strings.ReplaceAll(p.TS, ".", "")
	if p.ThreadTS != "" {
		link += "?thread_ts=" + p.ThreadTS + "&cid=" + p.Channel
	}
	return reply{"ok": true, "channel": p.Channel, "permalink": link}
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
