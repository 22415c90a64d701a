package main

import (
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// onlyOrders is Acme's first app without the others, whose clusters would cost time.
func onlyOrders(h *herokutest.Server) {
	h.AddApp(herokutest.AppSpec{Name: "orders", Formation: map[string]int{"web": 2, "worker": 1, "clock": 1}, ReleasePhase: true})
	h.AddDatabase(herokutest.DatabaseSpec{Name: "postgresql-curved-41822", App: "orders", Plan: "standard-0", Version: "15.13", Bytes: 8_214_000_000})
}

// fenceTales are what must not get through the fence.
var fenceTales = []tale{
	// The follower has received everything and replays nothing. Heroku says that it
	// is 0 commits behind, which only the positions contradict.
	{name: "replay is held back behind the fence", apps: onlyOrders, returns: true, some: true, settings: []string{"PGUPGRADE_DOWNTIME_LIMIT=20s"}, tell: func(t *testing.T, s *sandbox, p *player) {
		was := s.recorded()
		s.says(t, p, `
			heroku does copy url on orders
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin`)
		reached, let := s.heroku.Hold("PATCH", "/apps/orders/formation", herokutest.Before)
		s.says(t, p, `ben presses Approve cutover`)
		within(t, reached, "the fence's scale call")
		s.stages(t, "zero lag on the follower", "hold replay on the follower")
		let()
		s.says(t, p, `
			pgupgrade: Writers stopped ... is read-only
			pgupgrade: Going back ... limit
			heroku: orders · DATABASE postgresql-curved-41822 · maintenance off · formation clock=1 web=2 worker=1
			pgupgrade: Upgrade of orders went back`)
		s.back(t, was)
		s.never(t, "upgrade.run")
	}},
	foreign("somebody deploys", false, "release v", func(t *testing.T, s *sandbox) { s.stages(t, "deploy on orders") }),
	foreign("a console is opened", false, "dyno run.", func(t *testing.T, s *sandbox) { s.stages(t, "one-off on orders") }),
	foreign("a program writes past the fence", true, "was written to (public.written", func(t *testing.T, s *sandbox) { s.stages(t, "session on orders") }),
	foreign("a release command migrates past the fence", false, "was written to (", func(t *testing.T, s *sandbox) {
		s.sql(t, "orders", "CREATE TABLE migrated (version bigint PRIMARY KEY)", "INSERT INTO migrated VALUES (20261125)")
	}),
	foreign("dynos are scaled up", false, "worker of orders was scaled to 1", func(t *testing.T, s *sandbox) { s.stages(t, "scale worker on orders") }),
	foreign("maintenance is turned off", false, "maintenance mode of orders was turned off", func(t *testing.T, s *sandbox) { s.stages(t, "maintenance off on orders") }),
}

// foreign is a change of somebody else's while the follower is upgraded: the run
// goes back, says what it was, and every row is there.
func foreign(name string, some bool, says string, change func(*testing.T, *sandbox)) tale {
	return tale{name: name + " during the upgrade", apps: onlyOrders, returns: true, some: some, tell: func(t *testing.T, s *sandbox, p *player) {
		was := s.recorded()
		s.says(t, p, `
			heroku does copy url on orders
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin
			heroku does stall upgrade on the follower
			ben presses Approve cutover
			heroku: orders-pg17 ... upgrading`)
		change(t, s)
		s.says(t, p, `
			pgupgrade: Going back ... `+says+`
			heroku: orders · DATABASE postgresql-curved-41822 · maintenance off · formation clock=1 web=2 worker=1
			pgupgrade: Upgrade of orders went back`)
		s.back(t, was)
		s.never(t, "attachment.replace")
		s.writable(t, p, "orders")
	}}
}

// back checks that formation and maintenance are as they were.
func (s *sandbox) back(t *testing.T, was map[string]string) {
	t.Helper()
	for app, now := range s.recorded() {
		if now != was[app] {
			t.Errorf("%s was %s, is %s", app, was[app], now)
		}
	}
}

// never checks that no act of a kind took effect.
func (s *sandbox) never(t *testing.T, act string) {
	t.Helper()
	for _, e := range s.heroku.Effects() {
		if strings.HasPrefix(e, act+" ") {
			t.Errorf("took effect: %s", e)
		}
	}
}

// writable waits until the app's programs write again.
func (s *sandbox) writable(t *testing.T, p *player, app string) {
	t.Helper()
	was := s.acknowledged(app)
	if err := p.until(t.Context(), func() bool { return s.acknowledged(app) > was+5 }); err != nil {
		t.Errorf("nothing is written for %s any more: %v", app, err)
	}
}
