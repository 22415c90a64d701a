package upgrade_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

var walkAll = flag.Bool("walk", false, "stop the program at every row written, not at a sample")

// TestStoppedAtEveryRow stops the program before and after rows are written,
// which is before and after every call too: an intent is written before a call,
// its outcome after. The story must end as well as without, with nothing done
// twice and no row lost.
func TestStoppedAtEveryRow(t *testing.T) {
	total := 0
	w := newWorld(t)
	w.crash = func(op, _ string) {
		if counts(op) {
			total++
		}
	}
	w.story("orders")
	if total < 100 {
		t.Fatalf("only %d moments in a story: the hook does not work", total)
	}
	step := total / 12
	if *walkAll {
		step = 1
	}
	t.Logf("%d moments in a story; stopping at each of %d", total, (total+step-1)/step)
	for at := 1; at <= total; at += step {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n, where := 0, ""
			w.crash = func(op, when string) {
				if !counts(op) {
					return
				}
				if n++; n == at {
					where = when + " " + op
					panic(crashed{where})
				}
			}
			r := w.story("orders")
			// Whether a call that was intended was also sent cannot be told; the
			// upgrade is not sent again, so the run goes back.
			if r.Outcome != ops.Succeeded && !(r.Outcome == ops.Returned && where == "after begin act upgrade.run") {
				t.Fatalf("stopped %s: %s", where, w.tell(r.ID))
			}
			w.well(r.ID, "orders", map[string]int{"web": 2, "worker": 1, "clock": 1})
			w.once()
			if t.Failed() {
				t.Logf("stopped %s", where)
			}
		})
	}
}

// counts leaves out what is not the procedure's: the beat of the Slack side, and
// the rows that a person's own request writes, whom nobody can stop half-way
// without their asking again.
func counts(op string) bool {
	return op != "create run" && !strings.HasPrefix(op, "beat ") && !strings.HasPrefix(op, "decide ")
}

// TestNamedMoments stops the program at the moments that matter most.
func TestNamedMoments(t *testing.T) {
	for name, m := range map[string]struct{ op, when string }{
		"upgrade/run was sent, its outcome is not stored": {"end act upgrade.run", "before"},
		"upgrade/run is intended and not sent":            {"begin act upgrade.run", "after"},
		"maintenance is on, the dynos still run":          {"end act maintenance.set", "after"},
		"promoted, not yet unfenced":                      {"end act attachment.replace", "before"},
		"the create was sent, its outcome is not stored":  {"end act addon.create", "before"},
		"the destroy was sent, its outcome is not stored": {"end act addon.destroy", "before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			done := false
			w.crash = func(op, when string) {
				if op == m.op && when == m.when && !done {
					done = true
					panic(crashed{op})
				}
			}
			r := w.story("orders")
			want := ops.Succeeded
			if m.op == "begin act upgrade.run" {
				want = ops.Returned // never sent cannot be told from sent and lost
			}
			if r.Outcome != want {
				t.Errorf("outcome %s, want %s: %s", r.Outcome, want, w.tell(r.ID))
			}
			if !done {
				t.Fatal("the moment never came")
			}
			w.well(r.ID, "orders", map[string]int{"web": 2, "worker": 1, "clock": 1})
			w.once()
		})
	}
}
