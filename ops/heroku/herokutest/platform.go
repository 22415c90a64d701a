package herokutest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	owner   = "ops@acme.example"
	ownerID = "01234567-89ab-4def-8123-456789abcdef"
)

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func ref(id, name string) map[string]any { return map[string]any{"id": id, "name": name} }

func (a *app) ref() map[string]any { return ref(a.id, a.name) }

func (s *Server) account(c call) answer {
	return ok(map[string]any{
		"id": ownerID, "email": owner, "name": "Acme Ops", "verified": true, "beta": false, "allow_tracking": false,
		"two_factor_authentication": true, "created_at": stamp(s.started), "updated_at": stamp(s.started), "last_login": stamp(s.started),
		"delinquent_at": nil, "suspended_at": nil, "default_organization": nil, "default_team": nil, "identity_provider": nil, "sms_number": nil,
		"federated": false, "acknowledged_msa": false, "acknowledged_msa_at": nil, "country_of_residence": nil, "italian_customer_terms": nil, "italian_partner_terms": nil,
	})
}

func (s *Server) rateLimits(c call) answer {
	return ok(map[string]any{"remaining": max(0, int(s.tokens(c.now).left))})
}

func (s *Server) listApps(c call) answer {
	out := []any{}
	for _, a := range s.state.apps {
		out = append(out, s.appJSON(a))
	}
	return page(c, out, "name")
}

func (s *Server) appJSON(a *app) map[string]any {
	released := a.created
	if n := len(a.releases); n > 0 {
		released = a.releases[n-1].created
	}
	team := any(nil)
	if a.team != "" {
		team = ref(fixedID("team "+a.team), a.team)
	}
	return map[string]any{
		"id": a.id, "name": a.name, "maintenance": a.maintenance, "acm": false, "archived_at": nil, "buildpack_provided_description": "Ruby",
		"build_stack": ref(fixedID("stack"), "heroku-24"), "stack": ref(fixedID("stack"), "heroku-24"), "created_at": stamp(a.created), "updated_at": stamp(a.created), "released_at": stamp(released),
		"git_url": "https://git.heroku.com/" + a.name + ".git", "web_url": s.cfg.BaseURL + "/_web/" + a.name + "/", "internal_routing": nil,
		"owner": map[string]any{"id": ownerID, "email": cmp.Or(a.ownedBy, owner)}, "organization": nil, "team": team, "space": nil,
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

// setVars sets config vars and removes those that are null. It makes a release;
// what belongs to an attachment is not changed this way.
func (s *Server) setVars(c call, a *app) answer {
	keys := slices.Sorted(maps.Keys(c.body))
	for _, k := range keys {
		if s.state.named(a, strings.TrimSuffix(k, "_URL")) != nil && strings.HasSuffix(k, "_URL") {
			return invalid("Cannot overwrite attachment values %s.", k)
		}
		if v := c.body[k]; v != nil {
			if _, text := v.(string); !text {
				return invalid("Config var values must be strings.")
			}
		}
	}
	var set, unset []string
	for _, k := range keys {
		if v, given := c.body[k].(string); given {
			a.vars[k] = v
			set = append(set, k)
		} else if _, there := a.vars[k]; there {
			delete(a.vars, k)
			unset = append(unset, k)
		}
	}
	described := []string{}
	if len(set) > 0 {
		described = append(described, "Set "+strings.Join(set, ", ")+" config vars")
	}
	if len(unset) > 0 {
		described = append(described, "Remove "+strings.Join(unset, ", ")+" config vars")
	}
	vars := s.state.vars(a, c.now)
	if len(described) == 0 {
		return ok(vars)
	}
	s.release(a, strings.Join(described, ", "), vars, c.now)
	return did(http.StatusOK, vars, "config.change "+a.name+" "+strings.Join(append(set, unset...), " "))
}
