package pg

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.StopShared()
	os.Exit(code)
}

// each runs a test on every major there is.
func each(t *testing.T, test func(*testing.T, *customer)) {
	for _, bin := range pgtest.Majors(t) {
		c := pgtest.Shared(t, bin)
		t.Run(fmt.Sprint(c.Major), func(t *testing.T) { test(t, fresh(t, c)) })
	}
}

// customer is a database such as Heroku gives: owned by a role that is no
// superuser, with another credential beside it.
type customer struct {
	*pgtest.Cluster
	Name string
	*Database
	t *testing.T
}

var names atomic.Int64

func fresh(t *testing.T, c *pgtest.Cluster) *customer {
	t.Helper()
	name := fmt.Sprintf("customer_%d", names.Add(1))
	for _, role := range []string{"owner", "other"} {
		c.Exec(t, "postgres", "postgres", fmt.Sprintf("DO $$ BEGIN CREATE ROLE %[1]s LOGIN PASSWORD '%[1]s-password'; EXCEPTION WHEN duplicate_object THEN NULL; END $$", role))
	}
	c.Exec(t, "postgres", "postgres", "CREATE DATABASE "+name+" OWNER owner")
	cu := &customer{Cluster: c, Name: name, t: t}
	cu.Database = cu.reach(c, "owner")
	cu.stock()
	return cu
}

// stock makes the app's tables, anew when there are some.
func (cu *customer) stock() {
	cu.t.Helper()
	cu.do("DROP SCHEMA IF EXISTS shop, extra CASCADE", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
		"CREATE SCHEMA shop", "CREATE TABLE shop.orders (id serial PRIMARY KEY, note text)", "GRANT USAGE ON SCHEMA shop TO other",
		"GRANT ALL ON ALL TABLES IN SCHEMA shop TO other", "GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO other",
		"INSERT INTO shop.orders (note) SELECT 'before ' || n FROM generate_series(1, 100) n")
}

// reach opens a database of that name as that role, on c or on a copy of it.
func (cu *customer) reach(c *pgtest.Cluster, role string) *Database {
	cu.t.Helper()
	d, err := Open(ops.NewSecret(c.URL(role, cu.Name)))
	if err != nil {
		cu.t.Fatal(err)
	}
	d.atEnd = func(ctx context.Context, what string, tx pgx.Tx) { lookAtLocks(ctx, cu.t, what, tx) }
	cu.t.Cleanup(d.Close)
	return d
}

// strongLocks returns what a read has locked, whatever it is, stronger than a
// SELECT does. Locks last until a transaction's end, so none is missed there.
func strongLocks(ctx context.Context, tx pgx.Tx) ([]struct{ Lock string }, error) {
	return rows[struct{ Lock string }](ctx, tx, `
		SELECT concat_ws(' ', locktype, mode, relation::regclass) FROM pg_locks
		WHERE pid = pg_backend_pid() AND mode <> 'AccessShareLock' AND locktype <> 'virtualxid'`)
}

// lookAtLocks is called at the end of every read of every test.
func lookAtLocks(ctx context.Context, t *testing.T, what string, tx pgx.Tx) {
	strong, err := strongLocks(ctx, tx)
	if err != nil {
		t.Errorf("%s: read locks: %v", what, err)
	}
	if len(strong) > 0 {
		t.Errorf("%s took more than AccessShare: %v", what, strong)
	}
}

// TestStrongLocksAreSeen asks a view that locks as a write does.
func TestStrongLocksAreSeen(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		cu.atEnd = func(ctx context.Context, _ string, tx pgx.Tx) {
			if strong := must(strongLocks(ctx, tx))(t); len(strong) == 0 {
				t.Error("not seen")
			}
		}
		if err := cu.read(t.Context(), "read pg_sequences", func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT last_value FROM pg_sequences")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// do runs statements as the app does, on a connection that ends with it.
func (cu *customer) do(statements ...string) {
	cu.t.Helper()
	cu.Exec(cu.t, "owner", cu.Name, statements...)
}

// session is a connection that stays until the test ends.
func (cu *customer) session(role string, statements ...string) *sql.Conn {
	cu.t.Helper()
	db := cu.Open(cu.t, role, cu.Name)
	cu.t.Cleanup(func() { _ = db.Close() })
	c, err := db.Conn(cu.t.Context())
	if err != nil {
		cu.t.Fatal(err)
	}
	cu.t.Cleanup(func() { // it may have been ended from outside
		// What it has begun counts in every database of the server, for the next test too.
		_, _ = c.ExecContext(context.WithoutCancel(cu.t.Context()), "ROLLBACK")
		_ = c.Close()
	})
	for _, s := range statements {
		if _, err := c.ExecContext(cu.t.Context(), s); err != nil {
			cu.t.Fatalf("%s: %v", s, err)
		}
	}
	return c
}

func (cu *customer) activity() ops.Activity {
	cu.t.Helper()
	return must(cu.Activity(cu.t.Context()))(cu.t)
}

// alone waits until the app's last session is gone: the server ends it some
// time after the client has left.
func (cu *customer) alone() {
	cu.t.Helper()
	pgtest.Until(cu.t, "no session but the bot's", func() bool { return len(cu.activity().Sessions) == 0 })
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wants(t *testing.T, got, part string) {
	t.Helper()
	if !strings.Contains(got, part) {
		t.Errorf("%q does not hold %q", got, part)
	}
}
