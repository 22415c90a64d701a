package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// around is an environment with both stand-ins.
func around(t *testing.T, scopes ...string) map[string]string {
	t.Helper()
	_, _, env := standIns(t, scopes...)
	return env
}

func standIns(t *testing.T, scopes ...string) (*slacktest.Server, *herokutest.Server, map[string]string) {
	t.Helper()
	return standInsThatTake(t, herokutest.DefaultTimes(), scopes...)
}

func standInsThatTake(t *testing.T, times herokutest.Times, scopes ...string) (*slacktest.Server, *herokutest.Server, map[string]string) {
	t.Helper()
	s := slacktest.New(slacktest.Config{AppToken: "xapp-secret", BotToken: "xoxb-secret", Scopes: scopes})
	s.Acme()
	h := herokutest.New(herokutest.Config{Token: "key-secret", Speed: 20, Times: times})
	h.Acme()
	slackServer, herokuServer := httptest.NewServer(s.API()), httptest.NewServer(h.API())
	t.Cleanup(slackServer.Close)
	t.Cleanup(herokuServer.Close)
	s.SetBaseURL(slackServer.URL)
	h.SetBaseURL(herokuServer.URL)
	return s, h, map[string]string{
		"SLACK_APP_TOKEN": "xapp-secret", "SLACK_BOT_TOKEN": "xoxb-secret", "SLACK_API_URL": slackServer.URL + "/api/",
		"HEROKU_API_KEY": "key-secret", "HEROKU_HOST": herokuServer.URL, "PGUPGRADE_CHANNEL": "C1", "PGUPGRADE_APPROVERS": "U1,U2",
	}
}

// call runs the program and returns its exit code and all that it printed.
func call(t *testing.T, env map[string]string, args ...string) (int, string, string) {
	t.Helper()
	var out, errs strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code := run(ctx, args, func(k string) string { return env[k] }, &out, &errs)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Error("it did not end by itself")
	}
	if all := out.String() + errs.String(); strings.Contains(all, "-secret") {
		t.Errorf("printed a secret:\n%s", all)
	}
	return code, out.String(), errs.String()
}

// wrong is a wrong environment or a wrong word, and what is said to it.
var wrong = []struct {
	name   string
	args   []string
	change map[string]string
	scopes []string
	code   int
	says   []string
}{
	{"no command", nil, nil, nil, exitUsage, []string{"Usage:"}},
	{"unknown command", []string{"upgrade"}, nil, nil, exitUsage, []string{"no command \"upgrade\""}},
	{"unknown flag", []string{"serve", "--fast"}, nil, nil, exitUsage, []string{"-fast"}},
	{"everything missing is named at once", []string{"serve"}, map[string]string{"SLACK_APP_TOKEN": "", "SLACK_BOT_TOKEN": "", "HEROKU_API_KEY": "", "PGUPGRADE_CHANNEL": ""}, nil, exitUsage,
		[]string{"SLACK_APP_TOKEN is not set", "SLACK_BOT_TOKEN is not set", "HEROKU_API_KEY is not set", "PGUPGRADE_CHANNEL is not set"}},
	{"tokens swapped", []string{"serve"}, map[string]string{"SLACK_APP_TOKEN": "xoxb-secret"}, nil, exitUsage, []string{"SLACK_APP_TOKEN must begin with xapp-"}},
	{"a channel's name", []string{"serve"}, map[string]string{"PGUPGRADE_CHANNEL": "#upgrades"}, nil, exitUsage, []string{"not its name"}},
	{"an approver's name", []string{"serve"}, map[string]string{"PGUPGRADE_APPROVERS": "ana"}, nil, exitUsage, []string{`"ana"`, "U... or W..."}},
	{"an unknown approval", []string{"serve"}, map[string]string{"PGUPGRADE_APPROVAL": "three"}, nil, exitUsage, []string{"two, typed or button"}},
	{"versions", []string{"serve"}, map[string]string{"PGUPGRADE_VERSIONS": "15,new"}, nil, exitUsage, []string{`"new"`}},
	{"a cron line", []string{"serve"}, map[string]string{"PGUPGRADE_REMIND": "at ten"}, nil, exitUsage, []string{"PGUPGRADE_REMIND", "at ten"}},
	{"a deadline", []string{"serve"}, map[string]string{"PGUPGRADE_DEADLINES": "15=soon"}, nil, exitUsage, []string{"PGUPGRADE_DEADLINES", `"soon"`}},
	{"a time zone", []string{"serve"}, map[string]string{"PGUPGRADE_TIMEZONE": "Berlin"}, nil, exitUsage, []string{"Europe/Berlin"}},
	{"a soak", []string{"serve"}, map[string]string{"PGUPGRADE_SOAK": "a week"}, nil, exitUsage, []string{"PGUPGRADE_SOAK", "168h"}},
	{"a limit", []string{"serve"}, map[string]string{"PGUPGRADE_DOWNTIME_LIMIT": "-1h"}, nil, exitUsage, []string{"PGUPGRADE_DOWNTIME_LIMIT"}},
	{"a database URL", []string{"serve"}, map[string]string{"DATABASE_URL": "mysql://u:p-secret@h/db"}, nil, exitUsage, []string{"DATABASE_URL is not a postgres:// URL"}},
	{"a file on a dyno", []string{"serve"}, map[string]string{"DYNO": "worker.1"}, nil, exitUsage, []string{"a dyno's disk is lost"}},
	{"a host that is none", []string{"serve"}, map[string]string{"HEROKU_HOST": "http://%zz"}, nil, exitUsage, []string{"HEROKU_HOST"}},
	{"a data host with a port", []string{"serve"}, map[string]string{"HEROKU_DATA_HOST": "localhost:1"}, nil, exitUsage, []string{"HEROKU_DATA_HOST"}},
	{"a bot token that Slack refuses", []string{"serve"}, map[string]string{"SLACK_BOT_TOKEN": "xoxb-wrong"}, nil, exitUsage, []string{"Slack refuses SLACK_BOT_TOKEN"}},
	{"an app token that Slack refuses", []string{"serve"}, map[string]string{"SLACK_APP_TOKEN": "xapp-wrong"}, nil, exitUsage, []string{"Slack refuses SLACK_APP_TOKEN"}},
	{"a key that Heroku refuses", []string{"serve"}, map[string]string{"HEROKU_API_KEY": "wrong"}, nil, exitUsage, []string{"HEROKU_API_KEY was refused"}},
	{"scopes that are missing", []string{"serve"}, nil, []string{"commands", "chat:write", "channels:read"}, exitUsage, []string{"lacks the scopes", "users:read", "reinstall the app"}},
	{"check of nothing", []string{"check"}, nil, nil, exitUsage, []string{"one app"}},
	{"check of an unknown app", []string{"check", "nowhere"}, nil, nil, exitUsage, []string{"no app 'nowhere'"}},
	{"check of a version that is not offered", []string{"check", "orders", "--to", "19"}, nil, nil, exitUsage, []string{"PostgreSQL 19 is not offered"}},
	{"history of two apps", []string{"history", "a", "b"}, nil, nil, exitUsage, []string{"at most one app"}},
	{"approve of nothing", []string{"approve"}, nil, nil, exitUsage, []string{"approve takes the name of one app"}},
	{"status of two apps", []string{"status", "a", "b"}, nil, nil, exitUsage, []string{"at most one app"}},
}

// TestRefusals: what serve, check and status say to a wrong environment or a
// wrong word. Each ends; none loops.
func TestRefusals(t *testing.T) {
	for _, tt := range wrong {
		t.Run(tt.name, func(t *testing.T) {
			env := around(t, tt.scopes...)
			for k, v := range tt.change {
				env[k] = v
			}
			args := tt.args
			if len(args) > 0 && args[0] != "upgrade" && args[0] != "check" {
				args = append(args, "--state", t.TempDir())
			}
			code, _, errs := call(t, env, args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, s := range tt.says {
				if !strings.Contains(errs, s) {
					t.Errorf("did not say %q:\n%s", s, errs)
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	env := around(t)
	code, out, errs := call(t, env, "check", "orders")
	if code != exitOK || !strings.Contains(out, "PostgreSQL 15 -> 17") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	code, out, _ = call(t, env, "check", "tiny")
	if code != exitBlocked || !strings.Contains(out, "block") {
		t.Errorf("an Essential plan: exit code %d, want %d\n%s", code, exitBlocked, out)
	}
	code, out, _ = call(t, env, "check", "orders", "--json", "--to", "16")
	var survey ops.Survey
	if err := json.Unmarshal([]byte(out), &survey); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v", code, err)
	}
	if survey.Plan == nil || survey.Plan.To != "16" || len(survey.Findings) < 10 {
		t.Errorf("%+v", survey)
	}
}

// TestCheckInAPipeline: the exit code says it all, and JSON stays JSON whatever it is.
func TestCheckInAPipeline(t *testing.T) {
	const gone = "http://127.0.0.1:1" // nobody listens there; a port let go of may be somebody's by now
	for _, tt := range []struct {
		name   string
		args   []string
		change map[string]string
		code   int
		json   bool
	}{
		{"can start", []string{"check", "orders", "--json"}, nil, exitOK, true},
		{"blocked", []string{"check", "tiny", "--json"}, nil, exitBlocked, true},
		{"no app", []string{"check", "--json"}, nil, exitUsage, false},
		{"an app that is not there", []string{"check", "nowhere", "--json"}, nil, exitUsage, false},
		{"no key", []string{"check", "orders"}, map[string]string{"HEROKU_API_KEY": ""}, exitUsage, false},
		{"Heroku does not answer", []string{"check", "orders", "--json"}, map[string]string{"HEROKU_HOST": gone}, exitFailed, false},
	} {
		env := around(t)
		for k, v := range tt.change {
			env[k] = v
		}
		code, out, errs := call(t, env, tt.args...)
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", tt.name, code, tt.code, out, errs)
		}
		var survey ops.Survey
		if err := json.Unmarshal([]byte(out), &survey); (err == nil) != tt.json {
			t.Errorf("%s: printed %q (%v)", tt.name, out, err)
		}
		if worst := ops.Worst(survey.Findings); tt.json && (worst == ops.Block) != (code == exitBlocked) {
			t.Errorf("%s: exit code %d for %s", tt.name, code, worst)
		}
		if !tt.json && errs == "" {
			t.Errorf("%s: nothing was said", tt.name)
		}
	}
}

// TestStatusAndMigrate on both kinds of rows.
func TestStatusAndMigrate(t *testing.T) {
	for kind, url := range map[string]string{"sqlite": "", "postgres": pgtest.Start(t)} {
		t.Run(kind, func(t *testing.T) {
			env, state := map[string]string{"DATABASE_URL": url}, t.TempDir()
			if code, _, errs := call(t, env, "status", "--state", state); code != exitUsage || !strings.Contains(errs, "pgupgrade migrate") {
				t.Errorf("without tables: %d %s", code, errs)
			}
			for range 2 {
				if code, out, errs := call(t, env, "migrate", "--state", state); code != exitOK || !strings.Contains(out, "up to date") {
					t.Fatalf("migrate: %d %s%s", code, out, errs)
				}
			}
			if code, out, _ := call(t, env, "status", "--state", state); code != exitOK || out != "Nothing is under way.\n" {
				t.Errorf("status: %d %q", code, out)
			}
			if code, out, _ := call(t, env, "status", "--json", "--state", state); code != exitOK || strings.TrimSpace(out) != "[]" {
				t.Errorf("status --json: %d %q", code, out)
			}
			if code, _, errs := call(t, env, "status", "orders", "--state", state); code != exitUsage || !strings.Contains(errs, "no upgrade of 'orders'") {
				t.Errorf("status of an app: %d %s", code, errs)
			}
		})
	}
}

// TestServeStops on SIGTERM, which ends its context, and a second process on
// the same file is refused.
func TestServeStops(t *testing.T) {
	env, state := around(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	var errs watched
	errs.on("msg=ready", func() { close(ready) })
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"serve", "--state", state}, func(k string) string { return env[k] }, &errs, &errs)
	}()
	<-ready
	if code, _, said := call(t, env, "serve", "--state", state); code != exitUsage || !strings.Contains(said, "Stop the other one first") {
		t.Errorf("a second process: %d %s", code, said)
	}
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d\n%s", code, errs.String())
	}
}
