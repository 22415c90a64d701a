package herokutest

import "strings"

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
	return page(c, out)
}
