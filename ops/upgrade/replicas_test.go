package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestReplicas is the table of what is said of followers that were there before:
// none is touched, and none is forgotten.
func TestReplicas(t *testing.T) {
	one := ops.Replica{Ref: ops.Ref{ID: "f-1", Name: "orders-f"}, App: orders, Plan: "heroku-postgresql:standard-0", Cents: 5000, Names: []ops.AppVar{{App: "orders", Name: "REPLICA"}}}
	found := func(f *fixture) { f.w.Replicas = ops.Known([]ops.Replica{one}) }
	told := func(f *fixture) { f.run.ReplicasAt, f.run.Replicas = now.Add(-time.Hour), []ops.Replica{one} }
	gone := func(f *fixture) { f.w.Retired.Addon = ops.Known(Found[ops.Addon]{}) }
	play(t, []row{
		{"told after the switch, with the commands", ops.StepSoak, func(f *fixture) { f.soaking(time.Hour, 0); found(f) },
			want{kind: Wait, says: "--name orders-pg17-abcde-follower-1 -a orders -- --follow orders-pg17-abcde"}},
		{"told again where the old one can be destroyed", ops.StepSoak, func(f *fixture) { f.soaking(-time.Second, 0); told(f) },
			want{kind: Again, step: ops.StepGateDestroy, says: "`orders-f` (`REPLICA` of `orders`), $50 a month"}},
		{"looked for once more before the destroy", ops.StepDestroy, func(f *fixture) {
			f.soaking(-time.Hour, 0)
			f.decide(ops.GateDestroy, ops.DestroyDigest(f.run), true, ops.ByTyped)
			found(f)
		}, want{kind: Act, act: ops.ActDestroy}},
	})
	for _, x := range []struct {
		name   string
		change func(*fixture)
		left   bool
	}{
		{"left to people at the end", func(f *fixture) { told(f) }, true},
		{"not after a rollback, which goes on using the old one", func(f *fixture) {
			told(f)
			f.run.Rollback = &ops.Rollback{Attached: now}
		}, false},
		{"none", func(*fixture) {}, false},
	} {
		f := at(ops.StepDestroy)
		f.soaking(-time.Hour, 0)
		x.change(&f)
		gone(&f)
		next, move := Next(f.run, f.w, now)
		if left := strings.Contains(strings.Join(next.Leftovers, "\n"), one.Destroy()); left != x.left || move.Kind != End {
			t.Errorf("%s: left over %q, %v", x.name, next.Leftovers, move.Kind)
		}
	}
	f := at(ops.StepSoak)
	f.soaking(time.Hour, 0)
	told(&f)
	found(&f)
	if _, move := Next(f.run, f.w, now); len(move.Events) > 0 {
		t.Errorf("told twice: %v", move.Events)
	}
	f.run.ReplicasAt, f.w.Replicas = time.Time{}, ops.Unknown[[]ops.Replica]("refused")
	f.run.Soak.From = now.Add(-careFor - time.Minute)
	next, move := Next(f.run, f.w, now)
	if next.ReplicasAt.IsZero() || len(move.Events) == 0 || !strings.Contains(move.Events[0].Text, "could not be read (refused)") {
		t.Errorf("unread for long: %v", move.Events)
	}
}
