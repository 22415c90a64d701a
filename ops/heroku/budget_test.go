package heroku

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// account is Heroku's side of the rate limit: 4,500 calls, refilled at 75 a minute.
type account struct {
	left float64
	at   time.Time
}

func (a *account) call(now time.Time) *http.Response {
	a.left = min(limit, a.left+now.Sub(a.at).Minutes()*refillMinute)
	a.at = now
	r := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
	if a.left < 1 {
		r.StatusCode = http.StatusTooManyRequests
		return r
	}
	a.left--
	r.Header.Set("RateLimit-Remaining", strconv.Itoa(int(a.left)))
	return r
}

// caller is a run that looks again and again.
type caller struct {
	budget *budget
	urgent bool
	every  func(since time.Duration) time.Duration // between two looks
	calls  int                                     // of a look
	acts   bool                                    // changes something after each look

	begun    time.Time
	at       time.Time   // of the next look
	underway []time.Time // when each call of the look under way is made
	putOff   bool        // it has no place for all of them
	looks    int         // that were finished
	late     int         // that were put off
	busy     int         // calls that Heroku refused
}

func (c *caller) call(a *account, now time.Time) {
	c.budget.send()
	r := a.call(now)
	c.budget.saw(r)
	if r.StatusCode == http.StatusTooManyRequests {
		c.busy++
	}
}

// step does what is due at now.
func (c *caller) step(a *account, now time.Time) {
	const limit = 20 * time.Second // of a look
	if len(c.underway) == 0 && !c.at.After(now) {
		c.putOff = false
		for range c.calls {
			d, ok := c.budget.reserve(c.urgent, now.Add(limit), limit)
			if !ok {
				c.putOff = true
				break
			}
			c.underway = append(c.underway, now.Add(d))
		}
		c.at = now.Add(c.every(now.Sub(c.begun)))
		if c.putOff {
			c.late++
			c.at = now.Add(5 * time.Second)
		}
	}
	for len(c.underway) > 0 && !c.underway[0].After(now) {
		c.underway = c.underway[1:]
		c.call(a, now)
		if len(c.underway) > 0 || c.putOff {
			continue
		}
		c.looks++
		c.at = now.Add(c.every(now.Sub(c.begun)))
		if c.acts {
			c.call(a, now)
		}
	}
}

// TestACutoverIsNeverStarved: two processes that know of each other only what
// RateLimit-Remaining says, with 200 runs that wait for something, one of which is
// in its cutover, on an account that has little left and loses most of that to
// somebody else.
func TestACutoverIsNeverStarved(t *testing.T) {
	begun := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	now := begun
	clock := func() time.Time { return now }
	a := &account{left: 950, at: now}
	one, other := newBudget(clock), newBudget(clock) // neither knows yet
	polls := func(since time.Duration) time.Duration { return max(500*time.Millisecond, since/100) }
	cutover := &caller{budget: one, urgent: true, every: polls, calls: 7, acts: true, begun: now, at: now}
	var waiting []*caller
	for i := range 200 {
		b := one
		if i%2 == 0 {
			b = other
		}
		waiting = append(waiting, &caller{budget: b, every: func(time.Duration) time.Duration { return 2 * time.Second }, calls: 4, begun: now, at: now})
	}
	least := a.left
	for ; now.Before(begun.Add(30 * time.Minute)); now = now.Add(50 * time.Millisecond) {
		if now.Equal(begun.Add(10 * time.Minute)) {
			a.left = min(a.left, 60) // somebody's script
		}
		cutover.step(a, now)
		for _, c := range waiting {
			c.step(a, now)
		}
		least = min(least, a.left)
	}
	looks, late, busy := 0, 0, 0
	for _, c := range waiting {
		looks, late, busy = looks+c.looks, late+c.late, busy+c.busy
	}
	t.Logf("in 30 minutes the cutover looked %d times, 200 waiting runs %d times and put off %d looks; at least %.0f calls were left", cutover.looks, looks, late, least)
	if cutover.busy+busy > 0 {
		t.Errorf("Heroku refused %d calls of the cutover and %d of the waiting runs for the rate limit", cutover.busy, busy)
	}
	if looks < 50 {
		t.Errorf("the waiting runs looked %d times: they stand still", looks)
	}
	if cutover.looks < 200 {
		t.Errorf("the cutover looked only %d times", cutover.looks)
	}
}

// TestRemainingIsBelieved: more or less than was counted, except what is under way.
func TestRemainingIsBelieved(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	b := newBudget(func() time.Time { return now })
	answer := func(status int, remaining string) *http.Response {
		h := http.Header{}
		if remaining != "" {
			h.Set("RateLimit-Remaining", remaining)
		}
		return &http.Response{StatusCode: status, Header: h}
	}
	for _, step := range []struct {
		resp *http.Response
		pass time.Duration
		want float64
	}{
		{answer(200, ""), 0, limit - 1},
		{answer(200, "700"), 0, 700},
		{nil, 0, 699},
		{answer(200, "nonsense"), 0, 698},
		{answer(200, ""), time.Minute, 698 + refillMinute - 1},
		{answer(429, ""), 0, 0},
		{answer(200, "4000"), 0, 4000},
		{answer(429, "10"), 0, 0},
		{answer(200, "10"), 0, 10},
		{answer(200, ""), 0, spared},
		{answer(200, ""), 0, spared - 1},
	} {
		now = now.Add(step.pass)
		b.send()
		b.saw(step.resp)
		if b.left != step.want {
			t.Errorf("left %v, want %v", b.left, step.want)
		}
	}
	b.send()
	b.saw(answer(200, "905"))
	for range 10 {
		b.send()
	}
	if d, _ := b.reserve(false, now, time.Minute); d != 0 {
		t.Errorf("the first in a queue waits %s", d)
	}
	if d, _ := b.reserve(false, now, time.Minute); d == 0 {
		t.Error("calls that are under way are not counted")
	}
	if d, _ := b.reserve(true, now, time.Minute); d != 0 {
		t.Errorf("a cutover's read waits %s behind others", d)
	}
	b.send()
	b.saw(answer(200, "500"))
	for range 20 {
		b.reserve(false, now, time.Minute)
	}
	if _, ok := b.reserve(false, now, time.Second); ok {
		t.Error("a place that comes too late was taken")
	}
	if _, ok := b.reserve(false, now.Add(time.Second), time.Minute); ok {
		t.Error("another look joined a queue that leaves it no time")
	}
	b.send()
	b.saw(answer(200, "20"))
	if _, ok := b.reserve(false, now.Add(time.Hour), time.Hour); ok {
		t.Error("what is kept for changes was given to a read that can wait")
	}
	b.send()
	b.saw(answer(429, "0"))
	now = now.Add(askEvery)
	_, first := b.reserve(false, now.Add(time.Minute), time.Minute)
	_, second := b.reserve(false, now.Add(time.Minute), time.Minute)
	if !first || second {
		t.Errorf("some time after a 429 one read asks what is left: %v, %v", first, second)
	}
}

// over is a context whose time is over and whose timer has not fired yet, as it is
// for a moment in a process that goes on after a stop.
type over struct{ context.Context }

func (over) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

// TestAChangeIsNotSentAfterItsDeadline: a successor may have decided otherwise.
func TestAChangeIsNotSentAfterItsDeadline(t *testing.T) {
	sent := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }))
	t.Cleanup(server.Close)
	c := Open(Config{APIURL: server.URL, DataURL: server.URL})
	if err := c.SetMaintenance(over{t.Context()}, "orders", true); !errors.Is(err, ops.ErrBusy) || sent != 0 {
		t.Errorf("sent %d requests, %v; want ErrBusy: it cannot have taken effect", sent, err)
	}
}
