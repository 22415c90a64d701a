package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// TestBounds asks the server itself what the bot's sessions are bounded by.
func TestBounds(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		err := cu.read(t.Context(), "read settings", func(tx pgx.Tx) error {
			for name, want := range map[string]string{
				"statement_timeout": "5s", "lock_timeout": "1s", "idle_in_transaction_session_timeout": "10s", "idle_session_timeout": "1min",
				"application_name": "pgupgrade", "default_transaction_read_only": "on", "transaction_read_only": "on", "search_path": "pg_catalog",
			} {
				got, err := scalar[string](t.Context(), tx, "SELECT current_setting($1)", name)
				if err != nil {
					return err
				}
				if got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = cu.read(t.Context(), "write in a read", func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO shop.orders (note) VALUES ('by the bot')")
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "read-only transaction") {
			t.Errorf("a read may write: %v", err)
		}
	})
}

// TestTwoConnections keeps many questions and an act going and counts the bot's
// sessions from outside.
func TestTwoConnections(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		cu.Exec(t, "postgres", cu.Name, "CREATE TABLE seen ()")
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for range 3 {
					if _, err := cu.Activity(ctx); err != nil {
						t.Error(err)
					}
					if _, err := cu.Writable(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wait.Wait(); close(done) }()
		db := cu.Open(t, "postgres", cu.Name)
		defer db.Close()
		most := 0
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			// A session that said goodbye is there until the server has noticed;
			// only those that do something count.
			var n int
			if err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgupgrade' AND state <> 'idle'`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			most = max(most, n)
		}
		if most > 2 {
			t.Errorf("%d sessions of the bot's at once", most)
		}
	})
}

// TestReadsWaitForNobody: a table that somebody has locked keeps a read from
// nothing but that table, and for a second at most.
func TestReadsWaitForNobody(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		cu.session("owner", "BEGIN", "LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
		cu.activity()
		must(cu.Fenced(ctx))(t)
		must(cu.Busiest(ctx, 5))(t)
		c := must(cu.CompareRows(ctx, cu.Database, ops.CompareLimits{}))(t)
		if len(c) != 1 || !strings.Contains(c[0].Skipped, "somebody holds a lock on it") {
			t.Errorf("%+v", c)
		}
	})
}

// TestWhyNot makes each way of connecting fail and looks at the words.
func TestWhyNot(t *testing.T) {
	c := pgtest.Shared(t, pgtest.Majors(t)[0])
	fresh(t, c)
	const password = "s3cr3t-p4ssw0rd"
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, x := range []struct{ name, url, says string }{
		{"not a URL", "host=x password=" + password, "does not hold a PostgreSQL connection URL"},
		{"another service", "redis://u:" + password + "@h:1", "does not hold a PostgreSQL connection URL"},
		{"nonsense behind it", "postgres://u:" + password + "@h/d?sslmode=sometimes", "cannot be used"},
		{"nobody listens", "postgres://u:" + password + "@" + nobody + "/d", "connection refused"},
		{"nobody answers", "postgres://u:" + password + "@" + silent.Addr().String() + "/d", "no answer in time"},
		{"no such database", fmt.Sprintf("postgres://owner:%s@127.0.0.1:%d/absent?sslmode=disable", password, c.Port), `database "absent" does not exist`},
		{"no such role", fmt.Sprintf("postgres://stranger:%s@127.0.0.1:%d/postgres?sslmode=disable", password, c.Port), "refuses the credential"},
		{"no TLS", fmt.Sprintf("postgres://owner:%s@127.0.0.1:%d/postgres?sslmode=require", password, c.Port), "refuses TLS"},
		{"no such host", "postgres://u:" + password + "@nowhere.invalid/d", "host is not known"},
	} {
		t.Run(x.name, func(t *testing.T) {
			d, err := Open(ops.NewSecret(x.url))
			if err == nil {
				defer d.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				_, err = d.Server(ctx)
			}
			if err == nil {
				t.Fatal("it was reached")
			}
			wants(t, err.Error(), x.says)
			for _, secret := range []string{password, "stranger", "postgres://"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q holds %q", err, secret)
				}
			}
		})
	}
}

// TestNoErrorHoldsTheSecret makes every question and act fail.
func TestNoErrorHoldsTheSecret(t *testing.T) {
	d, err := Open(ops.NewSecret("postgres://u4f2k:s3cr3t@127.0.0.1:1/d3a?sslmode=disable"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := t.Context()
	recorded := ops.DBFence{At: time.Now(), Setting: "on"}
	for name, ask := range map[string]func() error{
		"Server":          func() error { _, err := d.Server(ctx); return err },
		"Position":        func() error { _, err := d.Position(ctx); return err },
		"Activity":        func() error { _, err := d.Activity(ctx); return err },
		"Stillness":       func() error { _, err := d.Stillness(ctx, recorded); return err },
		"Fenced":          func() error { _, err := d.Fenced(ctx); return err },
		"Fence":           func() error { _, err := d.Fence(ctx, recorded); return err },
		"Clear":           func() error { _, err := d.Clear(ctx, recorded); return err },
		"EndSessions":     func() error { _, err := d.EndSessions(ctx, recorded); return err },
		"Writable":        func() error { _, err := d.Writable(ctx); return err },
		"Objects":         func() error { _, err := d.Objects(ctx); return err },
		"SequencesBehind": func() error { _, err := d.SequencesBehind(ctx); return err },
		"CompareRows":     func() error { _, err := d.CompareRows(ctx, d, ops.CompareLimits{}); return err },
		"Busiest":         func() error { _, err := d.Busiest(ctx, 1); return err },
		"Analyze":         func() error { _, err := d.Analyze(ctx, nil, time.Minute, nil); return err },
		"Reading":         func() error { _, err := d.Reading(ctx); return err },
		"WriteTimes":      func() error { _, err := d.WriteTimes(ctx, ops.Reading{}, ops.Loss{}); return err },
		"Export": func() error {
			_, err := d.Export(ctx, io.Discard, ops.Reading{}, ops.Loss{}, ops.ExportLimits{})
			return err
		},
	} {
		err := ask()
		if err == nil {
			t.Errorf("%s did not fail", name)
			continue
		}
		for _, part := range []string{"s3cr3t", "u4f2k", "postgres://"} {
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), part) {
				t.Errorf("%s: %v holds %q", name, err, part)
			}
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Server(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestHerokuWantsTLS: to any other host nothing goes in the clear, whatever the
// URL says.
func TestHerokuWantsTLS(t *testing.T) {
	for url, tls := range map[string]bool{
		"postgres://u:p@ec2-1.compute-1.amazonaws.com:5432/d":                 true,
		"postgres://u:p@ec2-1.compute-1.amazonaws.com:5432/d?sslmode=disable": true,
		"postgres://u:p@ec2-1.compute-1.amazonaws.com:5432/d?sslmode=prefer":  true,
		"postgres://u:p@127.0.0.1:5432/d?sslmode=disable":                     false,
		"postgres://u:p@localhost:5432/d?sslmode=require":                     true,
	} {
		conf, err := parse(ops.NewSecret(url))
		if err != nil {
			t.Fatal(err)
		}
		if got := conf.ConnConfig.TLSConfig != nil; got != tls {
			t.Errorf("%s: TLS %v", url, got)
		}
		for _, f := range conf.ConnConfig.Fallbacks {
			if tls && f.TLSConfig == nil {
				t.Errorf("%s falls back to a plain connection", url)
			}
		}
	}
}

func TestReachKeepsOneForEach(t *testing.T) {
	var r Reach
	defer r.Close()
	open := func(id, url string) *Database { return must(r.Database(id, ops.NewSecret(url)))(t) }
	a := open("1", "postgres://u:p@127.0.0.1/d")
	if open("1", "postgres://u:p@127.0.0.1/d") != a || open("2", "postgres://u:p@127.0.0.1/d") == a {
		t.Error("the same add-on is another database, or another is the same")
	}
	if open("1", "postgres://u:rotated@127.0.0.1/d") == a {
		t.Error("a rotated credential is not used")
	}
	if _, err := r.Database("3", ops.NewSecret("")); err == nil {
		t.Error("no URL was taken for one")
	}
}

func TestLastEnd(t *testing.T) {
	const page, segment = 8192, 16 << 20
	for _, c := range []struct{ next, end ops.LSN }{
		{segment + 40, segment},                    // behind a segment's header
		{segment + page + 24, segment + page},      // behind a page's
		{segment + 24, segment + 24},               // in the middle of a segment's header: no such place, so no guess
		{segment + page + 40, segment + page + 40}, // a record ended there
		{segment + page, segment + page},
		{segment + 3*page + 800, segment + 3*page + 800},
	} {
		if got := lastEnd(c.next, page, segment); got != c.end {
			t.Errorf("%v: %v, not %v", c.next, got, c.end)
		}
	}
}

func TestPosition(t *testing.T) {
	bins := pgtest.Majors(t)
	ctx := t.Context()
	cu := fresh(t, pgtest.Primary(t, bins[len(bins)-1]))
	copied := cu.Follower(t)
	follower := cu.reach(copied, "owner")
	caught := func() (bool, string) {
		return ops.Replayed(must(cu.Position(ctx))(t), must(follower.Position(ctx))(t))
	}
	pgtest.Until(t, "the follower to catch up", func() bool { ok, _ := caught(); return ok })
	copied.Exec(t, "postgres", "postgres", "SELECT pg_wal_replay_pause()")
	cu.do("INSERT INTO shop.orders (note) SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
	pgtest.Until(t, "the follower to hold all that it does not replay", func() bool {
		f := must(follower.Position(ctx))(t)
		return f.Received >= must(cu.Position(ctx))(t).End
	})
	ok, why := caught()
	if ok {
		t.Fatal("a follower that replays nothing has caught up")
	}
	wants(t, why, "replay is paused")
	copied.Exec(t, "postgres", "postgres", "SELECT pg_wal_replay_resume()")
	pgtest.Until(t, "the follower to catch up", func() bool { ok, _ := caught(); return ok })
	// At the end of a segment the next record's place is behind a header that
	// nobody replays.
	cu.Exec(t, "postgres", "postgres", "SELECT pg_switch_wal()")
	pgtest.Until(t, "the follower to catch up behind a segment's end", func() bool { ok, _ := caught(); return ok })
	if _, err := follower.Activity(ctx); err != nil {
		t.Errorf("activity of a follower: %v", err)
	}
	other := fresh(t, pgtest.Shared(t, bins[len(bins)-1]))
	if ok, why := ops.Replayed(must(other.Position(ctx))(t), must(follower.Position(ctx))(t)); ok || !strings.Contains(why, "no copy") {
		t.Errorf("a follower of another leader: %v %q", ok, why)
	}
}

// TestWithoutControlFunctions: what PostgreSQL gives everybody, a service may
// have taken away.
func TestWithoutControlFunctions(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		cu.Exec(t, "postgres", cu.Name, "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() FROM PUBLIC")
		if s := must(cu.Server(ctx))(t); s.System != "" || s.Major != cu.Major || !s.Owner {
			t.Errorf("server: %+v", s)
		}
		cu.alone()
		if l := ops.Measure(cu.reading(), cu.reading()); !l.Zero() {
			t.Errorf("the meter says %v", l)
		}
	})
}
