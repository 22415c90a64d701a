package herokutest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// credential is a role of a database beside its default one. It is used by
// attaching the database with the namespace "credential:NAME".
type credential struct {
	id, name string
	active   time.Time // when it can be used
}

// prepares is how long a new credential takes to be usable.
const prepares = time.Second

// addCredential makes one in a database and so in its followers.
func (s *Server) addCredential(d *database, name string, active time.Time) error {
	if err := d.data.Credential(name); err != nil {
		return err
	}
	x := &credential{id: s.state.id("credential"), name: name, active: active}
	for _, m := range s.family(d) {
		m.credentials = append(m.credentials, x)
	}
	return nil
}

// family is a database and those that follow it: a physical copy has the roles.
func (s *Server) family(d *database) []*database {
	out := []*database{d}
	for _, f := range s.state.databases {
		if f.leader == d {
			out = append(out, f)
		}
	}
	return out
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
	if namespace == asPooler {
		return d.data.Pooler()
	}
	if x := d.credential(strings.TrimPrefix(namespace, asCredential)); x != nil {
		return d.data.URL(x.name)
	}
	return d.url()
}

// serves reports whether a connection URL leads to this database and is let in.
func (d *database) serves(at string) bool {
	main := d.url()
	if at == main {
		return true
	}
	if i := strings.LastIndexByte(at, '/'); i < 0 || !strings.HasSuffix(main, at[i:]) {
		return false // another database; the rest is slow
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
	id, name, state, at := d.id, "default", "active", d.url()
	if x != nil {
		id, name, at = x.id, x.name, d.data.URL(x.name)
		if now.Before(x.active) {
			state = "wait_for_provisioning"
		}
	}
	if len(d.rotating) > 0 {
		state = "rotating"
	}
	u := place(at)
	password, _ := u.User.Password()
	return map[string]any{"uuid": id, "name": name, "state": state, "database": strings.TrimPrefix(u.Path, "/"), "host": u.Hostname(), "port": port(u),
		"credentials": []any{map[string]any{"user": u.User.Username(), "password": password, "state": "active"}}}
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
	if err := s.addCredential(d, name, c.now.Add(prepares)); err != nil {
		return unprocessable("The credential %s could not be created: %s.", name, err)
	}
	return did(http.StatusCreated, message("Creating the credential %s.", name), "credential.create "+d.name+" "+name)
}

func (s *Server) deleteCredential(c call, d *database, x *credential) answer {
	if x == nil {
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "The default credential cannot be destroyed.")
	}
	if d.leader != nil {
		return unprocessable("You can't destroy credentials on a follower.")
	}
	for _, m := range s.family(d) {
		for _, t := range s.state.of(m) {
			if t.namespace == asCredential+x.name {
				return unprocessable("The credential %s is attached to %s; detach it first.", x.name, t.app.name)
			}
		}
	}
	if err := d.data.Revoke(x.name); err != nil {
		return unprocessable("The credential %s could not be destroyed: %s.", x.name, err)
	}
	for _, m := range s.family(d) {
		m.dropCredential(x.name)
	}
	return did(http.StatusOK, message("The credential %s has been destroyed.", x.name), "credential.destroy "+d.name+" "+x.name)
}

func (s *Server) rotateCredential(c call, d *database, x *credential) answer {
	forced, _ := c.body["forced"].(bool)
	if refused := s.rotate(d, x, forced, c.now); refused != nil {
		return *refused
	}
	name := "default"
	if x != nil {
		name = x.name
	}
	return did(http.StatusOK, message("Rotating the credential %s.", name), "credential.rotate "+d.name+" "+name)
}

func (s *Server) rotateAll(c call, d *database) answer {
	forced, _ := c.body["forced"].(bool)
	for _, x := range append([]*credential{nil}, d.credentials...) {
		if refused := s.rotate(d, x, forced, c.now); refused != nil {
			return *refused
		}
	}
	return did(http.StatusOK, message("Rotating all credentials."), "credential.rotate "+d.name+" all")
}

// rotate gives a credential a new password, and with it a new value and a
// release to every app that has it attached. Unless it is forced, the old
// password works until no current release holds it.
func (s *Server) rotate(d *database, x *credential, forced bool, now time.Time) *answer {
	refuse := func(a answer) *answer { return &a }
	role := ""
	if x != nil {
		role = x.name
	}
	if d.leader != nil {
		return refuse(unprocessable("You can't rotate credentials on a follower."))
	}
	var touched []*attachment
	var were []string
	for _, m := range s.family(d) {
		for _, t := range s.state.of(m) {
			name, custom := strings.CutPrefix(t.namespace, asCredential)
			if x == nil && !custom || x != nil && custom && name == x.name {
				touched, were = append(touched, t), append(were, t.url())
			}
		}
	}
	if err := d.data.Rotate(role, forced); err != nil {
		return refuse(unprocessable("The credential could not be rotated: %s.", err))
	}
	if forced {
		d.data.Reset(now)
	} else {
		for i, t := range touched {
			t.database.rotating = append(t.database.rotating, were[i])
		}
	}
	s.update(touched, now)
	return nil
}

// update makes the releases that new values of config vars make.
func (s *Server) update(all []*attachment, now time.Time) {
	for _, t := range all {
		s.release(t.app, "Update "+t.name+" (@ref:"+t.database.name+")", s.state.vars(t.app, now), now)
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
