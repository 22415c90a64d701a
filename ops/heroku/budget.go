package heroku

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of the Platform API: 4,500 calls an hour for an account, refilled at
// 75 a minute (devcenter.heroku.com/articles/platform-api-reference#rate-limits).
const (
	limit        = 4500
	refillMinute = 75
	spared       = limit / 5  // for cutovers: below it, calls that can wait queue
	sparedActs   = limit / 30 // for changes: below it they are put off, and a cutover's reads queue
	askEvery     = 10 * time.Second
)

// budget is what is left of the rate limit, as far as answers told. Other
// processes and people use the same account, so the answers are believed.
type budget struct {
	mu       sync.Mutex
	now      func() time.Time
	left     float64 // when the last answer came
	at       time.Time
	underway float64   // calls whose answer has not come
	told     time.Time // when an answer last came, or was asked for
	waiting  turns     // of calls that can wait
	urgent   turns     // of a cutover's reads
}

func newBudget(now func() time.Time) *budget { return &budget{now: now, left: limit, at: now()} }

// turns is a queue.
type turns struct {
	next time.Time // when its next call may be made
	look time.Time // the deadline, by which it is known, of the look that joined last
}

type budgets struct{ platform, data *budget }

// of returns the budget that a path counts against. The Data API's own limit is
// not documented; it is counted apart.
func (b budgets) of(path string) *budget {
	for _, prefix := range []string{"/client/", "/postgres/", "/data/"} {
		if strings.HasPrefix(path, prefix) {
			return b.data
		}
	}
	return b.platform
}

func (b *budget) refill() {
	now := b.now()
	b.left = min(limit, b.left+now.Sub(b.at).Minutes()*refillMinute)
	b.at = now
}

// send counts a call that is being made.
func (b *budget) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underway++
}

// saw counts a call that is over. It believes RateLimit-Remaining, and counts
// where there is none, or no answer.
func (b *budget) saw(resp *http.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	b.underway--
	b.left--
	b.told = b.at
	if resp == nil {
		return
	}
	n, err := strconv.Atoi(resp.Header.Get("RateLimit-Remaining"))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		b.left = 0
	case err == nil:
		b.left = float64(n)
	case b.left < sparedActs: // it lets calls through again and does not say how many, as the Data API
		b.left = spared
	}
}

// gap is how far apart calls that must spare some of the budget are: nothing while
// there is more, then as far as one is refilled, then up to four times as far the
// less there is. Processes that share the account so settle where together they
// use the refill.
func gap(left, spare float64) time.Duration {
	if left >= spare {
		return 0
	}
	perCall := time.Minute / refillMinute
	return time.Duration(float64(perCall) * (1 + 3*(spare-max(left, 0))/spare))
}

// reserve takes the next place in the queue of a read that must be made before
// deadline, and returns how long to wait for it. It reports false, and takes none,
// when it comes too late. The calls of one look have one deadline: a look joins
// only while there is time for all of it, so that what is spent is not spent on
// beginnings.
func (b *budget) reserve(urgent bool, deadline time.Time, most time.Duration) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	queue, spare := &b.waiting, float64(spared)
	if urgent {
		queue, spare = &b.urgent, sparedActs
	}
	left := b.left - b.underway
	if !urgent && left < sparedActs {
		// When nobody asked for a while, one goes: its answer tells what is left by
		// now. A 429 alone says nothing about that.
		if b.at.Sub(b.told) < askEvery {
			return 0, false
		}
		b.told = b.at
		return 0, true
	}
	apart := gap(left, spare)
	if apart == 0 {
		queue.next = b.at
		return 0, true
	}
	if queue.next.Before(b.at) {
		queue.next = b.at
	}
	wait := queue.next.Sub(b.at)
	if wait > most || !urgent && wait > most/4 && !deadline.Equal(queue.look) {
		return 0, false
	}
	queue.next, queue.look = queue.next.Add(apart), deadline
	return wait, true
}

// longestTurn is how long a read without a deadline waits for its turn.
const longestTurn = time.Minute

// wait waits for a read's turn. When it would not come in time it fails at once,
// so that a look that cannot be finished leaves its calls to others.
func (b *budget) wait(ctx context.Context, urgent bool) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(longestTurn)
	}
	d, ok := b.reserve(urgent, deadline, time.Until(deadline))
	if !ok {
		return context.DeadlineExceeded
	}
	if d == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
