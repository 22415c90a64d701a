package engine

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Memory carries runs in memory, by a clock that is moved by hand. One
// goroutine uses it: the one that calls Step. It drives walks over the whole
// procedure in which every instant is chosen.
type Memory struct {
	tick   Tick
	now    time.Time
	runs   map[string]*due
	errs   []error
	closed bool
}

type due struct {
	at    time.Time
	order int
	woken bool
	done  bool
}

// NewMemory returns a carrier whose clock stands at now.
func NewMemory(now time.Time, tick Tick) *Memory {
	return &Memory{tick: tick, now: now, runs: map[string]*due{}}
}

// Now is what the hand-moved clock shows.
func (m *Memory) Now() time.Time { return m.now }

// Advance moves the clock on without ticking.
func (m *Memory) Advance(d time.Duration) { m.now = m.now.Add(d) }

// Start carries the run. See Carrier.
func (m *Memory) Start(_ context.Context, run string) error {
	if m.runs[run] == nil {
		m.runs[run] = &due{at: m.now, order: len(m.runs)}
	}
	return nil
}

// Wake makes the run's next tick happen now. See Carrier.
func (m *Memory) Wake(_ context.Context, run string) error {
	if r := m.runs[run]; r != nil {
		r.at, r.woken = m.now, true
	}
	return nil
}

// Step moves the clock to the next tick that is due and runs it. It reports
// false when nothing is carried.
func (m *Memory) Step(ctx context.Context) bool {
	var next string
	for run, r := range m.runs {
		if !r.done && (next == "" || r.at.Before(m.runs[next].at) || r.at.Equal(m.runs[next].at) && r.order < m.runs[next].order) {
			next = run
		}
	}
	if next == "" || m.closed {
		return false
	}
	r := m.runs[next]
	if r.at.After(m.now) {
		m.now = r.at
	}
	r.woken = false
	turn := m.safeTick(ctx, next)
	r.done = turn.Done
	if !r.woken {
		r.at = m.now.Add(turn.In)
	}
	return true
}

func (m *Memory) safeTick(ctx context.Context, run string) (turn Turn) {
	defer func() {
		if p := recover(); p != nil {
			m.errs = append(m.errs, fmt.Errorf("tick of %s panicked: %v", run, p))
			turn = Turn{In: retryIn}
		}
	}()
	turn, err := m.tick(ctx, run)
	if err != nil {
		m.errs = append(m.errs, err)
		return Turn{In: retryIn}
	}
	return turn
}

// Errors returns what ticks failed with so far.
func (m *Memory) Errors() []error { return slices.Clone(m.errs) }

// Close stops. See Carrier.
func (m *Memory) Close(context.Context) error {
	m.closed = true
	return nil
}
