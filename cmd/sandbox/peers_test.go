package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// peer is one more process of the bot on the same rows.
func (s *sandbox) peer(t *testing.T, dyno string) *child {
	t.Helper()
	env := append(s.environment(), "DYNO="+dyno)
	c := newChild(built, []string{"serve", "--state", filepath.Join(s.state, dyno)}, env, filepath.Join(s.temporary, dyno+".log"), s.failed)
	c.forgetful = true
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of %s:\n%s", dyno, c.log())
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestAPeerTakesOverInTheCutover: two processes on one PostgreSQL; the one that
// carries the run is killed for good while users are locked out.
func TestAPeerTakesOverInTheCutover(t *testing.T) {
	t.Parallel()
	s := begin(t, func(o *options) { o.bot, o.databaseURL = false, pgtest.Start(t) })
	s.once(t, "migrate")
	before := orders(s)
	peers := map[string]*child{"worker.1": s.peer(t, "worker.1"), "worker.2": s.peer(t, "worker.2")}
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin`)
	reached, let := s.heroku.Hold("POST", "/upgrade/run", herokutest.After)
	s.says(t, p, `ben presses Approve cutover`)
	within(t, reached, "the upgrade")
	// The one that logged the fence's acts carries the run.
	carrier, other := "worker.1", "worker.2"
	if strings.Contains(peers[other].log(), "kind=formation.scale") {
		carrier, other = other, carrier
	}
	killed := time.Now()
	if err := peers[carrier].kill(); err != nil {
		t.Fatal(err)
	}
	let()
	if err := p.until(t.Context(), func() bool { return strings.Contains(peers[other].log(), "took over a run") }); err != nil {
		t.Fatalf("nobody took over: %v", err)
	}
	fmt.Printf("a peer took the run over %.1f s after its process was killed\n", time.Since(killed).Seconds())
	s.says(t, p, `
		pgupgrade: Upgraded to PostgreSQL 17
		pgupgrade: Promoted
		pgupgrade: Downtime
		heroku: orders · ... maintenance off · formation clock=1 web=2 worker=1`)
	after := orders(s)
	if before.Maintenance != after.Maintenance || fmt.Sprint(before.Formation) != fmt.Sprint(after.Formation) {
		t.Errorf("maintenance and formation were %v %v, are %v %v", before.Maintenance, before.Formation, after.Maintenance, after.Formation)
	}
	effects(t, s)
	posts(t, s)
}
