package slacktest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// respond posts to a response_url.
func respond(t *testing.T, url, body string) (status int, word string) {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	must(t, err)
	defer r.Body.Close()
	var out struct{ Error string }
	must(t, json.NewDecoder(r.Body).Decode(&out))
	if r.Header.Get("Content-Type") == "" {
		t.Error("no Content-Type, which slack-go needs")
	}
	return r.StatusCode, out.Error
}

// TestResponseURL: five posts within 30 minutes, seen by that person alone unless
// it says otherwise.
func TestResponseURL(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	a := connect(t, base)
	u := trigger(t, s, a).Payload.ResponseURL
	for _, body := range []string{`{"text":"one"}`, `{"text":"two","response_type":"in_channel"}`, `{"text":"three","replace_original":true}`, `{"delete_original":true}`} {
		if status, word := respond(t, u, body); status != 200 || word != "" {
			t.Errorf("%s: %d %s", body, status, word)
		}
	}
	if _, word := respond(t, u, `{"text":""}`); word != "no_text" {
		t.Errorf("no text: %q", word)
	}
	if _, word := respond(t, u, `{"text":"x","blocks":[{"type":"fireworks"}]}`); word != "invalid_blocks" {
		t.Errorf("blocks that are refused: %q", word)
	}
	// A command's own line cannot be replaced; what was refused did not count.
	if status, word := respond(t, u, `{"text":"five"}`); status != 200 || word != "" {
		t.Errorf("the fifth: %d %s", status, word)
	}
	if status, word := respond(t, u, `{"text":"six"}`); status != 404 || word != "used_url" {
		t.Errorf("the sixth: %d %s", status, word)
	}
	same(t, "everybody sees", texts(s, ""), []string{"two"})
	same(t, "ana sees", texts(s, "U1"), []string{"/pgupgrade x", "one", "two", "three", "five"})

	u = trigger(t, s, a).Payload.ResponseURL
	clock.Move(30 * time.Minute)
	if status, word := respond(t, u, `{"text":"late"}`); status != 200 || word != "" {
		t.Errorf("after 30 minutes: %d %s", status, word)
	}
	clock.Move(time.Second)
	if status, word := respond(t, u, `{"text":"too late"}`); status != 404 || word != "expired_url" {
		t.Errorf("after more: %d %s", status, word)
	}

	// Of a message: replaced, then deleted.
	_, out, _ := web(t, base, "chat.postEphemeral", url.Values{"channel": {"C1"}, "user": {"U1"}, "text": {"press"}, "blocks": {encode(t, []any{actions(button(1))})}})
	done := begin(func() error { return s.Click(t.Context(), "U1", "C1", out["message_ts"].(string), "a1") })
	e := a.next()
	a.ack(e.ID)
	must(t, <-done)
	respond(t, e.Payload.ResponseURL, `{"text":"pressed","replace_original":true}`)
	if all := texts(s, "U1"); all[len(all)-1] != "pressed" || slices.Contains(all, "press") {
		t.Errorf("not replaced: %q", all)
	}
	respond(t, e.Payload.ResponseURL, `{"delete_original":true}`)
	if all := texts(s, "U1"); slices.Contains(all, "pressed") {
		t.Errorf("not deleted: %q", all)
	}
}

// TestTriggers: three seconds, once.
func TestTriggers(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	a := connect(t, base)
	open := func(id string) any {
		_, out, _ := web(t, base, "views.open", url.Values{"trigger_id": {id}, "view": {encode(t, view())}})
		return out["error"]
	}
	id := trigger(t, s, a).Payload.TriggerID
	clock.Move(3 * time.Second)
	if e := open(id); e != nil {
		t.Errorf("after three seconds: %v", e)
	}
	if e := open(id); e != "exchanged_trigger_id" {
		t.Errorf("the second time: %v", e)
	}
	id = trigger(t, s, a).Payload.TriggerID
	clock.Move(3*time.Second + 1)
	if e := open(id); e != "expired_trigger_id" {
		t.Errorf("after more: %v", e)
	}
	if e := open("1.2.3"); e != "invalid_trigger_id" {
		t.Errorf("an invented one: %v", e)
	}
}

// TestViews: three on top of each other; changed on condition; closed; answered.
func TestViews(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t)
	a := connect(t, base)
	call := func(method string, args url.Values, v object) object {
		args.Set("view", encode(t, v))
		_, out, _ := web(t, base, method, args)
		return out
	}
	fresh := func() url.Values { return url.Values{"trigger_id": {trigger(t, s, a).Payload.TriggerID}} }
	if out := call("views.push", fresh(), view()); out["error"] != "not_found" {
		t.Errorf("push onto nothing: %v", out)
	}
	input := block("input", "block_id", "name", "label", plain(1), "element", block("plain_text_input", "action_id", "value"))
	form := view("external_id", "form", "private_metadata", "run-1", "submit", plain(1), "blocks", []any{input, block("section", "block_id", "words", "text", plain(1))})
	first := call("views.open", fresh(), form)["view"].(object)
	if first["private_metadata"] != "run-1" || first["hash"] == "" {
		t.Errorf("%v", first)
	}
	if out := call("views.push", fresh(), form); out["error"] != "duplicate_external_id" {
		t.Errorf("the same external_id: %v", out)
	}
	for range 2 {
		if out := call("views.push", fresh(), view("notify_on_close", true)); out["ok"] != true {
			t.Errorf("push: %v", out)
		}
	}
	if out := call("views.push", fresh(), view()); out["error"] != "push_limit_reached" {
		t.Errorf("the fourth: %v", out)
	}
	if out := call("views.update", url.Values{"view_id": {"V0"}}, view()); out["error"] != "not_found" {
		t.Errorf("a view that is none: %v", out)
	}
	hash := first["hash"].(string)
	second := call("views.update", url.Values{"external_id": {"form"}, "hash": {hash}}, form)
	if second["ok"] != true || second["view"].(object)["hash"] == hash {
		t.Errorf("with the right hash: %v", second)
	}
	if out := call("views.update", url.Values{"external_id": {"form"}, "hash": {hash}}, form); out["error"] != "hash_conflict" {
		t.Errorf("with an old hash: %v", out)
	}

	top := s.Views("U1")[2]
	s.CloseView("U1", top.ID)
	if e := a.next(); e.Payload.Type != "view_closed" || e.Payload.IsCleared == nil || e.Payload.View.ID != top.ID {
		t.Errorf("the app was told %+v", e)
	}
	submit := func(answer string) error {
		done := begin(func() error {
			return s.Submit(t.Context(), "U1", first["id"].(string), map[string]map[string]string{"name": {"value": "x"}})
		})
		a.ack(a.next().ID, answer)
		return <-done
	}
	must(t, submit(`{"response_action":"errors","errors":{"name":"no"}}`))
	same(t, "errors", s.Views("U1")[0].Errors, map[string]string{"name": "no"})
	for name, answer := range map[string]string{
		"an error for a section":   `{"response_action":"errors","errors":{"words":"no"}}`,
		"a view that is refused":   `{"response_action":"update","view":{"type":"modal","blocks":[]}}`,
		"an action that is none":   `{"response_action":"explode"}`,
		"an answer that is no map": `[]`,
	} {
		if err := submit(answer); !errors.Is(err, slacktest.ErrBadAnswer) || !strings.Contains(s.Views("U1")[0].Errors[""], "trouble connecting") {
			t.Errorf("%s: %v, the modal says %v", name, err, s.Views("U1")[0].Errors)
		}
	}
	must(t, submit(`{"response_action":"update","view":`+encode(t, form)+`}`))
	must(t, submit(`{"response_action":"push","view":`+encode(t, view())+`}`))
	if n := len(s.Views("U1")); n != 3 {
		t.Errorf("%d modals, want 3", n)
	}
	must(t, submit(`{"response_action":"clear"}`))
	if n := len(s.Views("U1")); n != 0 {
		t.Errorf("%d modals are open", n)
	}
}

// TestEdits: what chat.update keeps and removes, and whose messages it takes.
func TestEdits(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t)
	blocks := encode(t, []any{block("divider")})
	_, out, _ := web(t, base, "chat.postMessage", url.Values{"channel": {"C1"}, "text": {"one"}, "blocks": {blocks}, "metadata": {`{"event_type":"e","event_payload":{"a":1}}`}})
	ts := out["ts"].(string)
	for _, step := range []struct {
		name             string
		args             url.Values
		text, blocks, md string
	}{
		{"text alone removes the blocks", url.Values{"text": {"two"}}, "two", "", "e"},
		{"both", url.Values{"text": {"three"}, "blocks": {blocks}}, "three", blocks, "e"},
		{"neither keeps both", url.Values{}, "three", blocks, "e"},
		{"an empty list clears", url.Values{"text": {"four"}, "blocks": {"[]"}}, "four", "[]", "e"},
		{"{} clears metadata", url.Values{"text": {"five"}, "metadata": {"{}"}}, "five", "", ""},
	} {
		step.args.Set("channel", "C1")
		step.args.Set("ts", ts)
		if _, out, _ := web(t, base, "chat.update", step.args); out["ok"] != true {
			t.Errorf("%s: %v", step.name, out)
		}
		if p := s.Messages("C1", "")[0]; p.Text != step.text || string(p.Blocks) != step.blocks || strings.Contains(string(p.Metadata), `"e"`) != (step.md != "") {
			t.Errorf("%s: %+v", step.name, p)
		}
	}
	must(t, s.Command(t.Context(), "U1", "C1", "a person's"))
	for what, word := range map[string]url.Values{
		"cant_update_message": {"channel": {"C1"}, "ts": {s.Messages("C1", "")[1].TS}, "text": {"x"}},
		"message_not_found":   {"channel": {"C1"}, "ts": {"1.000000"}, "text": {"x"}},
		"msg_too_long":        {"channel": {"C1"}, "ts": {ts}, "text": {xs(4001)}},
	} {
		if _, out, _ := web(t, base, "chat.update", word); out["error"] != what {
			t.Errorf("%v, want %s", out, what)
		}
	}
}

// TestPosts: what is refused, cut, or lands elsewhere.
func TestPosts(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	post := func(args url.Values) object {
		clock.Move(2 * time.Second)
		if args.Get("channel") == "" {
			args.Set("channel", "C1")
		}
		_, out, _ := web(t, base, "chat.postMessage", args)
		return out
	}
	root := post(url.Values{"text": {xs(40_001)}})["ts"].(string)
	if n := len([]rune(s.Messages("C1", "")[0].Text)); n != 40_000 {
		t.Errorf("a text of 40,001 became %d", n)
	}
	reply := post(url.Values{"text": {"reply"}, "thread_ts": {root}})["ts"].(string)
	for word, args := range map[string]url.Values{
		"no_text":                 {"text": {""}},
		"markdown_text_conflict":  {"text": {"x"}, "markdown_text": {"y"}},
		"msg_too_long":            {"markdown_text": {xs(12_001)}},
		"invalid_metadata_format": {"text": {"x"}, "metadata": {"none"}},
		"invalid_metadata_schema": {"text": {"x"}, "metadata": {`{"event_type":"e"}`}},
		"invalid_blocks_format":   {"text": {"x"}, "blocks": {"none"}},
		"cannot_reply_to_message": {"text": {"x"}, "thread_ts": {reply}},
		"channel_not_found":       {"text": {"x"}, "channel": {"db-upgrades"}},
		"not_in_channel":          {"text": {"x"}, "channel": {"C2"}},
	} {
		if out := post(args); out["error"] != word {
			t.Errorf("%v, want %s", out, word)
		}
	}
	s.Delete("C1", root)
	post(url.Values{"text": {"to a deleted one"}, "thread_ts": {root}})
	all := s.Messages("C1", "")
	if p := all[len(all)-1]; p.ThreadTS != "" {
		t.Errorf("a reply to a deleted message stands in the thread %s", p.ThreadTS)
	}
	if _, out, _ := web(t, base, "conversations.replies", url.Values{"channel": {"C1"}, "ts": {root}}); out["error"] != "thread_not_found" {
		t.Errorf("the replies of a deleted message: %v", out)
	}
	for _, stage := range []struct{ what, word string }{
		{"archive C1", "is_archived"}, {"unarchive C1", ""}, {"remove the bot from C1", "not_in_channel"}, {"invite the bot to C1", ""}, {"delete C1", "channel_not_found"},
	} {
		must(t, s.Stage(stage.what))
		if out := post(url.Values{"text": {"x"}}); stage.word != "" && out["error"] != stage.word || stage.word == "" && out["ok"] != true {
			t.Errorf("%s: %v, want %q", stage.what, out, stage.word)
		}
	}
}

// TestTokens: each where it belongs, and only there.
func TestTokens(t *testing.T) {
	t.Parallel()
	s, _, base := standIn(t, func(c *slacktest.Config) { c.Scopes = []string{"chat:write"} })
	ask := func(method, header, form string) any {
		r, err := http.NewRequest(http.MethodPost, base+method, strings.NewReader(url.Values{"token": {form}, "user": {"U1"}}.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			r.Header.Set("Authorization", "Bearer "+header)
		}
		a, err := http.DefaultClient.Do(r)
		must(t, err)
		defer a.Body.Close()
		var out object
		must(t, json.NewDecoder(a.Body).Decode(&out))
		return out["error"]
	}
	check := func(method, header, form string, want any) {
		t.Helper()
		if got := ask(method, header, form); got != want {
			t.Errorf("%s with %q and %q: %v, want %v", method, header, form, got, want)
		}
	}
	check("apps.connections.open", "xapp-1", "", nil)
	check("apps.connections.open", "", "xapp-1", "not_authed")
	check("apps.connections.open", "xoxb-1", "", "not_allowed_token_type")
	check("auth.test", "", "xoxb-1", nil)
	check("auth.test", "xoxb-1", "", nil)
	check("auth.test", "xapp-1", "", "not_allowed_token_type")
	check("auth.test", "", "", "not_authed")
	check("auth.test", "xoxb-2", "", "invalid_auth")
	check("users.info", "xoxb-1", "", "missing_scope")
	check("no.such", "xoxb-1", "", "unknown_method")
	must(t, s.Stage("revoke bot token"))
	check("auth.test", "xoxb-1", "", "token_revoked")
	check("apps.connections.open", "xapp-1", "", nil)
	must(t, s.Stage("revoke app token"))
	check("apps.connections.open", "xapp-1", "", "token_revoked")
}

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

// TestTheBotsOwnViews: whatever the bot shows in its golden files, Slack takes.
func TestTheBotsOwnViews(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	a := connect(t, base)
	files, err := filepath.Glob("../../testdata/views/*.json")
	must(t, err)
	if len(files) < 20 {
		t.Fatalf("%d golden files; where are they?", len(files))
	}
	messages, modals := 0, 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		must(t, err)
		var views map[string]json.RawMessage
		must(t, json.Unmarshal(raw, &views))
		for name, v := range views {
			var m struct {
				Text   string
				Blocks json.RawMessage
				Type   string
			}
			must(t, json.Unmarshal(v, &m))
			clock.Move(2 * time.Second) // below the limit of posts
			var out object
			if m.Type == "modal" {
				modals++
				_, out, _ = web(t, base, "views.open", url.Values{"trigger_id": {trigger(t, s, a).Payload.TriggerID}, "view": {string(v)}})
				for _, open := range s.Views("U1") {
					s.CloseView("U1", open.ID)
				}
			} else {
				messages++
				args := url.Values{"channel": {"C1"}, "text": {m.Text}, "blocks": {string(m.Blocks)}}
				if _, out, _ = web(t, base, "chat.postMessage", args); out["ok"] == true {
					args.Set("ts", out["ts"].(string)) // and as an edit
					_, out, _ = web(t, base, "chat.update", args)
				}
			}
			if out["ok"] != true {
				t.Errorf("%s, %s: %v", filepath.Base(file), name, out)
			}
		}
	}
	if messages == 0 || modals == 0 {
		t.Errorf("%d messages and %d modals were looked at", messages, modals)
	}
	t.Logf("%d messages and %d modals of %d files", messages, modals, len(files))
}
