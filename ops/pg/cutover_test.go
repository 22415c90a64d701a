package pg

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// journal is what a hostile app remembers: every row that the database
// acknowledged.
type journal struct {
	mu   sync.Mutex
	rows []string
	wait sync.WaitGroup
}

func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.rows)
}

// write keeps writing with a pool of connections, as an app that cares for no
// error does, until ctx ends.
func (j *journal) write(ctx context.Context, db *sql.DB, who string) {
	j.wait.Go(func() {
		defer db.Close()
		for n := 0; ctx.Err() == nil; n++ {
			note := fmt.Sprintf("%s %d", who, n)
			if _, err := db.ExecContext(ctx, "INSERT INTO shop.orders (note) VALUES ($1)", note); err == nil {
				j.mu.Lock()
				j.rows = append(j.rows, note)
				j.mu.Unlock()
				continue
			}
			select { // as apps do between two tries
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
}

func (j *journal) missing(t *testing.T, c *pgtest.Cluster, database string) int {
	t.Helper()
	db := c.Open(t, "postgres", database)
	defer db.Close()
	var there int
	if err := db.QueryRowContext(t.Context(), "SELECT count(DISTINCT note) FROM shop.orders WHERE note = ANY ($1)", j.rows).Scan(&there); err != nil {
		t.Fatal(err)
	}
	return len(j.rows) - there
}

// TestNoAcknowledgedRowIsLost runs writers of two credentials through the whole
// cutover, in read-only mode: nothing stops them but the fence. Without it the
// same cutover loses rows.
func TestNoAcknowledgedRowIsLost(t *testing.T) {
	bins := pgtest.Majors(t)
	for _, fenced := range []bool{true, false} {
		t.Run(fmt.Sprintf("fenced %v", fenced), func(t *testing.T) {
			ctx := t.Context()
			cu := fresh(t, pgtest.Primary(t, bins[0]))
			copied := cu.Follower(t)
			follower := cu.reach(copied, "owner")
			writing, stop := context.WithCancel(ctx)
			defer stop()
			var j journal
			for i, role := range []string{"owner", "other", "owner"} {
				j.write(writing, cu.Open(t, role, cu.Name), fmt.Sprintf("%s %d", role, i))
			}
			pgtest.Until(t, "the writers to write", func() bool { return j.len() > 100 })

			recorded := must(cu.Fenced(ctx))(t)
			if fenced {
				fence := must(cu.Fence(ctx, recorded))(t)
				if ended := must(cu.EndSessions(ctx, fence))(t); len(ended.Left) > 0 { // connection_reset
					cu.Exec(t, "postgres", cu.Name, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'other'")
				}
				pgtest.Until(t, "the database to be still", func() bool {
					a := cu.activity()
					return ops.StillBetween(fence, a, later(cu.activity(), a)).Motion == ops.Still
				})
			}
			leader := must(cu.Position(ctx))(t)
			pgtest.Until(t, "the follower to replay the leader's position", func() bool {
				ok, _ := ops.Replayed(leader, must(follower.Position(ctx))(t))
				return ok
			})
			copied.Promote(t)
			if before := j.len(); !fenced {
				pgtest.Until(t, "the writers to write on", func() bool { return j.len() > before+20 })
				stop()
			}
			upgraded := copied.Upgrade(t, bins[len(bins)-1])
			stop()
			j.wait.Wait()
			missing := j.missing(t, upgraded, cu.Name)
			t.Logf("%d rows acknowledged, %d missing", j.len(), missing)
			if fenced && missing > 0 {
				t.Errorf("%d acknowledged rows are lost", missing)
			}
			if !fenced && missing == 0 {
				t.Error("without the fence nothing was lost, so this proves nothing")
			}
		})
	}
}
