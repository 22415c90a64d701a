package slacktest_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

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
