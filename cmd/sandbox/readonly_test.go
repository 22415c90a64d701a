package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// readOnlyTales are cutovers in which the apps run on and read.
var readOnlyTales = []tale{
	{name: "the app reads on, told by its flag", apps: onlyOrders, times: restarting, some: true, tell: func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			ana: /pgupgrade set orders read-only READ_ONLY
			pgupgrade to ana: READ_ONLY`)
		readsOn(t, s, p)
		if !slices.Contains(s.heroku.Effects(), "config.change orders READ_ONLY") {
			t.Error("the app was not told")
		}
	}},
	{name: "the app reads on, told nothing", apps: onlyOrders, times: restarting, tell: readsOn},
	// What the same visitor sees in a cutover with the maintenance page.
	{name: "without read-only nobody reads", apps: onlyOrders, times: restarting, tell: func(t *testing.T, s *sandbox, p *player) {
		r := s.read(t, "orders")
		s.says(t, p, `
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin
			ben presses Approve cutover
			pgupgrade: Upgraded to PostgreSQL 17
			pgupgrade: App health: good`)
		s.writable(t, p, "orders")
		r.close()
		if older := s.data.older.Major; r.from[source{older, true}] > 0 || r.from[source{older, false}] == 0 {
			t.Errorf("the visitor was answered by %v", r.from)
		}
		fmt.Printf("maintenance page: %s\n", r)
	}},
}

// readsOn plays a read-only cutover with every writer running, and one visitor
// who asks all the time.
func readsOn(t *testing.T, s *sandbox, p *player) {
	follower := s.replica(t, p, "orders")
	was := s.recorded()
	r, replica := s.read(t, "orders"), readReplica(t, follower)
	s.says(t, p, `
		heroku does copy url on orders
		ana: /pgupgrade start orders read-only
		ben presses Approve follower
		ben sees Accept and approve
		ben fills in nothing
		pgupgrade: May the cutover begin? ... will be read-only
		ben presses Approve cutover
		pgupgrade: Writers stopped ... The apps run on and read
		pgupgrade: Upgraded to PostgreSQL 17
		pgupgrade: The new database takes writes
		pgupgrade: writing again, on PostgreSQL 17
		pgupgrade: reading went on
		pgupgrade: App health: good`)
	s.writable(t, p, "orders")
	r.close()
	replica.close()
	s.back(t, was)
	for _, act := range []string{"maintenance.on", "formation.scale"} {
		s.never(t, act)
	}
	s.flagsCleared(t)
	older, newer := s.data.older.Major, s.data.newer.Major
	for _, from := range []source{{older, false}, {older, true}, {newer, false}} {
		if r.from[from] == 0 {
			t.Errorf("no answer came from PostgreSQL %d, read-only %v: %v", from.major, from.readOnly, r.from)
		}
	}
	// A replica connection, as of rails_failover's reading role (docs/read-only.md),
	// is not the cutover's business: the follower stays with the old database.
	if all, _ := replica.without(); all > 0 || replica.asked != replica.answers || replica.answers != replica.from[source{older, true}] {
		t.Errorf("a replica connection did not read on: %s; answers %v, %v", replica, replica.from, replica.gaps)
	}
	fmt.Printf("read-only: %s (target: at most 30 s in all)\n", r)
	fmt.Printf("read-only: on a replica connection %s\n", replica)
	for _, x := range s.heroku.Rows() {
		if x.App == "orders" {
			fmt.Printf("read-only: %s; the stop is pg_upgrade's time + %.1f s (target: at most 10 s)\n", x, (x.Stop - x.Upgrade).Seconds())
		}
	}
	t.Log(s.steps(t, "orders"))
	for _, g := range r.gaps {
		t.Logf("without an answer for %.2f s: %s", g.took.Seconds(), g.why)
	}
}

// replica makes a follower of an app's database, as an app with a replica
// connection has one, and says its URL.
func (s *sandbox) replica(t *testing.T, p *player, app string) string {
	t.Helper()
	var vars map[string]string
	s.ask(t, "GET", "/apps/"+app+"/config-vars", nil, &vars)
	s.ask(t, "POST", "/apps/"+app+"/addons", map[string]any{"plan": "heroku-postgresql:standard-0", "name": app + "-replica",
		"config": map[string]any{"follow": vars["DATABASE_URL"]}, "attachment": map[string]any{"name": "REPLICA"}}, nil)
	if err := p.until(t.Context(), func() bool {
		var releases []struct{ Status string }
		s.ask(t, "GET", "/apps/"+app+"/releases", nil, &releases)
		for _, x := range releases {
			if x.Status != "succeeded" { // the name's own
				return false
			}
		}
		d, ok := s.database(app + "-replica")
		return ok && d.State == "provisioned" && d.BehindKnown
	}); err != nil {
		t.Fatalf("the replica did not come: %v", err)
	}
	s.ask(t, "GET", "/apps/"+app+"/config-vars", nil, &vars)
	return vars["REPLICA_URL"]
}

// restarting makes the restarts of dynos and the release phase take as long by
// the machine's clock as they take at speed 1: a reader's seconds are real.
func restarting(t *herokutest.Times, speed float64) {
	for _, d := range []*time.Duration{&t.DynoStart, &t.Release} {
		*d = time.Duration(float64(*d) * speed)
	}
}

// flagsCleared checks that nothing tells the app or its database to be
// read-only any more, and that the old database still is.
func (s *sandbox) flagsCleared(t *testing.T) {
	t.Helper()
	var vars map[string]string
	s.ask(t, "GET", "/apps/orders/config-vars", nil, &vars)
	if v, left := vars["READ_ONLY"]; left {
		t.Errorf("READ_ONLY is still %q", v)
	}
	old := 0
	for name, url := range vars {
		if !strings.HasSuffix(name, "_URL") || name == "REPLICA_URL" || !strings.HasPrefix(url, "postgres://") {
			continue
		}
		want := "off"
		if url != vars["DATABASE_URL"] {
			want, old = "on", old+1
		}
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatalf("connect by %s: %v", name, err)
		}
		var got string
		err = c.QueryRow(t.Context(), "SHOW default_transaction_read_only").Scan(&got)
		if err != nil || got != want {
			t.Errorf("%s: default_transaction_read_only is %q, want %q (%v)", name, got, want, err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if old != 1 {
		t.Errorf("%d names lead to the old database, want 1", old)
	}
}

// steps is how long each step of an app's newest run took.
func (s *sandbox) steps(t *testing.T, app string) string {
	t.Helper()
	var runs []ops.Run
	if err := json.Unmarshal([]byte(s.once(t, "status", app, "--json", "--state", s.state)), &runs); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, x := range runs[0].Steps {
		if !x.Ended.IsZero() {
			fmt.Fprintf(&b, "%s %.1f s; ", x.Step, x.Ended.Sub(x.Begun).Seconds())
		}
	}
	return b.String()
}
