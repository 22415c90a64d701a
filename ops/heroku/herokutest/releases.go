package herokutest

import (
	"net/http"
	"strconv"
	"strings"
)

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
	return page(c, out, "version")
}

// rollBackRelease makes a release of an old one's code and config vars. It
// never touches add-ons: what attachments make stays as it is now.
func (s *Server) rollBackRelease(c call, a *app) answer {
	for _, r := range a.releases {
		if want := c.text("release"); r.id == want || strconv.Itoa(r.version) == want {
			if r.status != "succeeded" {
				return invalid("v%d can't be rolled back to: it did not succeed.", r.version)
			}
			a.vars = map[string]string{}
			for k, v := range r.vars {
				if s.state.named(a, strings.TrimSuffix(k, "_URL")) == nil && s.byURL(v) == nil {
					a.vars[k] = v
				}
			}
			made := s.release(a, "Rollback to v"+strconv.Itoa(r.version), s.state.vars(a, c.now), c.now)
			return did(http.StatusCreated, s.releaseJSON(a, made), "release.rollback "+a.name+" v"+strconv.Itoa(r.version))
		}
	}
	return notFound("release")
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
	return page(c, out, "started_at")
}

func (s *Server) listFeatures(c call, a *app) answer {
	out := []any{}
	for name, on := range a.features {
		out = append(out, map[string]any{"id": fixedID("feature " + name), "name": name, "enabled": on, "doc_url": "https://devcenter.heroku.com", "description": name,
			"display_name": name, "feedback_email": owner, "state": "general", "created_at": stamp(a.created), "updated_at": stamp(a.created)})
	}
	return page(c, out, "name")
}
