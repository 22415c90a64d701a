package slacktest_test

import (
	"encoding/json"
	"net/http"
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
