package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// moments at which the program is killed: while Heroku holds a request back,
// before it acts or before it answers.
var moments = []struct {
	name, method, path string
	when               herokutest.When
}{
	{"between the fence's maintenance and scale calls", "PATCH", "/apps/orders/formation", herokutest.Before},
	{"after upgrade/run was sent and before its outcome is stored", "POST", "/upgrade/run", herokutest.After},
	{"between the promote and the unfence", "PATCH", "/apps/orders/formation", herokutest.Before},
}

// TestKilledAtThreeMoments runs the built program, with its environment only,
// against the stand-ins, kills it with SIGKILL at three moments of one story,
// and starts it again each time.
func TestKilledAtThreeMoments(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			url := ""
			if kind == "postgres" {
				url = pgtest.Start(t)
			}
			killed(t, url)
		})
	}
}

func killed(t *testing.T, url string) {
	s := begin(t, func(o *options) { o.bot, o.databaseURL = false, url })
	state := filepath.Join(s.state, "bot")
	if url != "" {
		s.once(t, "migrate", "--state", state)
	}
	s.bot = newChild(built, []string{"serve", "--state", state}, s.environment(), filepath.Join(s.temporary, "bot.log"), s.failed)
	if err := s.bot.start(); err != nil {
		t.Fatal(err)
	}
	before := orders(s)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin`)
	holds := make([]<-chan struct{}, len(moments))
	lets := make([]func(), len(moments))
	holds[0], lets[0] = s.heroku.Hold(moments[0].method, moments[0].path, moments[0].when)
	s.says(t, p, `ben presses Approve cutover`)
	for i, m := range moments {
		within(t, holds[i], m.name)
		if err := s.bot.kill(); err != nil {
			t.Fatal(err)
		}
		if i+1 < len(moments) {
			holds[i+1], lets[i+1] = s.heroku.Hold(moments[i+1].method, moments[i+1].path, moments[i+1].when)
		}
		lets[i]()
	}
	s.says(t, p, `
		pgupgrade: Upgraded to PostgreSQL 17
		heroku: orders · ... maintenance off · formation clock=1 web=2 worker=1
		ana presses App looks good
		ben presses Destroy…
		ben fills in orders
		pgupgrade: Upgrade of orders is done`)
	if _, starts := s.bot.running(); starts != 1+len(moments) {
		t.Errorf("the program was started %d times, want %d", starts, 1+len(moments))
	}
	after := orders(s)
	if before.Maintenance != after.Maintenance || fmt.Sprint(before.Formation) != fmt.Sprint(after.Formation) {
		t.Errorf("maintenance and formation were %v %v, are %v %v", before.Maintenance, before.Formation, after.Maintenance, after.Formation)
	}
	effects(t, s)
	posts(t, s)
}

func orders(s *sandbox) herokutest.AppView {
	for _, a := range s.heroku.Overview().Apps {
		if a.Name == "orders" {
			return a
		}
	}
	return herokutest.AppView{}
}

// effects checks, from Heroku's side, that no act took effect twice.
func effects(t *testing.T, s *sandbox) {
	t.Helper()
	count := map[string]int{}
	for _, e := range s.heroku.Effects() {
		count[strings.Fields(e)[0]]++
		t.Log("effect: ", e)
	}
	seen := map[string]int{}
	for _, e := range s.heroku.Effects() {
		if seen[e]++; seen[e] > 1 {
			t.Errorf("took effect %d times: %s", seen[e], e)
		}
	}
	if count["upgrade.run"] != 1 {
		t.Errorf("the upgrade ran %d times", count["upgrade.run"])
	}
}

// posts checks that nothing was said twice in the thread.
func posts(t *testing.T, s *sandbox) {
	t.Helper()
	seen := map[string]int{}
	for _, m := range s.slack.Messages(channelID, "") {
		if m.ThreadTS != "" {
			seen[m.Text]++
		}
	}
	for text, n := range seen {
		if n > 1 {
			t.Errorf("said %d times: %s", n, text)
		}
	}
}
