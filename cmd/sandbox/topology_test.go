package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

const shopDB = "postgresql-shared-90210"

// shop stages four apps of which all use one database, and one that has no
// business with it.
func shop(h *herokutest.Server) {
	for _, a := range []herokutest.AppSpec{
		{Name: "shop", Formation: map[string]int{"web": 2, "worker": 1}},
		{Name: "admin", Formation: map[string]int{"web": 1}, Maintenance: true},
		{Name: "feed", Formation: map[string]int{"web": 1, "clock": 1}, ReleasePhase: true},
		{Name: "stats", Formation: map[string]int{"worker": 2}},
		{Name: "billing", Formation: map[string]int{"web": 1}},
	} {
		h.AddApp(a)
	}
	h.AddDatabase(herokutest.DatabaseSpec{Name: shopDB, App: "shop", Plan: "standard-0", Version: "15.13", Bytes: 4_000_000_000})
}

// spread attaches the database to all four apps, under other names, through the
// pooler and with a credential of its own; gives it a follower and a backup
// schedule; and lets a program outside Heroku write for each app.
func spread(t *testing.T, s *sandbox, p *player) {
	t.Helper()
	s.stages(t, "credential on "+shopDB+": analyst")
	s.sql(t, "shop", "GRANT INSERT, SELECT ON written TO analyst")
	s.stages(t,
		"attach on shop: HEROKU_POSTGRESQL_NAVY "+shopDB,
		"attach on shop: DATABASE_CONNECTION_POOL "+shopDB+" connection-pooling:default",
		"attach on admin: DATABASE "+shopDB,
		"attach on feed: DATABASE "+shopDB,
		"attach on feed: FEED_POOL "+shopDB+" connection-pooling:default",
		"attach on stats: DATABASE "+shopDB+" credential:analyst",
		"copy url on shop", "copy url on admin", "copy url on feed", "copy url on stats")
	s.ask(t, "POST", "/client/v11/databases/"+s.addon(t, shopDB)+"/transfer-schedules", map[string]any{"hour": "3", "timezone": "Europe/Berlin", "schedule_name": "DATABASE_URL"}, nil)
	s.replica(t, p, "shop")
}

// recorded is what must come back: formation and maintenance.
func (s *sandbox) recorded() map[string]string {
	out := map[string]string{}
	for _, a := range s.heroku.Overview().Apps {
		out[a.Name] = fmt.Sprintf("maintenance %v, formation %v", a.Maintenance, a.Formation)
	}
	return out
}

// leads checks that every name leads to one database, but for the spare names
// and the replica's.
func (s *sandbox) leads(t *testing.T, to string) {
	t.Helper()
	n := 0
	for _, a := range s.heroku.Overview().Apps {
		for _, at := range a.Attachments {
			name, db, _ := strings.Cut(at, " ")
			if strings.HasPrefix(name, "PG1") || name == "REPLICA" {
				continue
			}
			if n++; !strings.HasPrefix(db, to) {
				t.Errorf("%s of %s leads to %s, not to %s", name, a.Name, db, to)
			}
		}
	}
	if n != 7 {
		t.Errorf("%d names lead somewhere, want 7", n)
	}
}

var topologyTales = []tale{
	{name: "every app and every name", apps: shop, some: true, tell: func(t *testing.T, s *sandbox, p *player) {
		spread(t, s, p)
		s.stages(t, "copy var on billing: REPORT_URL shop")
		was := s.recorded()
		s.says(t, p, `
			ana: /pgupgrade start shop
			pgupgrade to ana: nothing was created ... REPORT_URL on billing`)
		s.stages(t, "unset var on billing: REPORT_URL")
		toCutover(t, s, p)
		s.says(t, p, `
			pgupgrade: Writers stopped ... is read-only`)
		// An id is drawn, as by autovacuum, while a session of the analyst's is there
		// that nobody can see into. It tells what it wrote when it is ended.
		s.connect(t, "stats")
		s.sql(t, "shop", "SELECT pg_current_xact_id()")
		s.says(t, p, `
			pgupgrade: Upgraded to PostgreSQL 17
			pgupgrade: App health: good
			pgupgrade: The follower ... shop-replica ... -- --follow shop-pg17
			pgupgrade: Backups are scheduled on`)
		s.leads(t, "shop-pg17")
		s.back(t, was)
		nothingLost(t, s, tale{})
		// Whoever holds a copy of the URL would keep the old database in use.
		s.stages(t, "end outsiders on shop", "end outsiders on admin", "end outsiders on feed", "end outsiders on stats")
		s.says(t, p, `
			pgupgrade: is safe to destroy ... Its followers stay ... shop-replica
			ben presses Destroy…
			ben sees Not destroyed, and billed on
			ben fills in shop
			pgupgrade: Upgrade of shop is done ... Cost ... To clean up by hand ... heroku addons:destroy shop-replica -a shop`)
		s.nothingLeft(t, p)
	}},
	// The command ends before it connects, so that nothing is written to the new
	// database and the run may go back by itself, on all apps.
	{name: "the release of the third app fails", apps: shop, returns: true, some: true, tell: func(t *testing.T, s *sandbox, p *player) {
		spread(t, s, p)
		was := s.recorded()
		s.stages(t, "crash releases on feed")
		toCutover(t, s, p)
		s.says(t, p, `
			pgupgrade: Going back ... of `+"`feed`"+` ... failed
			pgupgrade: Upgrade of shop went back`)
		// It had been switched as far as that app, and further.
		for _, app := range []string{"shop", "admin", "feed", "stats"} {
			if !slices.ContainsFunc(s.heroku.Effects(), func(e string) bool {
				return strings.HasPrefix(e, "attachment.replace "+app+" DATABASE shop-pg17")
			}) {
				t.Errorf("DATABASE of %s never led to the new database: %q", app, s.heroku.Effects())
			}
		}
		s.leads(t, shopDB)
		s.back(t, was)
		for _, app := range []string{"shop", "admin", "feed", "stats"} {
			s.writable(t, p, app)
		}
	}},
}

// toCutover answers both questions; there is something to accept in each.
func toCutover(t *testing.T, s *sandbox, p *player) {
	t.Helper()
	s.says(t, p, `
		ana: /pgupgrade start shop
		ben presses Approve follower
		ben sees Accept and approve
		ben fills in nothing
		pgupgrade: May the cutover begin
		ben presses Approve cutover
		ben sees Accept and approve
		ben fills in nothing`)
}

// nothingLeft does what is left to people, and looks whether anything but the
// new database is there, at Heroku and on this machine.
func (s *sandbox) nothingLeft(t *testing.T, p *player) {
	t.Helper()
	s.ask(t, "DELETE", "/apps/shop/addons/shop-replica", nil, nil)
	err := p.until(t.Context(), func() bool {
		return len(s.heroku.Overview().Databases) == 1 && len(servers(t, s.data.fleet.Dir())) == 1
	})
	o := s.heroku.Overview()
	if err != nil {
		t.Errorf("databases are left: %v; servers: %q", o.Databases, servers(t, s.data.fleet.Dir()))
	}
	for _, a := range o.Apps {
		for _, at := range a.Attachments {
			if name, db, _ := strings.Cut(at, " "); !strings.HasPrefix(db, "shop-pg17") {
				t.Errorf("%s of %s leads to %s", name, a.Name, db)
			}
		}
	}
	t.Logf("left are %d database, %d server", len(o.Databases), len(servers(t, s.data.fleet.Dir())))
}

// servers are the PostgreSQL servers, without their children, that run in a folder.
func servers(t *testing.T, folder string) []string {
	t.Helper()
	return slices.DeleteFunc(processes(t, folder), func(line string) bool { return !strings.Contains(line, " -D ") })
}

// stages makes things happen at Heroku, as "what on name: argument".
func (s *sandbox) stages(t *testing.T, all ...string) {
	t.Helper()
	for _, what := range all {
		what, on, _ := strings.Cut(what, " on ")
		name, arg, _ := strings.Cut(on, ": ")
		if err := s.stage(what, name, arg); err != nil {
			t.Fatalf("%s on %s: %v", what, on, err)
		}
	}
}

// ask calls Heroku as somebody with the account's key does.
func (s *sandbox) ask(t *testing.T, method, path string, body, into any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.herokuURL+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+herokuKey)
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s (%v)", method, path, res.Status, got, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(got, into); err != nil {
		t.Fatal(err)
	}
}

func (s *sandbox) addon(t *testing.T, name string) string {
	t.Helper()
	var a struct{ ID string }
	s.ask(t, "GET", "/addons/"+name, nil, &a)
	return a.ID
}

func (s *sandbox) database(name string) (herokutest.DatabaseView, bool) {
	all := s.heroku.Overview().Databases
	i := slices.IndexFunc(all, func(d herokutest.DatabaseView) bool { return d.Name == name })
	if i < 0 {
		return herokutest.DatabaseView{}, false
	}
	return all[i], true
}

// sql runs statements, each on its own, in an app's database as its owner, who
// asks for read-write as only those do who want to write behind a fence.
func (s *sandbox) sql(t *testing.T, app string, statements ...string) {
	t.Helper()
	c := s.connect(t, app)
	defer c.Close(t.Context())
	for _, x := range append([]string{"SET default_transaction_read_only = off"}, statements...) {
		if _, err := c.Exec(t.Context(), x); err != nil {
			t.Fatalf("%s: %v", x, err)
		}
	}
}

// connect opens a session on an app's database, as the app does, that ends with
// the test at the latest.
func (s *sandbox) connect(t *testing.T, app string) *pgx.Conn {
	t.Helper()
	var vars map[string]string
	s.ask(t, "GET", "/apps/"+app+"/config-vars", nil, &vars)
	c, err := pgx.Connect(t.Context(), vars["DATABASE_URL"])
	if err != nil {
		t.Fatalf("connect to the database of %s: %v", app, err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// acknowledged is how many rows an app's programs were told are in.
func (s *sandbox) acknowledged(app string) int {
	for _, r := range s.heroku.Rows() {
		if r.App == app {
			return r.Acknowledged
		}
	}
	return 0
}

// channel is all that the bot and people said.
func (s *sandbox) channel() string {
	var b strings.Builder
	for _, who := range []string{"", "U1", "U2", "U3"} {
		for _, m := range s.slack.Messages(channelID, who) {
			if who == "" || m.Ephemeral == who {
				fmt.Fprintf(&b, "%s: %s\n", m.TS, m.Text)
			}
		}
	}
	return b.String()
}
