package slacktest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// TestRates: of each method exactly what its tier allows is taken at once; then
// it alone is refused, with the wait that one more call needs.
func TestRates(t *testing.T) {
	t.Parallel()
	for method, tier := range map[string]struct{ burst, wait int }{
		"apps.connections.open": {20, 60},
		"usergroups.users.list": {20, 3}, "users.list": {20, 3}, "conversations.list": {20, 3},
		"chat.update": {50, 2}, "chat.delete": {50, 2}, "conversations.history": {50, 2}, "conversations.replies": {50, 2}, "conversations.info": {50, 2},
		"chat.postEphemeral": {100, 1}, "users.info": {100, 1}, "views.open": {100, 1}, "views.update": {100, 1}, "views.push": {100, 1}, "views.publish": {100, 1},
		"chat.postMessage": {300, 1}, "auth.test": {300, 1}, "chat.getPermalink": {300, 1},
	} {
		s, clock, base := standIn(t)
		args := url.Values{"channel": {"C1"}, "user": {"U1"}}
		for i := range tier.burst {
			if status, _, _ := web(t, base, method, args); status != http.StatusOK {
				t.Fatalf("%s: call %d of %d is answered with %d", method, i+1, tier.burst, status)
			}
		}
		status, out, header := web(t, base, method, args)
		if status != http.StatusTooManyRequests || out["error"] != "ratelimited" || header.Get("Retry-After") != fmt.Sprint(tier.wait) {
			t.Errorf("%s: one call too many is answered with %d %v, Retry-After %q; want %d s", method, status, out, header.Get("Retry-After"), tier.wait)
		}
		other := "users.info"
		if method == other {
			other = "auth.test"
		}
		if status, _, _ := web(t, base, other, args); status != http.StatusOK {
			t.Errorf("%s was refused because of %s", other, method)
		}
		clock.Move(time.Duration(tier.wait) * time.Second)
		if status, _, _ := web(t, base, method, args); status != http.StatusOK {
			t.Errorf("%s: still refused after the wait", method)
		}
		if h := s.History(); !slices.ContainsFunc(h, func(r slacktest.Request) bool { return r.Error == "ratelimited" }) {
			t.Errorf("%s: the history does not tell of the refusal", method)
		}
	}
}

// TestPostsPerChannel: one a second in a channel, ten at once; the other channel
// and what comes through a response_url are not counted.
func TestPostsPerChannel(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	s.ChangeChannel("C2", func(c *slacktest.Channel) { c.Member = true })
	post := func(channel string) (int, string) {
		status, _, header := web(t, base, "chat.postMessage", url.Values{"channel": {channel}, "text": {"x"}})
		return status, header.Get("Retry-After")
	}
	for range 10 {
		if status, _ := post("C1"); status != http.StatusOK {
			t.Fatalf("answered with %d within the burst", status)
		}
	}
	if status, wait := post("C1"); status != http.StatusTooManyRequests || wait != "1" {
		t.Errorf("the eleventh at once: %d, Retry-After %q", status, wait)
	}
	if status, _ := post("C2"); status != http.StatusOK {
		t.Errorf("another channel: %d", status)
	}
	clock.Move(time.Second)
	if status, _ := post("C1"); status != http.StatusOK {
		t.Errorf("a second later: %d", status)
	}
	if status, _ := post("C1"); status != http.StatusTooManyRequests {
		t.Errorf("two within that second: %d", status)
	}
}
