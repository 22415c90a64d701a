package ops

import "time"

// EventKind sorts what is told and audited. Kinds are stored in rows.
type EventKind string

// The kinds of events. The audit kinds are kept, not posted.
const (
	EventStarted   EventKind = "started"
	EventSurvey    EventKind = "survey" // findings, plan and price: rendered from the run
	EventAsked     EventKind = "asked"  // Gate says which question
	EventDecided   EventKind = "decided"
	EventStep      EventKind = "step"    // a step is done; Took says how long
	EventNote      EventKind = "note"    // worth a line in the thread
	EventUndo      EventKind = "undo"    // the exact commands that undo the fence by hand
	EventOutage    EventKind = "outage"  // measured downtime against the forecast
	EventWarning   EventKind = "warning" //
	EventHelp      EventKind = "help"    // the run cannot go on without a person
	EventReturning EventKind = "returning"
	EventReminder  EventKind = "reminder"
	EventReport    EventKind = "report" // the last word of a run: rendered from the run

	EventAudit EventKind = "audit" // acts, refusals, orders: kept, not posted
)

// Event is one row of a run's history. Rows are only added. What the thread
// shows is rendered from them, so a lost update can always be made again.
type Event struct {
	ID    int64         `json:"id"`
	Run   string        `json:"run"`
	At    time.Time     `json:"at"`
	Kind  EventKind     `json:"kind"`
	Step  Step          `json:"step,omitempty"`
	Gate  Gate          `json:"gate,omitempty"`
	Actor Actor         `json:"actor"`
	Text  string        `json:"text"` // plain sentences; `code` in backquotes; no secret
	Took  time.Duration `json:"took,omitempty"`

	Refused Refusal `json:"refused,omitempty"` // of a refusal: which one
	App     string  `json:"app,omitempty"`     // of what belongs to no run
}

// NoRun groups the events that belong to no run: settings, and refusals to start.
const NoRun = "-"

// Loud reports whether people must notice: approvers and requester are
// mentioned and the post is shown in the channel too.
func (e Event) Loud() bool {
	switch e.Kind {
	case EventAsked, EventHelp, EventReturning, EventReminder:
		return true
	}
	return false
}

// Posted reports whether the event gets a message of its own.
func (e Event) Posted() bool { return e.Kind != EventAudit }
