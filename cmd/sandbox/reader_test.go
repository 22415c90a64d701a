package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// asksEvery is how often a reader asks.
const asksEvery = 50 * time.Millisecond

// reader is a visitor who asks an app all the time. A web dyno answers from the
// database that it was started with, in a session that it keeps.
type reader struct {
	by   func() []herokutest.Serving // who can answer now
	end  context.CancelFunc
	done chan struct{}

	mu       sync.Mutex
	open     map[string]session
	last     time.Time // of an answer
	failed   string    // why there was none since; "" when none failed
	asked    int
	answers  int
	restarts int
	gaps     []gap
	from     map[source]int // answers by what gave them
}

type session struct {
	started time.Time
	*pgx.Conn
}

// source is what gave an answer: a major version, and whether it takes writes.
type source struct {
	major    int
	readOnly bool
}

// gap is a time without an answer: since the last one until the next one.
type gap struct {
	took time.Duration
	why  string
}

// slowAnswer is how late an answer is none.
const slowAnswer = time.Second

// read lets a visitor ask until the test ends or the reader is closed.
func (s *sandbox) read(t *testing.T, app string) *reader {
	return reading(t, func() []herokutest.Serving { return s.heroku.Serving(app) })
}

// readReplica lets an app's replica connection ask: it leads to a follower, is of
// no dyno and is not restarted with one.
func readReplica(t *testing.T, url string) *reader {
	one := []herokutest.Serving{{Dyno: "replica", URL: url}}
	return reading(t, func() []herokutest.Serving { return one })
}

func reading(t *testing.T, by func() []herokutest.Serving) *reader {
	ctx, end := context.WithCancel(t.Context())
	r := &reader{by: by, end: end, done: make(chan struct{}), open: map[string]session{}, from: map[source]int{}, last: time.Now()}
	go func() {
		defer close(r.done)
		tick := time.NewTicker(asksEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				for _, x := range r.open {
					_ = x.Close(context.Background()) // its server may be gone
				}
				return
			case <-tick.C:
				r.ask(ctx)
			}
		}
	}()
	t.Cleanup(r.close)
	return r
}

func (r *reader) close() {
	r.end()
	<-r.done
}

func (r *reader) ask(ctx context.Context) {
	from, err := r.answer(ctx)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if err != nil {
		r.failed = err.Error()
		return
	}
	if took := time.Since(r.last); r.failed != "" || took > slowAnswer {
		r.gaps = append(r.gaps, gap{took, r.failed})
	}
	r.from[from]++
	r.answers, r.last, r.failed = r.answers+1, time.Now(), ""
}

// answer asks the next of the dynos that serve.
func (r *reader) answer(ctx context.Context) (from source, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	all := r.by()
	if len(all) == 0 {
		return from, errors.New("no web dyno is up")
	}
	d := all[r.asked%len(all)]
	x, ok := r.open[d.Dyno]
	if ok && !x.started.Equal(d.Started) {
		r.restarts++
		_ = x.Close(ctx) // it went with the dyno
		ok = false
	}
	if !ok || x.IsClosed() {
		c, err := pgx.Connect(ctx, d.URL)
		if err != nil {
			return from, err
		}
		x = session{d.Started, c}
		r.open[d.Dyno] = x
	}
	err = x.QueryRow(ctx, `SELECT current_setting('server_version_num')::int / 10000, current_setting('transaction_read_only') = 'on'
		FROM (SELECT count(*) FROM (SELECT FROM written LIMIT 100) w) rows`).Scan(&from.major, &from.readOnly)
	return from, err
}

// without is how long there was no answer, in all and at the longest.
func (r *reader) without() (all, longest time.Duration) {
	for _, g := range r.gaps {
		all += g.took
		longest = max(longest, g.took)
	}
	return all, longest
}

func (r *reader) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, longest := r.without()
	return fmt.Sprintf("a reader that asked %d times, every %d ms, was without an answer for %.1f s in all, at the longest %.1f s, in %d restarts of the dynos",
		r.asked, asksEvery.Milliseconds(), all.Seconds(), longest.Seconds(), r.restarts)
}
