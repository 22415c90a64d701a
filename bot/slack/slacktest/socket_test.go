package slacktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// app is one connection, read by hand: it acknowledges what the test says.
type app struct {
	t    *testing.T
	conn *websocket.Conn
	got  chan envelope // closed at the end of the connection
}

type envelope struct {
	Type, Reason string
	ID           string `json:"envelope_id"`
	Connections  int    `json:"num_connections"`
	Attempt      int    `json:"retry_attempt"`
	RetryReason  string `json:"retry_reason"`
	Payload      struct {
		TriggerID   string `json:"trigger_id"`
		ResponseURL string `json:"response_url"`
		EventID     string `json:"event_id"`
		Type        string
		IsCleared   *bool `json:"is_cleared"`
		View        struct{ ID string }
	}
	text string
}

// address asks for a place to connect to.
func address(t *testing.T, base string) string {
	t.Helper()
	_, out, _ := web(t, base, "apps.connections.open", nil)
	u, ok := out["url"].(string)
	if !ok {
		t.Fatalf("apps.connections.open: %v", out)
	}
	return u
}

// connect opens a connection and takes its hello.
func connect(t *testing.T, base string, query ...string) *app {
	t.Helper()
	a := dial(t, address(t, base)+strings.Join(query, ""))
	if e := a.next(); e.Type != "hello" {
		t.Fatalf("the first message is %+v", e)
	}
	return a
}

func dial(t *testing.T, url string) *app {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, http.Header{"Origin": {"https://api.slack.com"}})
	must(t, err)
	a := &app{t: t, conn: conn, got: make(chan envelope, 1000)}
	t.Cleanup(func() { conn.Close() })
	go func() {
		defer close(a.got)
		for {
			_, raw, err := conn.ReadMessage()
			if err != nil {
				return
			}
			e := envelope{text: string(raw)}
			_ = json.Unmarshal(raw, &e) // text that is no JSON is kept as it is
			a.got <- e
		}
	}()
	return a
}

func (a *app) next() envelope {
	a.t.Helper()
	select {
	case e, ok := <-a.got:
		if !ok {
			a.t.Fatal("the connection ended")
		}
		return e
	case <-time.After(time.Minute):
		a.t.Fatal("nothing came")
		panic("unreachable")
	}
}

// ends waits for the end of the connection.
func (a *app) ends() {
	a.t.Helper()
	select {
	case e, ok := <-a.got:
		if ok {
			a.t.Fatalf("%+v came before the end", e)
		}
	case <-time.After(time.Minute):
		a.t.Fatal("the connection did not end")
	}
}

func (a *app) ack(id string, payload ...string) {
	a.t.Helper()
	text := `{"envelope_id":"` + id + `"}`
	if len(payload) > 0 {
		text = `{"envelope_id":"` + id + `","payload":` + payload[0] + `}`
	}
	must(a.t, a.conn.WriteMessage(websocket.TextMessage, []byte(text)))
}

// begin does something in the background.
func begin(do func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- do() }()
	return c
}

func command(ctx context.Context, s *slacktest.Server, text string) <-chan error {
	return begin(func() error { return s.Command(ctx, "U1", "C1", "/pgupgrade "+text) })
}

// trigger makes a person type a command, and returns what the app gets with it.
func trigger(t *testing.T, s *slacktest.Server, a *app) envelope {
	t.Helper()
	done := command(t.Context(), s, "x")
	e := a.next()
	a.ack(e.ID)
	must(t, <-done)
	return e
}

func last(s *slacktest.Server) slacktest.Envelope {
	all := s.Envelopes()
	return all[len(all)-1]
}

func TestTickets(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	refused := func(what, url string) {
		t.Helper()
		if _, r, err := websocket.DefaultDialer.Dial(url, nil); err == nil || r.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	once := address(t, base)
	dial(t, once).next()
	refused("a ticket for the second time", once)
	old := address(t, base)
	clock.Move(31 * time.Second)
	refused("an old ticket", old)
	refused("an invented ticket", strings.Replace(old, "ticket=", "ticket=x", 1))
	if n := s.Sockets(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestElevenConnections: ten may be open, and each payload goes down any one of them.
func TestElevenConnections(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t)
	all := make([]*app, 10)
	for i := range all {
		all[i] = dial(t, address(t, base))
		if e := all[i].next(); e.Type != "hello" || e.Connections != i+1 {
			t.Errorf("connection %d is greeted with %+v", i+1, e)
		}
	}
	eleventh := dial(t, address(t, base))
	if e := eleventh.next(); e.Type != "disconnect" || e.Reason != "too_many_websockets" {
		t.Errorf("the eleventh got %+v", e)
	}
	eleventh.ends()
	if n := s.Sockets(); n != 10 {
		t.Errorf("%d connections, want 10", n)
	}
	for _, a := range all[3:] {
		a.conn.Close()
	}
	await(t, s, "the end of seven", func() bool { return s.Sockets() == 3 })
	used := map[int]int{}
	for range 90 { // that one of three is never chosen happens once in 10^15
		done := command(t.Context(), s, "x")
		select {
		case e := <-all[0].got:
			used[0]++
			all[0].ack(e.ID)
		case e := <-all[1].got:
			used[1]++
			all[1].ack(e.ID)
		case e := <-all[2].got:
			used[2]++
			all[2].ack(e.ID)
		}
		must(t, <-done)
	}
	if len(used) != 3 {
		t.Errorf("the payloads went down %v", used)
	}
	for _, e := range s.Envelopes() {
		if e.Sends != 1 || e.Acks != 1 {
			t.Errorf("%+v", e)
		}
	}
}

// TestAcknowledgements: what counts as one.
func TestAcknowledgements(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	a := connect(t, base)
	fill := func(id string, size int) string { // payload that makes the whole message so long
		around := len(`{"envelope_id":"` + id + `","payload":{"text":""}}`)
		return `{"text":"` + strings.Repeat("x", size-around) + `"}`
	}

	done := command(t.Context(), s, "the largest that is taken")
	e := a.next()
	a.ack(e.ID, fill(e.ID, 20479))
	must(t, <-done)

	done = command(t.Context(), s, "one byte more")
	e = a.next()
	a.ack(e.ID, fill(e.ID, 20480))
	await(t, s, "the drop", func() bool { return last(s).Dropped == 1 })
	must(t, clock.Await(t.Context(), 3*time.Second))
	clock.Move(3*time.Second - 1)
	select {
	case err := <-done:
		t.Fatalf("ended before its three seconds: %v", err)
	default:
	}
	clock.Move(1)
	if err := <-done; !errors.Is(err, slacktest.ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	a.ack(e.ID) // and now, in time or not
	await(t, s, "the late one", func() bool { return last(s).Late == 1 })

	// From another connection it does not count, as far as anybody knows.
	b := connect(t, base)
	done = command(t.Context(), s, "x")
	right, wrong := a, b
	select {
	case e = <-a.got:
	case e = <-b.got:
		right, wrong = b, a
	}
	wrong.ack(e.ID)
	await(t, s, "the foreign one", func() bool { return last(s).Foreign == 1 })
	if last(s).Acks != 0 {
		t.Error("it counted")
	}
	right.ack(e.ID)
	must(t, <-done)
	wrong.ack("envelope-of-nobody")
	wrong.ack(e.ID)
	await(t, s, "the second foreign one", func() bool { return last(s).Foreign == 2 })
}

func TestAcknowledgedAnywhere(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t, func(c *slacktest.Config) { c.AckAnywhere = true })
	a, b := connect(t, base), connect(t, base)
	done := command(t.Context(), s, "x")
	select {
	case e := <-a.got:
		b.ack(e.ID)
	case e := <-b.got:
		a.ack(e.ID)
	}
	must(t, <-done)
}

// TestNobodyThere: without a connection a person sees an error at once.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	s, _, _ := standIn(t)
	if err := s.Command(t.Context(), "U1", "C1", "/pgupgrade x"); !errors.Is(err, slacktest.ErrNobody) {
		t.Errorf("%v, want ErrNobody", err)
	}
	if all := texts(s, "U1"); !strings.Contains(all[len(all)-1], "dispatch_failed") {
		t.Errorf("ana sees %q", all)
	}
}

// TestEventRetries: an event that nobody acknowledges comes four times, each
// retry in an envelope of its own and followed by the first again, and is given up.
func TestEventRetries(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	a := connect(t, base)
	heard := begin(func() error { return s.Event(t.Context(), object{"type": "app_home_opened"}) })
	first := a.next()
	if first.Attempt != 0 || first.RetryReason != "" {
		t.Errorf("first: %+v", first)
	}
	for i, wait := range []time.Duration{4 * time.Second, time.Minute, 5 * time.Minute} {
		must(t, clock.Await(t.Context(), wait))
		clock.Move(wait)
		e, again := a.next(), a.next()
		if e.Attempt != i+1 || e.RetryReason != "timeout" || e.ID == first.ID || e.Payload.EventID != first.Payload.EventID {
			t.Errorf("retry %d: %+v", i+1, e)
		}
		if again.ID != first.ID || again.Attempt != 0 {
			t.Errorf("after retry %d: %+v, want the first again", i+1, again)
		}
	}
	must(t, clock.Await(t.Context(), 4*time.Second))
	clock.Move(4 * time.Second)
	if err := <-heard; !errors.Is(err, slacktest.ErrUnheard) {
		t.Errorf("%v, want ErrUnheard", err)
	}

	// One that was sent while nobody was there comes as a retry.
	a.conn.Close()
	await(t, s, "the end", func() bool { return s.Sockets() == 0 })
	heard = begin(func() error { return s.Event(t.Context(), object{"type": "app_home_opened"}) })
	must(t, clock.Await(t.Context(), 4*time.Second))
	a = connect(t, base)
	clock.Move(4 * time.Second)
	e := a.next()
	if e.Attempt != 1 {
		t.Errorf("%+v, want a retry", e)
	}
	a.ack(e.ID)
	must(t, <-heard)
}

// TestTwice: a press comes twice in the same envelope, and once only after that.
func TestTwice(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t)
	a := connect(t, base)
	_, out, _ := web(t, base, "chat.postMessage", map[string][]string{"channel": {"C1"}, "text": {"x"}, "blocks": {encode(t, []any{actions(button(1))})}})
	must(t, s.Stage("deliver twice"))
	for _, times := range []int{2, 1} {
		done := begin(func() error { return s.Click(t.Context(), "U1", "C1", out["ts"].(string), "a1") })
		e := a.next()
		if times == 2 {
			if again := a.next(); again.ID != e.ID {
				t.Errorf("another envelope: %+v", again)
			}
		}
		a.ack(e.ID)
		must(t, <-done)
		if n := last(s).Sends; n != times {
			t.Errorf("sent %d times, want %d", n, times)
		}
	}
}
