package heroku_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// validator passes requests on and checks each successful answer of the platform
// against the schema that Heroku publishes, as heroku-go carries it.
type validator struct {
	next     http.Handler
	links    []link
	compiler *jsonschema.Compiler

	mu       sync.Mutex
	checked  map[string]int
	problems []string
}

// link is one call of the schema.
type link struct {
	method string
	path   *regexp.Regexp
	at     string // where its answer's schema is
	href   string
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

func newValidator(t *testing.T, next http.Handler) *validator {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/heroku/heroku-go/v5").Output()
	if err != nil {
		t.Fatalf("find heroku-go: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	root := doc.(map[string]any)
	strict(root)
	deviate(root["definitions"].(map[string]any))
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	c.AssertFormat()
	if err := c.AddResource("schema.json", root); err != nil {
		t.Fatal(err)
	}
	v := &validator{next: next, compiler: c, checked: map[string]int{}}
	for name, d := range root["definitions"].(map[string]any) {
		all, _ := d.(map[string]any)["links"].([]any)
		for i, l := range all {
			x := l.(map[string]any)
			href, err := url.PathUnescape(x["href"].(string))
			if err != nil {
				t.Fatal(err)
			}
			at := "schema.json#/definitions/" + name
			if x["targetSchema"] != nil {
				at += "/links/" + itoa(i) + "/targetSchema"
			}
			v.links = append(v.links, link{x["method"].(string), pathOf(href), at, href})
		}
	}
	return v
}

func itoa(n int) string {
	b, _ := json.Marshal(n) // a number always encodes
	return string(b)
}

func pathOf(href string) *regexp.Regexp {
	parts := parameter.Split(href, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, `[^/]+`) + "$")
}

// strict gives Heroku's word strictProperties its meaning: every property is
// there (interagent/prmd, docs/schemata.md).
func strict(v any) {
	switch x := v.(type) {
	case map[string]any:
		delete(x, "$schema") // a dialect that is draft 4 with more words
		if p, ok := x["properties"].(map[string]any); ok && x["strictProperties"] == true {
			var names []any
			for name := range p {
				names = append(names, name)
			}
			x["required"] = names
		}
		if all, ok := x["required"].([]any); ok && len(all) == 0 {
			delete(x, "required") // draft 4 allows no empty list
		}
		if p, ok := x["pattern"].(string); ok && strings.Contains(p, "(?!") {
			delete(x, "pattern") // of a space's name, which Go's syntax cannot say
		}
		// Links hold schemas of requests, and targets that refer to definitions.
		for _, child := range x {
			strict(child)
		}
	case []any:
		for _, child := range x {
			strict(child)
		}
	}
}

// deviate changes the schema where Heroku itself, or a stand-in that can be
// reached, does not keep to it.
func deviate(definitions map[string]any) {
	at := func(path ...string) map[string]any {
		v := any(definitions)
		for _, p := range path {
			v = v.(map[string]any)[p]
		}
		return v.(map[string]any)
	}
	// An app's address here is that of the stand-in.
	delete(at("app", "definitions", "web_url"), "pattern")
	// A delete that goes on is answered with 202 and this state (heroku/cli
	// src/lib/addons/destroy_addon.ts).
	state := at("add-on", "definitions", "state")
	state["enum"] = append(state["enum"].([]any), "deprovisioning")
	// Asked for with Accept-Inclusion (heroku/cli-util utils/pg/databases.ts).
	addon := at("add-on-attachment", "properties", "addon", "properties")
	addon["plan"] = map[string]any{"type": []any{"object"}}
}

func (v *validator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	v.next.ServeHTTP(rec, r)
	for k, h := range rec.Header() {
		w.Header()[k] = h
	}
	w.WriteHeader(rec.Code)
	body := rec.Body.Bytes()
	_, _ = w.Write(body) // the client went away
	if rec.Code/100 != 2 || r.Method != http.MethodGet && len(body) == 0 {
		return
	}
	if published(r.URL.Path) && !unpublishedPath(r.Method, r.URL.Path) {
		v.check(r, body)
	}
}

// published reports whether a path is of the platform: the Data API has no
// published schema.
func published(path string) bool {
	for _, other := range []string{"/client/", "/postgres/", "/data/", "/_web/"} {
		if strings.HasPrefix(path, other) {
			return false
		}
	}
	return true
}

// unpublishedPath reports whether a request is to one of the routes that the
// published schema does not have.
func unpublishedPath(method, path string) bool {
	for route := range unpublished {
		m, pattern, _ := strings.Cut(route, " ")
		if m == method && pathOf(pattern).MatchString(path) {
			return true
		}
	}
	return false
}

// count is how many answers were checked.
func (v *validator) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, k := range v.checked {
		n += k
	}
	return n
}

func (v *validator) check(r *http.Request, body []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range v.links {
		if l.method != r.Method || !l.path.MatchString(r.URL.Path) {
			continue
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err == nil {
			var s *jsonschema.Schema
			if s, err = v.compiler.Compile(l.at); err == nil {
				err = s.Validate(doc)
			}
		}
		v.checked[l.method+" "+l.href]++
		if err != nil {
			v.problems = append(v.problems, r.Method+" "+r.URL.Path+": "+err.Error())
		}
		return
	}
	v.problems = append(v.problems, "no call of the schema is "+r.Method+" "+r.URL.Path)
}

// report fails the test with what did not fit, and when fewer answers than
// expected were checked.
func (v *validator) report(t *testing.T, atLeast int) {
	t.Helper()
	n := v.count()
	v.mu.Lock()
	defer v.mu.Unlock()
	if n < atLeast {
		t.Errorf("only %d answers were checked, want at least %d", n, atLeast)
	}
	t.Logf("checked %d answers of %d calls against the schema", n, len(v.checked))
	seen := map[string]bool{}
	for _, p := range v.problems {
		if !seen[p] {
			seen[p] = true
			t.Error(p)
		}
	}
}
