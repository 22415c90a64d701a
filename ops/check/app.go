package check

import (
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// LargeForBackup is the size above which a logical backup is not taken when
// Heroku's continuous protection is on: Heroku warns that it is likely to fail.
const LargeForBackup = 20_000_000_000

// NeedsBackup says whether the run takes a backup, and why.
func NeedsBackup(d ops.Database) (bool, string) {
	protected := strings.EqualFold(d.ContinuousProtection, "on") && strings.HasPrefix(d.Rollback, "earliest from")
	if d.Bytes > LargeForBackup && protected {
		return false, fmt.Sprintf("%s is large for a logical backup; Continuous Protection is On (rollback %s)", ops.FormatBytes(d.Bytes), d.Rollback)
	}
	return true, "taken while the follower is created"
}

func backup(f Facts) []ops.Finding {
	const n, title = "H18", "Backup"
	if !f.Database.Known {
		return unknown(n, title, ops.Block, f.Database.Why)
	}
	if f.Cutover {
		return nil // the run's own backup is awaited at the gate
	}
	d := f.Database.Value
	needed, why := NeedsBackup(d)
	if !needed {
		return found(n, title, ops.Pass, why, "")
	}
	if d.Bytes > LargeForBackup {
		return found(n, title, ops.Warn, fmt.Sprintf("A backup of %s will be taken; it may take long.", ops.FormatBytes(d.Bytes)), "")
	}
	return found(n, title, ops.Pass, why, "")
}

func releasePhase(f Facts) []ops.Finding {
	const n, title = "H21", "Release phase"
	if !f.Formation.Known {
		return unknown(n, title, ops.Block, f.Formation.Why)
	}
	if !HasReleasePhase(f.Formation.Value) {
		return nil
	}
	if f.Releases.Known {
		for i, r := range f.Releases.Value {
			if i < 5 && r.Status == ops.ReleaseFailed && strings.HasPrefix(r.Description, "Attach") {
				return found(n, title, ops.Acknowledge, fmt.Sprintf("The app has a release phase, and release v%d (%s) failed.", r.Version, r.Description), "The switch runs the release command again. Make it succeed first.")
			}
		}
	}
	return found(n, title, ops.Inform, "The app has a release phase: it runs twice at the switch (detach, attach), and once or twice when the follower is created. The first run has no DATABASE_URL and may fail harmlessly.", "")
}

// HasReleasePhase reports whether a formation has a release phase.
func HasReleasePhase(formation []ops.Process) bool {
	for _, p := range formation {
		if p.Type == ops.ReleaseProcess {
			return true
		}
	}
	return false
}

func releases(f Facts) []ops.Finding {
	const n, title = "H22", "No deploy under way"
	if !f.Releases.Known {
		return unknown(n, title, ops.Block, f.Releases.Why)
	}
	if why := Deploying(f.Releases.Value, f.Builds); why != "" && !f.Cutover {
		return found(n, title, ops.Block, upperFirst(why)+".", "Let it end, then start again; and do not deploy during the cutover, it would go back.")
	}
	return nil // right before the fence the gate waits for it instead of blocking
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Deploying says which release or build is under way, or "".
func Deploying(releases []ops.Release, builds ops.Fact[[]ops.Build]) string {
	for _, r := range releases {
		if r.Status == ops.ReleasePending {
			return fmt.Sprintf("release v%d (%s) is under way", r.Version, r.Description)
		}
	}
	if builds.Known {
		for _, b := range builds.Value {
			if b.Status == "pending" {
				return "a build is under way"
			}
		}
	}
	return ""
}

func preboot(f Facts) []ops.Finding {
	const n, title = "H23", "Preboot"
	if f.Cutover {
		return nil
	}
	if !f.Features.Known {
		return unknown(n, title, ops.Warn, f.Features.Why)
	}
	if f.Features.Value["preboot"] {
		return found(n, title, ops.Acknowledge, "Preboot is on: Heroku may refuse to scale for some minutes after a release.", "`heroku features:disable preboot` before the cutover avoids it.")
	}
	return found(n, title, ops.Pass, "off", "")
}

func oneOffs(f Facts) []ops.Finding {
	const n, title = "H25", "One-off and scheduler dynos"
	if f.Cutover {
		return nil // the gate waits for them
	}
	if !f.Dynos.Known {
		return unknown(n, title, ops.Warn, f.Dynos.Why)
	}
	if names := OneOffs(f.Dynos.Value, f.Formation.Value); len(names) > 0 {
		does := "The cutover waits until none runs."
		if f.OneOffs == ops.OneOffStop {
			does = "The cutover stops them, as set for this app."
		}
		return found(n, title, ops.Warn, "Running now: "+strings.Join(names, ", ")+".", does)
	}
	return found(n, title, ops.Pass, "none runs now", "")
}

// OneOffs returns the names of the dynos that no process type of the formation explains.
func OneOffs(dynos []ops.Dyno, formation []ops.Process) []string {
	types := map[string]bool{}
	for _, p := range formation {
		types[p.Type] = p.Type != ops.ReleaseProcess
	}
	var names []string
	for _, d := range dynos {
		if !types[d.Type] {
			names = append(names, d.Name)
		}
	}
	return names
}

func maintenanceMode(f Facts) []ops.Finding {
	const n, title = "H27", "App is not in maintenance mode"
	if !f.App.Known {
		return unknown(n, title, ops.Block, f.App.Why)
	}
	if f.App.Value.Maintenance {
		return found(n, title, ops.Acknowledge, "Maintenance mode is on already; somebody else may be working on this app.", "It will be on again after the upgrade, as it was.")
	}
	return found(n, title, ops.Pass, "off", "")
}

func formation(f Facts) []ops.Finding {
	const n, title = "H26", "Formation"
	if !f.Formation.Known {
		return unknown(n, title, ops.Block, f.Formation.Why)
	}
	if f.Cutover {
		return nil
	}
	var parts []string
	for _, p := range f.Formation.Value {
		if p.Type != ops.ReleaseProcess {
			parts = append(parts, fmt.Sprintf("%s=%d", p.Type, p.Quantity))
		}
	}
	return found(n, title, ops.Inform, strings.Join(parts, " ")+": all stop during the cutover, and come back exactly so.", "")
}
