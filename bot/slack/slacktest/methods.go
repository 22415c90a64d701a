package slacktest

import (
	"net/url"
	"slices"
	"strings"
)

// needed is the scope of each method, any one of the listed.
var needed = map[string][]string{
	"chat.postMessage": {"chat:write"}, "chat.update": {"chat:write"}, "chat.delete": {"chat:write"}, "chat.postEphemeral": {"chat:write"},
	"conversations.history": {"channels:history", "groups:history", "im:history"}, "conversations.replies": {"channels:history", "groups:history", "im:history"},
	"conversations.info": {"channels:read", "groups:read"}, "conversations.members": {"channels:read", "groups:read"}, "conversations.list": {"channels:read", "groups:read"},
	"conversations.open": {"im:write"}, "users.info": {"users:read"}, "users.list": {"users:read"},
	"usergroups.users.list": {"usergroups:read"}, "usergroups.list": {"usergroups:read"},
}

var allScopes = []string{"commands", "chat:write", "channels:history", "groups:history", "channels:read", "groups:read", "users:read", "usergroups:read", "im:write", "im:history"}

func (s *Server) scopes() []string {
	if s.cfg.Scopes != nil {
		return s.cfg.Scopes
	}
	return allScopes
}

// do answers one call. s.mu is held.
func (s *Server) do(method string, a url.Values, token string) reply {
	if bad := s.admit(method, token); bad != nil {
		return bad
	}
	if bad := s.tooOften(method); bad != nil {
		return bad
	}
	switch method {
	case "apps.connections.open":
		return s.open()
	case "auth.test":
		return reply{"ok": true, "url": "https://acme.slack.com/", "team": "Acme", "user": "pgupgrade", "team_id": TeamID, "user_id": BotUID, "bot_id": BotID, "is_enterprise_install": false}
	case "chat.postMessage":
		return s.postMessage(a)
	case "chat.update":
		return s.update(a)
	case "chat.delete":
		return s.delete(a)
	case "chat.postEphemeral":
		return s.postEphemeral(a)
	case "chat.getPermalink":
		return s.permalink(a)
	case "conversations.history":
		return s.historyOf(a)
	case "conversations.replies":
		return s.repliesOf(a)
	case "conversations.info", "conversations.members", "conversations.list", "conversations.open":
		return s.conversations(method, a)
	case "users.info", "users.list", "usergroups.list", "usergroups.users.list":
		return s.people(method, a)
	case "views.open", "views.push":
		return s.openView(method, a)
	case "views.update":
		return s.updateView(a)
	case "views.publish":
		return s.publishView(a)
	}
	return fails("unknown_method")
}

// admit refuses a token that is not for this method. s.mu is held.
func (s *Server) admit(method, token string) reply {
	own, other := s.cfg.BotToken, s.cfg.AppToken
	if method == "apps.connections.open" {
		own, other = other, own
	}
	switch {
	case token == "":
		return fails("not_authed")
	case s.revoked[token]:
		return fails("token_revoked")
	case token == other:
		return fails("not_allowed_token_type")
	case token != own:
		return fails("invalid_auth")
	}
	if need := needed[method]; need != nil && !slices.ContainsFunc(need, func(x string) bool { return slices.Contains(s.scopes(), x) }) {
		return reply{"ok": false, "error": "missing_scope", "needed": need[0], "provided": strings.Join(s.scopes(), ",")}
	}
	return nil
}

func (s *Server) people(method string, a url.Values) reply {
	switch method {
	case "users.info":
		u := s.user(a.Get("user"))
		if u == nil {
			return fails("user_not_found")
		}
		return reply{"ok": true, "user": u.json()}
	case "users.list":
		all := []any{}
		for _, u := range s.users {
			all = append(all, u.json())
		}
		return reply{"ok": true, "members": all, "response_metadata": reply{"next_cursor": ""}}
	case "usergroups.list":
		all := []any{}
		for id, members := range s.groups {
			all = append(all, reply{"id": id, "team_id": TeamID, "handle": strings.ToLower(id), "name": id, "user_count": len(members)})
		}
		return reply{"ok": true, "usergroups": all}
	}
	members, ok := s.groups[a.Get("usergroup")]
	if !ok {
		return fails("no_such_subteam")
	}
	return reply{"ok": true, "users": members}
}

func (u *User) json() reply {
	return reply{"id": u.ID, "team_id": u.team(), "name": u.Name, "real_name": u.Name, "deleted": u.Deleted, "is_bot": u.Bot, "is_restricted": u.Guest || u.SingleGuest,
		"is_ultra_restricted": u.SingleGuest, "is_stranger": u.team() != TeamID, "tz": "UTC", "profile": reply{"real_name": u.Name, "display_name": u.Name, "title": u.Title}}
}

func (s *Server) conversations(method string, a url.Values) reply {
	switch method {
	case "conversations.list":
		all := []any{}
		for _, c := range s.channels {
			if c.DM == "" && (c.Member || !c.Private) {
				all = append(all, c.json())
			}
		}
		return reply{"ok": true, "channels": all, "response_metadata": reply{"next_cursor": ""}}
	case "conversations.open":
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
	c := s.channel(a.Get("channel"))
	if c == nil || c.Private && !c.Member {
		return fails("channel_not_found")
	}
	if method == "conversations.members" {
		members := []string{}
		for _, u := range s.users {
			if u.ID != BotUID || c.Member {
				members = append(members, u.ID)
			}
		}
		return reply{"ok": true, "members": members, "response_metadata": reply{"next_cursor": ""}}
	}
	return reply{"ok": true, "channel": c.json()}
}

func (c *Channel) json() reply {
	return reply{"id": c.ID, "name": c.Name, "is_channel": c.DM == "", "is_im": c.DM != "", "is_member": c.Member, "is_archived": c.Archived,
		"is_ext_shared": c.ExtShared, "is_shared": c.ExtShared, "is_private": c.Private, "user": c.DM}
}

// reachable says why the bot cannot post to a channel, or "".
func (s *Server) reachable(id string) string {
	c := s.channel(id)
	switch {
	case c == nil || c.Private && !c.Member:
		return "channel_not_found"
	case c.Archived:
		return "is_archived"
	case !c.Member && c.DM == "":
		return "not_in_channel"
	}
	return ""
}
