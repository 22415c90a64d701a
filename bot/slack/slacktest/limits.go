package slacktest

import (
	"math"
	"time"
)

// tiers is how many calls a minute of a method a workspace may make
// (docs.slack.dev/apis/web-api/rate-limits and each method's page; Slack's Java
// SDK where a page says none). Slack gives these as what is at least allowed and
// does not say how bursts are counted: here a minute's worth may come at once.
var tiers = map[string]float64{
	"apps.connections.open": 1,
	"auth.test":             300, "chat.getPermalink": 300, // "hundreds"
	"chat.postMessage": 300, // "several hundred", beside one a second in a channel
	"chat.update":      50, "chat.delete": 50, "chat.postEphemeral": 100,
	"conversations.history": 50, "conversations.replies": 50, "conversations.info": 50, "conversations.members": 100, "conversations.list": 20, "conversations.open": 50,
	"users.info": 100, "users.list": 20, "usergroups.list": 20, "usergroups.users.list": 20,
	"views.open": 100, "views.update": 100, "views.push": 100, "views.publish": 100,
	"reactions.add": 50, "reactions.remove": 20,
}

// openBurst is how many connections may be asked for at once: twice the ten that
// may be open, so that a deploy can replace all. No number is published.
const openBurst = 20

// bucket is a token bucket that begins full.
type bucket struct {
	size, perSecond float64
	left            float64
	at              time.Time
}

// take takes a token; otherwise it returns after how many whole seconds there
// will be one.
func (b *bucket) take(now time.Time) (wait int) {
	b.left = min(b.size, b.left+now.Sub(b.at).Seconds()*b.perSecond)
	b.at = now
	if b.left >= 1 {
		b.left--
		return 0
	}
	return max(1, int(math.Ceil((1-b.left)/b.perSecond)))
}

// limited takes a token of the bucket of that name. s.mu is held.
func (s *Server) limited(name string, size, perSecond float64) reply {
	b := s.methods[name]
	if b == nil {
		b = &bucket{size: size, perSecond: perSecond, left: size, at: s.cfg.Now()}
		s.methods[name] = b
	}
	if wait := b.take(s.cfg.Now()); wait > 0 {
		return reply{"ok": false, "error": "ratelimited", "retry_after": wait}
	}
	return nil
}

// tooOften is the answer to a method that was called too often, else nil. Only
// that method is refused. s.mu is held.
func (s *Server) tooOften(method string) reply {
	perMinute := tiers[method]
	if perMinute == 0 {
		return nil
	}
	size := perMinute
	if method == "apps.connections.open" {
		size = openBurst
	}
	return s.limited(method, size, perMinute/60)
}

// tooManyPosts is the same for new messages in one channel: one a second, with a
// short burst. s.mu is held.
func (s *Server) tooManyPosts(channel string) reply {
	return s.limited("chat.postMessage "+channel, 10, 1)
}
