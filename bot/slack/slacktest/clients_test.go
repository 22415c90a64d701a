package slacktest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

var start = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// standIn serves a workspace whose clock stands still.
func standIn(t *testing.T, change ...func(*slacktest.Config)) (*slacktest.Server, *slacktest.Clock, string) {
	t.Helper()
	clock := slacktest.NewClock(start)
	c := slacktest.Config{AppToken: "xapp-1", BotToken: "xoxb-1", Now: clock.Now, After: clock.After, PingEvery: 300 * time.Millisecond}
	for _, f := range change {
		f(&c)
	}
	s := slacktest.New(c)
	s.Acme()
	server := httptest.NewServer(s.API())
	t.Cleanup(func() {
		s.ClearFaults()
		s.CutAll()
		server.Close()
	})
	s.SetBaseURL(server.URL)
	return s, clock, server.URL + "/api/"
}

// packages is where Slack's clients are installed. They are what the test is
// about, so it fails without them.
var packages = sync.OnceValues(func() (string, error) {
	var errs strings.Builder
	c := exec.Command("../../../scripts/npm", "slack")
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("install Slack's clients: %w\n%s", err, errs.String())
	}
	return strings.TrimSpace(string(out)), nil
})

// client is one of Slack's clients as a process.
type client struct {
	t     *testing.T
	name  string
	lines chan string
	input io.Closer
	ended chan error
}

func run(t *testing.T, name, url string) *client {
	t.Helper()
	dir, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, name: name, lines: make(chan string, 1000), ended: make(chan error, 1)}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "node_modules", ".bin", "node"), filepath.Join("testdata", "clients", name+".js"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_PATH=" + filepath.Join(dir, "node_modules"), "SLACK_API_URL=" + url, "SLACK_APP_TOKEN=xapp-1", "SLACK_BOT_TOKEN=xoxb-1"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if c.input, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.lines)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "[") { // the client's own log
				t.Log(lines.Text())
				continue
			}
			c.lines <- lines.Text()
		}
		c.ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		c.input.Close() // asks it to end
		for range c.lines {
		}
		if err := <-c.ended; err != nil && t.Context().Err() == nil {
			t.Errorf("%s ended with %v", name, err)
		}
	})
	return c
}

// prints waits for the next lines and compares them.
func (c *client) prints(want ...string) {
	c.t.Helper()
	for _, w := range want {
		select {
		case got, ok := <-c.lines:
			if !ok || got != w {
				c.t.Fatalf("%s printed %q, want %q; then %q", c.name, got, w, c.rest())
			}
		case <-time.After(time.Minute):
			c.t.Fatalf("%s did not print %q", c.name, w)
		}
	}
}

func (c *client) rest() (out []string) {
	for {
		select {
		case l, ok := <-c.lines:
			if !ok {
				return out
			}
			out = append(out, l)
		case <-time.After(200 * time.Millisecond):
			return out
		}
	}
}

func await(t *testing.T, s *slacktest.Server, what string, want func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Await(ctx, want); err != nil {
		t.Fatalf("%s did not come", what)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func texts(s *slacktest.Server, user string) (out []string) {
	for _, m := range s.Messages("C1", user) {
		out = append(out, m.Text)
	}
	return out
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestBolt: Bolt 5.1.0 with nothing changed but where Slack is takes a command, a
// press and a modal, and posts, edits and reads.
func TestBolt(t *testing.T) {
	t.Parallel()
	s, _, url := standIn(t)
	c := run(t, "bolt", url)
	c.prints("started")
	ctx := t.Context()

	must(t, s.Command(ctx, "U1", "C1", "/pgupgrade orders"))
	c.prints("command U1 C1 orders")
	same(t, "everybody sees", texts(s, ""), []string{"May orders begin?", "Findings: none."})
	for _, text := range []string{"/pgupgrade orders", "Looking at orders.", "Asked."} {
		if !slices.Contains(texts(s, "U1"), text) {
			t.Errorf("ana does not see %q in %q", text, texts(s, "U1"))
		}
	}
	root := s.Messages("C1", "")[0]

	must(t, s.Click(ctx, "U2", "C1", root.TS, "approve"))
	c.prints("action U2 run-1 true typed")
	modal := s.Views("U2")
	if len(modal) != 1 {
		t.Fatalf("ben sees %d modals, want 1", len(modal))
	}
	must(t, s.Submit(ctx, "U2", modal[0].ID, map[string]map[string]string{"name": {"value": "billing"}}))
	c.prints("refused billing")
	same(t, "the modal says", s.Views("U2")[0].Errors, map[string]string{"name": "billing is another app"})
	must(t, s.Submit(ctx, "U2", modal[0].ID, map[string]map[string]string{"name": {"value": "orders"}}))
	c.prints("submitted run-1 orders", "history Approved by <@U2>", "thread Approved by <@U2> | Findings: none.")
	if n := len(s.Views("U2")); n != 0 {
		t.Errorf("%d modals are open after the submission", n)
	}
	if p := s.Messages("C1", "")[0]; p.Edits != 1 || len(p.Buttons()) != 0 {
		t.Errorf("the message was not edited: %+v", p)
	}

	must(t, s.Command(ctx, "U1", "C1", "/pgupgrade billing"))
	c.prints("command U1 C1 billing")
	all := s.Messages("C1", "")
	must(t, s.Click(ctx, "U1", "C1", all[2].TS, "approve"))
	c.prints("action U1 run-1 true typed")
	s.CloseView("U1", s.Views("U1")[0].ID)
	c.prints("closed U1 false")

	must(t, s.Event(ctx, map[string]any{"type": "app_home_opened", "user": "U1", "tab": "home", "event_ts": "1.2"}))
	c.prints("event app_home_opened U1")
	if h := s.Home("U1"); h == nil || !strings.Contains(string(h.Raw), "No upgrade is under way.") {
		t.Errorf("ana's Home tab is %+v", h)
	}
	for _, e := range s.Envelopes() {
		if e.Acks != 1 || e.Late+e.Foreign+e.Dropped != 0 {
			t.Errorf("an envelope was not acknowledged just once: %+v", e)
		}
	}
	c.input.Close()
	c.prints("stopped")
	await(t, s, "the end of the connection", func() bool { return s.Sockets() == 0 })
}

// TestSocketMode: @slack/socket-mode 3.1.0 stays connected through everything
// that Slack does to a connection, and its envelopes become what Slack makes of them.
func TestSocketMode(t *testing.T) {
	t.Parallel()
	s, clock, url := standIn(t)
	c := run(t, "socket-mode", url)
	c.prints("connected")
	ctx := t.Context()

	must(t, s.Command(ctx, "U1", "C1", "/pgupgrade status"))
	c.prints("command status")
	same(t, "ana sees", texts(s, "U1"), []string{"/pgupgrade status", "heard status"})

	for _, text := range []string{"silent", "huge"} { // no acknowledgement, and one that Slack drops
		failed := make(chan error, 1)
		go func() { failed <- s.Command(ctx, "U1", "C1", "/pgupgrade "+text) }()
		c.prints("command " + text)
		if text == "huge" {
			await(t, s, "the acknowledgement that is too large", func() bool { e := s.Envelopes(); return e[len(e)-1].Dropped == 1 })
		}
		must(t, clock.Await(ctx, 3*time.Second))
		clock.Move(3 * time.Second)
		if err := <-failed; !errors.Is(err, slacktest.ErrTimeout) {
			t.Errorf("%s: %v, want ErrTimeout", text, err)
		}
		if all := texts(s, "U1"); !strings.Contains(all[len(all)-1], "operation_timeout") {
			t.Errorf("%s: ana sees %q", text, all[len(all)-1])
		}
	}

	heard := make(chan error, 1)
	go func() { heard <- s.Event(ctx, map[string]any{"type": "app_home_opened", "user": "U1"}) }()
	c.prints("event app_home_opened 0")
	must(t, clock.Await(ctx, 4*time.Second))
	clock.Move(4 * time.Second)
	c.prints("event app_home_opened 1 timeout", "event app_home_opened 0") // and the first envelope again
	must(t, <-heard)

	must(t, s.SendText("this is no JSON"))
	must(t, s.SendText(`{"type":"something_new","envelope_id":"e-1","payload":{}}`))
	must(t, s.Command(ctx, "U1", "C1", "/pgupgrade still"))
	c.prints("command still")

	for _, trouble := range []string{"disconnect refresh_requested", "leave TCP open", "disconnect warning", "cut"} {
		must(t, s.Stage(trouble))
		if trouble == "leave TCP open" { // the closing handshake is done, the app ends TCP
			must(t, s.Stage("disconnect refresh_requested"))
		}
		c.prints("reconnecting", "connected")
		must(t, s.Command(ctx, "U1", "C1", "/pgupgrade "+trouble))
		c.prints("command " + trouble)
	}
	must(t, s.Stage("silence"))
	c.prints("reconnecting", "connected")
	if n := s.Sockets(); n != 2 {
		t.Errorf("Slack counts %d connections, want 2: it has not heard that one is dead", n)
	}
	must(t, s.Stage("notice"))
	must(t, s.Command(ctx, "U1", "C1", "/pgupgrade after"))
	c.prints("command after")
}

// TestWebAPI: @slack/web-api 8.2.0 posts, edits, reads in pages, and hears
// Slack's error words, limits and faults.
func TestWebAPI(t *testing.T) {
	t.Parallel()
	s, _, url := standIn(t)
	for _, f := range []string{"fail users.info with 429 retry 1 once", "fail conversations.info with 503 once", "fail conversations.members with reset once", "fail users.list with malformed once"} {
		must(t, s.Stage(f))
	}
	c := run(t, "web-api", url)
	c.prints(
		"auth "+slacktest.BotUID+" "+slacktest.BotID+" "+slacktest.TeamID+" true",
		"edited root, edited true r1",
		"pages reply, message 3 | message 2, message 1 | root, edited",
		"permalink true",
		"nowhere: channel_not_found",
		"too long: msg_too_long",
		"no header: invalid_blocks [ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]",
		"no trigger: invalid_trigger_id",
		"wrong token: invalid_auth",
		"burst: 6 limited, 1 s", // of ten at once five had been posted
		"waits 1 users.info",
		"after a limit: ana",
		"server error: slack_webapi_http_error 503",
		"reset: slack_webapi_request_error",
		"malformed: true",
		"done",
	)
	same(t, "burst", len(s.Messages("C1", "")), 10)
}
