package herokutest

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

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
	return page(c, out, "id", "name")
}

func (s *Server) appAddons(c call, a *app) answer {
	out := []any{}
	for _, d := range s.state.databases {
		if d.owner == a {
			out = append(out, s.addonJSON(d, c.now))
		}
	}
	return page(c, out, "id", "name")
}

// getAddon serves both /addons/:id and /apps/:app/addons/:id.
func (s *Server) getAddon(c call, of ...*app) answer {
	d := s.state.database(c.PathValue("addon"))
	if d == nil || len(of) > 0 && d.owner != of[0] {
		return notFound("add_on")
	}
	return ok(s.addonJSON(d, c.now))
}

var addonName = regexp.MustCompile(`^[a-zA-Z][A-Za-z0-9_-]{0,255}$`)

func (s *Server) createAddon(c call, a *app) answer {
	plan, name := identity(c.body["plan"]), c.text("name")
	switch {
	case !a.mayPay():
		return no(http.StatusForbidden, "forbidden", "Only the app owner can manage paid add-on resources.")
	case !strings.HasPrefix(plan, pgService+":") || cents(plan) == 0:
		return invalid("Couldn't find either the add-on service or the add-on plan of %q.", plan)
	case name != "" && !addonName.MatchString(name):
		return invalid("Name must start with a letter and can only contain letters, numbers, dashes and underscores.")
	case name != "" && s.state.database(name) != nil:
		return invalid("Name is already taken")
	}
	d := &database{id: s.state.id("database"), name: name, owner: a, plan: plan, created: c.now, provisioned: c.now.Add(s.cfg.Times.Provision),
		protection: "On", forkFollow: "Available"}
	if name == "" {
		d.name = "postgresql-" + d.id[:5]
	}
	if refused := s.configure(c, a, d); refused != nil {
		return *refused
	}
	attachment := s.firstName(a)
	if as, ok := c.body["attachment"].(map[string]any); ok {
		if n, ok := as["name"].(string); ok && n != "" {
			attachment = n
		}
	}
	if !attachmentName.MatchString(attachment) {
		return invalid("Attachment name must start with a letter and can only contain uppercase letters, numbers, and underscores.")
	}
	if old := s.state.named(a, attachment); old != nil {
		if c.body["confirm"] != a.name {
			refused := no(http.StatusLocked, "confirmation_required", "Adding %s to app %s would overwrite existing vars %s_URL. Please confirm.", d.name, a.name, attachment)
			refused.header = http.Header{"X-Confirmation-Required": {a.name}}
			return refused
		}
		if s.lastBilling(old) {
			return invalid("%s on %s is the last billing attachment to %s; remove the add-on or attach it elsewhere first.", attachment, a.name, old.database.name)
		}
		s.remove(old, c.now)
	}
	d.stuck, a.stickNext = a.stickNext, false
	s.begin(d, c.now)
	s.state.databases = append(s.state.databases, d)
	s.addAttachment(a, d, attachment, "", c.now)
	body := s.addonJSON(d, c.now)
	if c.Header.Get("X-Heroku-Legacy-Provider-Messages") == "true" {
		body["provision_message"] = "Database should be available soon"
	}
	return did(http.StatusAccepted, body, "addon.create "+d.name)
}

// configure reads the options of a new database, or says why it cannot be made.
func (s *Server) configure(c call, a *app, d *database) *answer {
	refuse := func(format string, args ...any) *answer {
		bad := invalid(format, args...)
		return &bad
	}
	config, _ := c.body["config"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(config)) {
		value := fmt.Sprint(config[key])
		switch key {
		case "follow":
			leader := s.leader(a, value)
			switch {
			case leader == nil:
				return refuse("Could not find the database to follow.")
			case leader.tier() == "essential":
				return refuse("%s cannot be followed: Essential-tier databases don't support followers.", leader.name)
			case leader.leader != nil:
				return refuse("%s cannot be followed: it is a follower itself.", leader.name)
			case !s.ready(leader, c.now) || s.forkable(leader, c.now) != "Available":
				return refuse("%s cannot be followed now. Try again when Fork/Follow is Available.", leader.name)
			case cents(d.plan) < cents(leader.plan):
				return refuse("The plan is too small for a follower of %s.", leader.name)
			case config["version"] != nil:
				return refuse("A follower has the version of its leader.")
			}
			d.leader, d.version = leader, leader.version
			d.credentials = slices.Clone(leader.credentials) // a physical copy has the roles
		case "version":
			if !slices.Contains(s.storage.Majors(), value) {
				return refuse("Version %s is not available.", value)
			}
			d.version = value + minors[value]
		case "allow-extensions-on-any-schema":
		default:
			return refuse("The option %q is not supported.", key)
		}
	}
	return nil
}

// firstName is how a new database is attached when nothing is said: the app's
// first as DATABASE, others under a colour.
func (s *Server) firstName(a *app) string {
	for _, t := range s.state.on(a) {
		if t.database.owner == a || t.name == "DATABASE" {
			return "HEROKU_POSTGRESQL_" + s.colour(a)
		}
	}
	return "DATABASE"
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
	for _, c := range []string{"AMBER", "BLUE", "BRONZE", "BROWN", "CHARCOAL", "COBALT", "COPPER", "CRIMSON", "CYAN", "GOLD", "GREEN", "IVORY", "JADE",
		"LAVENDER", "MAROON", "NAVY", "ONYX", "ORANGE", "PINK", "PUCE", "PURPLE", "RED", "SILVER", "TEAL", "WHITE"} {
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
			return invalid("%s is attached to %s; detach it first.", d.name, t.app.name)
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
