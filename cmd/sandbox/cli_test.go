package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// installed is where the Heroku CLI is. The tests are about it, so they fail
// without it.
var installed = sync.OnceValues(func() (string, error) {
	var errs strings.Builder
	c := exec.Command("../../scripts/npm", "heroku")
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("install the Heroku CLI: %w\n%s", err, errs.String())
	}
	return filepath.Join(strings.TrimSpace(string(out)), "node_modules", ".bin", "heroku"), nil
})

// cli is the unmodified Heroku CLI in a home of its own, pointed at a sandbox's
// stand-in with what the sandbox prints.
type cli struct {
	t    *testing.T
	s    *sandbox
	home string
	path string
	kept func(args ...string) outcome // for commands that need no process of their own; nil: all have one
}

func newCLI(t *testing.T, s *sandbox) *cli {
	t.Helper()
	path, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	return &cli{t: t, s: s, home: t.TempDir(), path: path}
}

// outcome is how a command went. What it said has its spaces collapsed and the
// marks of the CLI's boxes taken out: the CLI breaks lines where it likes.
type outcome struct {
	args string
	code int
	said string
}

func (c *cli) run(args ...string) outcome {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.path, args...)
	cmd.Env = c.env()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatalf("heroku %s: %v", strings.Join(args, " "), err)
	}
	return outcome{strings.Join(args, " "), cmd.ProcessState.ExitCode(), words(string(out))}
}

func words(said string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(said, "›", " ")), " ")
}

func (c *cli) env() []string {
	return append(append(c.s.settings(), c.s.forCLI()...), "PATH="+filepath.Dir(c.path)+":"+os.Getenv("PATH"), "HOME="+c.home, "NO_COLOR=1", "CI=1",
		"HEROKU_DISABLE_AUTOUPDATE=1") // else each home starts one in the background, which goes on after the test
}

// heavy are the commands that a process of its own runs, whatever is kept: what they do
// matters most.
var heavy = []string{"addons:create", "pg:upgrade:run", "pg:promote", "addons:destroy"}

// does runs a command that must succeed and say all of this.
func (c *cli) does(command string, says ...string) outcome {
	c.t.Helper()
	args, run := strings.Fields(command), c.run
	if c.kept != nil && !slices.Contains(heavy, args[0]) {
		run = c.kept
	}
	return c.expect(run(args...), says)
}

// asks has the CLI put a question to shop's database.
func (c *cli) asks(sql string, says ...string) {
	c.t.Helper()
	c.expect(c.run("pg:psql", "-a", "shop", "-c", sql), says)
}

func (c *cli) expect(r outcome, says []string) outcome {
	c.t.Helper()
	if r.code != 0 {
		c.t.Fatalf("heroku %s: exit code %d: %s", r.args, r.code, r.said)
	}
	for _, text := range says {
		if !strings.Contains(r.said, text) {
			c.t.Errorf("heroku %s does not say %q: %s", r.args, text, r.said)
		}
	}
	return r
}

// alone opens a sandbox without the bot.
func alone(t *testing.T) *sandbox {
	t.Helper()
	return begin(t, func(o *options) { o.bot, o.speed = false, 20 })
}

// app returns an app as it is now.
func (c *cli) app(name string) herokutest.AppView {
	for _, a := range c.s.heroku.Overview().Apps {
		if a.Name == name {
			return a
		}
	}
	c.t.Fatalf("there is no app %s", name)
	return herokutest.AppView{}
}

func (c *cli) rows(app string) herokutest.Rows {
	for _, r := range c.s.heroku.Rows() {
		if r.App == app {
			return r
		}
	}
	c.t.Fatalf("nobody counts the rows of %s", app)
	return herokutest.Rows{}
}

// until waits for a state of the stand-in.
func (c *cli) until(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s did not happen", what)
		}
	}
}

var walk = flag.Bool("walk", false, "run each command of the Heroku CLI in a process of its own, and every variant of the old guide")

// TestTheOldGuideWithTheCLI follows the guide that the bot replaces, with the
// client it was written for and on real clusters: a follower, maintenance mode, the
// upgrade, the promotion. Who stops the writers first loses nothing; who follows it
// with maintenance mode alone loses what workers wrote meanwhile; and where there is
// a release phase, its command writes to the old database when pg:promote makes
// the old one's second name.
func TestTheOldGuideWithTheCLI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		releasePhase bool
		stopped      bool
		named        bool // the old database has a second name before the writers stop
		loses        bool
	}{
		{name: "writers stopped", stopped: true},
		{name: "maintenance mode alone", loses: true},
		{name: "writers stopped, a release phase", stopped: true, releasePhase: true, loses: true},
		{name: "writers stopped, a release phase, the second name made before", stopped: true, releasePhase: true, named: true},
	} {
		if (tt.releasePhase || !tt.stopped) && !*walk {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, func(o *options) { o.bot, o.speed = false, 20 }, requireClusters(t))
			formation := map[string]int{"web": 2, "worker": 1}
			s.heroku.AddApp(herokutest.AppSpec{Name: "shop", Formation: formation, ReleasePhase: tt.releasePhase})
			s.heroku.AddDatabase(herokutest.DatabaseSpec{Name: "postgresql-old-1", App: "shop", Plan: "standard-0", Version: "15.13", Bytes: 4_000_000_000})
			c := newCLI(t, s)
			c.kept = c.session()
			c.does("pg:info -a shop", "=== DATABASE_URL", "PG Version: 15.", "Fork/Follow: Available")
			c.does("addons:create heroku-postgresql:standard-0 -a shop --name shop-new -- --follow DATABASE_URL", "~$0.069/hour (max $50/month)", "shop-new is being created in the background")
			c.does("addons:wait shop-new -a shop")
			c.does("pg:wait shop-new -a shop --wait-interval 1")
			c.does("pg:info shop-new -a shop", "PG Version: 15.", "Following: DATABASE", "Behind By: ")
			if tt.named {
				c.does("addons:attach postgresql-old-1 --as BEFORE -a shop", "Setting BEFORE config vars and restarting shop... done, v")
				c.until("the end of its release", func() bool { return strings.Contains(c.app("shop").Release, "(succeeded)") })
			}
			c.does("maintenance:on -a shop", "Enabling maintenance mode for shop... done")
			if tt.stopped {
				c.does("ps:scale web=0 worker=0 -a shop", "now running web at 0:standard-1X, worker at 0:standard-1X")
				c.until("the end of the dynos", func() bool { return len(c.app("shop").Dynos) == 0 })
				c.until("the end of the replay", func() bool {
					return slices.ContainsFunc(s.heroku.Overview().Databases, func(d herokutest.DatabaseView) bool { return d.Name == "shop-new" && d.BehindKnown && d.Behind == 0 })
				})
				c.does("pg:info shop-new -a shop", "Behind By: 0 commits")
			}
			c.does("pg:upgrade:run shop-new --version 17 -a shop --confirm shop", "Starting upgrade on shop-new... done")
			c.does("pg:upgrade:wait shop-new -a shop --wait-interval 1", "shop-new... ")
			promoted := []string{"Ensuring an alternate alias for existing DATABASE_URL... ", "Promoting shop-new to DATABASE_URL on shop... done"}
			if tt.releasePhase {
				promoted = append(promoted, "Checking release phase... pg:promote succeeded.", "It is safe to ignore the failed Detach DATABASE (@ref:postgresql-old-1) release.")
			}
			c.does("pg:promote shop-new -a shop", promoted...)
			if tt.stopped {
				c.does("ps:scale web=2 worker=1 -a shop", "now running web at 2:standard-1X, worker at 1:standard-1X")
			}
			c.does("maintenance:off -a shop", "done")
			c.asks("select 'major ' || current_setting('server_version_num')::int / 10000, count(*) > 0 as rows from written", "Connecting to shop-new", "major 17 | t", "(1 row)")
			c.does("pg:info DATABASE_URL -a shop", "PG Version: 17.", "Forked From: ")
			c.does("releases -a shop", "Attach DATABASE (@ref:shop-new)", "Detach DATABASE (@ref:postgresql-old-1)")
			c.does("addons:destroy postgresql-old-1 -a shop --confirm shop", "Destroying postgresql-old-1 on shop... pending")
			c.until("the end of the old database", func() bool {
				return !slices.ContainsFunc(s.heroku.Overview().Databases, func(d herokutest.DatabaseView) bool { return d.Name == "postgresql-old-1" })
			})

			a := c.app("shop")
			if a.Database != "shop-new" || a.Maintenance || !maps.Equal(a.Formation, formation) {
				t.Errorf("the app ends as %+v", a)
			}
			rows := c.rows("shop")
			t.Logf("%s: %d rows acknowledged, %d lost", tt.name, rows.Acknowledged, rows.Missing)
			if rows.Acknowledged == 0 || tt.loses != (rows.Missing > 0) || rows.Missing < 0 {
				t.Errorf("of %d rows %d are lost; lost any: want %v", rows.Acknowledged, rows.Missing, tt.loses)
			}
		})
	}
}

// TestTheCLIRepeatsACreate: when the answer to a create is lost, the CLI sends
// it again, and without a name of its own there are two databases. This is why
// the bot gives the follower a name and looks before it repeats anything.
func TestTheCLIRepeatsACreate(t *testing.T) {
	t.Parallel()
	c := newCLI(t, alone(t))
	lost, err := herokutest.ParseFault("POST /apps/ledger/addons: reset, once, after acting")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		args    string
		code    int
		created int
	}{
		"without a name": {"addons:create heroku-postgresql:standard-0 -a ledger -- --follow DATABASE", fine, 2},
		"with a name":    {"addons:create heroku-postgresql:standard-0 -a ledger --name one -- --follow DATABASE", refused, 1},
	} {
		before := len(c.s.heroku.Effects())
		c.s.heroku.Fault(lost)
		got := c.run(strings.Fields(want.args)...)
		if made := c.s.heroku.Effects()[before:]; got.code != want.code || len(made) != want.created {
			t.Errorf("%s: exit code %d, want %d; it made %q, want %d: %s", name, got.code, want.code, made, want.created, got.said)
		}
	}
}
