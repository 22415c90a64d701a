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
	spared       = limit / 5  // for cutovers: below it, calls that can wait do
	sparedActs   = limit / 30 // for changes: below it, a cutover's reads go no faster than the refill
)

// budget is what is left of the rate limit, as far as answers told. Other
// processes and people use the same account, so the answers are believed.
type budget struct {
	mu       sync.Mutex
	now      func() time.Time
	left     float64 // when the last answer came
	at       time.Time
	underway float64 // calls whose answer has not come
	waiting  turns   // of calls that can wait
	urgent   turns   // of a cutover's reads
}

func newBudget(now func() time.Time) *budget { return &budget{now: now, left: limit, at: now()} }

// turns is a queue: when its next call may be made.
type turns struct{ next time.Time }

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
	if resp == nil {
		return
	}
	if n, err := strconv.Atoi(resp.Header.Get("RateLimit-Remaining")); err == nil {
		b.left = float64(n)
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		b.left = 0
	}
}

// gap is how far apart calls that must spare some of the budget are: nothing while
// there is more, then as far as one is refilled, then longer the less there is.
// Processes that share the account so settle where together they use the refill.
func gap(left, spare float64) time.Duration {
	if left >= spare {
		return 0
	}
	perCall := time.Minute / refillMinute
	return time.Duration(float64(perCall) * (1 + 9*(spare-max(left, 0))/spare))
}

// reserve takes the next place in the queue of a read and returns how long to wait
// for it. It reports false, and takes none, when that is longer than most.
func (b *budget) reserve(urgent bool, most time.Duration) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	queue, spare := &b.waiting, float64(spared)
	if urgent {
		queue, spare = &b.urgent, sparedActs
	}
	apart := gap(b.left-b.underway, spare)
	if urgent { // never slower than the refill: users are locked out
		apart = min(apart, time.Minute/refillMinute)
	}
	if apart == 0 {
		queue.next = b.at
		return 0, true
	}
	if queue.next.Before(b.at) {
		queue.next = b.at
	}
	wait := queue.next.Sub(b.at)
	if wait > most {
		return 0, false
	}
	queue.next = queue.next.Add(apart)
	return wait, true
}

// longestTurn is how long a read without a deadline waits for its turn.
const longestTurn = time.Minute

// wait waits for a read's turn. When it would not come in time it fails at once,
// so that a look that cannot be finished leaves its calls to others.
func (b *budget) wait(ctx context.Context, urgent bool) error {
	most := longestTurn
	if d, ok := ctx.Deadline(); ok {
		most = time.Until(d)
	}
	d, ok := b.reserve(urgent, most)
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
