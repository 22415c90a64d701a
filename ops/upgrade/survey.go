package upgrade

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

const service = "heroku-postgresql"

// Resolve finds the app and its database. It implements ops.Surveyor.
func (r *Runner) Resolve(ctx context.Context, app string, req ops.Request) (ops.Ref, ops.Ref, error) {
	if req.To != 0 && !slices.Contains(r.Versions, req.To) {
		return ops.Ref{}, ops.Ref{}, ops.Userf("PostgreSQL %d is not offered as far as I know. Choose one of %s, or add it to `PGUPGRADE_VERSIONS`.", req.To, versions(r.Versions))
	}
	a, err := r.Heroku.App(ctx, app)
	if errors.Is(err, ops.ErrNotFound) {
		return ops.Ref{}, ops.Ref{}, ops.Userf("There is no app `%s` that my Heroku account can see. Check the name, or give the account access to the app.", app)
	}
	if err != nil {
		return ops.Ref{}, ops.Ref{}, fmt.Errorf("look at app %s: %w", app, err)
	}
	all, err := r.Heroku.Attachments(ctx, a.ID)
	if err != nil {
		return ops.Ref{}, ops.Ref{}, fmt.Errorf("list the attachments of %s: %w", app, err)
	}
	db, err := database(a, all, req.Database)
	return a.Ref, db, err
}

// database chooses the database meant by name, or the one attached as DATABASE.
func database(app ops.App, all []ops.Attachment, name string) (ops.Ref, error) {
	var names []string
	for _, a := range all {
		if a.AddonPlan != "" && !strings.HasPrefix(a.AddonPlan, service+":") {
			continue
		}
		if name == "" && a.Name == "DATABASE" ||
			name != "" && (strings.EqualFold(a.Name, name) || strings.EqualFold(a.Name+"_URL", name) || a.Addon.Name == name || a.Addon.ID == name) {
			return a.Addon, nil
		}
		if a.AddonPlan != "" {
			names = append(names, a.Name)
		}
	}
	what := "as `DATABASE`"
	if name != "" {
		what = fmt.Sprintf("named `%s`", name)
	}
	if len(names) == 0 {
		return ops.Ref{}, ops.Userf("`%s` has no Heroku Postgres database %s.", app.Name, what)
	}
	return ops.Ref{}, ops.Userf("`%s` has no Heroku Postgres database %s. It has: %s. Name one: `/pgupgrade start %s database %s`.", app.Name, what, strings.Join(names, ", "), app.Name, names[0])
}

func versions(all []int) string {
	var s []string
	for _, v := range all {
		s = append(s, strconv.Itoa(v))
	}
	return strings.Join(s, ", ")
}

// Survey looks at an app without starting anything. It implements ops.Surveyor.
func (r *Runner) Survey(ctx context.Context, app string, req ops.Request) (ops.Survey, error) {
	ref, db, err := r.Resolve(ctx, app, req)
	if err != nil {
		return ops.Survey{}, err
	}
	return r.survey(ctx, ops.Run{ID: "check", App: ref, Database: db, Request: req, Step: ops.StepSurvey})
}

func (r *Runner) target(req ops.Request) int {
	if req.To != 0 {
		return req.To
	}
	return slices.Max(r.Versions)
}

// survey reads what the checks need, in parallel, and makes the plan.
func (r *Runner) survey(ctx context.Context, run ops.Run) (ops.Survey, error) {
	f := check.Facts{At: r.Now(), Target: r.target(run.Request), Offered: r.Versions, OwnDatabase: r.OwnDatabase, OneOffs: ops.OneOffWait, Cutover: run.Step == ops.StepGateCutover}
	h, app, db := r.Heroku, run.App.ID, run.Database.ID
	addon, err := h.Addon(ctx, db)
	if errors.Is(err, ops.ErrNotFound) {
		return ops.Survey{}, ops.Userf("The database `%s` is gone.", run.Database.Name)
	}
	f.Addon = ops.FactOf(addon, err)
	f.Billing = addon.App
	var wg sync.WaitGroup
	fact(&wg, &f.App, func() (ops.App, error) { return h.App(ctx, app) })
	fact(&wg, &f.Database, func() (ops.Database, error) { return h.Database(ctx, db) })
	fact(&wg, &f.Wait, func() (ops.Wait, error) { return h.WaitStatus(ctx, db) })
	fact(&wg, &f.OnDatabase, func() ([]ops.Attachment, error) { return h.AddonAttachments(ctx, db) })
	fact(&wg, &f.OnApp, func() ([]ops.Attachment, error) { return h.Attachments(ctx, app) })
	fact(&wg, &f.Credentials, func() ([]ops.Credential, error) { return h.Credentials(ctx, db) })
	fact(&wg, &f.Hosts, func() (map[string]ops.Endpoint, error) { return h.ConfigHosts(ctx, app) })
	fact(&wg, &f.Formation, func() ([]ops.Process, error) { return h.Formation(ctx, app) })
	fact(&wg, &f.Releases, func() ([]ops.Release, error) { return h.Releases(ctx, app, 10) })
	fact(&wg, &f.Maintenance, func() (check.Window, error) {
		status, by, err := h.Maintenance(ctx, db)
		return check.Window{Status: status, RequiredBy: by}, err
	})
	fact(&wg, &f.Upgrade, func() (ops.Wait, error) { return r.upgradeStatus(ctx, db) })
	if !f.Cutover {
		fact(&wg, &f.Dynos, func() ([]ops.Dyno, error) { return h.Dynos(ctx, app) })
		fact(&wg, &f.Builds, func() ([]ops.Build, error) { return h.Builds(ctx, app) })
		fact(&wg, &f.Features, func() (map[string]bool, error) { return h.Features(ctx, app) })
		fact(&wg, &f.Plans, func() ([]ops.Plan, error) { return h.Plans(ctx) })
	}
	r.more(ctx, &wg, run, &f)
	wg.Wait()
	f.NewPlan = newPlan(addon.Plan, run.Request.Plan)
	return ops.Survey{App: run.App, Database: run.Database, Plan: r.plan(run, f), Findings: check.Findings(f)}, nil
}

func fact[T any](wg *sync.WaitGroup, into *ops.Fact[T], get func() (T, error)) {
	wg.Go(func() { *into = ops.FactOf(get()) })
}

func newPlan(old, asked string) string {
	if asked == "" {
		return old
	}
	return service + ":" + ops.ShortPlan(asked)
}

// plan says what the run will do; nil when too little could be read.
func (r *Runner) plan(run ops.Run, f check.Facts) *ops.RunPlan {
	if !f.App.Known || !f.Addon.Known || !f.Database.Known || !f.OnApp.Known || !f.Formation.Known {
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
		NewAlias: "PG" + to + "_" + strings.ToUpper(suffix), OldAlias: "PG" + from + "_" + strings.ToUpper(suffix),
		OneOffs: f.OneOffs, Bytes: d.Bytes, Forecast: r.forecast(run, f),
	}
	for _, x := range f.Plans.Value {
		if x.Name == p.NewPlan {
			p.Cents = x.CentsPerMonth
		}
	}
	p.NeedsBackup, p.BackupWhy = check.NeedsBackup(d)
	p.Schema = f.SQL.Value.SchemaHash.Value
	app := ops.PlanApp{Ref: run.App, ReleasePhase: check.HasReleasePhase(f.Formation.Value), HealthURL: f.App.Value.WebURL}
	for _, a := range f.OnApp.Value {
		if a.Name == "DATABASE" && a.Addon.ID == run.Database.ID {
			app.Attachments = append(app.Attachments, ops.PlanAttachment{ID: a.ID, Name: a.Name, Namespace: a.Namespace})
		}
	}
	p.Apps = []ops.PlanApp{app}
	return p
}

// newName is the follower's add-on name: the same for the same run, so that a
// create repeated by anybody is refused by Heroku.
func newName(app, to, suffix string) string {
	return fmt.Sprintf("%s-pg%s-%s", app, to, suffix)
}
