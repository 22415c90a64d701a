package ops

import "time"

// Actor is somebody who did something: a Slack user, or a person at a terminal.
type Actor struct {
	ID   string `json:"id"`             // Slack user id, or TerminalID
	Name string `json:"name,omitempty"` // for the terminal and the audit; Slack shows the id as a mention
}

// Mention names the actor in a text that people read: a mention for somebody in
// Slack, the account for somebody at a terminal.
func (a Actor) Mention() string {
	if a.ID == TerminalID {
		return a.Name + " (at the terminal)"
	}
	return "<@" + a.ID + ">"
}

// TerminalID is the id of whoever is at a terminal; the actor's name says who.
const TerminalID = "terminal"

// BotActor is the actor of what the program does by itself.
func BotActor() Actor { return Actor{ID: "pgupgrade", Name: "pgupgrade"} }

// Gate is a question that people answer, or an order that people give.
type Gate string

// The gates, then the orders.
const (
	GateCreate  Gate = "create"  // create the follower (costs money)
	GateCutover Gate = "cutover" // fence, upgrade, promote
	GateApp     Gate = "app"     // does the app look good?
	GateDestroy Gate = "destroy" // destroy the retired database

	GateRollback Gate = "rollback" // go back to the old database after the switch
	GateLoss     Gate = "loss"     // go back although it may lose what was written since

	OrderCancel Gate = "cancel"
	OrderRetry  Gate = "retry"
	OrderExtend Gate = "extend"      // ten more minutes of outage
	OrderReturn Gate = "return"      // go back now
	OrderSnooze Gate = "snooze"      // no reminder until Decision.Expires
	NoteToken   Gate = "slack.token" // of an event: Slack refuses the bot token
	OrderDryRun Gate = "dryrun"      // have Heroku try the upgrade on a copy
)

// How a decision was given.
const (
	ByStart    = "start" // an approver's start is itself the decision to create
	ByButton   = "button"
	ByTyped    = "typed"
	ByCommand  = "command"
	ByTerminal = "terminal"
)

// Decision is one answer or order: who, when, yes or no, about which digest.
type Decision struct {
	ID      int64     `json:"id"`
	Run     string    `json:"run"`
	Gate    Gate      `json:"gate"`
	Digest  string    `json:"digest"`
	Actor   Actor     `json:"actor"`
	Yes     bool      `json:"yes"`
	How     string    `json:"how"`
	Note    string    `json:"note,omitempty"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"` // zero: does not expire
}

// Valid reports whether d answers the question asked about digest, at now.
func (d Decision) Valid(gate Gate, digest string, now time.Time) bool {
	return d.Gate == gate && d.Digest == digest && (d.Expires.IsZero() || now.Before(d.Expires))
}

// LatestDecision returns the newest valid decision at the gate about digest
// that was given after since.
func LatestDecision(all []Decision, gate Gate, digest string, since, now time.Time) (Decision, bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if d := all[i]; d.Valid(gate, digest, now) && !d.At.Before(since) {
			return d, true
		}
	}
	return Decision{}, false
}

// ExpiredDecision returns the newest yes at the gate about digest that was given
// after since, when it has expired by now.
func ExpiredDecision(all []Decision, gate Gate, digest string, since, now time.Time) (Decision, bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if d := all[i]; d.Gate == gate && d.Digest == digest && !d.At.Before(since) {
			return d, d.Yes && !d.Expires.IsZero() && !now.Before(d.Expires)
		}
	}
	return Decision{}, false
}
