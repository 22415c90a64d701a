package upgrade

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

const (
	// ExactReads and ExactSpan are how lag zero is counted behind the fence when
	// the positions cannot be read by SQL.
	ExactReads = 3
	ExactSpan  = 6 * time.Second
	// ExactLimit is how long the follower may take to come to lag zero behind
	// the fence before the app is let in again.
	ExactLimit = 5 * time.Minute
)

// catchUpExact: with nothing running and nothing foreign, nothing is missing on
// the follower. With SQL it has replayed the leader's position, in two reads;
// without, lag zero is counted. A one-off dyno that appears is the fence's to
// stop or to wait for; then the proof begins anew.
func catchUpExact(t *turn) {
	if changes, unreadable := foreign(t.run, t.w); unreadable == "" && oneOffsOnly(t.run, t.w, changes) {
		t.run.Exact, t.run.SQL.Reached = ops.Exact{}, 0
		t.run.SQL.StillAt, t.run.SQL.Sampled, t.run.SQL.FencedAt = time.Time{}, time.Time{}, t.now
		t.say(ops.EventWarning, "Behind the fence, %s. No upgrade begins before it has ended; it has %s.", strings.Join(changes, "; "), ops.FormatDuration(OneOffWait))
		t.to(ops.StepFence, "%s", strings.Join(changes, "; "))
		return
	}
	if !t.undisturbed() {
		return
	}
	behind, ok := t.lag()
	waited := t.now.Sub(t.run.StepSince)
	byPosition := t.run.SQL.On && !t.run.SQL.Counted // which may hang though Behind By says 0
	if waited >= ExactLimit && !t.run.Returning && (!ok || behind != 0 || byPosition) {
		seen := "it cannot be read"
		if ok {
			seen = fmt.Sprintf("it is %d commits behind", behind)
		}
		t.back("the follower did not reach lag zero within %s behind the fence: %s", ops.FormatDuration(ExactLimit), seen)
		return
	}
	if !ok {
		return
	}
	if behind != 0 {
		t.run.Exact, t.run.SQL.Reached = ops.Exact{}, 0
		t.wait(t.poll(waited), "Waiting for lag zero; %d commits behind.", behind)
		return
	}
	if byPosition {
		t.byPosition(waited)
		return
	}
	t.byCount()
}

// byPosition: the follower has replayed the leader's log to its end, twice.
func (t *turn) byPosition(waited time.Duration) {
	in, leader, follower := &t.run.SQL, t.w.Old.SQL.Position, t.w.New.SQL.Position
	if !leader.Known || !follower.Known {
		if why := firstWhy(leader.Why, follower.Why); waited > 15*time.Second {
			in.Counted = true
			t.say(ops.EventWarning, "The positions in the write-ahead log cannot be read (%s), so lag zero is counted instead: %d reads over %s.", why, ExactReads, ops.FormatDuration(ExactSpan))
			t.move.Kind = Again
		} else {
			t.blind("the positions in the write-ahead log", why)
		}
		return
	}
	if ok, why := ops.Replayed(leader.Value, follower.Value); !ok {
		in.Reached = 0
		t.wait(t.poll(waited), "Waiting for the follower: %s.", why)
		return
	}
	in.Reached++
	in.Target, in.LastRead = leader.Value.End, t.now
	if in.Reached < 2 {
		t.wait(t.poll(0), "The follower has replayed %s; making sure.", in.Target)
		return
	}
	t.run.Proof.LagZeroAt = t.now
	t.run.Proof.ProvingTook += waited
	t.done("Nothing is missing: the follower has replayed the old database's log to its end (%s) in two reads.", in.Target)
	t.to(ops.StepUpgrade, "replayed %s", in.Target)
}

// byCount: lag zero in three reads over at least six seconds.
func (t *turn) byCount() {
	if t.run.Exact.Reads == 0 {
		t.run.Exact.Since = t.now
	}
	t.run.Exact.Reads++
	t.run.Exact.Last = t.now
	proving := t.now.Sub(t.run.Exact.Since)
	if t.run.Exact.Reads < ExactReads || proving < ExactSpan {
		t.wait(min(max(ExactSpan-proving, 100*time.Millisecond), 3*time.Second), "Lag is zero; making sure (%d of %d reads).", min(t.run.Exact.Reads, ExactReads), ExactReads)
		return
	}
	t.run.Proof.LagZeroAt = t.now
	t.run.Proof.ProvingTook += proving
	t.done("Nothing is missing: lag zero in %d reads over %s.", t.run.Exact.Reads, ops.FormatDuration(proving))
	t.to(ops.StepUpgrade, "lag zero in %d reads", t.run.Exact.Reads)
}
