package slack

import "time"

// pace keeps the writer below Slack's limits: about one new post a second in a
// channel with some burst, and about fifty edits a minute
// (docs.slack.dev/apis/web-api/rate-limits). What Slack itself says wins.
type pace struct {
	post, edit bucket
	until      time.Time // nothing before
	failures   int
}

func newPace() pace {
	return pace{post: bucket{size: 5, every: time.Second}, edit: bucket{size: 8, every: 1250 * time.Millisecond}}
}

func (p *pace) well() { p.failures = 0 }

// badly returns how long to wait after one more failure in a row.
func (p *pace) badly() time.Duration {
	p.failures++
	return min(time.Second<<min(p.failures-1, 5), 30*time.Second)
}

// bucket is a token bucket that begins full.
type bucket struct {
	size  float64
	every time.Duration
	used  float64
	at    time.Time
}

func (b *bucket) refill(now time.Time) {
	if !b.at.IsZero() {
		b.used = max(0, b.used-now.Sub(b.at).Seconds()/b.every.Seconds())
	}
	b.at = now
}

// in is how long until there is a token.
func (b *bucket) in(now time.Time) time.Duration {
	b.refill(now)
	if b.used+1 <= b.size {
		return 0
	}
	return time.Duration((b.used+1-b.size)*float64(b.every)) + time.Millisecond
}

func (b *bucket) take(now time.Time) {
	b.refill(now)
	b.used++
}
