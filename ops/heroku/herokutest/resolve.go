package herokutest

import (
	"slices"
	"strings"
)

// resolved finds what a name may mean: an attachment by id, by name, or by the
// name of its config var; else every attachment of the add-on of that name or
// id. Without an app it looks at all of them, so that there may be several.
func (s *Server) resolved(c call, want string) []*attachment {
	on, name := identity(c.body["app"]), strings.TrimSuffix(want, "_URL")
	var named, owned []*attachment
	for _, t := range s.state.attachments {
		switch {
		case on != "" && t.app.name != on && t.app.id != on:
		case t.id == want || t.name == name:
			named = append(named, t)
		case t.database.name == want || t.database.id == want:
			owned = append(owned, t)
		}
	}
	if len(named) > 0 {
		return named
	}
	return owned
}

// resolveAddon answers with the add-ons that a name may mean. An add-on is found
// by its own name whatever the app, since such names are unique.
func (s *Server) resolveAddon(c call) answer {
	want := c.text("addon")
	out := []any{}
	if d := s.state.database(want); d != nil {
		return page(c, append(out, s.addonJSON(d, c.now)))
	}
	var seen []*database
	for _, t := range s.resolved(c, want) {
		if !slices.Contains(seen, t.database) {
			seen = append(seen, t.database)
			out = append(out, s.addonJSON(t.database, c.now))
		}
	}
	if len(out) == 0 || !served(c) {
		return notFound("add_on")
	}
	return page(c, out)
}

func (s *Server) resolveAttachment(c call) answer {
	out := []any{}
	for _, t := range s.resolved(c, c.text("addon_attachment")) {
		out = append(out, s.attachmentJSON(c, t))
	}
	if len(out) == 0 || !served(c) {
		return notFound("add_on attachment")
	}
	return page(c, out)
}

// served reports whether the service that a client asks for, if it does, is the
// only one here.
func served(c call) bool {
	service := c.text("addon_service")
	return service == "" || service == pgService
}
