// Package engine carries runs: it calls a run's tick again and again, at the
// time that the last tick asked for or when somebody wakes it, across crashes
// and deploys. It knows nothing of what a tick does.
//
// The durable program of a run has a constant shape, so that a deploy in the
// middle of a week-long run can never disagree with a replay.
package engine

import (
	"context"
	"errors"
	"time"
)

// Turn is what a tick left behind.
type Turn struct {
	Done bool          // the run has ended; it is never ticked again
	In   time.Duration // how long until the next tick unless woken; 0: at once
}

// Tick looks, chooses, acts and saves. It is called by one executor at a time
// as far as a carrier can tell, and must be safe to repeat. An error is logged
// and the tick tried again.
type Tick func(ctx context.Context, run string) (Turn, error)

// Carrier carries runs.
type Carrier interface {
	// Start carries the run from now on. A run that is carried already is not
	// carried twice.
	Start(ctx context.Context, run string) error
	// Wake makes the run's next tick happen now. A wake during a tick is not
	// lost. Waking a run that is not carried does nothing.
	Wake(ctx context.Context, run string) error
	// Close takes no more turns and waits for ticks in progress until ctx ends.
	Close(ctx context.Context) error
}

// ErrTaken: another process of this name carries the runs already.
var ErrTaken = errors.New("another process carries the runs already")

// retryIn is how long after an error, or a panic, a tick is tried again.
const retryIn = 5 * time.Second
