package pg

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// How a check is shown.
const (
	seeded        = "seeded"
	factsOnly     = "facts only"
	notApplicable = "not applicable"
)

// shownAs says for one check how its example is made.
type shownAs struct {
	how    string
	reason string // where nothing was seeded
	// evidence is what the finding must name.
	evidence string
	facts    func(*check.Facts) // what else the check needs to know
	db       string             // another database than app
	newer    bool               // a cluster of the newer major
}

// examples has a row for every check that looks inside a database, by number
// and title. One that is missing fails the test.
var examples = map[string]shownAs{
	"H31 Checks inside the database": {how: seeded, evidence: "limited"},

	"S1 Prepared transactions":                                {how: seeded, evidence: "1: in app"},
	"S2 Columns of a type that refers to the catalogue":       {how: seeded, evidence: "seed.regs.c, seed.regs_composite.c, seed.regs_domain.c"},
	"S3 Columns of a system row type":                         {how: seeded, evidence: "seed.composites.c"},
	"S4 aclitem columns":                                      {how: seeded, evidence: "seed.acls.c"},
	"S5 NOT NULL is inherited":                                {how: seeded, evidence: "seed.child.a", facts: target(18)},
	"S7 Objects that depend on built-in Unicode tables":       {how: seeded, evidence: "seed.unicode_upper", facts: target(18), newer: true},
	"S8 Databases that refuse connections":                    {how: seeded, evidence: "closed (no connections allowed)"},
	"S9 Logical replication slots":                            {how: seeded, evidence: "seed of app"},
	"S9 Subscriptions":                                        {how: seeded, evidence: "seed_sub"},
	"S11 Number of objects":                                   {how: seeded, evidence: "1006 schemas"},
	"S12 Large objects":                                       {how: seeded, evidence: "100001 large objects"},
	"S13 Views over system views":                             {how: seeded, evidence: "seed.activity"},
	"S14 Event triggers":                                      {how: seeded, evidence: "seed_trigger"},
	"S15 Functions that rely on search_path":                  {how: seeded, evidence: "2: seed.path_generated, seed.path_index"},
	"S17 Data checksums":                                      {how: factsOnly, reason: "a cluster has them or not; both are rows of TestCompat"},
	"S18 Search indexes under a collation that is not libc's": {how: seeded, evidence: "icu's; 1: public.words_search", facts: target(18), db: "icu"},
	"S19 Password encryption":                                 {how: seeded, evidence: "md5"},
	"S22 Settings on roles and databases":                     {how: seeded, evidence: "password_encryption of a role"},

	"E1 Extensions that the new version does not have":     {how: seeded, evidence: "adminpack 2.1"},
	"E2 Extensions behind their newest version":            {how: seeded, evidence: "pg_trgm 1.3 (1.6 is there)"},
	"E3 Extensions to make anew around the upgrade":        {how: seeded, evidence: "pg_repack 1.4.7"},
	"E4 Extensions that others refuse to upgrade in place": {how: seeded, evidence: "postgres_fdw 1.1. Foreign servers: 1: elsewhere"},
	"E5 PostGIS": {how: seeded, evidence: "postgis 3.3.2"},
	"E6 Jobs and partitions kept by extensions":  {how: seeded, evidence: "pg_cron 1.4"},
	"E6 Objects over the views of extensions":    {how: seeded, evidence: "seed.slow"},
	"E7 Statistics of statements":                {how: seeded, evidence: "pg_stat_statements"},
	"E8 Extensions in Heroku's own schema":       {how: seeded, evidence: "hstore"},
	"E9 Extensions that want an update now":      {how: seeded, evidence: "pg_trgm 1.3 (1.6 is there)", facts: func(f *check.Facts) { f.After = true }},
	"D1 Unlogged tables":                         {how: seeded, evidence: "seed.cache (8192 bytes)"},
	"D2 Temporary tables":                        {how: seeded, evidence: ".scratch"},
	"D2 Advisory locks":                          {how: seeded, evidence: "(jobs)"},
	"D2 Listening sessions":                      {how: seeded, evidence: "(listener)"},
	"D3 Sequences":                               {how: seeded, evidence: "2: seed.narrow_id_seq (93 %), seed.short (92 %)"},
	"D5 Schema as it was when the plan was made": {how: seeded, evidence: "have changed", facts: cutover},
	"D6 Invalid indexes":                         {how: seeded, evidence: "seed.broken"},
	"D6 Constraints that were not validated":     {how: seeded, evidence: "seed.checked: positive"},
	"D7 Collation versions":                      {how: seeded, evidence: "1: database app"},
	"D8 Text indexes":                            {how: seeded, evidence: "1 index, 8 kB"},
	"D9 Age of the transaction ids":              {how: seeded, evidence: "ancient is at 600 %"},
	"D10 Dead rows":                              {how: seeded, evidence: "1 table is above autovacuum's threshold, 200 dead rows in all; most in seed.churn"},
	"D11 Statistics of their own":                {how: seeded, evidence: "2: seed.related, seed.targets.a"},
	"L1 Long transactions":                       {how: seeded, evidence: "(sleeper)"},
	"L2 Sessions idle in a transaction":          {how: seeded, evidence: "(jobs)"},
	"L3 Exclusive locks and lock queues":         {how: seeded, evidence: "holds AccessExclusiveLock on seed.locked"},
	"L4 Long work under way":                     {how: seeded, evidence: "dumps"},
	"L5 Queries that hold replay back":           {how: seeded, evidence: "(reader)", facts: cutover},
	"L6 How much is written":                     {how: notApplicable, reason: "a measurement: it informs whatever it is"},
	"L7 Connections":                             {how: seeded, evidence: "of 8: twice as many", facts: func(f *check.Facts) { f.Database = ops.Known(ops.Database{ConnectionLimit: 8}) }},
	"L8 Who connects":                            {how: seeded, evidence: "listener × 1"},
	"L10 Connections of other roles":             {how: seeded, evidence: "pid "},
}

func target(major int) func(*check.Facts) { return func(f *check.Facts) { f.Target = major } }
func cutover(f *check.Facts)              { f.Cutover = true }

// seeds are put into app by a superuser.
var seeds = []string{
	`CREATE SCHEMA seed AUTHORIZATION app`,
	`CREATE TABLE seed.regs (c regproc)`,
	`CREATE TYPE seed.made AS (r regconfig)`, `CREATE TABLE seed.regs_composite (c seed.made[])`,
	`CREATE DOMAIN seed.named AS regnamespace`, `CREATE TABLE seed.regs_domain (c seed.named)`, `CREATE TABLE seed.regs_kept (a regclass, b regtype, c regrole)`,
	`CREATE TABLE seed.composites (c pg_stat_activity)`,
	`CREATE TABLE seed.acls (c aclitem[])`,
	`CREATE TABLE seed.parent (a int NOT NULL)`, `CREATE TABLE seed.child () INHERITS (seed.parent)`, `ALTER TABLE seed.child ALTER a DROP NOT NULL`,
	`CREATE DATABASE closed ALLOW_CONNECTIONS false`, `CREATE DATABASE limited CONNECTION LIMIT 0`, `CREATE DATABASE ancient`,
	`UPDATE pg_database SET datfrozenxid = ((txid_current() % 4294967296 + 3094967296) % 4294967296)::text::xid WHERE datname = 'ancient'`,
	`SELECT pg_create_logical_replication_slot('seed', 'pgoutput')`,
	`CREATE SUBSCRIPTION seed_sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false)`,
	`DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE 'CREATE SCHEMA many_' || i; END LOOP; END $$`,
	`SELECT count(lo_create(0)) FROM generate_series(1, 100001)`,
	`CREATE VIEW seed.activity AS SELECT pid FROM pg_stat_activity`,
	`CREATE FUNCTION seed.fired() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`, `CREATE EVENT TRIGGER seed_trigger ON ddl_command_end EXECUTE FUNCTION seed.fired()`,
	`CREATE TABLE seed.paths (a text)`,
	`CREATE FUNCTION seed.path_index(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)'`, `CREATE INDEX ON seed.paths (seed.path_index(a))`,
	`CREATE FUNCTION seed.path_generated(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'`, `ALTER TABLE seed.paths ADD b text GENERATED ALWAYS AS (seed.path_generated(a)) STORED`,
	`CREATE FUNCTION seed.path_fixed(text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS 'SELECT lower($1)'`, `CREATE INDEX ON seed.paths (seed.path_fixed(a))`,
	`ALTER ROLE app SET password_encryption = 'md5'`,
	`CREATE EXTENSION adminpack`, `CREATE EXTENSION pg_trgm VERSION '1.3'`,
	`CREATE EXTENSION postgres_fdw`, `CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw`,
	`CREATE EXTENSION pg_stat_statements`, `CREATE VIEW seed.slow AS SELECT queryid FROM pg_stat_statements`,
	`CREATE SCHEMA heroku_ext`, `CREATE EXTENSION hstore SCHEMA heroku_ext`,
	// The rows that these extensions would leave; their packages are not here.
	`INSERT INTO pg_extension SELECT 90000 + n, name, 10, 'public'::regnamespace, false, version, NULL, NULL FROM (VALUES (1, 'pg_repack', '1.4.7'), (2, 'postgis', '3.3.2'), (3, 'pg_cron', '1.4')) AS v (n, name, version)`,
	`CREATE UNLOGGED TABLE seed.cache (a int)`, `INSERT INTO seed.cache VALUES (1)`, `CREATE UNLOGGED TABLE seed.cache_empty (a int)`,
	`CREATE SEQUENCE seed.short AS smallint`, `SELECT setval('seed.short', 30000)`,
	`CREATE SEQUENCE seed.wide`, `SELECT setval('seed.wide', 2000000000)`,
	// As serial columns were made before 10: the sequence is wider than the column.
	`CREATE SEQUENCE seed.narrow_id_seq`, `CREATE TABLE seed.narrow (id int DEFAULT nextval('seed.narrow_id_seq'))`, `ALTER SEQUENCE seed.narrow_id_seq OWNED BY seed.narrow.id`, `SELECT setval('seed.narrow_id_seq', 2000000000)`,
	`CREATE TABLE seed.checked (a int, b text)`, `CREATE INDEX broken ON seed.checked (a)`, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'seed.broken'::regclass`,
	`ALTER TABLE seed.checked ADD CONSTRAINT positive CHECK (a > 0) NOT VALID`,
	`CREATE INDEX collated ON seed.checked (b COLLATE "und-x-icu")`,
	`UPDATE pg_database SET datcollversion = '0' WHERE datname = 'app'`,
	`CREATE TABLE seed.churn AS SELECT generate_series(1, 200) AS a`, `DELETE FROM seed.churn`,
	`CREATE TABLE seed.targets (a int, b int)`, `ALTER TABLE seed.targets ALTER a SET STATISTICS 500`, `CREATE STATISTICS seed.related ON a, b FROM seed.targets`,
	`CREATE TABLE seed.locked (a int)`,
	`GRANT USAGE ON SCHEMA seed TO other`, `GRANT ALL ON ALL TABLES IN SCHEMA seed TO app, other`, `GRANT SELECT ON ALL SEQUENCES IN SCHEMA seed TO app`,
}

// home is a cluster as an app's: a role that is no superuser owns the database.
func home(t testing.TB, bin string) *pgtest.Cluster {
	t.Helper()
	c := pgtest.Primary(t, bin)
	c.Exec(t, "postgres", "postgres", `CREATE ROLE app LOGIN`, `CREATE ROLE other LOGIN`, `CREATE DATABASE app OWNER app`)
	c.Exec(t, "app", "app", `CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now())`,
		`INSERT INTO orders (name) SELECT 'order ' || n FROM generate_series(1, 100) n`, `CREATE INDEX ON orders (name)`,
		`CREATE VIEW recent AS SELECT * FROM orders WHERE at > now() - interval '1 day'`)
	return c
}

// open is the database as the bot opens it.
func open(t testing.TB, c *pgtest.Cluster, database string) *Database {
	t.Helper()
	d, err := Open(ops.NewSecret(c.URL("app", database)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// look is all the facts of one database.
func look(t testing.TB, c *pgtest.Cluster, database string) ops.Inside {
	t.Helper()
	in, err := open(t, c, database).inside(t.Context(), false, 0)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// hold keeps a session open in which the statements were run.
func hold(t testing.TB, c *pgtest.Cluster, role, app string, statements ...string) *pgx.Conn {
	t.Helper()
	conf, err := pgx.ParseConfig(c.URL(role, "app"))
	if err != nil {
		t.Fatal(err)
	}
	conf.RuntimeParams["application_name"] = app
	conn, err := pgx.ConnectConfig(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // the server ends as well
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return conn
}

// TestManyTables looks into a database of 10,000 tables, and prints how long it
// takes and the strongest lock that it takes, as another session sees it at the
// end of each question, while its transaction still holds every lock.
func TestManyTables(t *testing.T) {
	const tables, target = 10_000, 30 * time.Second
	c := home(t, pgtest.Majors(t)[0])
	made := time.Now()
	c.Exec(t, "app", "app", fmt.Sprintf(`DO $$ BEGIN
		FOR i IN 1..%d LOOP
			EXECUTE format('CREATE TABLE many_%%s (id int %%s PRIMARY KEY, a int)', i, CASE WHEN i %% 10 = 0 THEN 'GENERATED ALWAYS AS IDENTITY' END);
			IF i %% 250 = 0 THEN COMMIT; END IF; -- the table of locks is not larger
		END LOOP;
	END $$`, tables))
	t.Logf("%d tables made in %s", tables, time.Since(made).Round(time.Millisecond))
	watcher := c.Open(t, "postgres", "app")
	defer watcher.Close()
	d := open(t, c, "app")
	modes, asked := map[string]int{}, 0
	var watched time.Duration
	d.atEnd = func(ctx context.Context, what string, tx pgx.Tx) {
		begun := time.Now()
		defer func() { watched += time.Since(begun) }()
		asked++
		// The transaction's own virtual id is always locked by itself.
		rows, err := watcher.QueryContext(ctx, `SELECT mode, count(*) FROM pg_locks WHERE pid = $1 AND locktype <> 'virtualxid' GROUP BY mode`, tx.Conn().PgConn().PID())
		if err != nil {
			t.Errorf("watch %s: %v", what, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var mode string
			var n int
			if err := rows.Scan(&mode, &n); err != nil {
				t.Errorf("watch %s: %v", what, err)
			}
			if mode != "AccessShareLock" {
				t.Errorf("%s takes %s", what, mode)
			}
			modes[mode] = max(modes[mode], n)
		}
		if err := rows.Err(); err != nil {
			t.Errorf("watch %s: %v", what, err)
		}
	}
	begun := time.Now()
	in, err := d.Inside(t.Context(), false)
	took := time.Since(begun) - watched
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range check.Findings(check.Facts{At: time.Now(), Target: 17, SQL: ops.Known(in), SQLBefore: ops.Known(in)}) {
		if f.Unknown && slices.ContainsFunc(check.Catalogue(), func(c check.Check) bool { return c.SQL() && c.Number == f.Check }) {
			t.Errorf("%s %s: %s", f.Check, f.Title, f.Evidence)
		}
	}
	if in.Objects.Value.Tables != tables+1 || modes["AccessShareLock"] == 0 {
		t.Errorf("%d tables seen, locks %v: the test has not watched what it should", in.Objects.Value.Tables, modes)
	}
	begun = time.Now()
	if _, err := d.Inside(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d tables, %d objects: %d questions in %s, %.2f of the target of %s; right before the fence %s; strongest lock AccessShareLock, at most %d at once",
		tables, in.Objects.Value.All, asked, took.Round(time.Millisecond), took.Seconds()/target.Seconds(), target, time.Since(begun).Round(time.Millisecond), modes["AccessShareLock"])
}

// TestSeeds finds one example of each problem by its check, and none in a clean
// cluster. It prints the table.
func TestSeeds(t *testing.T) {
	bins := pgtest.Majors(t)
	older, newer := home(t, bins[0]), home(t, bins[len(bins)-1])
	clean := map[bool]ops.Inside{false: look(t, older, "app"), true: look(t, newer, "app")}
	cleanFollower := followed(t, older, false)

	older.Exec(t, "postgres", "app", seeds...)
	older.Exec(t, "postgres", "postgres", `CREATE DATABASE icu OWNER app LOCALE_PROVIDER icu ICU_LOCALE 'en' TEMPLATE template0`)
	older.Exec(t, "app", "icu", `CREATE TABLE words (w text)`, `CREATE INDEX words_search ON words USING gin (to_tsvector('simple', w))`)
	newer.Exec(t, "app", "app", `CREATE SCHEMA seed`, `CREATE TABLE seed.unicode (w text)`, `CREATE INDEX unicode_upper ON seed.unicode (upper(w COLLATE pg_c_utf8))`, `CREATE INDEX ON seed.unicode (w COLLATE pg_c_utf8)`)
	hold(t, older, "app", "jobs", `CREATE TEMPORARY TABLE scratch (a int)`, `BEGIN`, `SELECT pg_advisory_xact_lock(1)`)
	hold(t, older, "app", "coordinator", `BEGIN`, `SELECT txid_current()`, `PREPARE TRANSACTION 'seed'`)
	hold(t, older, "app", "listener", `LISTEN news`)
	hold(t, older, "app", "migration", `BEGIN`, `LOCK TABLE seed.locked`)
	hold(t, older, "app", "pg_dump", `BEGIN`)
	hold(t, older, "other", "report", `SELECT 1`)
	asleep(t, older)

	dirty := map[string]ops.Inside{"": look(t, older, "app"), "icu": look(t, older, "icu"), "newer": look(t, newer, "app")}
	dirtyFollower := followed(t, older, true)

	type row struct{ check, how, found, clean string }
	var table []row
	for _, c := range check.Catalogue() {
		name := c.Number + " " + c.Title
		e, ok := examples[name]
		if !c.SQL() && !ok {
			continue
		}
		if !ok {
			t.Errorf("%s has no row in the table: seed an example, or say why not", name)
			continue
		}
		in := dirty[e.db]
		if e.newer {
			in = dirty["newer"]
		}
		if e.how != seeded {
			table = append(table, row{name, e.how + ": " + e.reason, "-", "-"})
			continue
		}
		f := facts(in, clean[e.newer], dirtyFollower, e)
		said := c.Look(f)
		table = append(table, row{name, e.how, saidWords(said), saidWords(c.Look(facts(clean[e.newer], clean[e.newer], cleanFollower, e)))})
		if len(said) != 1 || said[0].Verdict == ops.Pass || said[0].Unknown && name != "H31 Checks inside the database" || !strings.Contains(said[0].Evidence, e.evidence) {
			t.Errorf("%s: its check says %+v, want %q in it", name, said, e.evidence)
		}
		if last := table[len(table)-1].clean; last != "pass" {
			t.Errorf("%s: in a clean cluster its check says %s", name, last)
		}
	}
	for name := range examples {
		if !slices.ContainsFunc(check.Catalogue(), func(c check.Check) bool { return c.Number+" "+c.Title == name }) {
			t.Errorf("%s is in the table but is no check", name)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "\n%-62s %-14s %-12s %s\n", "check", "example", "found", "clean")
	for _, r := range table {
		fmt.Fprintf(&out, "%-62s %-14s %-12s %s\n", r.check, r.how, r.found, r.clean)
	}
	t.Log(out.String())
}

func facts(in, before, follower ops.Inside, e shownAs) check.Facts {
	f := check.Facts{At: time.Now(), Target: 17, SQL: ops.Known(in), SQLBefore: ops.Known(before), SQLFollower: ops.Known(follower)}
	if e.facts != nil {
		e.facts(&f)
	}
	return f
}

func saidWords(all []ops.Finding) string {
	var out []string
	for _, f := range all {
		s := string(f.Verdict)
		if f.Unknown {
			s += ", unknown"
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, " ")
}

// asleep keeps a session in a statement that does not end.
func asleep(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	conn := hold(t, c, "app", "sleeper")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = conn.Exec(ctx, `SELECT pg_sleep(600)`) // ends with the test
	}()
	t.Cleanup(func() { cancel(); <-ended })
	watcher := c.Open(t, "app", "app")
	defer watcher.Close()
	pgtest.Until(t, "the session that sleeps", func() bool {
		var n int
		if err := watcher.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sleeper' AND state = 'active'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
}

// followed looks at a follower, on which somebody reads or not.
func followed(t *testing.T, c *pgtest.Cluster, reads bool) ops.Inside {
	t.Helper()
	f := c.Follower(t)
	if reads {
		hold(t, f, "app", "reader", `BEGIN ISOLATION LEVEL REPEATABLE READ`, `SELECT count(*) FROM orders`)
	}
	in, err := open(t, f, "app").holding(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return in
}
