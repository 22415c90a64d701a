package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// mischief is one thing that can be made to go wrong. One with an end stays on
// until it is pressed again.
type mischief struct {
	id, label, help string
	begin           func(*sandbox) error
	end             func(*sandbox) error
	needs           func(*sandbox) string // why it cannot be pressed now; nil: always
}

// mischiefs are the strip of the page, in the order in which people read it.
func mischiefs() []mischief {
	return []mischief{
		{"kill", "Kill the bot", "kill -9. It comes back after a second and goes on where it was.", (*sandbox).kill, nil, nil},
		{"slack-away", "Slack away", "Slack answers 503 and drops its connections.", (*sandbox).slackGoes, (*sandbox).slackComes, nil},
		{"deploy", "Deploy now", "Somebody deploys orders. In the cutover the bot goes back.", staged("deploy", "orders"), nil, nil},
		{"one-off", "One-off dyno", "Somebody runs a rake task on orders. The cutover waits until it ends.", staged("one-off", "orders"), staged("end one-offs", "orders"), nil},
		{"lag-rises", "Lag rises", "The follower falls behind instead of catching up.", onFollower("raise lag"), onVictim("let lag fall"), following},
		{"fail-upgrade", "Upgrade fails", "Heroku cannot upgrade the follower.", onFollower("fail upgrade"), nil, following},
		{"stall-upgrade", "Upgrade stalls", "The follower's upgrade does not end. At its limit the bot goes back.", onFollower("stall upgrade"), onVictim("go on"), following},
		{"release-fails", "Releases fail", "The release command of orders fails: at the switch the bot calls a person.", staged("fail releases", "orders"), staged("pass releases", "orders"), nil},
		{"heroku-busy", "Heroku: 429", "Every call is turned away for reaching the rate limit.", (*sandbox).herokuBusy, (*sandbox).herokuCalm, nil},
	}
}

type breakSeen struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Help  string `json:"help"`
	On    bool   `json:"on"`
	Why   string `json:"why,omitempty"` // why it cannot be pressed now
}

// breaks is the strip as it stands.
func (s *sandbox) breaks() []breakSeen {
	var out []breakSeen
	for _, m := range mischiefs() {
		b := breakSeen{ID: m.id, Label: m.label, Help: m.help, On: s.isBroken(m.id)}
		if m.needs != nil && !b.On {
			b.Why = m.needs(s)
		}
		out = append(out, b)
	}
	return out
}

func (s *sandbox) isBroken(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken[id]
}

// doBreak presses one button of the strip.
func (s *sandbox) doBreak(id string) error {
	for _, m := range mischiefs() {
		if m.id != id {
			continue
		}
		on := s.isBroken(id)
		if on {
			if err := m.end(s); err != nil {
				return err
			}
		} else {
			if m.needs != nil {
				if why := m.needs(s); why != "" {
					return errors.New(why)
				}
			}
			if err := m.begin(s); err != nil {
				return err
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.broken[id] = !on && m.end != nil
		return nil
	}
	return fmt.Errorf("there is nothing to break named %q", id)
}

func staged(what, app string) func(*sandbox) error {
	return func(s *sandbox) error { return s.heroku.Stage(what, app, "") }
}

// follower is the newest database that follows another one or is being upgraded,
// "" when there is none.
func (s *sandbox) follower() (name string) {
	for _, d := range s.heroku.Overview().Databases {
		if d.Following != "" || d.State == "upgrading" {
			name = d.Name
		}
	}
	return name
}

func following(s *sandbox) string {
	if s.follower() == "" {
		return "There is no follower now."
	}
	return ""
}

// onFollower stages something for the follower that there is now.
func onFollower(what string) func(*sandbox) error {
	return func(s *sandbox) error {
		name := s.follower()
		s.mu.Lock()
		s.victim = name
		s.mu.Unlock()
		return s.heroku.Stage(what, name, "")
	}
}

// onVictim mends the database for which something was staged. It may be gone.
func onVictim(what string) func(*sandbox) error {
	return func(s *sandbox) error {
		s.mu.Lock()
		name := s.victim
		s.mu.Unlock()
		for _, d := range s.heroku.Overview().Databases {
			if d.Name == name {
				return s.heroku.Stage(what, name, "")
			}
		}
		return nil
	}
}

func (s *sandbox) kill() error {
	if s.bot == nil {
		return errors.New("the bot does not run here")
	}
	return s.bot.kill()
}

func (s *sandbox) slackGoes() error {
	s.slack.Fault(slacktest.Fault{Status: http.StatusServiceUnavailable})
	s.cutSockets()
	return nil
}

func (s *sandbox) slackComes() error {
	s.slack.ClearFaults()
	return nil
}

func (s *sandbox) herokuBusy() error {
	s.heroku.Fault(herokutest.Fault{When: herokutest.Before, Status: http.StatusTooManyRequests})
	return nil
}

func (s *sandbox) herokuCalm() error {
	s.heroku.ClearFaults()
	return nil
}

// cutSockets ends every connection of the bot to Slack without a word.
func (s *sandbox) cutSockets() {
	for range s.slack.Sockets() {
		s.slack.Disconnect("")
		time.Sleep(10 * time.Millisecond) // let the list of sockets shrink
	}
}
