package slack

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops"
)

// TestNothingIsSentAfterItsTime: a process that was stopped while another one took
// over the posting sends neither what it was about to send nor what is new.
func TestNothingIsSentAfterItsTime(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	w.Allow(now().Add(time.Minute))
	put(w, "root", "begun")
	flush(t, w)
	put(w, "root", "edited")
	put(w, "event/1", "one")
	w.Allow(now().Add(-time.Millisecond))
	for range 5 {
		w.step(t.Context())
	}
	want(t, s, "begun")
	w.Allow(now().Add(time.Hour))
	flush(t, w)
	want(t, s, "edited", "one")
}

// over is a context whose time is over and whose timer has not fired yet, as it is
// for a moment in a process that goes on after a stop.
type over struct{ context.Context }

func (over) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestARequestIsNotSentAfterItsDeadline(t *testing.T) {
	sent := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(over{t.Context()}, http.MethodPost, server.URL+"/api/chat.postMessage", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&slowOpen{next: http.DefaultTransport}).RoundTrip(r); err == nil || sent != 0 {
		t.Errorf("sent %d requests, %v", sent, err)
	}
}

// TestASuccessorWaitsForARequestUnderWay: the post of a process that died, or was
// stopped, may still arrive; it is looked for when it can no longer.
func TestASuccessorWaitsForARequestUnderWay(t *testing.T) {
	s, url := standIn(t)
	l := newLedger()
	if err := l.IntendMessage(t.Context(), ops.Message{Group: "r1", Name: "event/1", Channel: "C1", Intended: now()}); err != nil {
		t.Fatal(err)
	}
	successor := writer(t, url, l)
	put(successor, "root", "begun")
	put(successor, "event/1", "one")
	put(successor, "event/2", "two")
	for range 5 { // nothing moves the clock on
		successor.step(t.Context())
	}
	want(t, s, "begun")
	// Now it arrives, and the process that sent it is no more.
	root := s.Messages("C1", "")[0].TS
	first := client(url)
	if _, _, err := first.api.PostMessageContext(t.Context(), "C1", append(content("one", nil), mark(Post{Group: "r1", Name: "event/1"}), slackgo.MsgOptionTS(root))...); err != nil {
		t.Fatal(err)
	}
	flush(t, successor)
	want(t, s, "begun", "one", "two")
}

// TestTwentyMinutesAway: however long Slack is away, it is asked now and then, and
// then everything arrives once and in order.
func TestTwentyMinutesAway(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	put(w, "root", "begun")
	flush(t, w)
	s.Fault(slacktest.Fault{Status: http.StatusServiceUnavailable})
	away, events, attempts := now().Add(20*time.Minute), 0, 0
	for now().Before(away) {
		if events < 40 {
			events++
			put(w, fmt.Sprintf("event/%d", events), fmt.Sprint("event ", events))
			put(w, "root", fmt.Sprint("at event ", events))
		}
		attempts++
		ahead.Add(int64(w.step(t.Context())))
	}
	t.Logf("%d steps in 20 minutes", attempts)
	if attempts > 200 {
		t.Errorf("%d steps in 20 minutes: it does not wait", attempts)
	}
	want(t, s, "begun")
	s.ClearFaults()
	back := now()
	flush(t, w)
	t.Logf("caught up within %s of the writer's clock", now().Sub(back).Round(time.Second))
	all := []string{"at event 40"}
	for i := range events {
		all = append(all, fmt.Sprint("event ", i+1))
	}
	want(t, s, all...)
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// TestSocketsDoNotWaitForMinutes: slack-go's waits double up to five minutes; they
// begin anew before that.
func TestSocketsDoNotWaitForMinutes(t *testing.T) {
	s, url := standIn(t)
	s.Fault(slacktest.Fault{Method: "apps.connections.open", Status: http.StatusServiceUnavailable, Times: 5})
	log := &lines{}
	k := client(url)
	k.log, k.patience = slog.New(slog.NewTextHandler(log, nil)), 50*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Listen(ctx, newHeard()) }()
	await(t, s, func() bool { return log.count("attempt=1") > 2*sockets })
	await(t, s, func() bool { return s.Sockets() > 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if log.count("attempt=3") > 0 {
		t.Error("it waited for slack-go")
	}
}
