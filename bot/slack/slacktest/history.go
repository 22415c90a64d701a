package slacktest

import (
	"net/url"
	"slices"
	"strconv"
)

// historyOf is conversations.history: newest first.
func (s *Server) historyOf(a url.Values) reply {
	return s.list(a, func(p *Post) bool { return p.ThreadTS == "" || p.ThreadTS == p.TS || p.Broadcast }, true)
}

// repliesOf is conversations.replies: the parent and its thread, oldest first.
func (s *Server) repliesOf(a url.Values) reply {
	if s.find(a.Get("channel"), a.Get("ts")) == nil && s.canRead(a) == "" {
		return fails("thread_not_found")
	}
	return s.list(a, func(p *Post) bool { return p.TS == a.Get("ts") || p.ThreadTS == a.Get("ts") }, false)
}

func (s *Server) canRead(a url.Values) string {
	c := s.channel(a.Get("channel"))
	switch {
	case c == nil || c.Private && !c.Member:
		return "channel_not_found"
	case !c.Member:
		return "not_in_channel"
	}
	return ""
}

func (s *Server) list(a url.Values, want func(*Post) bool, newestFirst bool) reply {
	if code := s.canRead(a); code != "" {
		return fails(code)
	}
	limit, err := strconv.Atoi(a.Get("limit"))
	switch {
	case a.Get("limit") == "":
		limit = 100
	case err != nil || limit < 1 || limit > 999:
		return fails("invalid_limit")
	}
	start := 0
	if c := a.Get("cursor"); c != "" {
		if start, err = strconv.Atoi(c); err != nil || start < 0 {
			return fails("invalid_cursor")
		}
	}
	oldest, latest, inclusive := a.Get("oldest"), a.Get("latest"), truth(a.Get("inclusive"))
	var all []*Post
	for _, p := range s.posts {
		after := p.TS > oldest || inclusive && p.TS == oldest
		before := latest == "" || p.TS < latest || inclusive && p.TS == latest
		if p.Channel == a.Get("channel") && p.Ephemeral == "" && after && before && want(p) {
			all = append(all, p)
		}
	}
	if newestFirst {
		slices.Reverse(all)
	}
	start = min(start, len(all))
	end := min(start+limit, len(all))
	messages := []any{}
	for _, p := range all[start:end] {
		messages = append(messages, s.postJSON(p, truth(a.Get("include_all_metadata"))))
	}
	next := ""
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return reply{"ok": true, "messages": messages, "has_more": next != "", "response_metadata": reply{"next_cursor": next}}
}
