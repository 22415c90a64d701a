package herokutest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// credential is a role of a database beside its default one. It is used by
// attaching the database with the namespace "credential:NAME".
type credential struct {
	id, name, password string
	active             time.Time // when it can be used
}

func (s *Server) newCredential(name string, active time.Time) *credential {
	id := s.state.id("credential")
	return &credential{id: id, name: name, password: "pw" + id[:12], active: active}
}

func (d *database) credential(name string) *credential {
	for _, x := range d.credentials {
		if x.name == name {
			return x
		}
	}
	return nil
}

// dropCredential scripts a copy on which Heroku does not list a role.
func (d *database) dropCredential(name string) {
	d.credentials = slices.DeleteFunc(d.credentials, func(x *credential) bool { return x.name == name })
}

// Namespaces of attachments beside none, which is the default credential.
const (
	asCredential = "credential:"
	asPooler     = "connection-pooling:default"
	poolerPort   = "6432" // not the database's own: poolers listen elsewhere
)

// reachable says why an attachment in this namespace cannot be made, or nothing.
func (d *database) reachable(namespace string) string {
	name, custom := strings.CutPrefix(namespace, asCredential)
	switch {
	case namespace == "":
	case d.tier() == "essential":
		return "You can't use credentials or connection pooling on Essential-tier databases."
	case namespace == asPooler:
	case !custom || d.credential(name) == nil:
		return fmt.Sprintf("Couldn't find the namespace %q on %s.", namespace, d.name)
	}
	return ""
}

// url is the value of the attachment's config var.
func (t *attachment) url() string { return t.database.urlOf(t.namespace) }

// urlOf is the database's connection URL in a namespace.
func (d *database) urlOf(namespace string) string {
	if namespace == "" {
		return d.url()
	}
	u, err := url.Parse(d.url())
	if err != nil {
		return d.url() // ours; it parses
	}
	if namespace == asPooler {
		u.Host = u.Hostname() + ":" + poolerPort
	}
	if x := d.credential(strings.TrimPrefix(namespace, asCredential)); x != nil {
		u.User = url.UserPassword(x.name, x.password)
	}
	return u.String()
}

// serves reports whether a connection URL leads to this database and is let in.
func (d *database) serves(at string) bool {
	main := d.url()
	if at == main {
		return true
	}
	if i := strings.LastIndexByte(at, '/'); i < 0 || !strings.HasSuffix(main, at[i:]) {
		return false // another database; asked often, and the rest is slow
	}
	if at == d.urlOf(asPooler) {
		return true
	}
	for _, x := range d.credentials {
		if at == d.urlOf(asCredential+x.name) {
			return true
		}
	}
	for _, old := range d.rotating {
		if at == old {
			return true
		}
	}
	return false
}

// addonConfig answers GET /addons/:id/config/:namespace, with which the CLI looks
// whether a credential exists (heroku/cli src/commands/addons/attach.ts).
func (s *Server) addonConfig(c call) answer {
	d := s.state.database(c.PathValue("addon"))
	if d == nil {
		return notFound("add_on")
	}
	namespace := c.PathValue("namespace")
	if namespace == "" || d.reachable(namespace) != "" || !s.ready(d, c.now) {
		return ok([]any{})
	}
	return ok([]any{map[string]any{"name": "url", "value": d.urlOf(namespace)}})
}

func (s *Server) onCredential(r func(call, *database, *credential) answer) route {
	return s.onDatabase(func(c call, d *database) answer {
		name := c.PathValue("credential")
		x := d.credential(name)
		if x == nil && name != "default" {
			return no(http.StatusNotFound, "not_found", "Couldn't find the credential %s.", name)
		}
		return r(c, d, x) // nil: the default one
	})
}

func (s *Server) credentialJSON(d *database, x *credential, now time.Time) map[string]any {
	u, err := url.Parse(d.url())
	if err != nil {
		return nil // ours; it parses
	}
	id, name, state, user := d.id, "default", "active", u.User.Username()
	password, _ := u.User.Password()
	if x != nil {
		id, name, user, password = x.id, x.name, x.name, x.password
		if now.Before(x.active) {
			state = "wait_for_provisioning"
		}
	}
	if len(d.rotating) > 0 {
		state = "rotating"
	}
	return map[string]any{"uuid": id, "name": name, "state": state, "database": strings.TrimPrefix(u.Path, "/"), "host": u.Hostname(), "port": atoi(u.Port()),
		"credentials": []any{map[string]any{"user": user, "password": password, "state": "active"}}}
}

func (s *Server) listCredentials(c call, d *database) answer {
	out := []any{s.credentialJSON(d, nil, c.now)}
	for _, x := range d.credentials {
		out = append(out, s.credentialJSON(d, x, c.now))
	}
	return ok(out)
}

func (s *Server) getCredential(c call, d *database, x *credential) answer {
	return ok(s.credentialJSON(d, x, c.now))
}

var credentialName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,49}$`)

func (s *Server) createCredential(c call, d *database) answer {
	name := c.text("name")
	switch {
	case d.tier() == "essential":
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "You can't create a custom credential on Essential-tier databases.")
	case !s.ready(d, c.now):
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "The database is not available yet.")
	case d.leader != nil:
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "You can't create credentials on a follower.")
	case !credentialName.MatchString(name):
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "%q is not a valid name for a credential.", name)
	case name == "default" || d.credential(name) != nil:
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "The credential %s already exists.", name)
	}
	d.credentials = append(d.credentials, s.newCredential(name, c.now.Add(reconnects)))
	return did(http.StatusCreated, message("Creating the credential %s.", name), "credential.create "+d.name+" "+name)
}

func (s *Server) deleteCredential(c call, d *database, x *credential) answer {
	if x == nil {
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "The default credential cannot be destroyed.")
	}
	for _, t := range s.state.of(d) {
		if t.namespace == asCredential+x.name {
			return no(http.StatusUnprocessableEntity, "unprocessable_entity", "The credential %s is attached to %s; detach it first.", x.name, t.app.name)
		}
	}
	for i := range d.credentials {
		if d.credentials[i] == x {
			d.credentials = append(d.credentials[:i:i], d.credentials[i+1:]...)
			break
		}
	}
	return did(http.StatusOK, message("The credential %s has been destroyed.", x.name), "credential.destroy "+d.name+" "+x.name)
}

func (s *Server) rotateCredential(c call, d *database, x *credential) answer {
	forced, _ := c.body["forced"].(bool)
	s.rotate(d, x, forced, c.now)
	name := "default"
	if x != nil {
		name = x.name
	}
	return did(http.StatusOK, message("Rotating the credential %s.", name), "credential.rotate "+d.name+" "+name)
}

func (s *Server) rotateAll(c call, d *database) answer {
	forced, _ := c.body["forced"].(bool)
	for _, x := range append([]*credential{nil}, d.credentials...) {
		s.rotate(d, x, forced, c.now)
	}
	return did(http.StatusOK, message("Rotating all credentials."), "credential.rotate "+d.name+" all")
}

// rotate gives a credential a new password, and with it a new value and a
// release to every app that has it attached. Unless it is forced, the old
// password works until no current release holds it.
func (s *Server) rotate(d *database, x *credential, forced bool, now time.Time) {
	var touched []*attachment
	for _, t := range s.state.of(d) {
		name, custom := strings.CutPrefix(t.namespace, asCredential)
		if x == nil && !custom || x != nil && custom && name == x.name {
			touched = append(touched, t)
			if !forced {
				d.rotating = append(d.rotating, t.url())
			}
		}
	}
	id := s.state.id("rotation")
	if x == nil {
		d.password, d.address = "pw"+id[:12], ""
	} else {
		x.password = "pw" + id[:12]
	}
	if forced {
		d.endSessions(now)
	}
	for _, t := range touched {
		s.release(t.app, "Update "+t.name+" (@ref:"+d.name+")", s.state.vars(t.app, now), now)
	}
}

// getPooling says whether connections can be pooled.
func (s *Server) getPooling(c call, d *database) answer {
	return ok(map[string]any{"status": "available", "message": "Connection pooling is available."})
}

// attachPooler makes an attachment to the database's pooler.
func (s *Server) attachPooler(c call, d *database) answer {
	a := s.state.app(identity(c.body["app"]))
	switch {
	case a == nil:
		return no(http.StatusNotFound, "not_found", "Not found.")
	case d.tier() == "essential":
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "You can't perform this operation on Essential-tier databases.")
	case c.text("credential") != "default":
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "Only the default credential can be pooled.")
	}
	name := c.text("name")
	if name == "" {
		name = "DATABASE_CONNECTION_POOL"
	}
	if s.state.named(a, name) != nil {
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "%s is already in use on %s.", name, a.name)
	}
	return s.newAttachment(c, a, d, name, asPooler)
}
