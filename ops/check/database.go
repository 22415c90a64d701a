package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// own: the bot never upgrades the database that holds its own rows.
func own(f Facts) []ops.Finding {
	const n, title = "OWN", "Not the bot's own database"
	if f.OwnDatabase.Zero() {
		return nil
	}
	if !f.Database.Known {
		return unknown(n, title, ops.Block, f.Database.Why)
	}
	if f.Database.Value.Endpoint.SameServer(f.OwnDatabase) {
		return found(n, title, ops.Block, "This database holds the bot's own state (`DATABASE_URL` of the bot).", "Upgrade it from another installation, or by hand.")
	}
	return nil
}

// Tier sorts plans the way the Heroku CLI does (heroku/cli-util utils/addons/helpers.js).
func Tier(plan string) string {
	p := ops.ShortPlan(plan)
	for tier, prefixes := range map[string][]string{
		"advanced":  {"advanced", "performance"},
		"essential": {"essential", "dev", "basic", "mini", "hobby"},
	} {
		for _, prefix := range prefixes {
			if strings.HasPrefix(p, prefix) {
				return tier
			}
		}
	}
	name, _, _ := strings.Cut(p, "-")
	return name
}

func plan(f Facts) []ops.Finding {
	const n, title = "H1", "Plan can be upgraded with a follower"
	if !f.Addon.Known {
		return unknown(n, title, ops.Block, f.Addon.Why)
	}
	a := f.Addon.Value
	if a.Service != "heroku-postgresql" {
		return found(n, title, ops.Block, fmt.Sprintf("`%s` is a %s add-on, not Heroku Postgres.", a.Name, a.Service), "Name the right database: `start APP database NAME`.")
	}
	switch Tier(a.Plan) {
	case "essential":
		return found(n, title, ops.Block, fmt.Sprintf("`%s` is on %s, which cannot have followers.", a.Name, ops.ShortPlan(a.Plan)),
			fmt.Sprintf("Upgrade it in place by hand, with the app in maintenance: `heroku maintenance:on -a %[1]s`, `heroku pg:backups:capture %[2]s -a %[1]s`, `heroku pg:upgrade:run %[2]s --version %[3]d -a %[1]s`, `heroku pg:upgrade:wait %[2]s -a %[1]s`, `heroku maintenance:off -a %[1]s`. There is no way back but the backup.", f.App.Value.Name, a.Name, f.Target))
	case "advanced":
		// The commands are those of heroku/cli src/commands/data/pg/upgrade.
		return found(n, title, ops.Block, fmt.Sprintf("`%s` is on %s; the Advanced tier is upgraded in place, by other commands.", a.Name, ops.ShortPlan(a.Plan)),
			fmt.Sprintf("Upgrade it by hand, with the app in maintenance: `heroku maintenance:on -a %[1]s`, `heroku data:pg:upgrade:run %[2]s --version %[3]d -a %[1]s`, `heroku data:pg:upgrade:wait %[2]s -a %[1]s`, `heroku maintenance:off -a %[1]s`.", f.App.Value.Name, a.Name, f.Target))
	}
	return found(n, title, ops.Pass, ops.ShortPlan(a.Plan), "")
}

func role(f Facts) []ops.Finding {
	const n, title = "H2", "Database is a leader"
	if !f.Database.Known {
		return unknown(n, title, ops.Block, f.Database.Why)
	}
	if d := f.Database.Value; d.Follower() {
		return found(n, title, ops.Block, fmt.Sprintf("`%s` follows another database (%s).", d.Name, d.Following.Host), "Start the upgrade on its leader.")
	}
	return found(n, title, ops.Pass, "it follows nothing", "")
}

func status(f Facts) []ops.Finding {
	const n, title = "H3", "Database is available"
	if !f.Database.Known {
		return unknown(n, title, ops.Block, f.Database.Why)
	}
	if !f.Wait.Known {
		return unknown(n, title, ops.Block, f.Wait.Why)
	}
	if w := f.Wait.Value; w.Waiting || w.Error {
		return found(n, title, ops.Block, "Heroku says: "+w.Message, "Wait until `heroku pg:wait` ends, then start again.")
	}
	if s := f.Database.Value.Status; !strings.EqualFold(s, "available") {
		return found(n, title, ops.Block, fmt.Sprintf("Status is “%s”.", s), "Wait until it is Available, then start again.")
	}
	return found(n, title, ops.Pass, "Available", "")
}

func version(f Facts) []ops.Finding {
	const n, title = "H5", "Version can be upgraded"
	if !f.Database.Known {
		return unknown(n, title, ops.Block, f.Database.Why)
	}
	if f.Database.Value.Version == "" {
		return unknown(n, title, ops.Block, "Heroku does not say which version it runs")
	}
	from, err := strconv.Atoi(ops.Major(f.Database.Value.Version))
	if err != nil {
		return unknown(n, title, ops.Block, fmt.Sprintf("version “%s” cannot be read", f.Database.Value.Version))
	}
	switch {
	case from > f.Target:
		return found(n, title, ops.Block, fmt.Sprintf("%d is lower than the PostgreSQL %s that it runs, and no upgrade goes back.", f.Target, f.Database.Value.Version), fmt.Sprintf("Ask for a newer one than %d: `start APP to VERSION`.", from))
	case from == f.Target:
		return found(n, title, ops.Block, fmt.Sprintf("It runs PostgreSQL %s already.", f.Database.Value.Version), fmt.Sprintf("Ask for a newer one than %d: `start APP to VERSION`.", from))
	case !slices.Contains(f.Offered, f.Target):
		return found(n, title, ops.Block, fmt.Sprintf("PostgreSQL %d is not among the versions that the bot knows to be offered (%s).", f.Target, join(f.Offered)), "Add it to `PGUPGRADE_VERSIONS` if Heroku offers it.")
	}
	return append(found(n, title, ops.Pass, fmt.Sprintf("%s → %d", f.Database.Value.Version, f.Target), ""), confirmed(f))
}

func join(majors []int) string {
	var s []string
	for _, m := range majors {
		s = append(s, strconv.Itoa(m))
	}
	return strings.Join(s, ", ")
}

func followable(f Facts) []ops.Finding {
	const n, title = "H4", "Database can be followed"
	if f.Cutover {
		return nil
	}
	if !f.Database.Known {
		return unknown(n, title, ops.Block, f.Database.Why)
	}
	switch s := f.Database.Value.ForkFollow; {
	case s == "":
		return unknown(n, title, ops.Warn, "Heroku shows no Fork/Follow row; a refusal to create the follower would change nothing")
	case !strings.EqualFold(s, "available"):
		return found(n, title, ops.Block, fmt.Sprintf("Fork/Follow is “%s”.", s), "A new or restored database can be followed after minutes to hours. Start again when `heroku pg:info` says Fork/Follow: Available.")
	}
	return found(n, title, ops.Pass, "Fork/Follow: Available", "")
}

func newPlan(f Facts) []ops.Finding {
	const n, title = "H8", "Plan of the new database"
	if f.Cutover {
		return nil
	}
	if !f.Plans.Known {
		return unknown(n, title, ops.Block, f.Plans.Why)
	}
	if !f.Addon.Known {
		return unknown(n, title, ops.Block, f.Addon.Why)
	}
	old, okOld := find(f.Plans.Value, f.Addon.Value.Plan)
	next, okNew := find(f.Plans.Value, f.NewPlan)
	switch {
	case f.NewPlan == f.Addon.Value.Plan:
		return found(n, title, ops.Pass, "same as the old one: "+ops.ShortPlan(f.NewPlan), "")
	case !okNew:
		return found(n, title, ops.Block, fmt.Sprintf("There is no plan `%s`.", ops.ShortPlan(f.NewPlan)), "`heroku addons:plans heroku-postgresql` lists them.")
	case !okOld || next.CentsPerMonth < old.CentsPerMonth:
		return found(n, title, ops.Block, fmt.Sprintf("`%s` is smaller than `%s`.", ops.ShortPlan(f.NewPlan), ops.ShortPlan(f.Addon.Value.Plan)), "Choose the same plan or a larger one.")
	}
	return found(n, title, ops.Inform, fmt.Sprintf("%s → %s", ops.ShortPlan(f.Addon.Value.Plan), ops.ShortPlan(f.NewPlan)), "")
}

func find(plans []ops.Plan, name string) (ops.Plan, bool) {
	for _, p := range plans {
		if p.Name == name || ops.ShortPlan(p.Name) == name {
			return p, true
		}
	}
	return ops.Plan{}, false
}

// Room is the part of a plan's storage that must be free: pg_upgrade and the WAL
// of the catch-up need it.
const Room = 0.2

func size(f Facts) []ops.Finding {
	const n, title = "H9", "Size"
	if !f.Database.Known {
		return unknown(n, title, ops.Warn, f.Database.Why)
	}
	d := f.Database.Value
	if d.BytesLimit > 0 && f.Addon.Known && f.NewPlan == f.Addon.Value.Plan {
		used := float64(d.Bytes) / float64(d.BytesLimit)
		evidence := fmt.Sprintf("%s of the plan's %s, %.0f %%", ops.FormatBytes(d.Bytes), ops.FormatBytes(d.BytesLimit), 100*used)
		if used > 1-Room {
			return found(n, title, ops.Acknowledge, evidence+"; less than a fifth is free for the upgrade and the WAL.", "Take a larger plan for the new database: `start APP plan PLAN`.")
		}
		return found(n, title, ops.Inform, evidence, "")
	}
	return found(n, title, ops.Inform, ops.FormatBytes(d.Bytes), "")
}

func maintenance(f Facts) []ops.Finding {
	const n, title = "H10", "No database maintenance under way"
	if !f.Maintenance.Known {
		return unknown(n, title, ops.Warn, f.Maintenance.Why)
	}
	m := f.Maintenance.Value
	switch m.Status {
	case "preparing", "ready", "running":
		return found(n, title, ops.Block, fmt.Sprintf("Heroku's maintenance of this database is %s.", m.Status), "Let it end (`heroku data:maintenances:info`), then start again.")
	}
	if !m.RequiredBy.IsZero() && m.RequiredBy.Sub(f.At) < 72*time.Hour {
		return found(n, title, ops.Warn, fmt.Sprintf("Heroku requires maintenance by %s.", m.RequiredBy.Format("2006-01-02 15:04 UTC")), "It could fall into the upgrade; run it before.")
	}
	return found(n, title, ops.Pass, "none", "")
}

func upgradeUnderWay(f Facts) []ops.Finding {
	const n, title = "H11", "No other upgrade under way"
	if !f.Upgrade.Known {
		return unknown(n, title, ops.Warn, f.Upgrade.Why)
	}
	if w := f.Upgrade.Value; w.Waiting {
		return found(n, title, ops.Block, "Heroku says: "+w.Message, "Somebody upgrades this database already. `heroku pg:upgrade:wait` shows it.")
	}
	return found(n, title, ops.Pass, "none", "")
}
