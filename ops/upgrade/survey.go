package upgrade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

const service = "heroku-postgresql"

// Resolve finds the app and its database. It implements ops.Surveyor.
func (r *Runner) Resolve(ctx context.Context, app string, req ops.Request) (ops.Ref, ops.Ref, error) {
	if req.To != 0 && !slices.Contains(r.Versions, req.To) {
		return ops.Ref{}, ops.Ref{}, ops.Refuse(ops.RefusedVersion, "PostgreSQL %d is not offered as far as I know. Choose one of %s, or add it to `PGUPGRADE_VERSIONS`.", req.To, versions(r.Versions))
	}
	a, err := r.findApp(ctx, app)
	if err != nil {
		return ops.Ref{}, ops.Ref{}, err
	}
	all, err := r.Heroku.Attachments(ctx, a.ID)
	if err != nil {
		return ops.Ref{}, ops.Ref{}, fmt.Errorf("list the attachments of %s: %w", app, err)
	}
	db, err := database(a, all, req.Database)
	return a.Ref, db, err
}

// FindApp finds an app by name. It implements ops.Surveyor.
func (r *Runner) FindApp(ctx context.Context, app string) (ops.Ref, error) {
	a, err := r.findApp(ctx, app)
	return a.Ref, err
}

func (r *Runner) findApp(ctx context.Context, app string) (ops.App, error) {
	a, err := r.Heroku.App(ctx, app)
	var call *ops.CallError
	switch {
	case errors.Is(err, ops.ErrNotFound):
		return a, ops.Refuse(ops.RefusedNoApp, "There is no app `%s` that my Heroku account can see. Check the name, or give the account access to the app.", app)
	case errors.Is(err, ops.ErrRefused) && errors.As(err, &call):
		return a, ops.Refuse(ops.RefusedNoRights, "My Heroku account has no rights on `%s` (Heroku says: %s). Give it view, deploy, operate and manage on that app.", app, call.Message)
	case err != nil:
		return a, fmt.Errorf("look at app %s: %w", app, err)
	}
	return a, nil
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
		return ops.Ref{}, ops.Refuse(ops.RefusedNoPostgres, "`%s` has no Heroku Postgres database %s.", app.Name, what)
	}
	return ops.Ref{}, ops.Refuse(ops.RefusedNoDatabase, "`%s` has no Heroku Postgres database %s. It has: %s. Name one: `/pgupgrade start %s database %s`.", app.Name, what, strings.Join(names, ", "), app.Name, names[0])
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

// survey reads what the checks need and makes the plan.
func (r *Runner) survey(ctx context.Context, run ops.Run) (ops.Survey, error) {
	set, err := r.settings(ctx, run.App)
	if err != nil {
		return ops.Survey{}, err
	}
	f, err := r.facts(ctx, run, set)
	if err != nil {
		return ops.Survey{}, err
	}
	return ops.Survey{App: run.App, Database: run.Database, Plan: r.plan(run, f, set), Findings: check.Findings(f)}, nil
}

func newPlan(old, asked string) string {
	if asked == "" {
		return old
	}
	return service + ":" + ops.ShortPlan(asked)
}

// settings reads what is set for the app. Without rows, at a terminal, nothing is.
func (r *Runner) settings(ctx context.Context, app ops.Ref) (ops.Settings, error) {
	set := ops.Settings{OneOffs: ops.OneOffWait}
	if r.Rows == nil {
		return set, nil
	}
	kept, err := r.Rows.Settings(ctx, app.ID)
	if err == nil {
		set, err = ops.ReadSettings(kept)
	}
	if err != nil {
		return set, fmt.Errorf("settings of %s: %w", app.Name, err)
	}
	set.OneOffs = cmp.Or(set.OneOffs, ops.OneOffWait)
	return set, nil
}

func (r *Runner) zone() *time.Location { return cmp.Or(r.Zone, time.UTC) }
