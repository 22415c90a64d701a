package herokutest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// plans is the catalogue, smallest first: name and price in cents a month
// (elements.heroku.com/addons/heroku-postgresql, read 2026).
var plans = []struct {
	name  string
	cents int
}{
	{"essential-0", 500}, {"essential-1", 900}, {"essential-2", 2000}, {"standard-0", 5000}, {"standard-2", 20000}, {"standard-3", 40000},
	{"premium-0", 20000}, {"premium-2", 35000}, {"premium-3", 75000},
}

const pgService = "heroku-postgresql"

func cents(plan string) int {
	for _, p := range plans {
		if pgService+":"+p.name == plan {
			return p.cents
		}
	}
	return 0
}

func planJSON(name string) map[string]any {
	return map[string]any{"id": fixedID("plan " + name), "name": name, "human_name": strings.TrimPrefix(name, pgService+":"), "description": "Heroku Postgres",
		"price": map[string]any{"cents": cents(name), "contract": false, "metered": false, "unit": "month"}, "state": "ga", "default": strings.HasSuffix(name, "essential-0"),
		"addon_service": ref("01234567-89ab-4def-8123-456789abcd01", pgService), "compliance": nil, "space_default": false, "visible": true,
		"installable_inside_private_network": true, "installable_outside_private_network": true, "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}
}

func (s *Server) listPlans(c call) answer {
	out := []any{}
	for _, p := range plans {
		out = append(out, planJSON(pgService+":"+p.name))
	}
	return ok(out)
}

func (s *Server) addonJSON(d *database, now time.Time) map[string]any {
	st, vars := "provisioning", []any{}
	if !now.Before(d.provisioned) && !d.stuck {
		st = "provisioned"
		for _, t := range s.state.of(d) {
			if t.app == d.owner {
				vars = append(vars, t.name+"_URL")
			}
		}
	}
	if !d.destroyed.IsZero() {
		st = "deprovisioning"
	}
	price := map[string]any{"cents": cents(d.plan), "contract": false, "metered": false, "unit": "month"}
	return map[string]any{"id": d.id, "name": d.name, "app": d.owner.ref(), "addon_service": ref("01234567-89ab-4def-8123-456789abcd01", pgService),
		"plan": planJSON(d.plan), "billed_price": price, "billing_entity": map[string]any{"id": d.owner.id, "name": d.owner.name, "type": "app"},
		"config_vars": vars, "provider_id": "resource-" + d.name + "@heroku.com", "state": st, "actions": []any{}, "provision_message": "",
		"web_url": "https://addons-sso.heroku.com/apps/" + d.owner.id + "/addons/" + d.id, "created_at": stamp(d.created), "updated_at": stamp(d.created)}
}

func (s *Server) allAddons(c call) answer {
	out := []any{}
	for _, d := range s.state.databases {
		out = append(out, s.addonJSON(d, c.now))
	}
	return page(c, out)
}

func (s *Server) appAddons(c call, a *app) answer {
	out := []any{}
	for _, d := range s.state.databases {
		if d.owner == a {
			out = append(out, s.addonJSON(d, c.now))
		}
	}
	return page(c, out)
}

// getAddon serves both /addons/:id and /apps/:app/addons/:id.
func (s *Server) getAddon(c call, of ...*app) answer {
	d := s.state.database(c.PathValue("addon"))
	if d == nil || len(of) > 0 && d.owner != of[0] {
		return notFound("add_on")
	}
	return ok(s.addonJSON(d, c.now))
}

func (s *Server) createAddon(c call, a *app) answer {
	plan := identity(c.body["plan"])
	if !strings.HasPrefix(plan, pgService+":") || cents(plan) == 0 {
		return no(http.StatusUnprocessableEntity, "invalid_params", "Couldn't find either the add-on service or the add-on plan of %q.", plan)
	}
	name, _ := c.body["name"].(string)
	if name != "" && s.state.database(name) != nil {
		return no(http.StatusUnprocessableEntity, "invalid_params", "Name is already taken")
	}
	d := &database{id: s.state.id("database"), name: name, owner: a, plan: plan, created: c.now, provisioned: c.now.Add(s.cfg.Times.Provision),
		protection: "On", forkFollow: "Temporarily Unavailable"}
	if name == "" {
		d.name = "postgresql-" + d.id[:5]
	}
	config, _ := c.body["config"].(map[string]any)
	if follow, ok := config["follow"].(string); ok {
		leader := s.leader(a, follow)
		switch {
		case leader == nil:
			return no(http.StatusUnprocessableEntity, "invalid_params", "Could not find the database to follow.")
		case leader.tier() == "essential" || leader.leader != nil:
			return no(http.StatusUnprocessableEntity, "invalid_params", "%s cannot be followed.", leader.name)
		case cents(plan) < cents(leader.plan):
			return no(http.StatusUnprocessableEntity, "invalid_params", "The plan is too small for a follower of %s.", leader.name)
		}
		d.leader, d.version = leader, leader.version
	}
	attachment := "HEROKU_POSTGRESQL_" + s.colour(a)
	if as, ok := c.body["attachment"].(map[string]any); ok {
		if n, ok := as["name"].(string); ok && n != "" {
			attachment = n
		}
	}
	if s.state.named(a, attachment) != nil && c.body["confirm"] != a.name {
		return no(http.StatusLocked, "confirmation_required", "Adding %s to app %s would overwrite existing vars. Please confirm.", d.name, a.name)
	}
	s.begin(d, c.now)
	s.state.databases = append(s.state.databases, d)
	s.addAttachment(a, d, attachment, "", c.now)
	return did(http.StatusAccepted, s.addonJSON(d, c.now), "addon.create "+d.name)
}

func (s *Server) addAttachment(a *app, d *database, name, namespace string, now time.Time) *attachment {
	t := &attachment{id: s.state.id("attachment"), name: name, namespace: namespace, app: a, database: d, created: now}
	s.state.attachments = append(s.state.attachments, t)
	return t
}

// leader resolves what a follow option may hold: an attachment or config var
// name of the app, an add-on's name or id, or a URL.
func (s *Server) leader(a *app, follow string) *database {
	if t := s.state.named(a, strings.TrimSuffix(follow, "_URL")); t != nil {
		return t.database
	}
	if d := s.state.database(follow); d != nil {
		return d
	}
	return s.byURL(follow)
}

func (s *Server) colour(a *app) string {
	for _, c := range []string{"AMBER", "BLUE", "CYAN", "GOLD", "GREEN", "IVORY", "JADE", "NAVY", "ONYX", "PINK", "TEAL", "WHITE"} {
		if s.state.named(a, "HEROKU_POSTGRESQL_"+c) == nil {
			return c
		}
	}
	return "YELLOW"
}

func (s *Server) deleteAddon(c call, a *app) answer {
	d := s.state.database(c.PathValue("addon"))
	if d == nil || d.owner != a {
		return notFound("add_on")
	}
	force, _ := c.body["force"].(bool)
	for _, t := range s.state.of(d) {
		if t.app != a && !force {
			return no(http.StatusUnprocessableEntity, "invalid_params", "%s is attached to %s; detach it first.", d.name, t.app.name)
		}
	}
	if d.destroyed.IsZero() {
		d.destroyed = c.now.Add(s.cfg.Times.Destroy)
		for _, f := range s.state.databases {
			if f.leader == d {
				f.leader = nil
				f.data.Unfollow(c.now)
			}
		}
	}
	effect := "addon.destroy " + d.name
	if force {
		effect += " force"
	}
	return did(http.StatusAccepted, s.addonJSON(d, c.now), effect)
}

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

func (s *Server) attachments(c call, all []*attachment) answer {
	out := []any{}
	for _, t := range all {
		out = append(out, s.attachmentJSON(c, t))
	}
	return page(c, out)
}

func (s *Server) allAttachments(c call) answer         { return s.attachments(c, s.state.attachments) }
func (s *Server) appAttachments(c call, a *app) answer { return s.attachments(c, s.state.on(a)) }

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

// attach creates an attachment, or replaces one of that name: then two releases
// are made, Detach and Attach.
func (s *Server) attach(c call) answer {
	d, a := s.state.database(identity(c.body["addon"])), s.state.app(identity(c.body["app"]))
	if d == nil {
		return notFound("add_on")
	}
	if a == nil {
		return notFound("app")
	}
	name, _ := c.body["name"].(string)
	namespace, _ := c.body["namespace"].(string)
	if name == "" {
		name = "HEROKU_POSTGRESQL_" + s.colour(a)
	}
	old := s.state.named(a, name)
	if old != nil && old.database == d && old.namespace == namespace {
		return did(http.StatusCreated, s.attachmentJSON(c, old), "")
	}
	if old != nil && c.body["confirm"] != a.name {
		return no(http.StatusBadRequest, "confirmation_required", "%s is already in use on %s. Please confirm.", name, a.name)
	}
	if old != nil {
		if s.lastBilling(old) {
			return no(http.StatusUnprocessableEntity, "invalid_params", "%s on %s is the last billing attachment to %s; remove the add-on or attach it elsewhere first.", name, a.name, old.database.name)
		}
		s.remove(old, c.now)
	}
	t := s.addAttachment(a, d, name, namespace, c.now)
	s.release(a, "Attach "+name+" (@ref:"+d.name+")", s.state.vars(a, c.now), c.now)
	effect := "attachment.create "
	if old != nil {
		effect = "attachment.replace "
	}
	return did(http.StatusCreated, s.attachmentJSON(c, t), effect+a.name+" "+name+" "+d.name)
}

func (s *Server) lastBilling(t *attachment) bool {
	if t.app != t.database.owner {
		return false
	}
	for _, x := range s.state.of(t.database) {
		if x != t && x.app == t.app && x.namespace == t.namespace {
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
			return no(http.StatusUnprocessableEntity, "invalid_params", "%s on %s is the last billing attachment to %s.", t.name, t.app.name, t.database.name)
		}
		body := s.attachmentJSON(c, t)
		s.remove(t, c.now)
		return did(http.StatusOK, body, "attachment.delete "+t.app.name+" "+t.name)
	}
	return notFound("add_on attachment")
}

func (s *Server) resolveAddon(c call) answer {
	want, _ := c.body["addon"].(string)
	if t := s.resolve(c, want); t != nil {
		return ok([]any{s.addonJSON(t.database, c.now)})
	}
	if d := s.state.database(want); d != nil {
		return ok([]any{s.addonJSON(d, c.now)})
	}
	return notFound("add_on")
}

func (s *Server) resolve(c call, want string) *attachment {
	for _, t := range s.state.attachments {
		on := identity(c.body["app"])
		if (on == "" || t.app.name == on || t.app.id == on) && (t.id == want || t.name == strings.TrimSuffix(want, "_URL")) {
			return t
		}
	}
	return nil
}

func (s *Server) resolveAttachment(c call) answer {
	want, _ := c.body["addon_attachment"].(string)
	if t := s.resolve(c, want); t != nil {
		return ok([]any{s.attachmentJSON(c, t)})
	}
	out, on := []any{}, identity(c.body["app"])
	for _, t := range s.state.attachments {
		if (on == "" || t.app.name == on || t.app.id == on) && (t.database.name == want || t.database.id == want) {
			out = append(out, s.attachmentJSON(c, t))
		}
	}
	if len(out) == 0 {
		return notFound("add_on attachment")
	}
	return ok(out)
}
