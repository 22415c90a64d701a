package pg

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

const cmpWithin = time.Minute

// later returns a as if it had been taken long enough after from, so that no
// test waits for a clock.
func later(a, from ops.Activity) ops.Activity {
	a.At = from.At.Add(ops.MinGap + a.At.Sub(from.At))
	return a
}

// TestStillness makes one thing happen between two samples behind the fence.
func TestStillness(t *testing.T) {
	const readWrite = "SET default_transaction_read_only = off"
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		fence := must(cu.Fence(ctx, must(cu.Fenced(ctx))(t)))(t)
		for _, c := range []struct {
			name   string
			happen func()
			motion ops.Motion
			why    string
		}{
			{"nothing", func() {}, ops.Still, ""},
			{"a reader", func() { cu.do("SELECT count(*) FROM shop.orders") }, ops.Still, ""},
			{"the fence holds a writer", func() { wants(t, refused(t, cu, cu.Cluster, "owner"), "read-only") }, ops.Still, ""},
			{"a session that asks for read-write by itself", func() { cu.do(readWrite, "INSERT INTO shop.orders (note) VALUES ('x'), ('y')"); cu.alone() }, ops.Moved, "shop.orders: 2 inserted"},
			{"the same by another credential", func() {
				cu.Exec(t, "other", cu.Name, readWrite, "UPDATE shop.orders SET note = 'x' WHERE id = 1")
				cu.alone()
			}, ops.Moved, "shop.orders: 1 updated"},
			{"a number drawn", func() { cu.do(readWrite, "SELECT setval('shop.orders_id_seq', 500)") }, ops.Moved, "drawn though"},
			{"DDL", func() { cu.do(readWrite, "CREATE TABLE shop.new ()") }, ops.Moved, "shop.new: created"},
			{"truncate", func() { cu.do(readWrite, "TRUNCATE shop.orders") }, ops.Moved, "shop.orders: truncated or rewritten"},
			{"a large object", func() { cu.do(readWrite, "SELECT lo_create(0)"); cu.alone() }, ops.Moved, "pg_largeobject_metadata: 1 inserted"},
			{"another database of the server", func() { cu.Exec(t, "postgres", "postgres", "CREATE TABLE x ()", "DROP TABLE x") }, ops.Moved, "2 transaction ids drawn"},
			{"a write under way", func() { cu.session("other", readWrite, "BEGIN", "INSERT INTO shop.orders (note) VALUES ('z')") }, ops.Moved, "1 writing transaction still open"},
		} {
			a := cu.activity()
			c.happen()
			s := ops.StillBetween(fence, a, later(cu.activity(), a))
			if s.Motion != c.motion {
				t.Errorf("%s: %+v", c.name, s)
			}
			wants(t, s.Why, c.why)
		}
	})
}

// TestStillnessSeesWhatIsNotToldYet: a session that lives on tells its counts
// when it gets to it, but its transaction ids are seen at once.
func TestStillnessSeesWhatIsNotToldYet(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		fence := must(cu.Fence(ctx, must(cu.Fenced(ctx))(t)))(t)
		write := "INSERT INTO shop.orders (note) VALUES ('late')"
		s := cu.session("owner", "SET default_transaction_read_only = off", write)
		base := cu.activity()
		// Told just now, so this one is held back for a while.
		if _, err := s.ExecContext(ctx, write); err != nil {
			t.Fatal(err)
		}
		now := cu.activity()
		if st := ops.StillBetween(fence, base, later(now, base)); st.Motion != ops.Moved {
			t.Errorf("%+v", st)
		}
		if now.Unsettled(ops.LastID{}) == "" {
			t.Error("the counters are said to be complete")
		}
		loss := ops.Measure(ops.Known(ops.Reading{Activity: base, Sequences: ops.Known(map[string]ops.Sequence{}), Schema: ops.Known(map[string]string{})}),
			ops.Known(ops.Reading{Activity: now, Sequences: ops.Known(map[string]ops.Sequence{}), Schema: ops.Known(map[string]string{})}))
		if loss.Known() || loss.Zero() {
			t.Errorf("the meter says %v", loss)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPreparedTransactionIsNotStill(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		fence := must(cu.Fence(ctx, must(cu.Fenced(ctx))(t)))(t)
		cu.do("BEGIN READ WRITE; INSERT INTO shop.orders (note) VALUES ('2pc'); PREPARE TRANSACTION 'later'")
		a := cu.activity()
		s := ops.StillBetween(fence, a, later(cu.activity(), a))
		if s.Motion != ops.Moved {
			t.Errorf("%+v", s)
		}
		wants(t, s.Why, "prepared transaction")
		if l := ops.Measure(cu.reading(), cu.reading()); l.Known() {
			t.Errorf("the meter says %v", l)
		}
		cu.do("ROLLBACK PREPARED 'later'")
	})
}

// TestTwoSamples is the one that waits: the samples are as far apart as said.
func TestTwoSamples(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		fence := must(cu.Fence(ctx, must(cu.Fenced(ctx))(t)))(t)
		if s := must(cu.Stillness(ctx, fence))(t); s.Motion != ops.Still {
			t.Errorf("%+v", s)
		}
	})
}

// TestUse is the soak's evidence about a retired database.
func TestUse(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		cu.alone()
		a := cu.activity()
		if u := ops.UseBetween(a, cu.activity()); !u.Known || u.Used() {
			t.Errorf("no use: %v", u)
		}
		cu.do("SELECT count(*) FROM shop.orders")
		cu.alone()
		b := cu.activity()
		if u := ops.UseBetween(a, b); !u.Used() || u.Scans != 1 || u.Opened < 1 {
			t.Errorf("read once: %+v", u)
		}
		s := cu.session("other", "SELECT 1")
		if u := ops.UseBetween(b, cu.activity()); len(u.Sessions) != 1 || !u.Used() {
			t.Errorf("connected: %+v", u)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		cu.Exec(t, "postgres", cu.Name, "SELECT pg_stat_reset()")
		if u := ops.UseBetween(b, cu.activity()); u.Known || u.String() == "no use seen" {
			t.Errorf("after a reset: %+v", u)
		}
	})
}
