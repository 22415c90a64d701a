package slack

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// listening listens with a given client.
func listening(t *testing.T, s *slacktest.Server, k *Client) heard {
	t.Helper()
	h := newHeard()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Listen(ctx, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Listen: %v", err)
		}
	})
	await(t, s, func() bool { return s.Sockets() == sockets })
	return h
}

// says types a command and waits until it is heard.
func says(t *testing.T, s *slacktest.Server, h heard, text string) {
	t.Helper()
	if err := s.Command(t.Context(), "U1", "C1", "/pgupgrade "+text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got := <-h.commands; got != text {
		t.Errorf("heard %q, want %q", got, text)
	}
}

// TestRefreshStorm: Slack ends every connection as soon as it is open. The bot
// does not loop: it asks for its burst of connections, then for one each time its
// own limit lets it, and goes on when the storm is over.
func TestRefreshStorm(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"refresh_requested", "warning", "too_many_websockets", "link_disabled"} {
		s, url := standIn(t)
		k := hasty(url) // how long it waits its turn does not count for the request
		turns := make(chan chan time.Time, 100)
		k.opens.after = func(time.Duration) <-chan time.Time {
			c := make(chan time.Time, 1)
			turns <- c
			return c
		}
		h := listening(t, s, k)
		stage(t, s, "storm "+reason)
		waiting := []chan time.Time{<-turns, <-turns} // both sockets wait their turn
		opens := func() int { return calls(s, "apps.connections.open") }
		if n := opens(); n != int(openBurst) {
			t.Errorf("%s: %d connections were asked for, want %v", reason, n, openBurst)
		}
		for i := range 3 {
			waiting[0] <- time.Now()
			waiting = append(waiting[1:], <-turns) // again it was ended at once
			if n := opens(); n != int(openBurst)+i+1 {
				t.Errorf("%s: %d connections were asked for, want %v", reason, n, int(openBurst)+i+1)
			}
		}
		stage(t, s, "end the storm")
		for _, c := range waiting {
			c <- time.Now()
		}
		await(t, s, func() bool { return s.Sockets() == sockets })
		says(t, s, h, "status")
	}
}

// TestWaitingForATurnHasNoLimit: a call has one, but the time before it, in which
// slowOpen holds it back, is no part of it: else two sockets could wait for ever.
func TestWaitingForATurnHasNoLimit(t *testing.T) {
	_, url := standIn(t)
	k := client(url)
	held, sent := false, false
	next := k.calls.next
	k.calls.next = roundTripper(func(r *http.Request) (*http.Response, error) {
		_, sent = r.Context().Deadline()
		return next.RoundTrip(r)
	})
	before := k.opens.next
	k.opens.next = roundTripper(func(r *http.Request) (*http.Response, error) {
		_, held = r.Context().Deadline()
		return before.RoundTrip(r)
	})
	if _, _, err := k.api.StartSocketModeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if held || !sent {
		t.Errorf("a limit while it is held back: %v, while it is under way: %v", held, sent)
	}
}

// TestTroubleWhileConnecting: whatever apps.connections.open answers but a
// refusal of the token, the bot gets connected.
func TestTroubleWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"429 retry 1", "500", "503", "reset", "malformed", "no answer", "error internal_error", "error ratelimited"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s, url := standIn(t)
			stage(t, s, "fail apps.connections.open with "+how+" 2 times")
			h := listening(t, s, hasty(url))
			says(t, s, h, "status")
		})
	}
}

// TestTheAppTokenIsRevoked while connected: Listen ends with ErrAuth at the next
// connection, not before.
func TestTheAppTokenIsRevoked(t *testing.T) {
	t.Parallel()
	s, url := standIn(t)
	h := newHeard()
	done := make(chan error, 1)
	go func() { done <- client(url).Listen(t.Context(), h) }()
	await(t, s, func() bool { return s.Sockets() == sockets })
	stage(t, s, "revoke app token")
	says(t, s, h, "status")
	stage(t, s, "cut")
	if err := <-done; !errors.Is(err, ErrAuth) {
		t.Errorf("Listen = %v, want ErrAuth", err)
	}
}

// TestAHalfOpenConnection is noticed by its silence and replaced.
func TestAHalfOpenConnection(t *testing.T) {
	t.Parallel()
	s, url := standIn(t)
	k := client(url)
	k.silence = 4 * time.Second // pings come every two
	h := listening(t, s, k)
	stage(t, s, "silence")
	await(t, s, func() bool { return s.Sockets() == sockets+1 }) // Slack still counts the dead one
	stage(t, s, "notice")
	says(t, s, h, "status")
}

// TestWhatIsNoEnvelope does no harm, and what comes twice is done once and
// acknowledged each time, on the connection that it came down.
func TestWhatIsNoEnvelope(t *testing.T) {
	t.Parallel()
	s, url := standIn(t)
	h := listening(t, s, client(url))
	stage(t, s, "send this is no JSON", `send {"type":"something_new","envelope_id":"e-1","payload":{}}`)
	says(t, s, h, "status")
	if err := s.Event(t.Context(), map[string]any{"type": "app_home_opened", "user": "U1"}); err != nil {
		t.Errorf("an event that nobody asked for: %v", err)
	}
	w := writer(t, url, newLedger())
	w.Put(Post{Group: "r1", Name: "root", Channel: "C1", Text: "press", Blocks: []slackgo.Block{
		slackgo.NewActionBlock("", slackgo.NewButtonBlockElement("approve", "run-1", slackgo.NewTextBlockObject("plain_text", "Approve", false, false)))}})
	flush(t, w)
	stage(t, s, "deliver twice")
	if err := s.Click(t.Context(), "U2", "C1", s.Messages("C1", "")[0].TS, "approve"); err != nil {
		t.Fatal(err)
	}
	await(t, s, func() bool { e := s.Envelopes(); return e[len(e)-1].Acks == 2 })
	if got := <-h.actions; got != "U2 approve run-1" || len(h.actions) != 0 {
		t.Errorf("heard %q and %d more", got, len(h.actions))
	}
	for _, e := range s.Envelopes() {
		if e.Foreign+e.Late+e.Dropped > 0 {
			t.Errorf("%+v", e)
		}
	}
}
