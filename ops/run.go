package ops

import "time"

// Outcomes of a run.
const (
	Succeeded = "succeeded" // upgraded, and the old database destroyed
	Returned  = "returned"  // went back; the app uses the old database as before
	Cancelled = "cancelled" // ended before anything was created
	Refused   = "refused"   // the survey found something that blocks
)

// Run is one upgrade of one database: a row, saved by compare-and-set on Epoch.
// Everything people see and everything Next needs to remember is in it or in
// the rows beside it (decisions, acts, events, samples).
type Run struct {
	ID        string    `json:"id"`
	App       Ref       `json:"app"`      // as asked for
	Database  Ref       `json:"database"` // the old database
	Requester Actor     `json:"requester"`
	Channel   string    `json:"channel"`
	Request   Request   `json:"request"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	EndedAt   time.Time `json:"ended_at"` // zero while active
	Outcome   string    `json:"outcome"`  // "" while active

	Epoch int64     `json:"epoch"` // raised by every save
	Due   time.Time `json:"due"`   // when the next look is planned

	Step      Step      `json:"step"`
	StepSince time.Time `json:"step_since"`
	Returning bool      `json:"returning"`
	Why       string    `json:"why"`  // why it goes back or how it ended
	Help      string    `json:"help"` // not empty: it needs a person; says what for
	HelpSince time.Time `json:"help_since"`
	Next      string    `json:"next"` // what it waits for now, in words

	Plan       *RunPlan     `json:"plan"`
	Findings   []Finding    `json:"findings"`
	Asked      *Ask         `json:"asked"` // the question that is open
	Follower   Ref          `json:"follower"`
	Backup     Backup       `json:"backup"`
	Baseline   *Baseline    `json:"baseline"`
	Steps      []StepRecord `json:"steps"`
	Lag        Lag          `json:"lag"`
	Exact      Exact        `json:"exact"`
	Outage     Outage       `json:"outage"`
	Key        Refusing     `json:"key"`
	Progress   string       `json:"progress"` // the upgrade's own words: "upgrading (2/3)"
	Proof      Proof        `json:"proof"`
	Verified   Verified     `json:"verified"`
	SQL        SQLWork      `json:"sql"`
	Cared      time.Time    `json:"cared"` // when what lived on the old database was seen on the new one too
	Soak       Soak         `json:"soak"`
	Rollback   *Rollback    `json:"rollback"`
	Destroyed  time.Time    `json:"destroyed"`          // when the retired database was seen gone
	Replicas   []Replica    `json:"replicas,omitempty"` // followers of the old database, which it keeps
	ReplicasAt time.Time    `json:"replicas_at"`        // when they were last looked for; zero: not yet
	Leftovers  []string     `json:"leftovers"`          // what people should clean up
}

// AppNames lists the apps that the run stops and switches, as far as that is
// known: "`orders`, `reports`".
func (r Run) AppNames() string {
	if r.Plan == nil || len(r.Plan.Apps) == 0 {
		return "`" + r.App.Name + "`"
	}
	return r.Plan.AppNames()
}

// Active reports whether the run still has something to do.
func (r Run) Active() bool { return r.Outcome == "" }

// Request is what the person asked for.
type Request struct {
	To         int    `json:"to"`        // 0: the newest version in PGUPGRADE_VERSIONS
	Plan       string `json:"plan"`      // "": the leader's plan
	Database   string `json:"database"`  // "": the one attached as DATABASE
	ReadOnly   bool   `json:"read_only"` // ops.ModeReadOnly
	ApprovesBy string `json:"approves"`  // "start" when the requester's start is itself the decision to create

	At        string    `json:"at,omitempty"` // as typed; "": as soon as it is approved
	NotBefore time.Time `json:"not_before"`   // what At means
}

// Ask is the question that a gate has put.
type Ask struct {
	Gate    Gate      `json:"gate"`
	Digest  string    `json:"digest"`
	At      time.Time `json:"at"`      // when it was first put
	Last    time.Time `json:"last"`    // when it was last repeated
	Blocked string    `json:"blocked"` // why a given yes cannot be acted on yet
	Opens   time.Time `json:"opens"`   // of the cutover: when it may begin; zero: now
}

// StepRecord is one step that the run went through.
type StepRecord struct {
	Step  Step      `json:"step"`
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended"` // zero while it is under way
	Note  string    `json:"note"`  // what was seen at its end
}

// Backup is the backup taken beside the follower.
type Backup struct {
	TransferID string `json:"transfer_id"`
	Name       string `json:"name"` // "b007"
	Done       bool   `json:"done"`
	Note       string `json:"note"`
}

// Baseline is what was recorded at the fence: the only thing that is ever restored.
type Baseline struct {
	At   time.Time     `json:"at"`
	Apps []BaselineApp `json:"apps"`
}

// BaselineApp is one app as it was before the fence.
type BaselineApp struct {
	Ref
	Maintenance bool         `json:"maintenance"`
	Formation   []Process    `json:"formation"`
	Release     int          `json:"release"` // version of the current release
	Attachments []Attachment `json:"attachments"`
	Health      Health       `json:"health"`
	Flagged     bool         `json:"flagged,omitempty"` // its read-only flag was set already
}

// App returns the baseline of one app.
func (b *Baseline) App(id string) (BaselineApp, bool) {
	if b != nil {
		for _, a := range b.Apps {
			if a.ID == id {
				return a, true
			}
		}
	}
	return BaselineApp{}, false
}

// Health is one answer of the app's health address.
type Health struct {
	Status int    `json:"status"` // HTTP status; 0 when there was no answer
	Error  string `json:"error,omitempty"`
}

// Lag is the follower's lag as it was seen.
type Lag struct {
	Samples []LagSample `json:"samples"` // oldest first, thinned to at most 40
	Best    int         `json:"best"`    // smallest lag so far
	BestAt  time.Time   `json:"best_at"`
}

// LagSample is one reading.
type LagSample struct {
	At     time.Time `json:"at"`
	Behind int       `json:"behind"` // commits
}

// Exact counts the readings of lag zero behind the fence.
type Exact struct {
	Reads int       `json:"reads"`
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
}

// Proof is what showed that the new database may be promoted.
type Proof struct {
	LagZeroAt   time.Time `json:"lag_zero_at"` // behind the fence; zero until seen
	UpgradeSeen time.Time `json:"upgrade_seen"`
	Version     string    `json:"version"`
	PromotedAt  time.Time `json:"promoted_at"` // every app's current release has the new host
	FenceProven time.Time `json:"fence_proven"`
	// Doubt is what may have written to the new database while names were led back
	// to the old one; "" when nothing may.
	Doubt       string        `json:"doubt,omitempty"`
	ProvingTook time.Duration `json:"proving_took"` // part of the outage spent on proofs
}

// Outage is the time in which users were kept out.
type Outage struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Limit time.Time `json:"limit"` // past it the run goes back by itself
	Asked time.Time `json:"asked"` // when people were asked to extend it; zero: not since the last extension
	Told  time.Time `json:"told"`  // when people were told that a step does not get on while users are kept out
	Slow  time.Time `json:"slow"`  // when people were told that the upgrade takes twice its forecast
}

// Refusing is an outage of the bot's own key to Heroku. It is zero while the key works.
type Refusing struct {
	Since time.Time `json:"since"` // of the first look that was refused
	Told  time.Time `json:"told"`  // when people were told; zero: not yet
}

// Verified is what was seen of the app after the switch.
type Verified struct {
	Apps   []VerifiedApp `json:"apps"`
	Health string        `json:"health"` // summary in words
	Good   bool          `json:"good"`
	Told   bool          `json:"told"` // people were told that it is not good
}

// VerifiedApp is one app after the switch.
type VerifiedApp struct {
	Ref
	Health      Health `json:"health"`
	DynosUp     int    `json:"dynos_up"`
	DynosWanted int    `json:"dynos_wanted"`
}

// Soak is the watch over both databases after the switch or the rollback. What
// it says of the old database is about the retired one.
type Soak struct {
	From         time.Time `json:"from"`
	Until        time.Time `json:"until"`
	Samples      int       `json:"samples"`
	LastSample   time.Time `json:"last_sample"`
	LastUse      time.Time `json:"last_use"` // last time somebody else was connected to the old database
	Connections  int       `json:"connections"`
	Seen         string    `json:"seen,omitempty"` // what the last sample saw by SQL
	Unread       int       `json:"unread"`         // samples that could not be read
	Attached     []string  `json:"attached"`       // names that still lead to the old database, other than the recorded alias
	SafeAt       time.Time `json:"safe_at"`
	Snoozed      time.Time `json:"snoozed"` // no reminder before
	SnoozeReason string    `json:"snooze_reason"`
	Overridden   string    `json:"overridden"` // who destroyed before the soak was proven
}

// Cost returns what the additional database has cost until now, in cents: from
// the follower's creation until the old database is gone.
func (r Run) Cost(now time.Time) int {
	if r.Plan == nil || r.Follower.ID == "" {
		return 0
	}
	begun := time.Time{}
	for _, s := range r.Steps {
		if s.Step == StepFollowerCreate {
			begun = s.Begun
		}
	}
	if begun.IsZero() {
		return 0
	}
	end := now
	if !r.Destroyed.IsZero() {
		end = r.Destroyed
	}
	if !r.EndedAt.IsZero() && r.EndedAt.Before(end) {
		end = r.EndedAt
	}
	return CentsFor(r.Plan.Cents, end.Sub(begun))
}
