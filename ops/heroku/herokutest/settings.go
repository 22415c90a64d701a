package herokutest

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// link makes another data store readable from a database.
type link struct {
	id, name, target string
	created          time.Time
}

func (s *Server) linkJSON(x *link) map[string]any {
	remote := map[string]any{"name": x.target, "attachment_name": ""}
	if d := s.state.database(x.target); d != nil {
		if all := s.state.of(d); len(all) > 0 {
			remote["attachment_name"] = all[0].name
		}
	}
	return map[string]any{"id": x.id, "name": x.name, "remote": remote, "created_at": stamp(x.created)}
}

func (s *Server) listLinks(c call, d *database) answer {
	out := []any{}
	for _, x := range d.links {
		out = append(out, s.linkJSON(x))
	}
	return ok(out)
}

func (s *Server) createLink(c call, d *database) answer {
	target := s.state.database(c.text("target"))
	switch {
	case d.tier() == "essential":
		return unprocessable("Links aren't available for Essential-tier databases.")
	case target == nil:
		return no(http.StatusNotFound, "not_found", "Couldn't find the data store to link.")
	}
	name := c.text("as")
	if name == "" {
		name = target.name
	}
	for _, x := range d.links {
		if x.name == name {
			return unprocessable("A link named %s already exists.", name)
		}
	}
	x := &link{id: s.state.id("link"), name: name, target: target.name, created: c.now}
	d.links = append(d.links, x)
	return did(http.StatusCreated, s.linkJSON(x), "link.create "+d.name+" "+name)
}

func (s *Server) deleteLink(c call, d *database) answer {
	for i, x := range d.links {
		if x.name == c.PathValue("link") || x.id == c.PathValue("link") {
			body := s.linkJSON(x)
			d.links = slices.Delete(d.links, i, i+1)
			return did(http.StatusOK, body, "link.destroy "+d.name+" "+x.name)
		}
	}
	return no(http.StatusNotFound, "not_found", "Couldn't find that link.")
}

// setting is one that pg:settings shows and changes (heroku/cli
// src/commands/pg/settings). Choices hold what each value means.
type setting struct {
	desc     string
	standard any
	choices  map[string]any
}

var settings = map[string]setting{
	"log_lock_waits":              {"Log when a session waits longer than the deadlock timeout for a lock", true, nil},
	"log_connections":             {"Log each connection that succeeds", true, nil},
	"log_min_duration_statement":  {"Log statements that take at least so many milliseconds", float64(2000), nil},
	"log_statement":               {"Which statements to log", "ddl", map[string]any{"none": "No statements will be logged.", "ddl": "All data definition statements will be logged.", "mod": "Data definition and data-modifying statements will be logged.", "all": "All statements will be logged."}},
	"log_min_error_statement":     {"Log statements that cause an error of at least this severity", "error", map[string]any{"error": "Statements that cause an error will be logged.", "log": "Statements that cause a log message will be logged.", "fatal": "Statements that cause a fatal error will be logged.", "panic": "Statements that cause a panic will be logged."}},
	"track_functions":             {"Count calls of functions", "none", map[string]any{"none": "No functions will be tracked.", "pl": "Only procedural language functions will be tracked.", "all": "All functions will be tracked."}},
	"auto_explain":                {"Log the plans of slow statements", false, nil},
	"data_connector_details_logs": {"Log details of replication slots", false, nil},
}

func (s *Server) getSettings(c call, d *database) answer {
	if d.tier() == "essential" {
		return unprocessable("You can't perform this operation on Essential-tier databases.")
	}
	out := map[string]any{}
	for key, x := range settings {
		value, changed := d.settings[key]
		if !changed {
			value = x.standard
		}
		one := map[string]any{"value": value, "desc": x.desc, "default": x.standard}
		if x.choices != nil {
			one["values"] = x.choices
		}
		out[key] = one
	}
	return ok(out)
}

func (s *Server) patchSettings(c call, d *database) answer {
	effect := "settings.change " + d.name
	for _, key := range slices.Sorted(maps.Keys(c.body)) {
		x, known := settings[key]
		value := c.body[key]
		word, _ := value.(string)
		switch {
		case !known:
			return unprocessable("There is no setting %q.", key)
		case x.choices != nil && x.choices[word] == nil:
			return unprocessable("%v is not a valid value of %s.", value, key)
		case x.choices == nil && kindOf(value) != kindOf(x.standard):
			return unprocessable("%v is not a valid value of %s.", value, key)
		}
		effect += " " + key
	}
	if d.tier() != "essential" {
		if d.settings == nil {
			d.settings = map[string]any{}
		}
		maps.Copy(d.settings, c.body)
	}
	a := s.getSettings(c, d)
	if a.status == http.StatusOK {
		a.effect = effect
	}
	return a
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "bool"
	case float64:
		return "number"
	}
	return "text"
}
