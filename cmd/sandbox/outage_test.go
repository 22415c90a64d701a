package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// An outage lasts until the program has noticed everything that it can notice;
// with this flag at least that long.
var outage = flag.Duration("outage", 0, "how long the outages in the tests last at least")

// TestAwayInTheCutover: PostgreSQL, Slack or both are away in the middle of the
// cutover. It ends safely, nothing takes effect or is said twice, and the thread
// catches up in order.
func TestAwayInTheCutover(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]struct{ store, slack, silent, killed bool }{
		"store":                        {store: true},
		"store, packets dropped":       {store: true, silent: true},
		"Slack":                        {slack: true},
		"Slack, and the bot is killed": {slack: true, killed: true},
		"both":                         {store: true, slack: true},
		"both, and the bot is killed":  {store: true, slack: true, killed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := pgtest.NewProxy(t, pgtest.Start(t))
			s := begin(t, func(o *options) { o.bot, o.databaseURL = false, proxy.URL })
			s.once(t, "migrate")
			s.bot = newChild(built, []string{"serve"}, append(s.environment(), "DYNO=worker.1"), filepath.Join(s.temporary, "bot.log"), s.failed)
			if err := s.bot.start(); err != nil {
				t.Fatal(err)
			}
			before := orders(s)
			p := newPlayer(t, s)
			s.says(t, p, `
				ana: /pgupgrade start orders
				pgupgrade: May the cutover begin
				ben presses Approve cutover
				pgupgrade: Writers stopped`)
			begun := time.Now()
			if away.slack {
				s.says(t, p, `break slack-away`)
			}
			if away.store {
				cut := proxy.Cut
				if away.silent {
					cut = proxy.Freeze
				}
				from := len(s.bot.log())
				cut()
				noticed(t, s, p, from, "takes no turns until it has begun anew", "could not begin anew", "another process posts to Slack now")
				acted := len(s.heroku.Effects())
				noticed(t, s, p, len(s.bot.log()), "could not begin anew")
				if n := len(s.heroku.Effects()); n != acted {
					t.Errorf("without its rows it acted: %v", s.heroku.Effects()[acted:])
				}
			}
			from := len(s.bot.log())
			if away.killed {
				if err := s.bot.kill(); err != nil {
					t.Fatal(err)
				}
				if away.store {
					noticed(t, s, p, from, "the bot's database cannot be reached")
				}
			}
			time.Sleep(time.Until(begun.Add(*outage)))
			from = len(s.bot.log())
			healed := time.Now()
			proxy.Heal()
			if away.store {
				noticed(t, s, p, from, "msg=act ")
				fmt.Printf("%s: acts again %.1f s after the database came back, away for %.0f s\n", name, time.Since(healed).Seconds(), healed.Sub(begun).Seconds())
			}
			s.says(t, p, `heroku: orders · DATABASE orders-pg17 ... maintenance off · formation clock=1 web=2 worker=1`)
			if away.slack {
				healed = time.Now()
				s.says(t, p, `break slack-away`)
			}
			s.says(t, p, opened)
			if away.slack {
				fmt.Printf("%s: the thread had caught up %.1f s after Slack came back\n", name, time.Since(healed).Seconds())
			}
			s.says(t, p, `
				ana presses App looks good
				pgupgrade: is safe to destroy`)
			unchanged(t, s, before)
			effects(t, s)
			posts(t, s)
		})
	}
}

// noticed waits until the log has each of these after its first from bytes.
func noticed(t *testing.T, s *sandbox, p *player, from int, all ...string) {
	t.Helper()
	for _, text := range all {
		if err := p.until(t.Context(), func() bool { return strings.Contains(s.bot.log()[from:], text) }); err != nil {
			t.Fatalf("its log does not say %q: %v", text, err)
		}
	}
}
