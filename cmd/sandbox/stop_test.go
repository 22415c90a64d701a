package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// TestStoppedInAnAct: SIGTERM comes while Heroku works on a call. The process ends
// in time, with the act's outcome if it came; the next process goes on without
// losing or repeating it.
func TestStoppedInAnAct(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, path string
		when         herokutest.When
		answered     bool
		postgres     bool
	}{
		"the scale is answered":              {"PATCH", "/formation", herokutest.Before, true, false},
		"the upgrade is answered":            {"POST", "/upgrade/run", herokutest.Before, true, true},
		"the upgrade's answer does not come": {"POST", "/upgrade/run", herokutest.After, false, true},
		"the scale's answer does not come":   {"PATCH", "/formation", herokutest.After, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := ""
			if test.postgres {
				url = pgtest.Start(t)
			}
			s := begin(t, func(o *options) { o.bot, o.databaseURL = false, url })
			state := filepath.Join(s.state, "bot")
			s.once(t, "migrate", "--state", state)
			s.bot = newChild(built, []string{"serve", "--state", state}, s.environment(), filepath.Join(s.temporary, "bot.log"), s.failed)
			if err := s.bot.start(); err != nil {
				t.Fatal(err)
			}
			before := orders(s)
			p := newPlayer(t, s)
			s.says(t, p, `
				ana: /pgupgrade start orders
				pgupgrade: May the cutover begin`)
			reached, let := s.heroku.Hold(test.method, test.path, test.when)
			s.says(t, p, `ben presses Approve cutover`)
			within(t, reached, "the call")
			ended, asked, said := make(chan error, 1), time.Now(), len(s.bot.log())
			go func() { ended <- s.bot.stop() }()
			if err := p.until(t.Context(), func() bool { return strings.Contains(s.bot.log(), "stopping: no new turns") }); err != nil {
				t.Fatal(err)
			}
			if test.answered {
				let()
			}
			if err := <-ended; err != nil { // 30 s after SIGTERM it would have been killed
				t.Fatal(err)
			}
			fmt.Printf("%s: it ended %.1f s after SIGTERM\n", name, time.Since(asked).Seconds())
			let()
			if test.answered && !strings.Contains(s.bot.log()[said:], "outcome=done") {
				t.Error("the outcome of the act was not kept")
			}
			if err := s.bot.replace(built); err != nil {
				t.Fatal(err)
			}
			s.says(t, p, opened)
			unchanged(t, s, before)
			effects(t, s)
			posts(t, s)
		})
	}
}

// TestOneProcessPerFile: a second process on the same file, and a file on a dyno,
// are refused in a sentence.
func TestOneProcessPerFile(t *testing.T) {
	t.Parallel()
	s := begin(t)
	newPlayer(t, s)
	refused := func(what, want string, more ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, built, "serve", "--state", s.state)
		c.Env = append(s.environment(), more...)
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	refused("a second process", "another process carries the runs already")
	refused("a second process", "Stop the other one first.")
	refused("a file on a dyno", "a dyno's disk is lost at every restart. Run `heroku addons:create heroku-postgresql", "DYNO=worker.1")
}
