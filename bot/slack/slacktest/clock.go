package slacktest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Clock is a time that stands still until somebody moves it. Its Now and After
// are for Config: with them a test reaches every limit without waiting for it.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	alarms  []*alarm
	changed chan struct{} // closed and replaced whenever somebody begins to wait
}

type alarm struct {
	at  time.Time
	out chan time.Time
}

// NewClock returns a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{now: t, changed: make(chan struct{})} }

// Now is where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After sends once the clock was moved by d. Whoever stops waiting calls stop.
func (c *Clock) After(d time.Duration) (elapsed <-chan time.Time, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{at: c.now.Add(d), out: make(chan time.Time, 1)}
	if d <= 0 {
		a.out <- c.now
		return a.out, func() {}
	}
	c.alarms = append(c.alarms, a)
	close(c.changed)
	c.changed = make(chan struct{})
	return a.out, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alarms = slices.DeleteFunc(c.alarms, func(x *alarm) bool { return x == a })
	}
}

// Move moves the clock and wakes those whose time has come, in its order.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	slices.SortStableFunc(c.alarms, func(a, b *alarm) int { return a.at.Compare(b.at) })
	for len(c.alarms) > 0 && !c.alarms[0].at.After(c.now) {
		c.alarms[0].out <- c.now
		c.alarms = c.alarms[1:]
	}
}

// Await returns when somebody waits for exactly d from now.
func (c *Clock) Await(ctx context.Context, d time.Duration) error {
	for {
		c.mu.Lock()
		waits := slices.ContainsFunc(c.alarms, func(a *alarm) bool { return a.at.Equal(c.now.Add(d)) })
		changed := c.changed
		c.mu.Unlock()
		if waits {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// after is time.After, with a way to stop it.
func after(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
