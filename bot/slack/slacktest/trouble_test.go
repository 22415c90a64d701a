package slacktest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// TestEndsOfAConnection: a life has its warning, and each end that Slack names
// comes true after ten seconds.
func TestEndsOfAConnection(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	a := connect(t, base, "&debug_reconnects=true")
	must(t, clock.Await(t.Context(), 350*time.Second))
	clock.Move(350 * time.Second)
	if e := a.next(); e.Type != "disconnect" || e.Reason != "warning" {
		t.Errorf("%+v", e)
	}
	must(t, clock.Await(t.Context(), 10*time.Second))
	clock.Move(10 * time.Second)
	a.ends()
	await(t, s, "the end", func() bool { return s.Sockets() == 0 })
	for _, reason := range []string{"warning", "refresh_requested", "link_disabled"} {
		a := connect(t, base)
		must(t, s.Stage("disconnect "+reason))
		if e := a.next(); e.Type != "disconnect" || e.Reason != reason {
			t.Errorf("%+v, want %s", e, reason)
		}
		trigger(t, s, a) // it works until its end
		must(t, clock.Await(t.Context(), 10*time.Second))
		clock.Move(10 * time.Second)
		a.ends()
		await(t, s, "the end", func() bool { return s.Sockets() == 0 })
	}
}

// TestHalfOpen: what goes into a silent connection is lost, and it counts until
// Slack notices.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	a := connect(t, base)
	must(t, s.Stage("silence"))
	done := command(t.Context(), s, "x")
	must(t, clock.Await(t.Context(), 3*time.Second))
	clock.Move(3 * time.Second)
	if err := <-done; !errors.Is(err, slacktest.ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	if len(a.got) != 0 {
		t.Errorf("%d messages came through", len(a.got))
	}
	a.conn.Close()
	if n := s.Sockets(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	must(t, s.Stage("notice"))
	if n := s.Sockets(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
}

// TestStorm: every connection is ended at once, until the storm is over.
func TestStorm(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t)
	a := connect(t, base)
	must(t, s.Stage("storm refresh_requested"))
	if e := a.next(); e.Reason != "refresh_requested" {
		t.Errorf("%+v", e)
	}
	a.ends()
	for range 3 {
		a := connect(t, base)
		if e := a.next(); e.Reason != "refresh_requested" {
			t.Errorf("%+v", e)
		}
		a.ends()
	}
	must(t, s.Stage("end the storm"))
	trigger(t, s, connect(t, base))
}

// TestTCPAfterTheCloseFrame: by default Slack closes it at once; it may leave it
// to the app.
func TestTCPAfterTheCloseFrame(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t)
	for _, stage := range []string{"close TCP", "leave TCP open"} {
		must(t, s.Stage(stage))
		conn, _, err := websocket.DefaultDialer.Dial(address(t, base), nil)
		must(t, err)
		must(t, conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")))
		for err == nil {
			_, _, err = conn.ReadMessage()
		}
		if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != websocket.CloseNormalClosure {
			t.Errorf("%s: %v, want a close frame", stage, err)
		}
		await(t, s, "the end", func() bool { return s.Sockets() == 0 })
		raw := conn.NetConn()
		must(t, raw.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
		_, err = raw.Read(make([]byte, 1))
		var timeout net.Error
		if open := errors.As(err, &timeout) && timeout.Timeout(); open != (stage == "leave TCP open") || !open && !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
			t.Errorf("%s: %v", stage, err)
		}
		raw.Close()
	}
}
