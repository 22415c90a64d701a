package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// command is one command of the Heroku CLI and what must come of it.
type command struct {
	stage   []string // before it: what, name and argument of herokutest.Server.Stage
	args    string
	code    int
	says    string   // all of its parts between "..." in this order
	effects []string // what it changed, whole
	until   string   // then waits until Heroku's side holds this
	own     bool     // a process of its own: it asks what nobody answers, or the CLI would remember what an add-on was
}

// The exit codes of the CLI: 2 for what the API or the command itself refuses,
// 1 for other errors, 0 also for a question that nobody answered.
const (
	fine    = 0
	failed  = 1
	refused = 2
)

// cliTales are commands in the order in which a person would type them.
var cliTales = map[string][]command{
	"leader": {
		{args: "addons -a billing", says: "heroku-postgresql (postgresql-flat-77310) ... premium-0 ... $200/month ... created ... as DATABASE"},
		{args: "addons:info postgresql-flat-77310 -a billing", says: "Plan: heroku-postgresql:premium-0 ... Attachments: billing::DATABASE ... Owning app: billing ... State: created"},
		{args: "pg:upgrade:run -a billing --version 17 --confirm billing", code: refused, says: "You can't run an upgrade that hasn't been scheduled. Run pg:upgrade:prepare first. Error ID: bad_request"},
		{args: "pg:upgrade:cancel -a billing --confirm billing", code: refused, says: "nothing is scheduled. Error ID: bad_request"},
		{args: "pg:upgrade:dryrun -a billing --version 17 --confirm billing", says: "Started a test upgrade to version 17", effects: []string{"upgrade.dry_run postgresql-flat-77310 17"}},
		{args: "pg:upgrade:prepare -a billing --version 15 --confirm billing", code: refused, says: "Version 15 is not available ... Error ID: unprocessable_entity"},
		{args: "pg:upgrade:prepare -a billing --version 17 --confirm billing", says: "scheduled for your next maintenance window", effects: []string{"upgrade.prepare postgresql-flat-77310 17"}},
		{args: "pg:upgrade:prepare -a billing --version 17 --confirm billing", code: refused, says: "already scheduled ... Error ID: unprocessable_entity"},
		{args: "pg:upgrade:cancel -a billing --confirm billing", says: "You canceled the upgrade", effects: []string{"upgrade.cancel postgresql-flat-77310"}},
		{args: "pg:upgrade:prepare -a billing --confirm billing", says: "scheduled for your next maintenance window", effects: []string{"upgrade.prepare postgresql-flat-77310 17"}},
		{args: "pg:upgrade:wait DATABASE_URL -a billing --wait-interval 1", says: "upgrade is scheduled on ... pg:upgrade:run"},
		{args: "maintenance:on -a billing", says: "done", effects: []string{"maintenance.on"}},
		{own: true, args: "pg:upgrade:run -a billing", says: "To proceed, type billing"}, // the trap: nothing is done, and the exit code is 0
		{args: "pg:upgrade:run -a billing --confirm billing", says: "Started the upgrade", effects: []string{"upgrade.run postgresql-flat-77310 17"}, until: "postgresql-flat-77310 (billing) · PostgreSQL 17 ... provisioned"},
		{args: "pg:upgrade:wait DATABASE_URL -a billing --wait-interval 1", says: "Waiting for database postgresql-flat-77310... available"},
		{args: "maintenance:off -a billing", says: "done", effects: []string{"maintenance.off"}},
		{args: "pg:upgrade:run -a tiny --version 17 --confirm tiny", says: "Started the upgrade", effects: []string{"upgrade.run postgresql-small-10101 17"}, until: "postgresql-small-10101 (tiny) · PostgreSQL 17 ... provisioned"},
		{args: "pg:upgrade:prepare -a tiny --confirm tiny", code: refused, says: "Standard-tier and higher leader databases"},
		{args: "pg:info -a tiny", says: "Plan: essential-0 ... PG Version: 17."},
	},
	"follower": {
		{args: "addons:create heroku-postgresql:standard-0 -a tiny -- --follow DATABASE_URL", code: refused, says: "Essential-tier databases don't support followers. Error ID: invalid_params"},
		{args: "addons:create heroku-postgresql:essential-0 -a orders -- --follow DATABASE_URL", code: refused, says: "The plan is too small"},
		{args: "addons:create heroku-postgresql:standard-0 -a orders --name postgresql-flat-77310 -- --follow DATABASE", code: refused, says: "Name is already taken"},
		{own: true, args: "addons:create heroku-postgresql:standard-0 -a orders --as DATABASE", says: "would overwrite existing vars DATABASE_URL ... To proceed, type orders"},
		{args: "addons:create heroku-postgresql:standard-0 -a orders --name f --as FOLLOWER -- --follow postgresql-curved-41822", says: "f is being created in the background", effects: []string{"addon.create f"}},
		{args: "addons:create heroku-postgresql:standard-0 -a orders -- --follow f", code: refused, says: "it is a follower itself"},
		{args: "addons:wait f -a orders"},
		{args: "pg:wait f -a orders --wait-interval 1"},
		{own: true, args: "addons:info f -a orders", says: "Attachments: orders::FOLLOWER ... State: created"},
		{args: "pg:info FOLLOWER -a orders", says: "=== FOLLOWER_URL ... Fork/Follow: Unavailable on followers ... Following: DATABASE ... Behind By: ... commits"},
		{args: "pg:info -a orders", says: "=== DATABASE_URL ... Followers: FOLLOWER ... Following: DATABASE"},
		{args: "pg:upgrade:prepare f -a orders --confirm orders", code: refused, says: "For follower databases, use heroku pg:upgrade:run instead"},
		{args: "pg:unfollow DATABASE_URL -a orders --confirm orders", code: refused, says: "postgresql-curved-41822 is not a follower"},
		{args: "pg:promote DATABASE_URL -a orders", code: refused, says: "postgresql-curved-41822 is already promoted on orders"},
		{args: "pg:promote f -a orders", says: "currently a follower database in read-only mode ... pg:promote succeeded", effects: []string{"attachment.create orders HEROKU_POSTGRESQL_AMBER postgresql-curved-41822", "attachment.replace orders DATABASE f"}},
		{args: "pg:promote HEROKU_POSTGRESQL_AMBER -a orders", says: "FOLLOWER_URL ... Promoting postgresql-curved-41822 to DATABASE_URL on orders... done", effects: []string{"attachment.replace orders DATABASE postgresql-curved-41822"}},
		{args: "pg:unfollow f -a orders --confirm orders", says: "f unfollowing... done", effects: []string{"database.unfollow f"}},
		{args: "pg:upgrade:run f -a orders --version 17 --confirm orders", code: refused, says: "pg:upgrade:prepare first"}, // it leads now
		{args: "addons:destroy f -a billing --confirm billing", code: failed, says: "f is on orders not billing"},
		{args: "addons:destroy f -a orders --confirm orders", says: "Destroying f on orders... pending", effects: []string{"addon.destroy f"}},
		{args: "addons:destroy postgresql-shared-55120 -a ledger --confirm ledger", code: failed, says: "attached to reports"},
		{args: "addons:detach LEDGER -a reports", says: "done, v", effects: []string{"attachment.delete reports LEDGER"}},
		{args: "addons:detach DATABASE -a ledger", code: refused, says: "last billing attachment"},
		{stage: []string{"forbid paid", "ledger", ""}, args: "addons:create heroku-postgresql:standard-0 -a ledger -- --follow DATABASE_URL", code: refused, says: "Only the app owner can manage paid add-on resources. Error ID: forbidden"},
	},
	"app": {
		{args: "ps -a orders", says: "=== clock (standard-1X): bin/clock (1) ... clock.1: up ... web.1: up ... web.2: up ... worker.1: up"},
		{args: "ps:scale worker=0 clock=0 -a orders", says: "now running worker at 0:standard-1X, clock at 0:standard-1X", effects: []string{"formation.scale worker=0 clock=0"}, until: "orders · ... clock=0 web=2 worker=0 · dynos 2"},
		{args: "ps:scale worker+2 -a orders", says: "now running worker at 2:standard-1X", effects: []string{"formation.scale worker=2"}},
		{args: "ps:scale nothing=1 -a orders", code: refused, says: "Error ID: invalid_params"},
		{args: "ps:scale -a orders", says: "clock=0:standard-1X release=0:standard-1X web=2:standard-1X worker=2:standard-1X"},
		{args: "config:set MODE=quiet -a orders", says: "Setting MODE and restarting orders... done, v43 MODE: quiet", effects: []string{"config.change orders MODE"}},
		{args: "config:set DATABASE_URL=postgres://elsewhere/x -a orders", code: refused, says: "Cannot overwrite attachment values DATABASE_URL"},
		{args: "config -a orders", says: "DATABASE_URL: postgres:// ... MODE: quiet ... RACK_ENV: production"},
		{args: "releases -a orders", says: "Set MODE config vars ... Attach DATABASE (@ref:postgresql-curved-41822) ... Deploy"},
		{args: "maintenance:on -a orders", says: "Enabling maintenance mode for orders... done", effects: []string{"maintenance.on"}},
		{args: "maintenance -a orders", says: "on"},
		{args: "maintenance:off -a orders", says: "Disabling maintenance mode for orders... done", effects: []string{"maintenance.off"}},
		{args: "pg:backups:capture -a orders", says: "Continuous protection is already enabled ... Backing up DATABASE to b007... done", effects: []string{"backup.capture postgresql-curved-41822"}},
		{args: "pg:backups -a orders", says: "b007 ... Completed ... DATABASE"},
		{args: "pg:backups:schedule --at 02:00 -a orders", says: "daily backups of postgresql-curved-41822 at 02:00 UTC... done", effects: []string{"schedule.create postgresql-curved-41822 DATABASE_URL"}},
		{args: "pg:backups:schedules -a orders", says: "DATABASE_URL: daily at 2:00 UTC"},
		{args: "pg:credentials:create --name reader -a orders", says: "Creating credential reader... done", effects: []string{"credential.create postgresql-curved-41822 reader"}},
		{args: "addons:attach postgresql-curved-41822 --credential writer -a reports", code: failed, says: "Could not find credential writer"},
		{args: "addons:attach postgresql-curved-41822 --credential reader --as READER -a reports", says: "done, v", effects: []string{"attachment.create reports READER postgresql-curved-41822"}},
		{args: "pg:credentials -a orders", says: "default ... active ... as DATABASE ... reader ... as READER on reports app"},
		{args: "pg:credentials:rotate --name reader -a orders --confirm orders", says: "done", effects: []string{"credential.rotate postgresql-curved-41822 reader"}},
		{args: "pg:connection-pooling:attach -a orders", says: "Setting DATABASE_CONNECTION_POOL config vars", effects: []string{"attachment.create orders DATABASE_CONNECTION_POOL postgresql-curved-41822"}},
		{args: "pg:settings:log-statement DATABASE_URL mod -a orders", says: "log-statement has been set to mod", effects: []string{"settings.change postgresql-curved-41822 log_statement"}},
		{args: "pg:links:create postgresql-flat-77310 DATABASE_URL -a orders", says: "done, postgresql-flat-77310", effects: []string{"link.create postgresql-curved-41822 postgresql-flat-77310"}},
		{args: "data:maintenances:window:update postgresql-curved-41822 tuesday 11:00PM", says: "window: Tuesdays 23:00 to Wednesdays 03:00 UTC", effects: []string{"maintenance.window postgresql-curved-41822 tuesday 11:00PM"}},
		{stage: []string{"open session", "postgresql-curved-41822", ""}, args: "pg:killall -a orders", says: "Terminating connections for all credentials... done", effects: []string{"connection.reset postgresql-curved-41822"}},
		{stage: []string{"drain limit", "", ""}, args: "ps -a orders", code: refused, says: "reached the API rate limit ... Error ID: rate_limit"},
		{stage: []string{"revoke key", "", ""}, args: "pg:info -a orders", code: failed, says: "The token provided to HEROKU_API_KEY is invalid"},
	},
}

// TestCommandsOfTheCLI runs each command that an upgrade needs, and its
// refusals, and looks at what it changed. A tale is one process; with -walk each
// command has one of its own.
func TestCommandsOfTheCLI(t *testing.T) {
	t.Parallel()
	for name, tale := range cliTales {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCLI(t, alone(t))
			inOne := c.session()
			for _, x := range tale {
				run := inOne
				if x.own {
					run = c.run
				}
				if x.stage != nil {
					if err := c.s.heroku.Stage(x.stage[0], x.stage[1], x.stage[2]); err != nil {
						t.Fatal(err)
					}
				}
				before := len(c.s.heroku.Effects())
				got := run(strings.Fields(x.args)...)
				if got.code != x.code || !holds(got.said, x.says) {
					t.Errorf("heroku %s: exit code %d, want %d; it says:\n%s\nwant: %s", x.args, got.code, x.code, got.said, x.says)
				}
				if effects := c.s.heroku.Effects()[before:]; !slices.Equal(effects, x.effects) {
					t.Errorf("heroku %s changed %q, want %q", x.args, effects, x.effects)
				}
				if x.until != "" {
					c.until(x.until, func() bool { return shows(c.s.heroku.Overview(), x.until) })
				}
			}
		})
	}
}

// TestTheListOfCommands: each command that is promised to work is in a tale.
func TestTheListOfCommands(t *testing.T) {
	var all []string
	for _, tale := range cliTales {
		for _, x := range tale {
			name, _, _ := strings.Cut(x.args, " ")
			all = append(all, name)
		}
	}
	for _, name := range []string{"addons", "addons:create", "addons:wait", "addons:info", "addons:destroy", "pg:info", "pg:wait", "pg:upgrade:run", "pg:upgrade:wait", "pg:upgrade:prepare",
		"pg:upgrade:dryrun", "pg:upgrade:cancel", "pg:promote", "pg:unfollow", "pg:backups:capture", "pg:backups", "pg:credentials", "maintenance:on", "maintenance:off", "ps:scale", "ps", "releases", "config"} {
		if !slices.Contains(all, name) {
			t.Errorf("no test runs heroku %s", name)
		}
	}
}

// shows reports whether a card of Heroku's side holds a pattern.
func shows(o herokutest.Overview, pattern string) bool {
	return slices.ContainsFunc(cards(o), func(c cardSeen) bool { return holds(c.text(), pattern) })
}
