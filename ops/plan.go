package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Methods and modes of an upgrade.
const (
	MethodFollower  = "follower"
	ModeMaintenance = "maintenance" // users see the maintenance page during the cutover
	ModeReadOnly    = "read-only"   // apps run on; only the database is made read-only, by SQL
)

// OneOffPolicy says what the fence does with one-off and scheduler dynos.
type OneOffPolicy string

const (
	OneOffWait OneOffPolicy = "wait" // the gate waits until none is left (default)
	OneOffStop OneOffPolicy = "stop" // the fence stops them
)

// RunPlan is what a run will do, frozen at the survey. The digest of what
// matters in it is what people approve.
type RunPlan struct {
	Method      string           `json:"method"`
	Mode        string           `json:"mode"`
	Apps        []PlanApp        `json:"apps"`
	Old         Ref              `json:"old"`
	OldPlan     string           `json:"old_plan"`
	From        string           `json:"from"` // "15"
	FromMinor   string           `json:"from_minor"`
	To          string           `json:"to"` // "17"
	NewName     string           `json:"new_name"`
	NewPlan     string           `json:"new_plan"`
	NewAlias    string           `json:"new_alias"` // attachment name of the follower on the billing app
	OldAlias    string           `json:"old_alias"` // name that the old database keeps on the billing app, never moved
	BillingApp  Ref              `json:"billing_app"`
	OneOffs     OneOffPolicy     `json:"one_offs"`
	Bytes       int64            `json:"bytes"`
	Cents       int              `json:"cents"`     // price of the new database a month
	OldCents    int              `json:"old_cents"` // price of the old one a month
	Forecast    Forecast         `json:"forecast"`
	Fates       []Fate           `json:"fates,omitempty"`     // what will happen to everything that leads to the old database or lives on it
	Reach       Place            `json:"reach"`               // where the old database's URL is read before it has its spare name
	SQL         bool             `json:"sql"`                 // the old database can be reached by SQL
	SQLWhy      string           `json:"sql_why,omitempty"`   // why not
	Schedules   []BackupSchedule `json:"schedules,omitempty"` // backup schedules of the old database, made again on the new one
	NeedsBackup bool             `json:"needs_backup"`
	BackupWhy   string           `json:"backup_why"`
	// Schema is the hash of the schema when the plan was made; "" when there was no SQL.
	Schema string `json:"schema,omitempty"`

	// What was set for the app, or asked for.
	Soak         time.Duration `json:"soak,omitempty"`           // 0: the program's
	ReadOnlyFlag string        `json:"read_only_flag,omitempty"` // config var
	NotBefore    time.Time     `json:"not_before"`               // of the cutover; zero: at once
	Windows      []Window      `json:"windows,omitempty"`        // none: any time
	Freezes      []Freeze      `json:"freezes,omitempty"`
	Zone         string        `json:"zone,omitempty"` // of windows and freezes, for people
}

// Schedule is when the cutover may begin; zone is that of windows and freezes.
func (p RunPlan) Schedule(zone *time.Location) Schedule {
	return Schedule{NotBefore: p.NotBefore, Windows: p.Windows, Freezes: p.Freezes, Zone: zone}
}

// Fate is one thing that leads to the old database or lives on it, and what
// will happen to it, in words.
type Fate struct {
	What string `json:"what"` // "`DATABASE` of `orders`"
	Fate string `json:"fate"` // "moves to the new database"
}

// ReadOnly reports whether the apps run on during the cutover and only read.
func (p RunPlan) ReadOnly() bool { return p.Mode == ModeReadOnly }

// Names lists the names that the switch moves: "`DATABASE` of `orders`, ...".
func (p RunPlan) Names() string {
	var out []string
	for _, app := range p.Apps {
		for _, a := range app.Attachments {
			out = append(out, "`"+a.Name+"` of `"+app.Name+"`")
		}
	}
	return strings.Join(out, ", ")
}

// AppNames lists the apps that are stopped and switched: "`orders`, `reports`".
func (p RunPlan) AppNames() string {
	var out []string
	for _, app := range p.Apps {
		out = append(out, "`"+app.Name+"`")
	}
	return strings.Join(out, ", ")
}

// PlanApp is one app that the run fences and switches.
type PlanApp struct {
	Ref
	Attachments  []PlanAttachment `json:"attachments"`
	ReleasePhase bool             `json:"release_phase"`
	HealthURL    string           `json:"health_url"`
	Flag         string           `json:"flag,omitempty"` // config var that tells the app to live read-only; set in a read-only cutover
}

// PlanAttachment is one name that the promote will move.
type PlanAttachment struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// Forecast is how long the parts are expected to take. It is not promised.
type Forecast struct {
	Provision time.Duration `json:"provision"`
	CatchUp   time.Duration `json:"catch_up"`
	Upgrade   time.Duration `json:"upgrade"`
	Outage    time.Duration `json:"outage"` // fence to unfence
	Limit     time.Duration `json:"limit"`  // of the outage; past it the run goes back by itself
	Why       string        `json:"why"`
	// Steps is what each step is expected to take, in their order.
	Steps   []StepForecast `json:"steps,omitempty"`
	Objects int            `json:"objects,omitempty"` // that it was made for; 0: not known
}

// StepForecast is how long one step is expected to take, and from what that is known.
type StepForecast struct {
	Step  Step          `json:"step"`
	Takes time.Duration `json:"takes"`
	Why   string        `json:"why"`
}

// Of returns what a step is expected to take; 0 when nothing was said about it.
func (f Forecast) Of(step Step) time.Duration {
	for _, s := range f.Steps {
		if s.Step == step {
			return s.Takes
		}
	}
	return 0
}

// Digest names what an approval is about: apps, add-on ids, method, version,
// plan, mode, attachments, one-off policy and the block and acknowledge
// verdicts; never sizes, lag or times. followerID is "" before it exists.
func (p RunPlan) Digest(followerID string, findings []Finding) string {
	type app struct {
		ID          string
		Attachments []string
	}
	var apps []app
	for _, a := range p.Apps {
		x := app{ID: a.ID}
		for _, t := range a.Attachments {
			x.Attachments = append(x.Attachments, t.ID+" "+t.Name+" "+t.Namespace)
		}
		slices.Sort(x.Attachments)
		apps = append(apps, x)
	}
	slices.SortFunc(apps, func(a, b app) int { return strings.Compare(a.ID, b.ID) })
	var verdicts []string
	for _, f := range findings {
		if f.Verdict == Block || f.Verdict == Acknowledge {
			verdicts = append(verdicts, f.Check+" "+string(f.Verdict)+" "+f.Title)
		}
	}
	slices.Sort(verdicts)
	b, err := json.Marshal(struct {
		Method, Mode, Old, Follower, To, Plan string
		OneOffs                               OneOffPolicy
		Apps                                  []app
		Verdicts                              []string
	}{p.Method, p.Mode, p.Old.ID, followerID, p.To, p.NewPlan, p.OneOffs, apps, verdicts})
	if err != nil {
		panic("plan digest: " + err.Error()) // strings and slices of strings always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
