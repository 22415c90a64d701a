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
	spared       = limit / 5 // kept for cutovers: below it, calls that can wait do
)

// budget is what is left of the rate limit, as far as answers told.
type budget struct {
	mu   sync.Mutex
	now  func() time.Time
	left float64
	at   time.Time
}

func newBudget(now func() time.Time) *budget { return &budget{now: now, left: limit, at: now()} }

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

// saw believes RateLimit-Remaining, and counts where there is none.
func (b *budget) saw(resp *http.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
	b.left--
	if n, err := strconv.Atoi(resp.Header.Get("RateLimit-Remaining")); err == nil {
		b.left = float64(n)
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		b.left = 0
	}
}

// pause is how long a call that can wait should wait: nothing while there is
// plenty, then longer the less there is.
func pause(left float64) time.Duration {
	if left >= spared {
		return 0
	}
	perCall := time.Minute / refillMinute
	return time.Duration(float64(perCall) * (1 + 9*(spared-max(left, 0))/spared))
}

func (b *budget) wait(ctx context.Context) error {
	b.mu.Lock()
	b.refill()
	d := pause(b.left)
	b.mu.Unlock()
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
