package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops"
)

// ahead is how far the tests' clock, which the stand-in and the writer share, is
// ahead of the machine's: it is moved where the writer would wait.
var ahead atomic.Int64

func now() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }

func standIn(t *testing.T, scopes ...string) (*slacktest.Server, string) {
	t.Helper()
	s := slacktest.New(slacktest.Config{AppToken: "xapp-1", BotToken: "xoxb-1", Scopes: scopes, Now: now})
	s.Acme()
	server := httptest.NewServer(s.API())
	t.Cleanup(server.Close)
	s.SetBaseURL(server.URL)
	return s, server.URL + "/api/"
}

func client(url string) *Client {
	return Open(Config{AppToken: ops.NewSecret("xapp-1"), BotToken: ops.NewSecret("xoxb-1"), APIURL: url})
}

// ledger is rows in memory; fail makes the next writes fail.
type ledger struct {
	mu   sync.Mutex
	rows map[string]ops.Message
	fail int
}

func newLedger() *ledger { return &ledger{rows: map[string]ops.Message{}} }

func (l *ledger) Message(_ context.Context, group, name string) (ops.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.rows[group+"/"+name]
	if !ok {
		return ops.Message{}, ops.ErrNotFound
	}
	return m, nil
}

func (l *ledger) IntendMessage(ctx context.Context, m ops.Message) error {
	m.TS = ""
	return l.save(m)
}

func (l *ledger) SaveMessage(_ context.Context, m ops.Message) error {
	l.mu.Lock()
	if l.fail > 0 {
		l.fail--
		l.mu.Unlock()
		return errors.New("the rows are away")
	}
	l.mu.Unlock()
	return l.save(m)
}

func (l *ledger) save(m ops.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[m.Group+"/"+m.Name] = m
	return nil
}

func writer(t *testing.T, url string, l Ledger) *Writer {
	t.Helper()
	w := NewWriter(client(url), l, slog.New(slog.DiscardHandler))
	w.now = now
	return w
}

// flush steps a writer by hand, moving its clock instead of waiting.
func flush(t *testing.T, w *Writer) {
	t.Helper()
	for range 500 {
		if w.Waiting() == 0 {
			return
		}
		ahead.Add(int64(w.step(t.Context())))
	}
	t.Fatalf("%d messages are still waiting", w.Waiting())
}

func texts(s *slacktest.Server) (out []string) {
	for _, m := range s.Messages("C1", "") {
		out = append(out, m.Text)
	}
	return out
}

func put(w *Writer, name, text string) {
	p := Post{Group: "r1", Name: name, Channel: "C1", Text: text, Blocks: []slackgo.Block{slackgo.NewSectionBlock(slackgo.NewTextBlockObject("mrkdwn", text, false, false), nil, nil)}}
	if name != "root" {
		p.InThread = "root"
	}
	w.Put(p)
}

func want(t *testing.T, s *slacktest.Server, all ...string) {
	t.Helper()
	if got := texts(s); !slices.Equal(got, all) {
		t.Errorf("the channel holds %q, want %q", got, all)
	}
}

func calls(s *slacktest.Server, method string) (n int) {
	for _, h := range s.History() {
		if h.Method == method && h.Error == "" {
			n++
		}
	}
	return n
}

// TestPostsInOrderAndEditsInPlace: new messages keep their order, replies stand
// in the thread, and of several edits the newest alone is sent.
func TestPostsInOrderAndEditsInPlace(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	put(w, "root", "begun")
	for i := range 12 {
		put(w, fmt.Sprint("event/", i), fmt.Sprint("event ", i))
	}
	put(w, "root", "half way")
	put(w, "root", "done")
	flush(t, w)
	all := []string{"done"}
	for i := range 12 {
		all = append(all, fmt.Sprint("event ", i))
	}
	want(t, s, all...)
	for _, m := range s.Messages("C1", "")[1:] {
		if m.ThreadTS != s.Messages("C1", "")[0].TS {
			t.Errorf("%q is not in the thread", m.Text)
		}
	}
	put(w, "root", "more")
	put(w, "root", "most")
	flush(t, w)
	put(w, "root", "most") // nothing new
	flush(t, w)
	if n := calls(s, "chat.update"); n != 1 {
		t.Errorf("%d edits, want 1: the newest form alone", n)
	}
}

// TestNothingIsPostedTwice: whatever happens between the post and its row.
func TestNothingIsPostedTwice(t *testing.T) {
	for name, trouble := range map[string]func(s *slacktest.Server, l *ledger){
		"the answer is lost": func(s *slacktest.Server, _ *ledger) {
			s.Fault(slacktest.Fault{Method: "chat.postMessage", After: true, Drop: true, Times: 1})
		},
		"an error after the post": func(s *slacktest.Server, _ *ledger) {
			s.Fault(slacktest.Fault{Method: "chat.postMessage", After: true, Status: 500, Times: 1})
		},
		"internal_error after it": func(s *slacktest.Server, _ *ledger) {
			s.Fault(slacktest.Fault{Method: "chat.postMessage", After: true, Error: "internal_error", Times: 1})
		},
		"the request is lost": func(s *slacktest.Server, _ *ledger) {
			s.Fault(slacktest.Fault{Method: "chat.postMessage", Drop: true, Times: 1})
		},
		"Slack is away for a while": func(s *slacktest.Server, _ *ledger) { s.Fault(slacktest.Fault{Status: 503, Times: 7}) },
		"Slack asks to slow down": func(s *slacktest.Server, _ *ledger) {
			s.Fault(slacktest.Fault{Method: "chat.postMessage", Status: 429, Retry: 30, Times: 2})
		},
		"the row cannot be written": func(_ *slacktest.Server, l *ledger) { l.fail = 2 },
		"and then the search is lost": func(s *slacktest.Server, _ *ledger) {
			s.Fault(slacktest.Fault{Method: "chat.postMessage", After: true, Drop: true, Times: 1})
			s.Fault(slacktest.Fault{Method: "conversations.history", Drop: true, Times: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := standIn(t)
			l := newLedger()
			w := writer(t, url, l)
			trouble(s, l)
			put(w, "root", "begun")
			put(w, "event/1", "one")
			flush(t, w)
			want(t, s, "begun", "one")
			for _, name := range []string{"root", "event/1"} {
				if m, err := l.Message(t.Context(), "r1", name); err != nil || m.TS == "" {
					t.Errorf("the ledger does not know where %s stands: %+v, %v", name, m, err)
				}
			}
		})
	}
}

// TestAnotherProcessGoesOn: a successor that has only the ledger posts nothing
// again, and finds a post whose row was never completed.
func TestAnotherProcessGoesOn(t *testing.T) {
	s, url := standIn(t)
	l := newLedger()
	w := writer(t, url, l)
	put(w, "root", "begun")
	put(w, "event/1", "one")
	flush(t, w)
	// The process died after the post and before the row.
	m, err := l.Message(t.Context(), "r1", "event/1")
	if err != nil {
		t.Fatal(err)
	}
	m.TS, m.Intended = "", time.Now()
	if err := l.save(m); err != nil {
		t.Fatal(err)
	}
	successor := writer(t, url, l)
	put(successor, "root", "begun")
	put(successor, "event/1", "one")
	put(successor, "event/2", "two")
	flush(t, successor)
	want(t, s, "begun", "one", "two")
	if n := calls(s, "chat.update"); n > 1 {
		t.Errorf("%d edits; what stands already was to be left alone", n)
	}
}

// TestADeletedMessageComesBack at its next change, and a refused content leaves the text.
func TestADeletedMessageComesBack(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	put(w, "root", "begun")
	flush(t, w)
	s.Delete("C1", s.Messages("C1", "")[0].TS)
	put(w, "root", "on and on")
	flush(t, w)
	want(t, s, "on and on")

	w.Put(Post{Group: "r1", Name: "event/1", Channel: "C1", Text: "the text alone", Blocks: []slackgo.Block{slackgo.NewSectionBlock(slackgo.NewTextBlockObject("mrkdwn", strings.Repeat("x", 3100), false, false), nil, nil)}})
	flush(t, w)
	want(t, s, "on and on", "the text alone")
}

// TestABlockedChannel is noticed, does not stop others, and is tried again.
func TestABlockedChannel(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	s.ChangeChannel("C1", func(c *slacktest.Channel) { c.Member = false })
	s.ChangeChannel("C2", func(c *slacktest.Channel) { c.Member = true })
	put(w, "root", "begun")
	w.Put(Post{Group: "r1", Name: "elsewhere", Channel: "C2", Text: "here"})
	for range 3 {
		w.step(t.Context())
	}
	if err := w.Blocked("C1"); !errors.Is(err, ErrChannel) {
		t.Errorf("Blocked = %v, want ErrChannel", err)
	}
	if got := s.Messages("C2", ""); len(got) != 1 {
		t.Errorf("the other channel holds %d messages, want 1", len(got))
	}
	s.ChangeChannel("C1", func(c *slacktest.Channel) { c.Member = true })
	flush(t, w)
	want(t, s, "begun")
	if err := w.Blocked("C1"); err != nil {
		t.Errorf("still blocked: %v", err)
	}
}

// heard is a Handler that writes down what came.
type heard struct {
	commands, actions, submissions chan string
	typed                          chan slackgo.SlashCommand
}

func newHeard() heard {
	return heard{make(chan string, 100), make(chan string, 100), make(chan string, 100), make(chan slackgo.SlashCommand, 100)}
}

func (h heard) Command(_ string, c slackgo.SlashCommand) { h.commands <- c.Text; h.typed <- c }
func (h heard) Action(_ string, cb slackgo.InteractionCallback, a slackgo.BlockAction) {
	h.actions <- cb.User.ID + " " + a.ActionID + " " + a.Value
}
func (h heard) Submit(_ string, cb slackgo.InteractionCallback) *slackgo.ViewSubmissionResponse {
	h.submissions <- cb.View.CallbackID
	return slackgo.NewErrorsViewSubmissionResponse(map[string]string{"name": "no"})
}

func listen(t *testing.T, s *slacktest.Server, url string) heard {
	t.Helper()
	return listening(t, s, client(url))
}

func await(t *testing.T, s *slacktest.Server, want func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !want() {
		select {
		case <-limit:
			t.Fatal("the state did not come")
		case <-s.Changed():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestListen(t *testing.T) {
	s, url := standIn(t)
	h := listen(t, s, url)
	if err := s.Command(t.Context(), "U1", "C1", "/pgupgrade status"); err != nil {
		t.Fatal(err)
	}
	if got := <-h.commands; got != "status" {
		t.Errorf("heard %q", got)
	}
	// A refresh of one socket leaves no gap: the other one takes what comes.
	for _, reason := range []string{"warning", "refresh_requested", ""} {
		s.Disconnect(reason)
		for i := range 5 {
			switch err := s.Command(t.Context(), "U1", "C1", fmt.Sprint("/pgupgrade ", i)); {
			case err == nil:
				<-h.commands
			case !errors.Is(err, slacktest.ErrTimeout): // sent into the socket that was just then cut
				t.Errorf("while a socket was renewed (%s): %v", reason, err)
			}
		}
		await(t, s, func() bool { return s.Sockets() == sockets })
	}
}

// TestListenEnds when Slack refuses the token, with an error that says so.
func TestListenEnds(t *testing.T) {
	_, url := standIn(t)
	c := Open(Config{AppToken: ops.NewSecret("xapp-wrong"), BotToken: ops.NewSecret("xoxb-1"), APIURL: url})
	err := c.Listen(t.Context(), newHeard())
	if !errors.Is(err, ErrAuth) {
		t.Errorf("Listen = %v, want ErrAuth", err)
	}
	if strings.Contains(fmt.Sprint(err), "xapp-wrong") {
		t.Error("the error names the token")
	}
}

// TestIdentity names the scopes of the token, and what is wrong with it.
func TestIdentity(t *testing.T) {
	_, url := standIn(t, "chat:write", "commands")
	who, err := client(url).Identity(t.Context())
	if err != nil || !slices.Equal(who.Scopes, []string{"chat:write", "commands"}) || who.TeamID != slacktest.TeamID {
		t.Errorf("Identity = %+v, %v", who, err)
	}
	if _, err := client(url).User(t.Context(), "U1"); !errors.Is(err, ErrScope) || !strings.Contains(err.Error(), "users:read") {
		t.Errorf("User = %v, want ErrScope with the scope's name", err)
	}
	bad := Open(Config{BotToken: ops.NewSecret("xoxb-wrong"), APIURL: url})
	if _, err := bad.Identity(t.Context()); !errors.Is(err, ErrAuth) {
		t.Errorf("Identity = %v, want ErrAuth", err)
	}
}

// TestSlowOpen: a storm of reconnections is slowed down.
func TestSlowOpen(t *testing.T) {
	n := 0
	o := &slowOpen{after: time.After, next: roundTripper(func(*http.Request) (*http.Response, error) { n++; return nil, errors.New("no") })}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://slack/api/apps.connections.open", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range int(openBurst) {
		_, _ = o.RoundTrip(r)
	}
	cancel() // whoever must wait now gives up
	for range 50 {
		_, _ = o.RoundTrip(r)
	}
	if n != int(openBurst) {
		t.Errorf("%d calls got through, want %v", n, openBurst)
	}
	for range 50 { // the wait is no part of the request's limit, and has one of its own
		if d := o.turn(time.Now()); d == 0 || d > sockets*openEvery {
			t.Errorf("a call waits %s", d)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
