package pg

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

func (cu *customer) reading() ops.Fact[ops.Reading] {
	cu.t.Helper()
	return ops.Known(must(cu.Reading(cu.t.Context()))(cu.t))
}

// TestMeterSees changes a database in one way and looks whether the meter says so.
func TestMeterSees(t *testing.T) {
	const before = "CREATE TABLE shop.other (id int PRIMARY KEY); INSERT INTO shop.other VALUES (1); CREATE SEQUENCE shop.tickets; CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; " +
		"CREATE MATERIALIZED VIEW shop.sums AS SELECT count(*) FROM shop.orders; CREATE TYPE shop.mood AS ENUM ('good'); CREATE VIEW shop.v AS SELECT id FROM shop.orders; " +
		"CREATE FUNCTION shop.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; SELECT lo_create(4711)"
	cases := []struct {
		name, change string
		says         string // beginning of a line; "" for nothing
	}{
		{"nothing", "SELECT count(*) FROM shop.orders", ""},
		{"insert", "INSERT INTO shop.other VALUES (2), (3)", "shop.other: 2 inserted"},
		{"update", "UPDATE shop.orders SET note = 'x' WHERE id < 4", "shop.orders: 3 updated"},
		{"delete", "DELETE FROM shop.orders WHERE id < 3", "shop.orders: 2 deleted"},
		{"a rolled-back insert counts, which is why probes have a table of their own", "BEGIN; INSERT INTO shop.other VALUES (2); ROLLBACK", "shop.other: 1 inserted"},
		{"truncate", "TRUNCATE shop.orders", "shop.orders: truncated or rewritten"},
		{"nextval", "SELECT nextval('shop.tickets')", "sequence shop.tickets: from 1 to 1"},
		{"nextval of a sequence in use", "SELECT nextval('shop.orders_id_seq')", "sequence shop.orders_id_seq: from 100 to 101"},
		{"setval", "SELECT setval('shop.tickets', 1, true)", "sequence shop.tickets"},
		{"large object made", "SELECT lo_create(4712)", "pg_catalog.pg_largeobject_metadata: 1 inserted"},
		{"large object written", "SELECT lo_put(4711, 0, 'x')", "pg_catalog.pg_largeobject: 1 inserted"},
		{"large object dropped", "SELECT lo_unlink(4711)", "pg_catalog.pg_largeobject_metadata: 1 deleted"},
		{"column", "ALTER TABLE shop.orders ADD COLUMN extra int", "table shop.orders was changed"},
		{"default", "ALTER TABLE shop.orders ALTER COLUMN note SET DEFAULT 'x'", "table shop.orders was changed"},
		{"index", "CREATE INDEX more ON shop.orders (note)", "index shop.more is new"},
		{"constraint", "ALTER TABLE shop.orders ADD CONSTRAINT positive CHECK (id > 0) NOT VALID", "constraint positive on shop.orders is new"},
		{"function", "CREATE OR REPLACE FUNCTION shop.f() RETURNS int LANGUAGE sql AS 'SELECT 2'", "function shop.f() was changed"},
		{"trigger", "CREATE TRIGGER late AFTER INSERT ON shop.orders EXECUTE FUNCTION shop.trg()", "trigger late on shop.orders is new"},
		{"view", "CREATE OR REPLACE VIEW shop.v AS SELECT id, note FROM shop.orders", "view shop.v was changed"},
		{"enum", "ALTER TYPE shop.mood ADD VALUE 'bad'", "type shop.mood was changed"},
		{"grant", "REVOKE INSERT ON shop.orders FROM other", "table shop.orders was changed"},
		{"policy", "CREATE POLICY p ON shop.orders USING (true)", "policy p on shop.orders is new"},
		{"new table with rows", "CREATE TABLE shop.late AS SELECT 1 AS id", "shop.late: 1 inserted, created"},
		{"dropped table", "DROP TABLE shop.other", "shop.other: dropped"},
		{"dropped and made anew", "DROP TABLE shop.other; CREATE TABLE shop.other (id int PRIMARY KEY)", "shop.other: created"},
		{"renamed", "ALTER TABLE shop.other RENAME TO others", "shop.others: renamed from shop.other"},
		{"refreshed", "REFRESH MATERIALIZED VIEW shop.sums", "shop.sums: 1 inserted, truncated or rewritten"},
		{"schema", "CREATE SCHEMA extra", "schema extra is new"},
		{"temporary table", "CREATE TEMP TABLE x (id int); INSERT INTO x VALUES (1)", ""},
		{"analyze", "ANALYZE", ""},
	}
	each(t, func(t *testing.T, cu *customer) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				cu.stock()
				cu.do(before)
				cu.alone()
				base := cu.reading()
				cu.do(c.change)
				cu.alone()
				loss := ops.Measure(base, cu.reading())
				if !loss.Known() {
					t.Fatalf("unknown: %v", loss.Unknown)
				}
				lines := loss.Lines(20)
				if c.says == "" {
					if !loss.Zero() {
						t.Errorf("says %q", lines)
					}
					return
				}
				if loss.Zero() || !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, c.says) }) {
					t.Errorf("says %q", lines)
				}
			})
		}
	})
}

// TestFoldedSchema: of very many definitions only the kinds are kept, and each
// change still shows.
func TestFoldedSchema(t *testing.T) {
	was := map[string]string{"table a": "1", "table b": "2", "index c": "3"}
	if got := fold(was, 3); len(got) != 3 {
		t.Errorf("few are folded: %v", got)
	}
	folded := fold(was, 2)
	if len(folded) != 2 {
		t.Errorf("folded to %v", folded)
	}
	for _, now := range []map[string]string{
		{"table a": "1", "table b": "x", "index c": "3"},
		{"table a": "1", "table b": "2"},
		{"table a": "1", "table b": "2", "index c": "3", "view d": "4"},
		{"table a": "2", "table b": "1", "index c": "3"},
	} {
		if maps.Equal(fold(now, 1), folded) {
			t.Errorf("%v is not told from before", now)
		}
	}
}

// TestMeterSaysUnknown: whatever takes the counters away is never zero.
func TestMeterSaysUnknown(t *testing.T) {
	bins := pgtest.Majors(t)
	for _, bin := range []string{bins[0], bins[len(bins)-1]} {
		cu := fresh(t, pgtest.Primary(t, bin))
		ctx := t.Context()
		for _, c := range []struct {
			name   string
			happen func()
			says   string
		}{
			// The counters grow past where they were, so that only their reset tells;
			// first, since any other reset leaves a time in pg_stat_database to lose.
			{"a crash", func() {
				cu.Crash(t)
				cu.do("INSERT INTO shop.orders (note) SELECT 'after' FROM generate_series(1, 1000)")
			}, "began anew"},
			{"counters reset", func() { cu.Exec(t, "postgres", cu.Name, "SELECT pg_stat_reset()") }, "began anew"},
			{"one table's counters reset", func() {
				cu.Exec(t, "postgres", cu.Name, "SELECT pg_stat_reset_single_table_counters('shop.orders'::regclass)")
			}, "began anew"},
			{"a sequence that may not be read", func() {
				cu.Exec(t, "postgres", cu.Name, "CREATE SEQUENCE shop.theirs", "REVOKE ALL ON shop.theirs FROM PUBLIC", "ALTER SEQUENCE shop.theirs OWNER TO other")
			}, "sequences could not be read (read sequences: the credential may not read the sequence shop.theirs)"},
		} {
			cu.alone()
			base := cu.reading()
			c.happen()
			pgtest.Until(t, "the database to be back", func() bool { _, err := cu.Server(ctx); return err == nil })
			cu.alone()
			l := ops.Measure(base, cu.reading())
			if l.Known() || l.Zero() {
				t.Errorf("%d, %s: %v", cu.Major, c.name, l)
			}
			wants(t, l.String(), c.says)
		}
		// A clean restart keeps them.
		cu.Exec(t, "postgres", cu.Name, "DROP SEQUENCE shop.theirs")
		cu.alone()
		base := cu.reading()
		cu.Restart(t)
		pgtest.Until(t, "the database to be back", func() bool { _, err := cu.Server(ctx); return err == nil })
		if l := ops.Measure(base, cu.reading()); !l.Zero() {
			t.Errorf("%d, restarted: %v", cu.Major, l)
		}
	}
}

// TestReadingSurvivesJSON: it is kept in rows between ticks.
func TestReadingSurvivesJSON(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		cu.alone()
		was := cu.reading()
		text, err := json.Marshal(was)
		if err != nil {
			t.Fatal(err)
		}
		var is ops.Fact[ops.Reading]
		if err := json.Unmarshal(text, &is); err != nil {
			t.Fatal(err)
		}
		if l := ops.Measure(is, cu.reading()); !l.Zero() {
			t.Errorf("read back: %v", l)
		}
		cu.do("DELETE FROM shop.orders")
		cu.alone()
		if l := ops.Measure(is, cu.reading()); l.Zero() || l.Rows().Deleted != 100 {
			t.Errorf("read back, after a change: %v", l)
		}
	})
}
