package slack

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// hasty is a client that does not wait long for an answer.
func hasty(url string) *Client {
	k := client(url)
	k.calls.limit = 150 * time.Millisecond
	return k
}

func stage(t *testing.T, s *slacktest.Server, what ...string) {
	t.Helper()
	for _, w := range what {
		if err := s.Stage(w); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFaultsAtEveryCall: whatever a call of the writer's meets, before or after it
// was done, once or several times: in the end everything stands as it was put,
// once, and the ledger knows where.
func TestFaultsAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"chat.postMessage", "chat.update", "conversations.history", "conversations.replies", "everything"} {
		for _, how := range []string{"429 retry 30", "500", "503", "reset", "no answer", "malformed", "error internal_error", "error fatal_error", "error service_unavailable", "error ratelimited", "error channel_not_found"} {
			for _, when := range []string{"", " after acting"} {
				if when != "" && (strings.HasPrefix(how, "429") || how == "error ratelimited" || how == "error channel_not_found") {
					continue // Slack says that it did nothing
				}
				for _, often := range []string{" once", " 3 times"} {
					t.Run(method+" "+how+when+often, func(t *testing.T) {
						t.Parallel()
						s, url := standIn(t)
						l := newLedger()
						w := NewWriter(hasty(url), l, slog.New(slog.DiscardHandler))
						w.now = now
						if strings.HasPrefix(method, "conversations") { // there is a search only after a lost answer
							stage(t, s, "fail chat.postMessage with reset after acting 2 times")
						}
						stage(t, s, "fail "+method+" with "+how+when+often)
						put(w, "root", "begun")
						put(w, "event/1", "one")
						put(w, "event/2", "two")
						flush(t, w)
						put(w, "root", "done")
						flush(t, w)
						want(t, s, "done", "one", "two")
						root := s.Messages("C1", "")[0]
						for i, name := range []string{"root", "event/1", "event/2"} {
							m, err := l.Message(t.Context(), "r1", name)
							if p := s.Messages("C1", "")[i]; err != nil || m.TS != p.TS {
								t.Errorf("the ledger says %s stands at %q, %v; it is at %q", name, m.TS, err, p.TS)
							}
							if p := s.Messages("C1", "")[i]; i > 0 && p.ThreadTS != root.TS {
								t.Errorf("%s is not in the thread", name)
							}
						}
						looksBeforeItRepeats(t, s)
					})
				}
			}
		}
	}
}

// looksBeforeItRepeats: after a post whose outcome is unknown the channel is
// searched before anything else is posted; after a refusal it need not be.
func looksBeforeItRepeats(t *testing.T, s *slacktest.Server) {
	t.Helper()
	unsure, text := false, ""
	for _, h := range s.History() {
		switch h.Method {
		case "chat.postMessage":
			if unsure && h.Args.Get("text") == text {
				t.Errorf("%q was posted again without a look", text)
			}
			clear := strings.HasPrefix(h.Fault, "429") || h.Fault == "ratelimited" || h.Fault == "channel_not_found"
			unsure, text = h.Fault != "" && !clear, h.Args.Get("text")
		case "conversations.history", "conversations.replies":
			if h.Fault == "" {
				unsure = false
			}
		}
	}
}

// TestARefusedMessageDoesNotStopTheOthers: Slack says no to one message with a
// word that nobody knows; the others get through, and its next form is tried.
func TestARefusedMessageDoesNotStopTheOthers(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	stage(t, s, fmt.Sprintf("fail chat.postMessage with error no_word_of_ours %d times", refusals))
	put(w, "root", "begun")
	put(w, "event/1", "one")
	flush(t, w)
	want(t, s, "one")
	put(w, "root", "begun again")
	flush(t, w)
	want(t, s, "one", "begun again")
	if n := len(s.History()); n != refusals+2 {
		t.Errorf("%d calls, want %d: a no is not searched for", n, refusals+2)
	}
}

// TestALimitInTheAnswer: Slack may say ratelimited in a 200 answer, as often as it
// likes; it is waited for, and nothing is left out.
func TestALimitInTheAnswer(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	stage(t, s, fmt.Sprintf("fail chat.postMessage with error ratelimited %d times", 3*refusals))
	put(w, "root", "begun")
	flush(t, w)
	want(t, s, "begun")
}

// TestTheThreadIsGone: somebody deleted the message in the channel. What belongs
// in its thread is posted in the channel, and found there.
func TestTheThreadIsGone(t *testing.T) {
	for _, trouble := range []string{"stop failing", "fail chat.postMessage with error thread_not_found once", "fail chat.postMessage with reset after acting once", "fail chat.postMessage with reset once"} {
		s, url := standIn(t)
		w := writer(t, url, newLedger())
		put(w, "root", "begun")
		flush(t, w)
		s.Delete("C1", s.Messages("C1", "")[0].TS)
		stage(t, s, trouble)
		put(w, "event/1", "one")
		put(w, "event/2", "two")
		flush(t, w)
		want(t, s, "one", "two")
	}

	// Slack refuses the thread whenever it is asked.
	s, url := standIn(t)
	l := newLedger()
	w := writer(t, url, l)
	put(w, "root", "begun")
	put(w, "event/1", "one")
	flush(t, w)
	row, err := l.Message(t.Context(), "r1", "root")
	if err != nil {
		t.Fatal(err)
	}
	row.TS = s.Messages("C1", "")[1].TS // a reply, to which nobody can reply
	if err := l.save(row); err != nil {
		t.Fatal(err)
	}
	put(w, "event/2", "two")
	flush(t, w)
	want(t, s, "begun", "one", "two")
}

// TestTheBotIsRemoved and comes back: nothing is lost, and nothing is tried meanwhile.
func TestTheBotIsRemoved(t *testing.T) {
	for _, away := range [][2]string{{"remove the bot from C1", "invite the bot to C1"}, {"archive C1", "unarchive C1"}} {
		s, url := standIn(t)
		w := writer(t, url, newLedger())
		put(w, "root", "begun")
		flush(t, w)
		stage(t, s, away[0])
		put(w, "event/1", "one")
		put(w, "event/2", "two")
		before := len(s.History())
		for range 5 {
			w.step(t.Context())
		}
		if n := len(s.History()) - before; n != 1 || !errors.Is(w.Blocked("C1"), ErrChannel) {
			t.Errorf("%s: %d calls, Blocked = %v; want one and ErrChannel", away[0], n, w.Blocked("C1"))
		}
		stage(t, s, away[1])
		flush(t, w)
		want(t, s, "begun", "one", "two")
	}
}

// TestTheTokenIsRevoked: the writer keeps everything and says why nothing comes.
func TestTheTokenIsRevoked(t *testing.T) {
	s, url := standIn(t)
	w := writer(t, url, newLedger())
	stage(t, s, "revoke bot token")
	put(w, "root", "begun")
	for range 10 {
		ahead.Add(int64(w.step(t.Context())))
	}
	if w.Waiting() != 1 {
		t.Error("the message was dropped")
	}
	if _, err := w.client.Identity(t.Context()); !errors.Is(err, ErrAuth) {
		t.Errorf("Identity = %v, want ErrAuth", err)
	}
}

// TestAnswersAreNotRepeated: what goes to one person, and modals, whose trigger
// holds three seconds, are sent once; the error names no address.
func TestAnswersAreNotRepeated(t *testing.T) {
	for _, how := range []string{"429 retry 30", "503", "reset", "malformed", "no answer", "reset after acting"} {
		s, url := standIn(t)
		k := hasty(url)
		h := listening(t, s, k)
		if err := s.Command(t.Context(), "U1", "C1", "/pgupgrade x"); err != nil {
			t.Fatal(err)
		}
		c := <-h.typed
		stage(t, s, "fail everything with "+how)
		err := k.Respond(t.Context(), c.ResponseURL, "hello", nil, false)
		if err == nil && how != "malformed" { // an answer that begins with 200 is enough for slack-go
			t.Errorf("%s: no error", how)
		}
		if strings.Contains(fmt.Sprint(err), "/response/") {
			t.Errorf("%s: the error names the address: %v", how, err)
		}
		modal := slackgo.ModalViewRequest{Type: "modal", Title: slackgo.NewTextBlockObject("plain_text", "x", false, false), Blocks: slackgo.Blocks{BlockSet: []slackgo.Block{slackgo.NewDividerBlock()}}}
		if err := k.OpenView(t.Context(), c.TriggerID, modal); err == nil {
			t.Errorf("%s: a modal was opened", how)
		}
		if err := k.Ephemeral(t.Context(), "C1", "U1", "hello", nil); err == nil {
			t.Errorf("%s: a message was shown", how)
		}
		for _, method := range []string{"response_url", "views.open", "chat.postEphemeral"} {
			n := 0
			for _, r := range s.History() {
				if r.Method == method && (r.Fault != "" || strings.Contains(how, "after")) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: %s was called %d times", how, method, n)
			}
		}
		s.ClearFaults()
	}
}

// TestSlackIsAway and comes back: what was put meanwhile gets there in order, and
// people are heard again.
func TestSlackIsAway(t *testing.T) {
	s, url := standIn(t)
	h := listening(t, s, client(url))
	l := newLedger()
	w := writer(t, url, l)
	put(w, "root", "begun")
	flush(t, w)
	stage(t, s, "go away")
	await(t, s, func() bool { return s.Sockets() == 0 })
	for i := range 5 {
		put(w, fmt.Sprint("event/", i), fmt.Sprint("event ", i))
		ahead.Add(int64(w.step(t.Context())))
	}
	put(w, "root", "gone on")
	if got := texts(s); !slices.Equal(got, []string{"begun"}) {
		t.Errorf("while away the channel holds %q", got)
	}
	stage(t, s, "come back")
	flush(t, w)
	want(t, s, "gone on", "event 0", "event 1", "event 2", "event 3", "event 4")
	await(t, s, func() bool { return s.Sockets() == sockets })
	says(t, s, h, "status")
	if m, err := l.Message(t.Context(), "r1", "event/4"); err != nil || m.TS == "" {
		t.Errorf("the ledger does not know of the last: %+v, %v", m, err)
	}
}
