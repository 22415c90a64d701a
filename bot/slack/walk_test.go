package slack

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops"
)

// killed ends the process of a writer at a moment.
type killed struct{}

// thread is a run's messages as they come to be: the root is edited with every
// event, one reply per event, one reply about the lag that is edited.
type thread struct {
	t      *testing.T
	slack  *slacktest.Server
	url    string
	ledger *ledger
	writer *Writer
	events int
	dead   atomic.Bool  // the process was killed
	n      atomic.Int64 // moments so far
	at     int64        // the one at which the process is killed; 0: never
}

func newThread(t *testing.T, at int64) *thread {
	h := &thread{t: t, ledger: newLedger(), at: at}
	h.slack = slacktest.New(slacktest.Config{AppToken: "xapp-1", BotToken: "xoxb-1", Now: now})
	h.slack.Acme()
	server := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(server.Close)
	h.slack.SetBaseURL(server.URL)
	h.url = server.URL + "/api/"
	h.begin()
	return h
}

// begin starts a process: all it has is the ledger and the rows.
func (h *thread) begin() {
	h.dead.Store(false)
	h.writer = writer(h.t, h.url, mortal{h.ledger, h})
	h.put()
}

// put is what the bot puts whenever a run has changed: everything.
func (h *thread) put() {
	if h.events == 0 {
		return
	}
	put(h.writer, "root", fmt.Sprintf("root, after %d events", h.events))
	for i := range h.events {
		put(h.writer, fmt.Sprint("event/", i), fmt.Sprint("event ", i))
		if i == 2 {
			put(h.writer, "lag", fmt.Sprintf("lag, after %d events", h.events))
		}
	}
}

// moment may be the last of a process.
func (h *thread) moment() (last bool) {
	return h.n.Add(1) == h.at
}

// serve is Slack; the process may be killed before a request reaches it, and
// before its answer comes.
func (h *thread) serve(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "chat.postMessage") && !strings.HasSuffix(r.URL.Path, "chat.update") {
		h.slack.API().ServeHTTP(w, r)
		return
	}
	if h.moment() {
		h.dead.Store(true)
		panic(http.ErrAbortHandler)
	}
	answer := httptest.NewRecorder()
	h.slack.API().ServeHTTP(answer, r)
	if h.moment() {
		h.dead.Store(true)
		panic(http.ErrAbortHandler)
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// mortal is the ledger of a process that may be killed around each row.
type mortal struct {
	*ledger
	h *thread
}

func (m mortal) around(write func() error) error {
	if m.h.moment() {
		panic(killed{})
	}
	err := write()
	if m.h.moment() {
		panic(killed{})
	}
	return err
}

func (m mortal) IntendMessage(ctx context.Context, x ops.Message) error {
	return m.around(func() error { return m.ledger.IntendMessage(ctx, x) })
}

func (m mortal) SaveMessage(ctx context.Context, x ops.Message) error {
	return m.around(func() error { return m.ledger.SaveMessage(ctx, x) })
}

// deliver steps until nothing waits; another process goes on where one was killed.
func (h *thread) deliver() {
	h.t.Helper()
	for range 500 {
		if h.writer.Waiting() == 0 {
			return
		}
		if h.step(); h.dead.Load() {
			h.begin()
		}
	}
	h.t.Fatalf("%d messages are still waiting", h.writer.Waiting())
}

func (h *thread) step() {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(killed); !ok {
				panic(p)
			}
			h.dead.Store(true)
		}
	}()
	ahead.Add(int64(h.writer.step(h.t.Context())))
}

// tell lets a run of so many events happen, and checks the channel.
func (h *thread) tell(events int) {
	h.t.Helper()
	for h.events = 1; h.events <= events; h.events++ {
		h.put()
		h.deliver()
	}
	h.events = events
	want := []string{fmt.Sprintf("root, after %d events", events)}
	for i := range events {
		want = append(want, fmt.Sprint("event ", i))
		if i == 2 {
			want = append(want, fmt.Sprintf("lag, after %d events", events))
		}
	}
	if got := texts(h.slack); !slices.Equal(got, want) {
		h.t.Errorf("killed at moment %d: the channel holds\n%q, want\n%q", h.at, got, want)
	}
	all := h.slack.Messages("C1", "")
	for _, m := range all[1:] {
		if m.ThreadTS != all[0].TS {
			h.t.Errorf("killed at moment %d: %q is not in the thread", h.at, m.Text)
		}
	}
}

// TestKilledAroundEveryMessage kills the process before and after each row of
// the ledger and each request to Slack that posts or edits: every message must
// stand once, in order, in its newest form.
func TestKilledAroundEveryMessage(t *testing.T) {
	const events = 8
	undisturbed := newThread(t, 0)
	undisturbed.tell(events)
	moments, posts, edits := undisturbed.n.Load(), calls(undisturbed.slack, "chat.postMessage"), calls(undisturbed.slack, "chat.update")
	if posts != events+2 || edits < events || moments < int64(6*posts+4*edits) {
		t.Fatalf("%d posts, %d edits, %d moments: the hooks do not work", posts, edits, moments)
	}
	fmt.Printf("messages: %d posts and %d edits, killed at each of %d moments\n", posts, edits, moments)
	for at := int64(1); at <= moments; at++ {
		h := newThread(t, at)
		h.tell(events)
		if h.n.Load() < at {
			t.Errorf("moment %d never came", at)
		}
	}
}
