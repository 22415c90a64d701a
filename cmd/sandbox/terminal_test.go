package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
)

// TestTheTerminalDecidesWhileSlackIsAway: the cutover is approved, and another
// one cancelled, from the terminal; the thread says so when Slack is back.
func TestTheTerminalDecidesWhileSlackIsAway(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		ana: /pgupgrade start billing
		channel: Upgrade billing ... approve
		channel: Upgrade orders ... Approve the cutover
		pgupgrade: May the cutover begin
		pgupgrade: May the cutover begin
		break slack-away`)
	if out := s.once(t, "approve", "orders", "--state", s.state); !strings.Contains(out, "Approved for orders as ops@acme.example") {
		t.Errorf("approve said %q", out)
	}
	if out := s.once(t, "cancel", "billing", "--state", s.state); !strings.Contains(out, "Cancelled as ops@acme.example") {
		t.Errorf("cancel said %q", out)
	}
	s.says(t, p, `
		heroku: orders · DATABASE orders-pg17 ... maintenance off · formation clock=1 web=2 worker=1
		heroku: billing · DATABASE postgresql-flat-77310 · maintenance off`)
	if out := s.once(t, "status", "orders", "--state", s.state); !strings.Contains(out, "orders-") {
		t.Errorf("status said %q", out)
	}
	s.says(t, p, `break slack-away`)
	awaitText(t, p, "ops@acme.example (at the terminal) approved the cutover")
	awaitText(t, p, "ops@acme.example (at the terminal) cancelled the upgrade")
	effects(t, s)
	posts(t, s)
}

// awaitText waits until some message of the bot holds a text.
func awaitText(t *testing.T, p *player, text string) {
	t.Helper()
	err := p.until(t.Context(), func() bool {
		return slices.ContainsFunc(p.slack.Messages(channelID, ""), func(m slacktest.Post) bool {
			return m.User == slacktest.BotUID && strings.Contains(m.Text, text)
		})
	})
	if err != nil {
		t.Fatalf("nothing said %q: %v", text, err)
	}
}

// TestTheTerminalRollsBackWhileSlackIsAway: ordered, asked, approved, and told
// in the thread when Slack is back.
func TestTheTerminalRollsBackWhileSlackIsAway(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin
		ben presses Approve cutover
		pgupgrade: App health: good
		break slack-away`)
	if out := s.once(t, "rollback", "orders", "--state", s.state); !strings.Contains(out, "ordered as ops@acme.example") {
		t.Errorf("rollback said %q", out)
	}
	err := p.until(t.Context(), func() bool {
		return strings.Contains(s.once(t, "status", "orders", "--state", s.state), "go back without knowing what is lost, or stay")
	})
	if err != nil {
		t.Fatalf("the second question was not put: %v", err)
	}
	if out := s.once(t, "approve", "orders", "--state", s.state); !strings.Contains(out, "Approved for orders as ops@acme.example: loss") {
		t.Errorf("approve said %q", out)
	}
	s.says(t, p, `
		heroku: orders · DATABASE postgresql-curved-41822 ... maintenance off · formation clock=1 web=2 worker=1
		break slack-away`)
	awaitText(t, p, "ops@acme.example (at the terminal) approved going back to")
	awaitText(t, p, "rolled back")
	posts(t, s)
}
