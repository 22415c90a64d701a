package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

func TestMigrateAtOnce(t *testing.T) {
	for name, c := range map[string]Config{
		"sqlite": {Path: filepath.Join(t.TempDir(), "rows.db")}, "postgres": {DatabaseURL: ops.NewSecret(pgtest.Start(t))},
	} {
		t.Run(name, func(t *testing.T) {
			applied := make([][]string, 6)
			atOnce(t, len(applied), func(i int) (bool, error) {
				s, err := Open(t.Context(), c)
				if err != nil && !errors.Is(err, ErrSchema) {
					return false, err
				}
				defer s.Close()
				applied[i], err = s.Migrate(t.Context())
				return true, err
			})
			if diff := cmp.Diff(names(), slices.Concat(applied...)); diff != "" {
				t.Errorf("all together they applied: %s", diff)
			}
		})
	}
}

// TestSchemaVersions: tables that are older, or newer than this program can use,
// are refused in words that say what to do.
func TestSchemaVersions(t *testing.T) {
	know := len(names())
	for name, test := range map[string]struct {
		version, oldest int
		want            string
	}{
		"a newer release that only added": {know + 3, know, ""},
		"a newer release that took away":  {know + 3, know + 1, "deploy the newer release"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, p *place, s *Store) {
				if _, err := s.db.ExecContext(t.Context(), s.bind("INSERT INTO migrations (version, name, oldest, applied_at) VALUES (?, 'future', ?, 0)"), test.version, test.oldest); err != nil {
					t.Fatal(err)
				}
				other, err := Open(t.Context(), p.config)
				if other == nil {
					t.Fatal(err)
				}
				defer other.Close()
				applied, again := other.Migrate(t.Context())
				for _, err := range []error{err, again} {
					if errors.Is(err, ErrSchema) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
						t.Errorf("got %v, want %q", err, test.want)
					}
				}
				if len(applied) > 0 {
					t.Errorf("applied %v", applied)
				}
			})
		})
	}
	both(t, func(t *testing.T, p *place, s *Store) {
		if _, err := s.db.ExecContext(t.Context(), "DELETE FROM migrations"); err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(t.Context()); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "pgupgrade migrate") {
			t.Errorf("older tables: %v", err)
		}
	})
}

// TestHooks: a test can stop the program before and after every write.
func TestHooks(t *testing.T) {
	both(t, func(t *testing.T, p *place, _ *Store) {
		var calls []string
		stop := ""
		p.config.Hook = func(op, when string) {
			calls = append(calls, op+" "+when)
			if op+" "+when == stop {
				panic("stopped")
			}
		}
		s := p.open()
		r := create(t, s, "r1", "db1")
		stopped := func(at string, r ops.Run) {
			t.Helper()
			defer func() {
				if stop = ""; recover() == nil {
					t.Errorf("not stopped at %q; calls %q", at, calls)
				}
			}()
			stop = at
			_, _, err := s.BeginAct(t.Context(), r, nil, ops.Act{Kind: ops.ActUpgrade})
			t.Errorf("BeginAct returned: %v", err)
		}
		stopped("begin act upgrade.run before", r)
		if acts := must[[]ops.Act](t)(s.Acts(t.Context(), "r1")); len(acts) != 0 {
			t.Errorf("stopped before the write, but %d acts are there", len(acts))
		}
		stopped("begin act upgrade.run after", r)
		if acts := must[[]ops.Act](t)(s.Acts(t.Context(), "r1")); len(acts) != 1 {
			t.Errorf("stopped after the write, but %d acts are there", len(acts))
		}
		if _, err := s.Save(t.Context(), r, nil); !errors.Is(err, ops.ErrStale) {
			t.Error(err)
		}
		want := []string{"create run before", "create run after", "begin act upgrade.run before", "begin act upgrade.run before", "begin act upgrade.run after", "save run before"}
		if diff := cmp.Diff(want, calls); diff != "" {
			t.Error(diff)
		}
	})
}

// TestALockedFile: while another process writes, a write waits; when it may wait
// no longer it says so and has written nothing.
func TestALockedFile(t *testing.T) {
	c := Config{Path: filepath.Join(t.TempDir(), "rows.db")}
	s, err := Open(t.Context(), c)
	if !errors.Is(err, ErrSchema) {
		t.Fatal(err)
	}
	defer s.Close()
	must[[]string](t)(s.Migrate(t.Context()))
	other, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	wrote := make(chan error, 1)
	err = s.inTx(t.Context(), func(ctx context.Context, t tx) error {
		limited, cancel := context.WithCancel(ctx)
		failed := make(chan error, 1)
		go func() { failed <- other.Beat(limited, "early", at) }()
		cancel()
		if err := <-failed; err == nil {
			return errors.New("a write went through the lock")
		}
		go func() { wrote <- other.Beat(context.WithoutCancel(ctx), "late", at) }()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	for name, want := range map[string]bool{"early": false, "late": true} {
		if _, ok, err := s.LastBeat(t.Context(), name); err != nil || ok != want {
			t.Errorf("beat %s: %v, %v", name, ok, err)
		}
	}
}

func TestFile(t *testing.T) {
	c := Config{Path: filepath.Join(t.TempDir(), "a b?c#d%20", "rows 100%.db")}
	s, err := Open(t.Context(), c)
	if !errors.Is(err, ErrSchema) {
		t.Fatal(err)
	}
	defer s.Close()
	must[[]string](t)(s.Migrate(t.Context()))
	files := must[[]string](t)(filepath.Glob(filepath.Join(filepath.Dir(c.Path), "*")))
	if len(files) != 3 {
		t.Errorf("files %q, want the database, its log and its index", files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f, info.Mode(), err)
		}
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("opened without a place")
	}
}

// TestServerSettings: what must hold in every session.
func TestServerSettings(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		settings := map[string]string{"PRAGMA synchronous": "2", "PRAGMA journal_mode": "wal", "PRAGMA foreign_keys": "1", "PRAGMA busy_timeout": "5000"}
		if s.postgres {
			settings = map[string]string{"SHOW search_path": "pgupgrade", "SHOW synchronous_commit": "on", "SHOW idle_in_transaction_session_timeout": "20s", "SHOW application_name": "pgupgrade"}
		}
		for query, want := range settings {
			var got string
			if err := s.scan(t.Context(), query, nil, &got); err != nil || got != want {
				t.Errorf("%s: %q, %v; want %q", query, got, err, want)
			}
		}
	})
}

func TestThePool(t *testing.T) {
	c := Config{DatabaseURL: ops.NewSecret(pgtest.Start(t)), Pool: 2}
	s, err := Open(t.Context(), c)
	if !errors.Is(err, ErrSchema) {
		t.Fatal(err)
	}
	defer s.Close()
	must[[]string](t)(s.Migrate(t.Context()))
	atOnce(t, 10, func(i int) (bool, error) { return true, s.Beat(t.Context(), fmt.Sprint(i), at) })
	var n int
	if err := s.scan(t.Context(), "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()", nil, &n); err != nil || n > 2 {
		t.Errorf("%d connections, %v; want at most 2", n, err)
	}
}

func TestTheURLStaysSecret(t *testing.T) {
	for _, u := range []string{
		"postgres://me:hunter2@127.0.0.1:1/x", "postgres://me:hunter2@127.0.0.1:notaport/x", "postgres://me:hunter2@%zz/x",
		"postgres://me:hunter2@127.0.0.1:1/x?sslmode=hunter2", "host=127.0.0.1 port=1 password=hunter2", "hunter2",
	} {
		s, err := Open(t.Context(), Config{DatabaseURL: ops.NewSecret(u)})
		if err == nil || s != nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err.Error()), "hunter2") {
			t.Errorf("Open: %v, %v", s, err)
		}
	}
	const u = "postgres://me:p%40ss%2Fword@db.example:5432/x"
	s := &Store{hide: hidden(ops.NewSecret(u), "p@ss/word")}
	for _, text := range []string{u, "password p@ss/word", "user me:p%40ss%2Fword"} {
		err := s.redact(fmt.Errorf("%s: %w", text, context.DeadlineExceeded))
		if strings.Contains(err.Error(), "ss/word") || strings.Contains(err.Error(), "ss%2Fword") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("redacted %q to %q", text, err)
		}
		if u := errors.Unwrap(err); u != nil {
			t.Errorf("the original is given away: %v", u)
		}
	}
}
