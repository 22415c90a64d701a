// Package check holds the guardrails: pure functions from facts to findings,
// one family a file. Catalogue lists them all; docs/checks.md is made from it.
package check

import (
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// AppFacts is what one survey saw of one app on which the database is attached.
type AppFacts struct {
	Ref       ops.Ref
	HealthURL string // set for it; "": its web address
	Flag      string // set for it: config var that tells it to live read-only
	App       ops.Fact[ops.App]
	OnApp     ops.Fact[[]ops.Attachment]
	Hosts     ops.Fact[map[string]ops.Endpoint]
	Formation ops.Fact[[]ops.Process]
	Dynos     ops.Fact[[]ops.Dyno]
	Releases  ops.Fact[[]ops.Release]
	Builds    ops.Fact[[]ops.Build]
	Features  ops.Fact[map[string]bool]
}

// of returns f as seen from another app.
func (f Facts) of(x AppFacts) Facts {
	f.App, f.OnApp, f.Hosts, f.Formation, f.Dynos, f.Releases, f.Builds, f.Features = x.App, x.OnApp, x.Hosts, x.Formation, x.Dynos, x.Releases, x.Builds, x.Features
	return f
}

// Facts is what one survey saw. Any of it may be unknown.
type Facts struct {
	At       time.Time
	Account  ops.Fact[ops.Account]
	Access   ops.Fact[ops.Access] // of that account to the app that the database is billed to
	App      ops.Fact[ops.App]
	Billing  ops.Ref // the app the database is billed to
	Addon    ops.Fact[ops.Addon]
	Database ops.Fact[ops.Database]
	Wait     ops.Fact[ops.Wait]
	Upgrade  ops.Fact[ops.Wait]

	OnDatabase  ops.Fact[[]ops.Attachment] // every attachment of the database, on every app
	OnApp       ops.Fact[[]ops.Attachment] // every attachment on the app
	Credentials ops.Fact[[]ops.Credential]
	Hosts       ops.Fact[map[string]ops.Endpoint] // config vars that hold a Postgres URL
	Formation   ops.Fact[[]ops.Process]
	Dynos       ops.Fact[[]ops.Dyno]
	Releases    ops.Fact[[]ops.Release] // newest first
	Builds      ops.Fact[[]ops.Build]
	Features    ops.Fact[map[string]bool]
	Transfers   ops.Fact[[]ops.Transfer]
	Maintenance ops.Fact[Window]
	Plans       ops.Fact[[]ops.Plan]
	Schedules   ops.Fact[[]ops.BackupSchedule]
	ReadOnly    bool // the cutover is to be read-only
	// Server is what the old database says of itself by SQL.
	Server ops.Fact[ops.Server]
	// Others are the other apps on which the database is attached.
	Others []AppFacts
	// Elsewhere are config vars of apps on which the database is not attached.
	Elsewhere ops.Fact[[]Copy]
	// NewCredentials are those of the new database; read before the fence.
	NewCredentials ops.Fact[[]ops.Credential]

	Target      int    // major version asked for
	Offered     []int  // majors known to be offered
	NewPlan     string // plan of the follower
	OwnDatabase ops.Endpoint
	OneOffs     ops.OneOffPolicy

	// Cutover: the survey is the one right before the fence. Only the checks
	// that matter again then can block.
	Cutover bool
	// After: the survey is of the new database, behind the switch.
	After bool

	AppAddons ops.Fact[[]ops.Addon] // every add-on of the app
	Vars      ops.Fact[[]string]    // the names of the app's config vars
	DryRun    ops.Fact[ops.DryRun]  // the zero DryRun: none was asked for
	Past      ops.Fact[[]ops.Run]   // runs of the app, newest first
	Deadlines []Deadline            // when versions end on Heroku

	// SQL is what was seen inside the database; unknown as a whole when it
	// could not be reached.
	SQL ops.Fact[ops.Inside]
	// SQLBefore is what was seen when the plan was made (right before the
	// fence), or on the old database at the fence (behind the switch).
	SQLBefore ops.Fact[ops.Inside]
	// SQLFollower is what was seen on the follower right before the fence.
	SQLFollower ops.Fact[ops.Inside]
}

// Window is a database's maintenance as the Data API tells it.
type Window struct {
	Status     string // "none", "pending", "preparing", "ready", "running", "completed"
	RequiredBy time.Time
}

func found(number, title string, v ops.Verdict, evidence, fix string) []ops.Finding {
	return []ops.Finding{{Check: number, Title: title, Verdict: v, Evidence: evidence, Fix: fix}}
}

// unknown is a check that could not look; severity is what it would have said
// at its worst: unknown on a check that blocks, blocks.
func unknown(number, title string, severity ops.Verdict, why string) []ops.Finding {
	return []ops.Finding{{
		Check: number, Title: title, Verdict: severity, Unknown: true,
		Evidence: "unknown: " + why, Fix: "Try again; if it stays unknown, check the rights of the bot's Heroku account.",
	}}
}
