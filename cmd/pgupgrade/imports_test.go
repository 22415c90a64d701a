package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pgupgrade/pgupgrade/"

// may lists what each package of the module may import of the module. A package
// that is not listed fails the test: whoever adds one decides where it belongs.
var may = map[string][]string{
	"ops":                   {},
	"ops/check":             {"ops"},
	"ops/upgrade":           {"ops", "ops/check"},
	"ops/engine":            {"ops"},
	"ops/store":             {"ops"},
	"ops/health":            {"ops"},
	"ops/heroku":            {"ops"},
	"ops/heroku/herokutest": {},
	"ops/pg":                {"ops"},
	"ops/pg/pgtest":         {},

	"ops/heroku/herokutest/clusters": {"ops/heroku/herokutest", "ops/pg/cluster"},
	"ops/pg/cluster":                 {},

	"bot":                 {"ops", "bot/slack"},
	"bot/slack":           {"ops"},
	"bot/slack/slacktest": {},
	"cmd/pgupgrade":       {"bot", "bot/slack", "ops", "ops/check", "ops/engine", "ops/health", "ops/heroku", "ops/pg", "ops/store", "ops/upgrade"},
	"cmd/sandbox":         {"bot/slack/slacktest", "ops/heroku/herokutest", "ops/heroku/herokutest/clusters", "ops/pg/cluster"},
}

// only lists the packages that alone may import a library.
var only = map[string][]string{
	"github.com/dbos-inc/dbos-transact-golang": {"ops/engine"},
	"github.com/heroku/heroku-go":              {"ops/heroku"},
	"github.com/slack-go/slack":                {"bot", "bot/slack"},
	"github.com/robfig/cron":                   {"bot"},
	"modernc.org/sqlite":                       {"ops/store"},
	"github.com/gorilla/websocket":             {"bot/slack/slacktest"},
}

func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestArrows keeps the arrows between packages as ARCHITECTURE.md draws them.
func TestArrows(t *testing.T) {
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...") {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(fields[0], module)
		allowed, ok := may[name]
		if !ok {
			t.Errorf("%s is not in the list of packages; say what it may import", name)
			continue
		}
		for _, x := range fields[1:] {
			if own, ok := strings.CutPrefix(x, module); ok {
				if !slices.Contains(allowed, own) {
					t.Errorf("%s imports %s", name, own)
				}
				continue
			}
			if name == "ops" && strings.Contains(strings.Split(x, "/")[0], ".") {
				t.Errorf("ops imports %s; it is to import the standard library only", x)
			}
			for library, by := range only {
				if strings.HasPrefix(x, library) && !slices.Contains(by, name) {
					t.Errorf("%s imports %s, which is for %v alone", name, x, by)
				}
			}
		}
	}
}

// TestTheProgramHoldsNoStandIn and nothing that is for tests.
func TestTheProgramHoldsNoStandIn(t *testing.T) {
	for _, x := range list(t, "-deps", module+"cmd/pgupgrade") {
		if x == "testing" || strings.HasPrefix(x, module) && strings.HasSuffix(x, "test") || strings.HasPrefix(x, module+"cmd/sandbox") {
			t.Errorf("the production program links %s", x)
		}
	}
}
