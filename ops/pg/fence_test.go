package pg

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

func refused(t *testing.T, cu *customer, c *pgtest.Cluster, role string) string {
	t.Helper()
	db := c.Open(t, role, cu.Name)
	defer db.Close()
	_, err := db.ExecContext(t.Context(), "INSERT INTO shop.orders (note) VALUES ('after the fence')")
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestFence puts the fence up and takes it down again, whatever was set before.
func TestFence(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		name := cu.Name
		for _, c := range []struct {
			before string // statement of the customer's
			left   string // what stands after Clear
			closed bool   // and whether the database is read-only then
		}{
			{"ALTER DATABASE " + name + " RESET default_transaction_read_only", "", false},
			{"ALTER DATABASE " + name + " SET default_transaction_read_only = off", "off", false},
			{"ALTER DATABASE " + name + " SET default_transaction_read_only = 'true'", "true", true},
		} {
			cu.do("SET default_transaction_read_only = off; " + c.before)
			recorded := must(cu.Fenced(ctx))(t)
			stands := must(cu.Fence(ctx, recorded))(t)
			if !stands.On() || !stands.At.After(recorded.At) {
				t.Fatalf("%s: fence is %+v", c.before, stands)
			}
			must(cu.Fence(ctx, recorded))(t) // twice is once
			for _, role := range []string{"owner", "other"} {
				wants(t, refused(t, cu, cu.Cluster, role), "read-only transaction")
			}
			// By hand, as the thread says it, and by the bot: the same.
			cu.do(recorded.Undo(name))
			if now := must(cu.Fenced(ctx))(t); !now.Same(recorded) {
				t.Errorf("%s: by hand it is %q", c.before, now.Setting)
			}
			if !recorded.On() {
				must(cu.Fence(ctx, recorded))(t)
			}
			must(cu.Clear(ctx, recorded))(t)
			must(cu.Clear(ctx, recorded))(t)
			if now := must(cu.Fenced(ctx))(t); now.Setting != c.left {
				t.Errorf("%s: left %q", c.before, now.Setting)
			}
			if got := refused(t, cu, cu.Cluster, "owner"); (got != "") != c.closed {
				t.Errorf("%s: after clear an insert says %q", c.before, got)
			}
		}
	})
}

func TestFenceLeavesWhatOthersSet(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		recorded := must(cu.Fenced(ctx))(t)
		if _, err := cu.Fence(ctx, ops.DBFence{}); err == nil {
			t.Error("a fence went up though nothing was recorded")
		}
		// Somebody sets something between record and fence.
		cu.do("ALTER DATABASE " + cu.Name + " SET default_transaction_read_only = 'no'")
		if _, err := cu.Fence(ctx, recorded); !errors.Is(err, ops.ErrStale) {
			t.Errorf("fence over a foreign setting: %v", err)
		}
		if _, err := cu.Clear(ctx, recorded); !errors.Is(err, ops.ErrStale) {
			t.Errorf("clear of a foreign setting: %v", err)
		}
		if now := must(cu.Fenced(ctx))(t); now.Setting != "no" {
			t.Errorf("left %q", now.Setting)
		}
		if _, err := cu.reach(cu.Cluster, "other").Fence(ctx, must(cu.Fenced(ctx))(t)); err == nil || !strings.Contains(err.Error(), "does not own") {
			t.Errorf("fence by a role that is not the owner: %v", err)
		}
		cu.Exec(t, "postgres", cu.Name, "ALTER ROLE other IN DATABASE "+cu.Name+" SET default_transaction_read_only = off")
		if got := must(cu.Fenced(ctx))(t).Overrides; len(got) != 1 || got[0] != "other: off" {
			t.Errorf("overrides: %q", got)
		}
	})
}

// TestFenceAcrossTheUpgrade: the fence replicates, survives pg_upgrade, is
// cleared on the new database and stays on the old one. So does every row.
func TestFenceAcrossTheUpgrade(t *testing.T) {
	ctx := t.Context()
	bins := pgtest.Majors(t)
	cu := fresh(t, pgtest.Primary(t, bins[0]))
	copied := cu.Follower(t)
	follower := cu.reach(copied, "owner")

	recorded := must(cu.Fenced(ctx))(t)
	must(cu.Fence(ctx, recorded))(t)
	leader := must(cu.Position(ctx))(t)
	pgtest.Until(t, "the follower to replay the leader's position", func() bool {
		ok, why := ops.Replayed(leader, must(follower.Position(ctx))(t))
		return ok || why == ""
	})
	if f := must(follower.Fenced(ctx))(t); !f.On() || f.Owner {
		t.Fatalf("the follower's fence: %+v", f)
	}
	if w, err := follower.Writable(ctx); err != nil || w.OK(cu.Major) || !w.Server.Follower {
		t.Errorf("a follower is writable: %+v, %v", w, err)
	}
	if _, err := follower.Clear(ctx, recorded); err == nil {
		t.Error("the fence was cleared on a follower")
	}

	copied.Promote(t)
	fresh := cu.reach(copied.Upgrade(t, bins[len(bins)-1]), "owner")
	to := must(fresh.Server(ctx))(t).Major
	w := must(fresh.Writable(ctx))(t)
	if !w.Fence.On() || w.Default || !w.Wrote || w.OK(to) {
		t.Fatalf("after pg_upgrade, before clear: %+v", w)
	}
	must(fresh.Clear(ctx, recorded))(t)
	if w := must(fresh.Writable(ctx))(t); !w.OK(to) || w.OK(cu.Major) || w.Fence.On() {
		t.Errorf("after clear: %+v", w)
	}
	if f := must(cu.Fenced(ctx))(t); !f.On() {
		t.Errorf("the old database lost its fence: %+v", f)
	}
	compared := must(cu.CompareRows(ctx, fresh, ops.CompareLimits{}))(t)
	if len(compared) != 1 || compared[0].Differs != "" || compared[0].Skipped != "" || compared[0].Rows != 100 {
		t.Errorf("rows compared: %+v", compared)
	}
	was, is := must(cu.Objects(ctx))(t), must(fresh.Objects(ctx))(t)
	if len(was) == 0 || len(was) != len(is) {
		t.Errorf("objects: %v and %v", was, is)
	}
	for kind, n := range was {
		if is[kind] != n {
			t.Errorf("%s: %d on the old database, %d on the new one", kind, n, is[kind])
		}
	}
	// Statistics are not carried over before 18, and the bot's own work is no loss.
	base := ops.Known(must(fresh.Reading(ctx))(t))
	a := must(fresh.Analyze(ctx, nil, cmpWithin, nil))(t)
	if len(a.Done) != 1 || len(a.Left)+len(a.Failed) > 0 {
		t.Errorf("analyzed: %+v", a)
	}
	must(fresh.Writable(ctx))(t)
	if l := ops.Measure(base, ops.Known(must(fresh.Reading(ctx))(t))); !l.Zero() {
		t.Errorf("the bot's own work counts as loss: %v", l.Lines(20))
	}
}

// TestEndSessions ends what is older than the fence, and names what it may not.
func TestEndSessions(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		recorded := must(cu.Fenced(ctx))(t)
		if _, err := cu.EndSessions(ctx, recorded); err == nil {
			t.Error("sessions were ended without a fence")
		}
		old := cu.session("owner", "BEGIN", "INSERT INTO shop.orders (note) VALUES ('under way')")
		others := cu.session("other", "SELECT 1")
		fence := must(cu.Fence(ctx, recorded))(t)
		reader := cu.session("owner", "SELECT 1") // behind the fence: it is let be
		ended := must(cu.EndSessions(ctx, fence))(t)
		if ended.Ended != 1 || len(ended.Left) != 1 || ended.Left[0].Role != "other" || ended.Left[0].Seen {
			t.Errorf("ended: %+v", ended)
		}
		if err := old.PingContext(ctx); err == nil {
			t.Error("a session that is older than the fence lives on")
		}
		if err := reader.PingContext(ctx); err != nil {
			t.Errorf("a reader behind the fence was ended: %v", err)
		}
		// What the other credential may still do keeps the database from being still.
		a := cu.activity()
		b := later(cu.activity(), a)
		if s := ops.StillBetween(fence, a, b); s.Motion != ops.MotionUnknown {
			t.Errorf("still with an older session: %+v", s)
		} else {
			wants(t, s.Why, "1 session of other, state not visible")
		}
		// Heroku's connection_reset ends it.
		cu.Exec(t, "postgres", cu.Name, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'other'")
		_ = others.Close() // ended from outside
		if s := ops.StillBetween(fence, cu.activity(), later(cu.activity(), a)); s.Motion != ops.Still {
			t.Errorf("not still: %+v", s)
		}
		// As superuser's monitoring may come and go, a new session of the other
		// credential is behind the fence.
		cu.session("other", "SELECT 1")
		if s := ops.StillBetween(fence, cu.activity(), later(cu.activity(), a)); s.Motion != ops.Still {
			t.Errorf("not still with a session from behind the fence: %+v", s)
		}
	})
}
