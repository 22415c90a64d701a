package herokutest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const owner = "ops@acme.example"

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func ref(id, name string) map[string]any { return map[string]any{"id": id, "name": name} }

func (a *app) ref() map[string]any { return ref(a.id, a.name) }

func (s *Server) account(c call) answer {
	return ok(map[string]any{
		"id": "01234567-89ab-4def-8123-456789abcdef", "email": owner, "name": "Acme Ops", "verified": true, "beta": false, "allow_tracking": false,
		"two_factor_authentication": true, "created_at": stamp(s.started), "updated_at": stamp(s.started), "last_login": stamp(s.started),
		"delinquent_at": nil, "suspended_at": nil, "default_organization": nil, "default_team": nil, "identity_provider": nil, "sms_number": nil,
		"federated": false, "acknowledged_msa": false, "acknowledged_msa_at": nil, "country_of_residence": nil, "italian_customer_terms": nil, "italian_partner_terms": nil,
	})
}

func (s *Server) rateLimits(c call) answer {
	left := 4500
	if b := s.limits["platform"]; b != nil {
		left = int(b.left)
	}
	return ok(map[string]any{"remaining": left})
}

func (s *Server) listApps(c call) answer {
	out := []any{}
	for _, a := range s.state.apps {
		out = append(out, s.appJSON(a))
	}
	return ok(out)
}

func (s *Server) appJSON(a *app) map[string]any {
	released := a.created
	if n := len(a.releases); n > 0 {
		released = a.releases[n-1].created
	}
	return map[string]any{
		"id": a.id, "name": a.name, "maintenance": a.maintenance, "acm": false, "archived_at": nil, "buildpack_provided_description": "Ruby",
		"build_stack": ref(fixedID("stack"), "heroku-24"), "stack": ref(fixedID("stack"), "heroku-24"), "created_at": stamp(a.created), "updated_at": stamp(a.created), "released_at": stamp(released),
		"git_url": "https://git.heroku.com/" + a.name + ".git", "web_url": s.cfg.BaseURL + "/_web/" + a.name + "/", "internal_routing": nil,
		"owner": map[string]any{"id": "01234567-89ab-4def-8123-456789abcdef", "email": owner}, "organization": nil, "team": nil, "space": nil,
		"region": ref("59accabd-516d-4f0e-83e6-6e3757701145", "us"), "repo_size": 0, "slug_size": 0,
	}
}

func (s *Server) getApp(c call, a *app) answer { return ok(s.appJSON(a)) }

func (s *Server) patchApp(c call, a *app) answer {
	on, given := c.body["maintenance"].(bool)
	if !given {
		return ok(s.appJSON(a))
	}
	effect := ""
	if a.maintenance != on {
		effect = map[bool]string{true: "maintenance.on", false: "maintenance.off"}[on]
	}
	a.maintenance = on
	return did(http.StatusOK, s.appJSON(a), effect)
}

func (s *Server) configVars(c call, a *app) answer { return ok(s.state.vars(a, c.now)) }

func (s *Server) processJSON(a *app, p *process) map[string]any {
	return map[string]any{"id": p.id, "type": p.kind, "quantity": p.quantity, "size": p.size, "dyno_size": ref(p.size, p.size), "command": p.command,
		"app": a.ref(), "created_at": stamp(a.created), "updated_at": stamp(a.created)}
}

func (s *Server) getFormation(c call, a *app) answer {
	out := []any{}
	for _, p := range a.formation {
		out = append(out, s.processJSON(a, p))
	}
	return ok(out)
}

func (s *Server) patchFormation(c call, a *app) answer {
	updates, _ := c.body["updates"].([]any)
	out, effect := []any{}, ""
	for _, u := range updates {
		m, _ := u.(map[string]any)
		kind, _ := m["type"].(string)
		p := a.process(kind)
		if p == nil {
			return notFound("process_type")
		}
		was := p.quantity
		if bad := s.rescale(a, p, m["quantity"], c.now); bad != nil {
			return *bad
		}
		if p.quantity != was {
			effect += " " + p.kind + "=" + strconv.Itoa(p.quantity)
		}
		out = append(out, s.processJSON(a, p))
	}
	if effect != "" {
		effect = "formation.scale" + effect
	}
	return did(http.StatusOK, out, effect)
}

func (s *Server) patchProcess(c call, a *app) answer {
	p := a.process(c.PathValue("type"))
	if p == nil {
		return notFound("process_type")
	}
	if bad := s.rescale(a, p, c.body["quantity"], c.now); bad != nil {
		return *bad
	}
	return did(http.StatusOK, s.processJSON(a, p), "formation.scale "+p.kind+"="+strconv.Itoa(p.quantity))
}

// rescale takes a number, a number as text as the CLI sends it, or a change
// such as "+1".
func (s *Server) rescale(a *app, p *process, quantity any, now time.Time) *answer {
	n := p.quantity
	switch q := quantity.(type) {
	case float64:
		n = int(q)
	case string:
		v, err := strconv.Atoi(q)
		if err != nil {
			bad := no(http.StatusUnprocessableEntity, "invalid_params", "Invalid quantity %q.", q)
			return &bad
		}
		if strings.HasPrefix(q, "+") || strings.HasPrefix(q, "-") {
			v += p.quantity
		}
		n = v
	case nil:
	}
	if n < 0 || n > 100 {
		bad := no(http.StatusUnprocessableEntity, "invalid_params", "Quantity must be between 0 and 100.")
		return &bad
	}
	s.scale(a, p, n, now)
	return nil
}

func (s *Server) listDynos(c call, a *app) answer {
	out := []any{}
	for _, d := range a.dynos {
		out = append(out, s.dynoJSON(a, d, c.now))
	}
	return ok(out)
}

func (s *Server) dynoJSON(a *app, d *dyno, now time.Time) map[string]any {
	state := "starting"
	if d.up(now, s.cfg.Times.DynoStart) {
		state = "up"
	}
	r := map[string]any{"id": "", "version": 0}
	if cur := a.current(); cur != nil {
		r = map[string]any{"id": cur.id, "version": cur.version}
	}
	return map[string]any{"id": d.id, "name": d.name, "type": d.kind, "state": state, "size": "standard-1X", "command": d.command, "attach_url": nil,
		"app": a.ref(), "release": r, "created_at": stamp(d.started), "updated_at": stamp(d.started)}
}

func (s *Server) createDyno(c call, a *app) answer {
	command, _ := c.body["command"].(string)
	return did(http.StatusCreated, s.dynoJSON(a, s.addDyno(a, "run", command, c.now), c.now), "dyno.create")
}

func (s *Server) addDyno(a *app, kind, command string, now time.Time) *dyno {
	s.state.ids++
	d := &dyno{id: s.state.id("dyno"), name: kind + "." + strconv.Itoa(1000+s.state.ids), kind: kind, command: command, started: now}
	a.dynos = append(a.dynos, d)
	return d
}

func (s *Server) stopDyno(c call, a *app) answer {
	for _, d := range a.dynos {
		if d.name == c.PathValue("dyno") || d.id == c.PathValue("dyno") {
			d.stops = c.now.Add(s.cfg.Times.DynoStop)
			return did(http.StatusAccepted, map[string]any{}, "dyno.stop "+d.name)
		}
	}
	return notFound("dyno")
}

func (s *Server) releaseJSON(a *app, r *release) map[string]any {
	return map[string]any{"id": r.id, "version": r.version, "description": r.description, "status": r.status, "current": r == a.current(), "app": a.ref(),
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "user": map[string]any{"id": "01234567-89ab-4def-8123-456789abcdef", "email": owner},
		"slug": map[string]any{"id": "01234567-89ab-4def-8123-456789abcd00"}, "output_stream_url": nil, "addon_plan_names": []any{}, "eligible_for_rollback": true}
}

func (s *Server) listReleases(c call, a *app) answer {
	out := []any{}
	for _, r := range a.releases {
		out = append(out, s.releaseJSON(a, r))
	}
	return page(c, out)
}

// page answers as much of a list as the Range header asks for
// ("version ..; max=5, order=desc"): 206 with Next-Range when there is more.
func page(c call, all []any) answer {
	most, start := 200, 0
	_, options, _ := strings.Cut(c.Header.Get("Range"), ";")
	for _, o := range strings.Split(options, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(o), "=")
		switch n, _ := strconv.Atoi(v); {
		case k == "max" && n > 0:
			most = min(n, 1000)
		case k == "order" && v == "desc":
			all = slices.Clone(all)
			slices.Reverse(all)
		}
	}
	if _, from, ok := strings.Cut(c.Header.Get("Range"), "]"); ok { // "id ]3..": what Next-Range said
		n, _, _ := strings.Cut(from, "..")
		start, _ = strconv.Atoi(n)
		start = min(max(start, 0), len(all))
	}
	end := min(start+most, len(all))
	a := ok(all[start:end])
	if end < len(all) {
		a.status = http.StatusPartialContent
		order := ""
		if strings.Contains(options, "order=desc") {
			order = ", order=desc"
		}
		a.header = http.Header{"Next-Range": {"id ]" + strconv.Itoa(end) + "..; max=" + strconv.Itoa(most) + order}}
	}
	return a
}

func (s *Server) findRelease(c call, a *app) *release {
	for _, r := range a.releases {
		if r.id == c.PathValue("release") || strconv.Itoa(r.version) == c.PathValue("release") {
			return r
		}
	}
	return nil
}

func (s *Server) getRelease(c call, a *app) answer {
	if r := s.findRelease(c, a); r != nil {
		return ok(s.releaseJSON(a, r))
	}
	return notFound("release")
}

func (s *Server) releaseVars(c call, a *app) answer {
	if r := s.findRelease(c, a); r != nil {
		return ok(r.vars)
	}
	return notFound("release")
}

func (s *Server) listBuilds(c call, a *app) answer {
	out := []any{}
	for _, b := range a.builds {
		status := "pending"
		if !c.now.Before(b.ends) {
			status = "succeeded"
		}
		out = append(out, map[string]any{"id": b.id, "status": status, "app": a.ref(), "created_at": stamp(b.created), "updated_at": stamp(b.created),
			"buildpacks": nil, "output_stream_url": s.cfg.BaseURL + "/", "release": nil, "slug": nil, "stack": "heroku-24",
			"source_blob": map[string]any{"checksum": nil, "url": "https://example.com/source.tgz", "version": nil, "version_description": nil},
			"user":        map[string]any{"id": "01234567-89ab-4def-8123-456789abcdef", "email": owner}})
	}
	return page(c, out)
}

func (s *Server) listFeatures(c call, a *app) answer {
	out := []any{}
	for name, on := range a.features {
		out = append(out, map[string]any{"id": fixedID("feature " + name), "name": name, "enabled": on, "doc_url": "https://devcenter.heroku.com", "description": name,
			"display_name": name, "feedback_email": owner, "state": "general", "created_at": stamp(a.created), "updated_at": stamp(a.created)})
	}
	return ok(out)
}
