package heroku_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// example is one request to a route of the stand-in that must succeed.
type example struct {
	route string
	path  string
	body  any
}

type fields = map[string]any

// examples reach every route of the platform, in an order in which each finds
// what it needs.
var examples = []example{
	{"GET /account", "/account", nil},
	{"GET /account/rate-limits", "/account/rate-limits", nil},
	{"GET /apps", "/apps", nil},
	{"GET /apps/{app}", "/apps/orders", nil},
	{"PATCH /apps/{app}", "/apps/orders", fields{"maintenance": true}},
	{"GET /apps/{app}/collaborators/{account}", "/apps/orders/collaborators/ops@acme.example", nil},
	{"GET /apps/{app}/config-vars", "/apps/orders/config-vars", nil},
	{"PATCH /apps/{app}/config-vars", "/apps/orders/config-vars", fields{"MODE": "quiet", "RACK_ENV": nil}},
	{"GET /apps/{app}/formation", "/apps/orders/formation", nil},
	{"GET /apps/{app}/formation/{type}", "/apps/orders/formation/web", nil},
	{"PATCH /apps/{app}/formation", "/apps/orders/formation", fields{"updates": []any{fields{"type": "web", "quantity": "+1"}, fields{"type": "worker", "quantity": 2, "size": "standard-2X"}}}},
	{"PATCH /apps/{app}/formation/{type}", "/apps/orders/formation/worker", fields{"quantity": 1}},
	{"GET /apps/{app}/dynos", "/apps/orders/dynos", nil},
	{"GET /apps/{app}/dynos/{dyno}", "/apps/orders/dynos/web.1", nil},
	{"POST /apps/{app}/dynos", "/apps/orders/dynos", fields{"command": "rake"}},
	{"POST /apps/{app}/dynos/{dyno}/actions/stop", "/apps/orders/dynos/web.2/actions/stop", nil},
	{"POST /apps/{app}/formations/{type}/actions/stop", "/apps/orders/formations/run/actions/stop", nil},
	{"DELETE /apps/{app}/dynos", "/apps/orders/dynos", nil},
	{"DELETE /apps/{app}/dynos/{dyno}", "/apps/orders/dynos/web.1", nil},
	{"DELETE /apps/{app}/formations/{type}", "/apps/orders/formations/worker", nil},
	{"GET /apps/{app}/releases", "/apps/orders/releases", nil},
	{"GET /apps/{app}/releases/{release}", "/apps/orders/releases/42", nil},
	{"GET /apps/{app}/releases/{release}/config-vars", "/apps/orders/releases/42/config-vars", nil},
	{"POST /apps/{app}/releases", "/apps/orders/releases", fields{"release": "42"}},
	{"GET /apps/{app}/builds", "/apps/orders/builds", nil},
	{"GET /apps/{app}/features", "/apps/orders/features", nil},
	{"GET /addon-services/heroku-postgresql/plans", "/addon-services/heroku-postgresql/plans", nil},
	{"GET /addons", "/addons", nil},
	{"GET /addons/{addon}", "/addons/postgresql-curved-41822", nil},
	{"GET /apps/{app}/addons", "/apps/orders/addons", nil},
	{"GET /apps/{app}/addons/{addon}", "/apps/orders/addons/postgresql-curved-41822", nil},
	{"POST /apps/{app}/addons", "/apps/orders/addons", fields{"plan": "heroku-postgresql:standard-0", "name": "made", "config": fields{"follow": "DATABASE"}, "attachment": fields{}}},
	{"POST /addon-attachments", "/addon-attachments", fields{"addon": "postgresql-curved-41822", "app": "orders", "name": "SPARE"}},
	{"GET /addon-attachments", "/addon-attachments", nil},
	{"GET /addon-attachments/{id}", "/addon-attachments/{spare}", nil},
	{"GET /apps/{app}/addon-attachments", "/apps/orders/addon-attachments", nil},
	{"GET /apps/{app}/addon-attachments/{name}", "/apps/orders/addon-attachments/SPARE", nil},
	{"GET /addons/{addon}/addon-attachments", "/addons/postgresql-curved-41822/addon-attachments", nil},
	{"GET /addons/{addon}/config/{namespace}", "/addons/postgresql-curved-41822/config/credential:reader", nil},
	{"POST /actions/addons/resolve", "/actions/addons/resolve", fields{"addon": "DATABASE_URL", "app": "orders"}},
	{"POST /actions/addon-attachments/resolve", "/actions/addon-attachments/resolve", fields{"addon_attachment": "DATABASE", "app": "orders"}},
	{"DELETE /addon-attachments/{id}", "/addon-attachments/{spare}", nil},
	{"DELETE /apps/{app}/addons/{addon}", "/apps/orders/addons/made", fields{"force": false}},
}

// unpublished are routes that the CLI calls and the published schema does not
// have; their answers are checked against what the CLI reads of them.
var unpublished = map[string]string{
	"GET /addons/{addon}/config/{namespace}":          `{"type": "array", "items": {"type": "object", "required": ["name", "value"], "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}}`, // src/commands/addons/attach.ts
	"POST /apps/{app}/formations/{type}/actions/stop": `{"type": "object", "additionalProperties": false}`,                                                                                                      // src/commands/ps/stop.ts reads none
	"DELETE /apps/{app}/formations/{type}":            `{"type": "object", "additionalProperties": false}`,                                                                                                      // src/commands/ps/restart.ts reads none
}

// TestEveryRouteKeepsToTheSchema: every route of the platform that the stand-in
// serves is called, and its answer checked. A route without an example fails.
func TestEveryRouteKeepsToTheSchema(t *testing.T) {
	w := open(t)
	check(t, w.stand.Stage("deploy", "orders", ""))
	check(t, w.stand.Stage("credential", "postgresql-curved-41822", "reader"))
	reached := map[string]bool{}
	spare := ""
	for _, x := range examples {
		method, pattern, _ := strings.Cut(x.route, " ")
		path := strings.ReplaceAll(x.path, "{spare}", spare)
		if !pathOf(pattern).MatchString(path) {
			t.Errorf("%s is no example of %s", path, x.route)
		}
		before := w.valid.count()
		var answer any
		resp := w.send(t, method, path, x.body, &answer, "Accept-Inclusion", "addon:plan,config_vars")
		if resp.StatusCode/100 != 2 {
			t.Errorf("%s: HTTP %d: %v", x.route, resp.StatusCode, answer)
			continue
		}
		if schema, ok := unpublished[x.route]; ok {
			conforms(t, x.route, schema, answer)
		} else if w.valid.count() != before+1 {
			t.Errorf("%s: its answer was not checked", x.route)
		}
		if list, ok := answer.([]any); ok && len(list) == 0 {
			t.Errorf("%s: the list is empty, so nothing in it was checked", x.route)
		}
		reached[x.route] = true
		if a, ok := answer.(map[string]any); ok && a["name"] == "SPARE" {
			spare = fmt.Sprint(a["id"])
		}
	}
	for _, route := range w.stand.Routes() {
		if _, path, _ := strings.Cut(route, " "); published(path) && !reached[route] {
			t.Errorf("%s has no example, so nothing checks its answer", route)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(reached)) {
		if !slices.Contains(w.stand.Routes(), route) {
			t.Errorf("%s is no route any more", route)
		}
		note := ""
		if unpublished[route] != "" {
			note = "  (not in the published schema: against what the CLI reads)"
		}
		t.Logf("checked %s%s", route, note)
	}
	w.valid.report(t, len(examples)-len(unpublished))
}

// conforms checks an answer against a schema of our own.
func conforms(t *testing.T, route, schema string, answer any) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("own.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("own.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(answer); err != nil {
		t.Errorf("%s: %v", route, err)
	}
}

// TestTheValidatorCanFail: an answer that lacks a property, or has one of the
// wrong kind, is found.
func TestTheValidatorCanFail(t *testing.T) {
	for name, body := range map[string]string{
		"a property is missing": `{"remaining": "many"}`,
		"another shape":         `[1]`,
	} {
		v := newValidator(t, http.NotFoundHandler())
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/account/rate-limits", nil)
		if err != nil {
			t.Fatal(err)
		}
		if v.check(req, []byte(body)); len(v.problems) == 0 {
			t.Errorf("%s: %s passes", name, body)
		}
	}
}
