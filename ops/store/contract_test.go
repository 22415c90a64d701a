package store

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

var at = time.Date(2026, 11, 23, 3, 4, 5, 678901234, time.UTC)

// place is where a test's rows are, and the clock of those who use them.
type place struct {
	t      *testing.T
	config Config

	mu  sync.Mutex
	now time.Time
}

// both runs a test on SQLite and on a real PostgreSQL server, in tables that are
// migrated.
func both(t *testing.T, test func(t *testing.T, p *place, s *Store)) {
	t.Helper()
	for name, config := range map[string]func(t *testing.T) Config{
		"sqlite":   func(t *testing.T) Config { return Config{Path: filepath.Join(t.TempDir(), "state", "rows.db")} },
		"postgres": func(t *testing.T) Config { return Config{DatabaseURL: ops.NewSecret(pgtest.Start(t))} },
	} {
		t.Run(name, func(t *testing.T) {
			p := &place{t: t, config: config(t), now: at}
			p.config.Now = p.clock
			s, err := Open(t.Context(), p.config)
			if !errors.Is(err, ErrSchema) || s == nil {
				t.Fatalf("Open before Migrate: %v, %v; want a store and ErrSchema", s, err)
			}
			t.Cleanup(func() { s.Close() })
			if applied, err := s.Migrate(t.Context()); err != nil || len(applied) != len(names()) {
				t.Fatalf("Migrate applied %v, %v", applied, err)
			}
			test(t, p, s)
		})
	}
}

// open gives another process's view of the same rows.
func (p *place) open() *Store {
	p.t.Helper()
	s, err := Open(p.t.Context(), p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { s.Close() })
	return s
}

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func newRun(id, database string) ops.Run {
	return ops.Run{
		ID: id, App: ops.Ref{ID: "id-of-orders", Name: "orders"}, Database: ops.Ref{ID: database},
		CreatedAt: at, Step: ops.StepSurvey, StepSince: at,
	}
}

func create(t *testing.T, s *Store, id, database string) ops.Run {
	t.Helper()
	r, err := s.CreateRun(t.Context(), newRun(id, database), []ops.Event{{At: at, Kind: ops.EventStarted}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// atOnce runs f n times at the same time and returns how often it said yes.
func atOnce(t *testing.T, n int, f func(i int) (bool, error)) (yes int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		wg.Go(func() {
			ok, err := f(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			if ok {
				yes++
			}
		})
	}
	wg.Wait()
	return yes
}

// must gives the value of a call that may not fail here.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
