package ops

import "time"

// ActKind is a call that changes the world.
type ActKind string

// The acts. There is no other way in which the program changes anything at Heroku.
const (
	ActBackup      ActKind = "backup.capture"
	ActCreate      ActKind = "addon.create"
	ActAttach      ActKind = "attachment.create"  // the old database's second name
	ActMaintenance ActKind = "maintenance.set"    // Args["on"]
	ActScale       ActKind = "formation.scale"    // Args["formation"]
	ActStopDyno    ActKind = "dyno.stop"          // Args["dyno"]
	ActUpgrade     ActKind = "upgrade.run"        // Args["version"]; sent once, never repeated
	ActPromote     ActKind = "attachment.replace" // Args["name"], Args["namespace"]
	ActDetach      ActKind = "attachment.delete"
	ActSchedule    ActKind = "schedule.create" // Args["hour"], Args["timezone"], Args["name"]
	ActFlag        ActKind = "config.set"      // Args["name"], Args["value"]; "" takes it away
	ActDestroy     ActKind = "addon.destroy"

	ActFenceDB     ActKind = "database.fence"       // read-only by default, by SQL
	ActClearDB     ActKind = "database.clear"       // the fence's setting restored to what was recorded
	ActEndSessions ActKind = "sessions.end"         // of the bot's own credential, by SQL
	ActReset       ActKind = "connections.reset"    // of every credential, by the Data API
	ActProve       ActKind = "database.trial-write" // rolled back, on a table of its own
	ActAnalyze     ActKind = "database.analyze"     // statistics
)

// Outcomes of an act. The empty outcome is an intent whose answer is not known:
// what it did must be looked for.
const (
	OutcomeDone    = "done"
	OutcomeRefused = "refused" // understood and denied: nothing happened
	OutcomeBusy    = "busy"    // turned away (rate limit): nothing happened
	OutcomeUnknown = "unknown" // the answer was lost: look
)

// Act is one intended call and, later, its outcome. The intent row is committed
// before the call, the outcome after it.
type Act struct {
	ID        int64             `json:"id"`
	Run       string            `json:"run"`
	Step      Step              `json:"step"`
	Kind      ActKind           `json:"kind"`
	Target    string            `json:"target"` // id or name of what is acted on
	App       string            `json:"app,omitempty"`
	Args      map[string]string `json:"args,omitempty"`
	StartedAt time.Time         `json:"started_at"`
	Deadline  time.Time         `json:"deadline"` // the request is ended by then
	Outcome   string            `json:"outcome"`
	Detail    string            `json:"detail,omitempty"` // what came back: an id or the refusal's words
	RequestID string            `json:"request_id,omitempty"`
	EndedAt   time.Time         `json:"ended_at"`
}

// Open reports whether the act may still be taking effect or its outcome must be looked for.
func (a Act) Open() bool { return a.Outcome == "" || a.Outcome == OutcomeUnknown }
