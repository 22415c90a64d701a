package pg

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// shopping makes a shop whose data is as skewed as most are: nearly every order
// came by the web, is paid and is done, nearly every article is a book on the
// shelf, and a few customers buy most. Articles have no index on their code.
var shopping = []string{
	`CREATE TABLE customers (id int PRIMARY KEY, country text NOT NULL, email text NOT NULL)`,
	`INSERT INTO customers SELECT n, CASE WHEN n % 20 = 0 THEN 'AT' ELSE 'DE' END, 'c' || n || '@example.com' FROM generate_series(1, 20000) n`,
	`CREATE TABLE articles (id int PRIMARY KEY, code text NOT NULL, price int NOT NULL, kind text NOT NULL, place text NOT NULL)`,
	`INSERT INTO articles SELECT n, 'A' || n, n % 97 + 1, CASE WHEN n % 30 = 0 THEN 'record' ELSE 'book' END, CASE WHEN n % 25 = 0 THEN 'store' ELSE 'shelf' END
		FROM generate_series(1, 400) n`,
	`CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, source text NOT NULL, payment text NOT NULL, state text NOT NULL, code text NOT NULL, placed timestamptz NOT NULL)`,
	`INSERT INTO orders SELECT n, CASE WHEN n % 10 < 7 THEN n % 50 + 1 ELSE n % 20000 + 1 END, CASE WHEN n % 50 = 0 THEN 'phone' ELSE 'web' END,
		CASE WHEN n % 40 = 0 THEN 'open' ELSE 'paid' END, CASE WHEN n % 1000 = 0 THEN 'new' ELSE 'done' END, 'A' || n % 400 + 1, timestamptz '2026-11-25 06:00+00' - n * interval '20 seconds'
		FROM generate_series(1, 100000) n`,
	`CREATE INDEX ON orders (customer)`,
	`CREATE INDEX ON orders (state)`,
	`CREATE INDEX ON orders (placed)`,
}

// topQueries are what the shop asks most.
var topQueries = []struct{ name, sql string }{
	{"one customer", `SELECT country FROM customers WHERE id = 4711`},
	{"a customer's last orders", `SELECT id FROM orders WHERE customer = 7 ORDER BY placed DESC LIMIT 20`},
	{"new orders", `SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer WHERE o.state = 'new' ORDER BY o.id`},
	{"today's orders by country", `SELECT c.country, count(*) FROM orders o JOIN customers c ON c.id = o.customer WHERE o.placed > '2026-11-24 06:00+00' GROUP BY 1 ORDER BY 1`},
	{"turnover with books", `SELECT count(*), sum(a.price) FROM orders o JOIN articles a ON a.code = o.code
		WHERE o.source = 'web' AND o.payment = 'paid' AND o.state = 'done' AND a.kind = 'book' AND a.place = 'shelf'`},
}

// asked is what became of one of the top queries.
type asked struct {
	took   time.Duration
	plan   string // its nodes
	answer string
}

// ask runs the top queries as the app does: each once to fill the caches, then
// the fastest of three counts. One that takes seconds is asked once.
func (cu *customer) ask(c *pgtest.Cluster) map[string]asked {
	cu.t.Helper()
	db := c.Open(cu.t, "owner", cu.Name)
	defer db.Close()
	out := map[string]asked{}
	for _, q := range topQueries {
		var a asked
		for i := range 4 {
			begun := time.Now()
			if err := db.QueryRowContext(cu.t.Context(), "SELECT md5(string_agg(q::text, ';')) FROM ("+q.sql+") q").Scan(&a.answer); err != nil {
				cu.t.Fatalf("%s: %v", q.name, err)
			}
			took := time.Since(begun)
			if i <= 1 || took < a.took {
				a.took = took
			}
			if took > time.Second {
				break
			}
		}
		var plan []byte
		if err := db.QueryRowContext(cu.t.Context(), "EXPLAIN (FORMAT json) "+q.sql).Scan(&plan); err != nil {
			cu.t.Fatalf("%s: %v", q.name, err)
		}
		var p []struct{ Plan planNode }
		if err := json.Unmarshal(plan, &p); err != nil {
			cu.t.Fatal(err)
		}
		a.plan = p[0].Plan.String()
		out[q.name] = a
	}
	return out
}

type planNode struct {
	NodeType string     `json:"Node Type"`
	Plans    []planNode `json:"Plans"`
}

func (n planNode) String() string {
	var below []string
	for _, p := range n.Plans {
		below = append(below, p.String())
	}
	if len(below) == 0 {
		return n.NodeType
	}
	return n.NodeType + "(" + strings.Join(below, ", ") + ")"
}

// slowest names the slowest of the top queries.
func slowest(all map[string]asked) string {
	name := topQueries[0].name
	for _, q := range topQueries {
		if all[q.name].took > all[name].took {
			name = q.name
		}
	}
	return name
}

// described is how many columns of the shop's tables have statistics, and how
// many of its tables have a row count.
func (cu *customer) described(c *pgtest.Cluster) (columns, counted int) {
	cu.t.Helper()
	db := c.Open(cu.t, "owner", cu.Name)
	defer db.Close()
	if err := db.QueryRowContext(cu.t.Context(), `
		SELECT (SELECT count(*) FROM pg_stats WHERE schemaname = 'public'),
		       (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND reltuples > 0)`).Scan(&columns, &counted); err != nil {
		cu.t.Fatal(err)
	}
	return columns, counted
}

// TestFirstMorning upgrades a skewed shop and asks its top queries on the new
// database before statistics are made and after, as the morning after an upgrade
// would without that step and with it.
func TestFirstMorning(t *testing.T) {
	bins := pgtest.Majors(t)
	i := slices.IndexFunc(bins, func(bin string) bool { return strings.Contains(bin, "/17/") })
	if i < 1 {
		t.Fatalf("PostgreSQL 17 and an older one are needed, not %q", bins)
	}
	cu := fresh(t, pgtest.Primary(t, bins[0]))
	cu.Exec(t, "postgres", cu.Name, "GRANT CREATE ON SCHEMA public TO owner")
	cu.do(append(shopping, "ANALYZE")...)
	before := cu.ask(cu.Cluster)
	busiest := must(cu.Busiest(t.Context(), 50))(t)
	copied := cu.Follower(t)
	follower, leader := cu.reach(copied, "owner"), must(cu.Position(t.Context()))(t)
	pgtest.Until(t, "the follower to replay the leader's position", func() bool {
		ok, _ := ops.Replayed(leader, must(follower.Position(t.Context()))(t))
		return ok
	})
	copied.Promote(t)
	upgraded := copied.Upgrade(t, bins[i])

	if columns, counted := cu.described(upgraded); columns != 0 || counted != 0 {
		t.Fatalf("pg_upgrade carried statistics over: %d columns, %d row counts", columns, counted)
	}
	without := cu.ask(upgraded)
	a := must(cu.reach(upgraded, "owner").Analyze(t.Context(), busiest, time.Minute, nil))(t)
	with := cu.ask(upgraded)

	if columns, counted := cu.described(upgraded); columns != 15 || counted != 3 || len(a.Left)+len(a.Failed) > 0 {
		t.Errorf("after the step %d columns have statistics and %d tables a row count: %+v", columns, counted, a)
	}
	slow := slowest(without)
	if without[slow].plan == with[slow].plan {
		t.Errorf("%s is planned the same without statistics: %s", slow, with[slow].plan)
	}
	for _, q := range topQueries {
		x, y, z := before[q.name], without[q.name], with[q.name]
		if x.answer != y.answer || y.answer != z.answer {
			t.Errorf("%s: answers differ", q.name)
		}
		fmt.Printf("first morning: %-24s %8.1f ms before the upgrade, %8.1f ms after it without statistics, %8.1f ms with them\n", q.name, ms(x.took), ms(y.took), ms(z.took))
	}
	fmt.Printf("first morning: the slowest of the top queries takes %.1f ms without the statistics step (%s) and %.1f ms with it (%s), %.0f times as long without it; the step took %.0f ms\n",
		ms(without[slow].took), slow, ms(with[slowest(with)].took), slowest(with), float64(without[slow].took)/float64(with[slowest(with)].took), ms(a.Elapsed))
	t.Logf("%s without statistics: %s", slow, without[slow].plan)
	t.Logf("%s with statistics: %s", slow, with[slow].plan)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
