package slacktest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// TestFaults: each comes as often as it is to, before or after the call is done.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		how    string
		status int // 0: no answer that can be read
		word   string
	}{
		{"429 retry 7", 429, ""}, {"500", 500, ""}, {"503", 503, ""}, {"reset", 0, ""}, {"malformed", 200, ""}, {"error channel_not_found", 200, "channel_not_found"},
	} {
		for _, after := range []string{"", " after acting"} {
			s, _, base := standIn(t)
			must(t, s.Stage("fail chat.postMessage with "+f.how+after+" once"))
			post := func() (int, object, error) {
				r, err := http.PostForm(base+"chat.postMessage", url.Values{"token": {"xoxb-1"}, "channel": {"C1"}, "text": {"x"}})
				if err != nil {
					return 0, nil, err
				}
				defer r.Body.Close()
				if f.status == 429 && r.StatusCode == 429 && r.Header.Get("Retry-After") != "7" {
					t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
				}
				var out object
				return r.StatusCode, out, json.NewDecoder(r.Body).Decode(&out)
			}
			status, out, err := post()
			word, _ := out["error"].(string)
			if status != f.status || word != f.word || (err == nil) != (f.word != "") { // only an error word comes as JSON
				t.Errorf("%s%s: %d %v %v", f.how, after, status, out, err)
			}
			acted := 0
			if after != "" {
				acted = 1
			}
			if n := len(s.Messages("C1", "")); n != acted {
				t.Errorf("%s%s: %d messages, want %d", f.how, after, n, acted)
			}
			if status, _, err := post(); status != 200 || err != nil {
				t.Errorf("%s%s: the next is answered with %d %v", f.how, after, status, err)
			}
		}
	}
}

// TestNoAnswerAndSlow: one waits until the faults are removed, the other for its time.
func TestNoAnswerAndSlow(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	ask := func() <-chan error {
		return begin(func() error {
			r, err := http.PostForm(base+"auth.test", url.Values{"token": {"xoxb-1"}})
			if err == nil {
				r.Body.Close()
			}
			return err
		})
	}
	must(t, s.Stage("fail auth.test with no answer"))
	done := ask()
	await(t, s, "the call", func() bool { return len(s.History()) == 1 })
	must(t, s.Stage("stop failing"))
	if err := <-done; err == nil {
		t.Error("a call without an answer was answered")
	}
	must(t, s.Stage("fail auth.test with slow 20s once"))
	done = ask()
	must(t, clock.Await(t.Context(), 20*time.Second))
	clock.Move(20 * time.Second)
	must(t, <-done)
}

// TestStages: what is no sentence is refused, at once and with the forms.
func TestStages(t *testing.T) {
	t.Parallel()
	s, _, _ := standIn(t)
	for _, what := range []string{"", "explode", "fail", "fail chat.postMessage", "fail chat.postMessage with luck", "fail no.such with 503", "fail chat.update with 503 retry 3", "fail auth.test with slow", "fail auth.test with slow x", "disconnect please"} {
		if slacktest.CheckStage(what) == nil || s.Stage(what) == nil {
			t.Errorf("%q is taken", what)
		}
	}
	for line := range strings.Lines(slacktest.Stages) {
		if form, _, _ := strings.Cut(line, "  "); strings.TrimSpace(form) != "" && !strings.Contains(form, "METHOD") && !strings.Contains(form, "HOW") {
			for one := range strings.SplitSeq(form, "|") {
				one = strings.NewReplacer("CHANNEL", "C1", "REASON", "warning", "TEXT", "x").Replace(strings.TrimSpace(one))
				if err := slacktest.CheckStage(one); err != nil {
					t.Errorf("the list names %q: %v", one, err)
				}
			}
		}
	}
	if err := s.Stage("archive C9"); err == nil {
		t.Error("a channel that is none was archived")
	}
}

// TestControl: the second address does and tells the same.
func TestControl(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t)
	control := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		r, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		must(t, err)
		s.Control().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, body := control("POST", "/stage", `{"what":"fail auth.test with 503 once"}`); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	if code, body := control("POST", "/stage", `{"what":"explode"}`); code != 422 || !strings.Contains(body, "go away") {
		t.Errorf("%d %s", code, body)
	}
	if _, body := control("GET", "/state", ""); !strings.Contains(body, "auth.test 503") {
		t.Errorf("the state does not tell of the fault: %s", body)
	}
	struck, err := http.PostForm(base+"auth.test", url.Values{"token": {"xoxb-1"}})
	must(t, err)
	struck.Body.Close()
	if _, body := control("GET", "/history", ""); !strings.Contains(body, `"fault":"503"`) || strings.Contains(body, "xoxb-1") {
		t.Errorf("the history: %s", body)
	}
	a := connect(t, base)
	told := begin(func() error { _, _ = control("POST", "/event", `{"type":"app_home_opened"}`); return nil })
	a.ack(a.next().ID)
	must(t, <-told)
	if _, body := control("GET", "/envelopes", ""); !strings.Contains(body, `"kind":"events_api"`) {
		t.Errorf("the envelopes: %s", body)
	}
	if _, body := control("GET", "/stages", ""); strings.TrimSpace(body) != slacktest.Stages {
		t.Errorf("the forms: %s", body)
	}
}
