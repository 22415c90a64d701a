package slacktest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// responseURL is where the app may answer one interaction.
type responseURL struct {
	channel, user, ts string // ts of the message that may be replaced
	uses              int
	at                time.Time
}

// A response_url takes five posts within 30 minutes
// (docs.slack.dev/interactivity/handling-user-interaction).
const (
	responsePosts = 5
	responseLife  = 30 * time.Minute
)

func (s *Server) newResponseURL(channel, user, ts string) string {
	id := s.next("r")
	s.replies[id] = &responseURL{channel: channel, user: user, ts: ts, at: s.cfg.Now()}
	return s.cfg.BaseURL + "/response/" + id
}

func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request) {
	var m response
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m); err != nil {
		writeJSON(w, http.StatusBadRequest, fails("invalid_payload"))
		return
	}
	args := url.Values{"text": {m.Text}}
	s.struckBy(w, r, "response_url", args, func() reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		out := s.respond(s.replies[r.PathValue("id")], m)
		code, _ := out["error"].(string)
		s.history = append(s.history, Request{Method: "response_url", Error: code, Args: args})
		return out
	})
}

// response is what is posted to a response_url, or comes with an acknowledgement.
type response struct {
	Text            string
	Blocks          json.RawMessage
	ResponseType    string `json:"response_type"`
	ReplaceOriginal bool   `json:"replace_original"`
	DeleteOriginal  bool   `json:"delete_original"`
	ThreadTS        string `json:"thread_ts"`
}

// respond does what was posted to a response_url. Channel limits do not count for it.
func (s *Server) respond(u *responseURL, m response) reply {
	switch {
	case u == nil || s.cfg.Now().Sub(u.at) > responseLife:
		return fails("expired_url")
	case u.uses >= responsePosts:
		return fails("used_url")
	}
	text, blocks, bad := content(url.Values{"text": {m.Text}, "blocks": {string(m.Blocks)}})
	if bad == nil && text == "" && empty(blocks) && !m.DeleteOriginal {
		bad = fails("no_text")
	}
	if bad != nil {
		return bad
	}
	u.uses++
	original := s.original(u)
	switch {
	case m.DeleteOriginal && original != nil:
		s.remove(original)
	case m.DeleteOriginal:
	case m.ReplaceOriginal && original != nil:
		original.Text, original.Blocks = text, blocks // who sees it never changes
		original.Edits++
		s.change()
	default:
		p := &Post{TS: s.ts(), Channel: u.channel, User: BotUID, Text: cut(text, longestText), Blocks: blocks, Ephemeral: u.user}
		if m.ResponseType == "in_channel" {
			p.Ephemeral, p.ThreadTS = "", m.ThreadTS
		}
		s.posts = append(s.posts, p)
		s.change()
	}
	return reply{"ok": true}
}

// original is the message in which the interaction was, nil when it is gone or
// there is none: a slash command has none.
func (s *Server) original(u *responseURL) *Post {
	for _, p := range s.posts {
		if u.ts != "" && p.TS == u.ts && p.Channel == u.channel {
			return p
		}
	}
	return nil
}
