package store

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestChanged shows what counts as a change of a run.
func TestChanged(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r1, r2 := create(t, s, "r1", "db1"), create(t, s, "r2", "db2")
		reader, after := p.open(), Cursor(0)
		expect := func(what string, want ...string) {
			t.Helper()
			ids, next, err := reader.Changed(t.Context(), after)
			if diff := cmp.Diff(want, ids); err != nil || diff != "" {
				t.Errorf("%s: %v %s", what, err, diff)
			}
			if next < after || (len(ids) > 0) != (next > after) {
				t.Errorf("%s: cursor from %d to %d", what, after, next)
			}
			after = next
		}
		expect("created", "r1", "r2")
		expect("nothing")
		r1 = must[ops.Run](t)(s.Save(t.Context(), r1, nil))
		expect("saved", "r1")
		must[ops.Run](t)(s.Save(t.Context(), r2, nil))
		must[ops.Decision](t)(s.Decide(t.Context(), ops.Decision{Run: "r1", Gate: ops.GateApp}, ops.Event{}))
		expect("saved and decided", "r2", "r1")
		if err := s.Audit(t.Context(), ops.Event{Run: "r2", At: at}); err != nil {
			t.Fatal(err)
		}
		expect("audited", "r2")
		if err := s.Audit(t.Context(), ops.Event{At: at, Text: "refused: no such app"}); err != nil {
			t.Fatal(err)
		}
		expect("audited, of no run")
		_, a, err := s.BeginAct(t.Context(), r1, nil, ops.Act{Kind: ops.ActScale})
		if err != nil {
			t.Fatal(err)
		}
		expect("an intent", "r1")
		if err := s.EndAct(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		expect("an outcome", "r1")
	})
}

// TestChangedMissesNothing: while writers of two processes commit at once, a
// reader that follows the cursor, and the ids of events, sees all of them.
func TestChangedMissesNothing(t *testing.T) {
	const each = 15
	both(t, func(t *testing.T, p *place, s *Store) {
		ids := []string{"r1", "r2", "r3"}
		for _, id := range ids {
			create(t, s, id, "db-"+id)
		}
		stores, wrote := []*Store{s, p.open()}, make(chan struct{})
		go func() {
			defer close(wrote)
			atOnce(t, 2*len(ids), func(i int) (bool, error) {
				for range each {
					if err := stores[i%2].Audit(context.WithoutCancel(t.Context()), ops.Event{Run: ids[i/2], At: at}); err != nil {
						return false, err
					}
				}
				return true, nil
			})
		}()
		reader, seen, lastID, after := p.open(), map[string]int{}, map[string]int64{}, Cursor(0)
		for last := false; ; {
			changed, next, err := reader.Changed(t.Context(), after)
			if err != nil {
				t.Fatal(err)
			}
			after = next
			for _, id := range changed {
				for _, e := range must[[]ops.Event](t)(reader.Events(t.Context(), id, lastID[id])) {
					lastID[id], seen[id] = e.ID, seen[id]+1
				}
			}
			if last {
				break
			}
			select {
			case <-wrote:
				last = true
			default:
			}
		}
		for _, id := range ids {
			if want := 1 + 2*each; seen[id] != want {
				t.Errorf("of %s the reader saw %d events, want %d", id, seen[id], want)
			}
		}
		if changed, _, err := reader.Changed(t.Context(), after); err != nil || len(changed) != 0 {
			t.Errorf("nothing changed since, but got %v, %v", changed, err)
		}
	})
}

// TestLateCommit: a writer that has drawn its number but not committed keeps
// every later one from being seen before it.
func TestLateCommit(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		create(t, s, "slow", "db1")
		create(t, s, "quick", "db2")
		_, after, err := s.Changed(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		quick, reader, done := p.open(), p.open(), make(chan error, 1)
		err = s.inTx(t.Context(), func(ctx context.Context, tx tx) error {
			if err := tx.touchRun(ctx, "slow"); err != nil {
				return err
			}
			if err := tx.events(ctx, "slow", []ops.Event{{At: at}}); err != nil {
				return err
			}
			go func() { done <- quick.Audit(context.WithoutCancel(ctx), ops.Event{Run: "quick", At: at}) }()
			for i := range 1000 {
				ids, _, err := reader.Changed(ctx, after)
				if err != nil {
					return err
				}
				if len(ids) > 0 {
					t.Errorf("%v was seen before the change that is drawn but not committed", ids)
					return nil
				}
				if s.postgres && waiting(t, reader) || !s.postgres && i > 50 {
					return nil // SQLite has one writer; there is no queue to look at
				}
			}
			t.Error("the second writer neither waits nor commits")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		ids, _, err := reader.Changed(t.Context(), after)
		if err != nil || !slices.Equal(ids, []string{"slow", "quick"}) {
			t.Errorf("after both commits: %v, %v", ids, err)
		}
	})
}

// waiting reports whether a session of this database waits for a lock.
func waiting(t *testing.T, s *Store) bool {
	var n int
	if err := s.scan(t.Context(), "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", nil, &n); err != nil {
		t.Fatal(err)
	}
	return n > 0
}
