package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// quiet is an app whose dynos are off, so that nothing is written but what a
// test writes.
func quiet(h *herokutest.Server) {
	h.AddApp(herokutest.AppSpec{Name: "quiet", Formation: map[string]int{"web": 0}})
	h.AddDatabase(herokutest.DatabaseSpec{Name: "postgresql-quiet-20202", App: "quiet", Plan: "standard-0", Version: "15.13", Bytes: 1_000_000_000})
}

// upgraded brings the quiet app to the new database.
func upgraded(t *testing.T, s *sandbox, p *player) {
	t.Helper()
	s.sql(t, "quiet",
		"CREATE TABLE lines (id bigint PRIMARY KEY)", "INSERT INTO lines SELECT generate_series(1, 100)",
		"CREATE TABLE old_lines (id bigint PRIMARY KEY)", "INSERT INTO old_lines SELECT generate_series(1, 100)",
		"CREATE SEQUENCE tickets", "SELECT lo_create(4711)")
	s.says(t, p, `
		ana: /pgupgrade start quiet
		pgupgrade: May the cutover begin
		ben presses Approve cutover
		pgupgrade: The new database takes writes
		pgupgrade: open again on PostgreSQL 17
		pgupgrade: App health`)
}

// changes are written to the new database after the switch, one after the other.
var changes = []struct{ name, statement, says string }{
	{"a sequence", "SELECT nextval('tickets')", "sequence public.tickets: from"},
	{"a large object", "SELECT lo_put(4711, 0, 'x')", "pg_catalog.pg_largeobject: 1 inserted"},
	{"a definition", "ALTER TABLE lines ADD COLUMN extra int", "table public.lines was changed"},
	{"a truncate", "TRUNCATE old_lines", "public.old_lines: truncated or rewritten"},
	{"rows", "DELETE FROM lines WHERE id < 8", "public.lines: 7 deleted"},
}

// meterTales go back after the switch.
var meterTales = []tale{
	{name: "nothing was written, so going back is free", apps: quiet, returns: true, some: true, tell: func(t *testing.T, s *sandbox, p *player) {
		upgraded(t, s, p)
		begun := time.Now()
		s.says(t, p, `
			ben presses Roll back…
			ben fills in quiet
			pgupgrade: Going back loses nothing: nothing was written
			pgupgrade: is open again on `+"`postgresql-quiet-20202`"+` (PostgreSQL 15), rolled back`)
		fmt.Printf("a free return took %.1f s from the typed decision to the open app\n", time.Since(begun).Seconds())
		s.sql(t, "quiet", "INSERT INTO lines VALUES (1000)") // the fence is gone
	}},
	{name: "each kind of change is seen before going back", apps: quiet, returns: true, tell: func(t *testing.T, s *sandbox, p *player) {
		upgraded(t, s, p)
		for _, x := range changes {
			t.Log(x.name)
			s.sql(t, "quiet", x.statement)
			s.says(t, p, `
				ben presses Roll back…
				ben fills in quiet
				pgupgrade: Go back and lose this? ... `+x.says+`
				ben presses Stay on the new database
				pgupgrade: Not rolled back
				pgupgrade: is open again on `+"`quiet-pg17"+` ... as before the rollback`)
			s.never(t, "attachment.replace quiet DATABASE postgresql-quiet-20202")
		}
		s.says(t, p, `
			ben presses Roll back…
			ben fills in quiet
			pgupgrade: Go back and lose this?
			ben presses Go back anyway
			pgupgrade: is open again on `+"`postgresql-quiet-20202`"+` (PostgreSQL 15), rolled back`)
	}},
}
