package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDeploymentFiles belong together: what the buildpack installs is what the
// Procfile starts, and the button asks for settings that the program reads.
func TestDeploymentFiles(t *testing.T) {
	if got, want := file(t, "Procfile"), "release: bin/pgupgrade migrate\nworker: bin/pgupgrade serve\n"; got != want {
		t.Errorf("Procfile is %q, want %q", got, want)
	}
	mod := file(t, "go.mod")
	_, version, _ := strings.Cut(mod, "\ngo ")
	version, _, _ = strings.Cut(version, "\n")
	for _, want := range []string{"\n// +heroku install ./cmd/pgupgrade\n", "\n// +heroku goVersion go" + version + "\n"} {
		if !strings.Contains(mod, want) {
			t.Errorf("go.mod lacks %q", want)
		}
	}
	var app struct {
		Env map[string]struct {
			Description string
			Required    *bool
			Value       string
		}
		Addons    []struct{ Plan string }
		Formation map[string]struct{ Quantity int }
	}
	if err := json.Unmarshal([]byte(file(t, "app.json")), &app); err != nil {
		t.Fatal(err)
	}
	if len(app.Addons) != 1 || app.Formation["worker"].Quantity != 1 {
		t.Errorf("app.json: add-ons %+v, formation %+v", app.Addons, app.Formation)
	}
	env := map[string]string{"DATABASE_URL": "postgres://u:p@h/db", "DYNO": "worker.1"}
	source := file(t, "cmd/pgupgrade/config.go")
	for name, e := range app.Env {
		if !strings.Contains(source, `getenv("`+name+`")`) {
			t.Errorf("app.json asks for %s, which the program does not read", name)
		}
		if e.Description == "" {
			t.Errorf("app.json: what is %s?", name)
		}
		if e.Required == nil || *e.Required {
			env[name] = map[string]string{"SLACK_APP_TOKEN": "xapp-1", "SLACK_BOT_TOKEN": "xoxb-1", "PGUPGRADE_CHANNEL": "C1", "HEROKU_API_KEY": "k", "PGUPGRADE_TIMEZONE": e.Value}[name]
		}
	}
	if _, err := load(func(k string) string { return env[k] }, "state", needs{slack: true, heroku: true}); err != nil {
		t.Errorf("what the button asks for is not enough: %v", err)
	}
}
