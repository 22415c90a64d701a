package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
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
		at, calls := time.Now(), len(s.heroku.History())
		if err := s.bot.kill(); err != nil {
			t.Fatal(err)
		}
		if i+1 < len(moments) {
			holds[i+1], lets[i+1] = s.heroku.Hold(moments[i+1].method, moments[i+1].path, moments[i+1].when)
		}
		lets[i]()
		back(t, s, p, s.bot, at, calls)
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

// posts checks that nothing was posted twice by the names that the bot gives its
// messages, nor said twice in a thread, and that what happened stands there in
// the order in which it happened.
func posts(t *testing.T, s *sandbox) {
	t.Helper()
	made, texts, last, events := map[string]int{}, map[string]int{}, map[string]int{}, 0
	for _, m := range s.slack.Messages(channelID, "") {
		var d struct {
			Payload struct{ Group, Name string } `json:"event_payload"`
		}
		if m.User != slacktest.BotUID || m.Ephemeral != "" {
			continue
		}
		if err := json.Unmarshal(m.Metadata, &d); err != nil {
			t.Errorf("a message without its name: %q: %v", m.Text, err)
		}
		made[d.Payload.Group+" "+d.Payload.Name]++
		if m.ThreadTS == "" {
			continue
		}
		texts[m.ThreadTS+" "+m.Text]++ // two apps may say the same
		if n, err := strconv.Atoi(strings.TrimPrefix(d.Payload.Name, "event/")); err == nil {
			if events++; n < last[m.ThreadTS] {
				t.Errorf("event %d stands after event %d: %s", n, last[m.ThreadTS], m.Text)
			}
			last[m.ThreadTS] = n
		}
	}
	for what, n := range made {
		if n > 1 {
			t.Errorf("posted %d times: %s", n, what)
		}
	}
	for text, n := range texts {
		if n > 1 {
			t.Errorf("said %d times: %s", n, text)
		}
	}
	if events == 0 {
		t.Error("no event stands in a thread, so nothing was checked")
	}
}

// back waits until the program, killed before, calls Heroku about the app again,
// and prints how long that took.
func back(t *testing.T, s *sandbox, p *player, c *child, killed time.Time, calls int) {
	t.Helper()
	err := p.until(t.Context(), func() bool {
		for _, h := range s.heroku.History()[calls:] {
			if strings.HasPrefix(h.Path, "/apps/") {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatalf("it did not come back: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf("the same process went on %.2f s after its start, %.2f s after its kill\n", time.Since(c.started).Seconds(), time.Since(killed).Seconds())
}
