package upgrade

import (
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// World is the facts of one look. A fact that was not needed or could not be
// read is unknown, which is not "no".
type World struct {
	// Rows.
	Decisions []ops.Decision // oldest first
	Acts      []ops.Act      // oldest first
	SlackAt   time.Time      // when Slack last took a post; zero: never or not known
	SoakFor   time.Duration  // configured, or set for the app
	Zone      *time.Location // of windows and freezes

	// KeyRefused: Heroku refused the bot's key in this look.
	KeyRefused bool

	// Looks.
	Survey ops.Fact[ops.Survey]
	Apps   map[string]AppFacts // by app id
	Old    DatabaseFacts
	// Retired is the database that the last decision retired: read while it is
	// watched and destroyed, when Old and New are not.
	Retired DatabaseFacts
	New     DatabaseFacts
	Backup  ops.Fact[Found[ops.Transfer]]
	// After is the look inside both databases after the switch.
	After ops.Fact[After]
	// Kept are readings that were taken before, as far as the step needs them.
	Kept Kept
	// Compared is the comparison of rows of both databases.
	Compared ops.Fact[[]ops.RowsCompared]
	// Schedules are the backup schedules of the new database.
	Schedules ops.Fact[[]ops.BackupSchedule]
	// Replicas are the followers that the old database had before the upgrade.
	Replicas ops.Fact[[]ops.Replica]
}

// Found is the answer to "does it exist, and what is it".
type Found[T any] struct {
	Value  T
	Exists bool
}

// AppFacts is one app as it was seen.
type AppFacts struct {
	App         ops.Fact[ops.App]
	Formation   ops.Fact[[]ops.Process]
	Dynos       ops.Fact[[]ops.Dyno]
	Releases    ops.Fact[[]ops.Release] // newest first
	Builds      ops.Fact[[]ops.Build]
	Attachments ops.Fact[[]ops.Attachment]
	// Hosts is where the config vars of the current release lead to.
	Hosts  ops.Fact[map[string]ops.Endpoint]
	Health ops.Fact[ops.Health]
	// Flag is whether the app's read-only flag is set.
	Flag ops.Fact[bool]
}

// DatabaseFacts is one database as it was seen.
type DatabaseFacts struct {
	Addon       ops.Fact[Found[ops.Addon]]
	Info        ops.Fact[ops.Database]
	Wait        ops.Fact[ops.Wait]
	Upgrade     ops.Fact[ops.Wait]
	Attachments ops.Fact[[]ops.Attachment] // on every app
	SQL         SQLFacts
}

// SQLFacts is one database as it was seen from inside.
type SQLFacts struct {
	Server   ops.Fact[ops.Server]
	Fence    ops.Fact[ops.DBFence]
	Position ops.Fact[ops.Position]
	Activity ops.Fact[ops.Activity]
	Reading  ops.Fact[ops.Reading]
}

func (w World) acts(kind ops.ActKind) []ops.Act {
	var out []ops.Act
	for _, a := range w.Acts {
		if a.Kind == kind {
			out = append(out, a)
		}
	}
	return out
}

// sent returns the newest act of that kind that may have taken effect.
func (w World) sent(kind ops.ActKind, step ops.Step) (ops.Act, bool) {
	all := w.acts(kind)
	for i := len(all) - 1; i >= 0; i-- {
		if a := all[i]; (step == "" || a.Step == step) && a.Outcome != ops.OutcomeRefused && a.Outcome != ops.OutcomeBusy {
			return a, true
		}
	}
	return ops.Act{}, false
}

// last returns the newest act of that kind at that step, whatever came of it.
func (w World) last(kind ops.ActKind, step ops.Step, target string) (ops.Act, bool) {
	all := w.acts(kind)
	for i := len(all) - 1; i >= 0; i-- {
		if a := all[i]; a.Step == step && (target == "" || a.Target == target) {
			return a, true
		}
	}
	return ops.Act{}, false
}

// order returns the newest order of that kind given after since.
func (w World) order(gate ops.Gate, since, now time.Time) (ops.Decision, bool) {
	for i := len(w.Decisions) - 1; i >= 0; i-- {
		d := w.Decisions[i]
		if d.Gate == gate && d.At.After(since) && (d.Expires.IsZero() || now.Before(d.Expires)) {
			return d, true
		}
	}
	return ops.Decision{}, false
}
