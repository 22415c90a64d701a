package pg

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestWritable looks at databases to which the app cannot write.
func TestWritable(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		if w := must(cu.Writable(ctx))(t); !w.OK(cu.Major) || w.Why != "" {
			t.Errorf("as it is: %+v", w)
		}
		// A role's own default is found by connecting as the app does.
		cu.Exec(t, "postgres", cu.Name, "ALTER ROLE owner SET default_transaction_read_only = on")
		w := must(cu.Writable(ctx))(t)
		cu.Exec(t, "postgres", cu.Name, "ALTER ROLE owner RESET default_transaction_read_only")
		if w.OK(cu.Major) || w.Default || w.Why == "" {
			t.Errorf("a role that is read-only by default: %+v", w)
		}
		if w := must(cu.reach(cu.Cluster, "other").Writable(ctx))(t); !w.OK(cu.Major) {
			t.Errorf("a role that may create nothing lasting: %+v", w)
		}
	})
}

func TestSequencesBehind(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		cu.do("CREATE TABLE shop.fresh (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", // never used
			"CREATE TABLE shop.good (id bigserial PRIMARY KEY)", "INSERT INTO shop.good DEFAULT VALUES",
			"CREATE TABLE shop.down (id int PRIMARY KEY)", "CREATE SEQUENCE shop.d INCREMENT -1 START 100 MAXVALUE 100 OWNED BY shop.down.id", "INSERT INTO shop.down VALUES (nextval('shop.d'))",
			"CREATE TABLE shop.plain (id serial)")
		names := func() []string {
			var out []string
			for _, s := range must(cu.SequencesBehind(t.Context()))(t) {
				out = append(out, s.Sequence+" "+s.Skipped)
			}
			return out
		}
		if got := names(); len(got) != 1 || !strings.HasPrefix(got[0], "shop.plain_id_seq no index") {
			t.Errorf("behind: %q", got)
		}
		cu.do("INSERT INTO shop.good VALUES (50)", "SELECT setval('shop.orders_id_seq', 100, false)", "INSERT INTO shop.down VALUES (50)")
		if got := names(); len(got) != 4 || !slices.Contains(got, "shop.good_id_seq ") || !slices.Contains(got, "shop.orders_id_seq ") || !slices.Contains(got, "shop.d ") {
			t.Errorf("behind: %q", got)
		}
	})
}

// TestCompareRows compares two databases that differ in one way.
func TestCompareRows(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		tables := []string{
			"CREATE TABLE shop.large (a text, b int, c text, PRIMARY KEY (a, b))",
			"INSERT INTO shop.large SELECT 'k' || n % 10, n, repeat('y', 100) FROM generate_series(1, 3000) n",
			"CREATE TABLE shop.keyless AS SELECT n FROM generate_series(1, 9000) n",
			`CREATE TABLE shop."Odd ""name" ("Key" date PRIMARY KEY, "pgupgrade" float8)`,
			`INSERT INTO shop."Odd ""name" SELECT '2020-01-01'::date + n, n / 3.0 FROM generate_series(1, 9000) n`,
			"CREATE UNLOGGED TABLE shop.lost AS SELECT 1",
		}
		twin := fresh(t, cu.Cluster)
		cu.do(tables...)
		twin.do(tables...)
		limits := ops.CompareLimits{WholeBelow: 64 << 10, Sample: 90}
		compare := func() map[string]ops.RowsCompared {
			out := map[string]ops.RowsCompared{}
			for _, c := range must(cu.CompareRows(ctx, twin.Database, limits))(t) {
				out[c.Table] = c
			}
			return out
		}
		all := compare()
		for table, want := range map[string]ops.RowsCompared{
			"shop.orders":       {Whole: true, Rows: 100},
			"shop.large":        {Rows: 60},
			`shop."Odd ""name"`: {Rows: 60},
			"shop.keyless":      {Skipped: "it is large and has no primary key"},
		} {
			got := all[table]
			if got.Whole != want.Whole || got.Rows < want.Rows || got.Differs != "" || got.Skipped != want.Skipped {
				t.Errorf("%s: %+v", table, got)
			}
		}
		if len(all) != 4 {
			t.Errorf("compared %v", all)
		}
		twin.do("DELETE FROM shop.orders WHERE id = 7", "DELETE FROM shop.large WHERE b = 3000", "UPDATE shop.large SET c = 'z' WHERE a = 'k0' AND b = 10",
			`UPDATE shop."Odd ""name" SET pgupgrade = pgupgrade + 1e-9 WHERE "Key" = '2020-01-02'`)
		all = compare()
		for table, says := range map[string]string{
			"shop.orders":       "100 rows on the old database, 99 on the new one",
			"shop.large":        "rows picked, ",
			`shop."Odd ""name"`: "0 are missing and 1 differ",
		} {
			wants(t, all[table].Differs, says)
		}
		twin.do("INSERT INTO shop.orders VALUES (7, 'another')")
		wants(t, compare()["shop.orders"].Differs, "not the same")
		limits.Within = time.Nanosecond
		if c, err := cu.CompareRows(ctx, twin.Database, limits); err == nil && !slices.ContainsFunc(c, func(c ops.RowsCompared) bool { return c.Skipped != "" }) {
			t.Errorf("no time, and yet: %+v", c)
		}
	})
}

func TestAnalyze(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		cu.do("CREATE TABLE shop.big AS SELECT n FROM generate_series(1, 50000) n", "CREATE TABLE shop.busy AS SELECT 1", "CREATE TABLE shop.empty ()",
			"CREATE TABLE shop.parts (n int) PARTITION BY RANGE (n)", "CREATE TABLE shop.part PARTITION OF shop.parts DEFAULT", "INSERT INTO shop.parts VALUES (1)",
			"SELECT count(*) FROM shop.busy", "SELECT count(*) FROM shop.busy", "CREATE TABLE shop.theirs AS SELECT 1")
		cu.Exec(t, "postgres", cu.Name, "ALTER TABLE shop.theirs OWNER TO other")
		cu.alone()
		busiest := must(cu.Busiest(ctx, 3))(t)
		if len(busiest) != 3 || busiest[0] != "shop.big" {
			t.Errorf("busiest: %q", busiest)
		}
		if a := must(cu.Analyze(ctx, nil, 0, nil))(t); len(a.Done) != 0 || !slices.Contains(a.Left, "shop.big") {
			t.Errorf("without time: %+v", a)
		}
		lock := cu.session("owner", "BEGIN", "LOCK TABLE shop.part IN ACCESS EXCLUSIVE MODE")
		var told []string
		a := must(cu.Analyze(ctx, []string{"shop.busy", "shop.absent", "shop.orders"}, time.Minute, func(done, all int, table string) {
			told = append(told, table)
			if done >= all {
				t.Errorf("%d of %d done before %s", done, all, table)
			}
		}))(t)
		if want := []string{"shop.busy", "shop.orders", "shop.big"}; len(a.Done) < 3 || !slices.Equal(a.Done[:3], want) || !slices.Equal(told[:3], want) || slices.Contains(a.Done, "shop.part") {
			t.Errorf("order: %q, told %q", a.Done, told)
		}
		if a.Failed["shop.part"] != "somebody holds a lock on it" || a.Failed["shop.theirs"] != "it belongs to another role" {
			t.Errorf("failed: %v", a.Failed)
		}
		if _, err := lock.ExecContext(ctx, "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		// The second round takes up what was left.
		a = must(cu.Analyze(ctx, nil, time.Minute, nil))(t)
		if !slices.Contains(a.Done, "shop.part") || slices.Contains(a.Done, "shop.big") {
			t.Errorf("second round: %+v", a)
		}
		if a = must(cu.Analyze(ctx, nil, time.Minute, nil))(t); len(a.Done)+len(a.Left) > 0 {
			t.Errorf("third round: %+v", a)
		}
	})
}
