package upgrade

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// plan says what the run will do; nil when too little could be read. It is pure
// but for the limit and the versions that were configured.
func (r *Runner) plan(run ops.Run, f check.Facts, set ops.Settings) *ops.RunPlan {
	if !f.App.Known || !f.Addon.Known || !f.Database.Known || !f.OnApp.Known || !f.OnDatabase.Known || !f.Formation.Known {
		return nil
	}
	d, from := f.Database.Value, ops.Major(f.Database.Value.Version)
	to := strconv.Itoa(f.Target)
	suffix := run.ID[strings.LastIndex(run.ID, "-")+1:]
	p := &ops.RunPlan{
		Method: ops.MethodFollower, Mode: ops.ModeMaintenance,
		Old: run.Database, OldPlan: f.Addon.Value.Plan, OldCents: f.Addon.Value.CentsPerMonth,
		From: from, FromMinor: d.Version, To: to, BillingApp: f.Addon.Value.App,
		NewName: newName(run.App.Name, to, suffix), NewPlan: f.NewPlan, Cents: f.Addon.Value.CentsPerMonth,
		NewAlias: "PG" + to + "_" + strings.ToUpper(suffix),
		OneOffs:  f.OneOffs, Bytes: d.Bytes, Forecast: r.forecast(run, f),
		Soak: set.Soak, ReadOnlyFlag: set.ReadOnlyFlag, NotBefore: run.Request.NotBefore, Windows: set.Windows, Freezes: set.Freezes, Zone: r.zone().String(),
	}
	for _, x := range f.Plans.Value {
		if x.Name == p.NewPlan {
			p.Cents = x.CentsPerMonth
		}
	}
	p.NeedsBackup, p.BackupWhy = check.NeedsBackup(d)
	p.Schema = f.SQL.Value.SchemaHash.Value
	p.OldAlias = spareName(f.OnDatabase.Value, p.BillingApp, "PG"+from+"_"+strings.ToUpper(suffix))
	own := check.AppFacts{Ref: run.App, HealthURL: set.HealthURL, Flag: set.ReadOnlyFlag, App: f.App, Formation: f.Formation}
	for _, x := range append([]check.AppFacts{own}, f.Others...) {
		p.Apps = append(p.Apps, planApp(x, f.OnDatabase.Value, p.BillingApp))
	}
	p.Reach = reach(f.OnDatabase.Value, run.Database, p.BillingApp)
	p.SQL, p.SQLWhy = insideWhy(f.Server)
	if run.Request.ReadOnly {
		p.Mode = ops.ModeReadOnly
	}
	p.Schedules = f.Schedules.Value
	p.Fates = fates(*p, f)
	return p
}

// newName is the follower's add-on name: the same for the same run, so that a
// create repeated by anybody is refused by Heroku.
func newName(app, to, suffix string) string {
	return fmt.Sprintf("%s-pg%s-%s", app, to, suffix)
}

// spare matches the names that runs give to databases and that no app uses.
var spare = regexp.MustCompile(`^PG\d+_[A-Z2-7]{5}$`)

// spareName is the name that the old database keeps on its billing app, where
// Heroku wants one to stay: one that an earlier run gave it, or a new one.
func spareName(on []ops.Attachment, billing ops.Ref, fresh string) string {
	for _, a := range on {
		if a.App.ID == billing.ID && a.Namespace == "" && spare.MatchString(a.Name) {
			return a.Name
		}
	}
	return fresh
}

// reach is where the old database's URL can be read: a name with the default
// credential, on its billing app if there is one, DATABASE first.
func reach(on []ops.Attachment, db, billing ops.Ref) ops.Place {
	best, rating := ops.Place{AddonID: db.ID}, 0
	for _, a := range on {
		r := 1
		if a.App.ID == billing.ID {
			r += 2
		}
		if a.Name == "DATABASE" {
			r++
		}
		if a.Namespace == "" && r > rating {
			best, rating = ops.Place{AddonID: db.ID, App: a.App.Name, Var: a.Name + "_URL"}, r
		}
	}
	return best
}

// insideWhy says whether the database fence can be part of the cutover, and why not.
func insideWhy(s ops.Fact[ops.Server]) (bool, string) {
	switch {
	case !s.Known:
		return false, firstWhy(s.Why)
	case s.Value.Follower:
		return false, "it is a follower"
	case !s.Value.Owner:
		return false, "the credential does not own the database"
	}
	return true, ""
}

// planApp lists every name under which the app has the old database: all of
// them move, whatever they are called, since the app may use any.
// Only the spare names that runs give on the billing app stay.
func planApp(x check.AppFacts, on []ops.Attachment, billing ops.Ref) ops.PlanApp {
	app := ops.PlanApp{Ref: x.Ref, ReleasePhase: check.HasReleasePhase(x.Formation.Value), HealthURL: cmp.Or(x.HealthURL, x.App.Value.WebURL), Flag: x.Flag}
	for _, a := range on {
		kept := a.App.ID == billing.ID && a.Namespace == "" && spare.MatchString(a.Name)
		if a.App.ID == x.Ref.ID && !kept {
			app.Attachments = append(app.Attachments, ops.PlanAttachment{ID: a.ID, Name: a.Name, Namespace: a.Namespace})
		}
	}
	slices.SortFunc(app.Attachments, func(a, b ops.PlanAttachment) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	return app
}

// rank puts DATABASE first: its release decides whether the app can start.
func rank(a ops.PlanAttachment) int {
	switch {
	case a.Name == "DATABASE":
		return 0
	case a.Namespace == "":
		return 1
	}
	return 2
}

// fates lists everything that leads to the old database or lives on it, with
// what will happen to it.
func fates(p ops.RunPlan, f check.Facts) []ops.Fate {
	var out []ops.Fate
	add := func(what, format string, args ...any) {
		out = append(out, ops.Fate{What: what, Fate: fmt.Sprintf(format, args...)})
	}
	for _, app := range p.Apps {
		for _, a := range app.Attachments {
			fate := "moves to the new database"
			if c, ok := strings.CutPrefix(a.Namespace, "credential:"); ok {
				fate += ", with its credential `" + c + "`"
			} else if a.Namespace != "" {
				fate += ", through its pooler"
			}
			add("`"+a.Name+"` of `"+app.Name+"`", "%s", fate)
		}
	}
	add("`"+p.OldAlias+"` of `"+p.BillingApp.Name+"`", "is the name that the old database keeps")
	for _, x := range f.Database.Value.Followers {
		add("the follower at `"+x.Host+"`", "stays with the old database; a new one can be created once Fork/Follow of the new database is Available")
	}
	for _, s := range f.Schedules.Value {
		add("the backup schedule "+s.String(), "is made again on the new database after the switch")
	}
	if !f.Schedules.Known {
		add("backup schedules", "could not be read (%s): compare `heroku pg:backups:schedules` afterwards", f.Schedules.Why)
	}
	return out
}
