package herokutest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// attachmentJSON shows the plan of the add-on only to those who ask for it, as
// the CLI does (header Accept-Inclusion).
func (s *Server) attachmentJSON(c call, t *attachment) map[string]any {
	var namespace any
	if t.namespace != "" {
		namespace = t.namespace
	}
	addon := map[string]any{"id": t.database.id, "name": t.database.name, "app": t.database.owner.ref()}
	if strings.Contains(c.Header.Get("Accept-Inclusion"), "addon:plan") {
		addon["plan"] = ref(fixedID("plan "+t.database.plan), t.database.plan)
	}
	return map[string]any{"id": t.id, "name": t.name, "namespace": namespace, "app": t.app.ref(), "config_vars": []any{t.name + "_URL"},
		"addon":      addon,
		"created_at": stamp(t.created), "updated_at": stamp(t.created), "web_url": "https://addons-sso.heroku.com/apps/" + t.app.id + "/addons/" + t.database.id, "log_input_url": nil}
}

func (s *Server) attachments(c call, all []*attachment, fields ...string) answer {
	out := []any{}
	for _, t := range all {
		out = append(out, s.attachmentJSON(c, t))
	}
	return page(c, out, append([]string{"id"}, fields...)...)
}

func (s *Server) allAttachments(c call) answer { return s.attachments(c, s.state.attachments) }

func (s *Server) appAttachments(c call, a *app) answer {
	return s.attachments(c, s.state.on(a), "name")
}

func (s *Server) anyAttachment(c call) answer {
	for _, t := range s.state.attachments {
		if t.id == c.PathValue("id") {
			return ok(s.attachmentJSON(c, t))
		}
	}
	return notFound("add_on attachment")
}

func (s *Server) addonAttachments(c call) answer {
	d := s.state.database(c.PathValue("addon"))
	if d == nil {
		return notFound("add_on")
	}
	return s.attachments(c, s.state.of(d))
}

func (s *Server) getAttachment(c call, a *app) answer {
	for _, t := range s.state.on(a) {
		if t.name == c.PathValue("name") || t.id == c.PathValue("name") {
			return ok(s.attachmentJSON(c, t))
		}
	}
	return notFound("add_on attachment")
}

var attachmentName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// attach creates an attachment, or replaces one of that name: then two releases
// are made, Detach and Attach.
func (s *Server) attach(c call) answer {
	d, a := s.state.database(identity(c.body["addon"])), s.state.app(identity(c.body["app"]))
	if d == nil || !d.destroyed.IsZero() {
		return notFound("add_on")
	}
	if a == nil {
		return notFound("app")
	}
	name, namespace := c.text("name"), c.text("namespace")
	if name == "" {
		name = "HEROKU_POSTGRESQL_" + s.colour(a)
	}
	if !attachmentName.MatchString(name) {
		return invalid("Name must start with a letter and can only contain uppercase letters, numbers, and underscores.")
	}
	if why := d.reachable(namespace); why != "" {
		return invalid("%s", why)
	}
	old := s.state.named(a, name)
	_, isVar := a.vars[name+"_URL"]
	switch {
	case old != nil && old.database == d && old.namespace == namespace:
		return did(http.StatusCreated, s.attachmentJSON(c, old), "")
	case (old != nil || isVar) && c.body["confirm"] != a.name:
		refused := no(http.StatusBadRequest, "confirmation_required", "Adding %s as %s to app %s would overwrite existing vars %s_URL. Please confirm.", d.name, name, a.name, name)
		refused.header = http.Header{"X-Confirmation-Required": {a.name}}
		return refused
	case old != nil && s.lastBilling(old):
		return invalid("%s on %s is the last billing attachment to %s; remove the add-on or attach it elsewhere first.", name, a.name, old.database.name)
	case old != nil:
		s.remove(old, c.now)
	}
	delete(a.vars, name+"_URL") // the attachment's own takes its place
	made := s.newAttachment(c, a, d, name, namespace)
	if old != nil {
		made.effect = "attachment.replace " + a.name + " " + name + " " + d.name
	}
	return made
}

// newAttachment makes an attachment, and a release of its config var once the
// database has one.
func (s *Server) newAttachment(c call, a *app, d *database, name, namespace string) answer {
	t := s.addAttachment(a, d, name, namespace, c.now)
	if s.ready(d, c.now) {
		s.release(a, "Attach "+name+" (@ref:"+d.name+")", s.state.vars(a, c.now), c.now)
	}
	return did(http.StatusCreated, s.attachmentJSON(c, t), "attachment.create "+a.name+" "+name+" "+d.name)
}

// lastBilling reports whether this is the only attachment of the database on
// the app that pays for it. Its namespace does not matter: the CLI replaces a
// pooler that is the only one of its kind (src/commands/pg/promote.ts).
func (s *Server) lastBilling(t *attachment) bool {
	if t.app != t.database.owner {
		return false
	}
	for _, x := range s.state.of(t.database) {
		if x != t && x.app == t.app {
			return false
		}
	}
	return true
}

func (s *Server) remove(t *attachment, now time.Time) {
	s.state.attachments = slices.DeleteFunc(s.state.attachments, func(x *attachment) bool { return x == t })
	s.release(t.app, "Detach "+t.name+" (@ref:"+t.database.name+")", s.state.vars(t.app, now), now)
}

func (s *Server) detach(c call) answer {
	for _, t := range s.state.attachments {
		if t.id != c.PathValue("id") {
			continue
		}
		if s.lastBilling(t) {
			return invalid("%s on %s is the last billing attachment to %s.", t.name, t.app.name, t.database.name)
		}
		body := s.attachmentJSON(c, t)
		s.remove(t, c.now)
		return did(http.StatusOK, body, "attachment.delete "+t.app.name+" "+t.name)
	}
	return notFound("add_on attachment")
}
