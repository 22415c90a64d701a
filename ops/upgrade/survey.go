package upgrade

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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

// survey reads what the checks need and makes the plan.
func (r *Runner) survey(ctx context.Context, run ops.Run) (ops.Survey, error) {
	f, err := r.facts(ctx, run)
	if err != nil {
		return ops.Survey{}, err
	}
	return ops.Survey{App: run.App, Database: run.Database, Plan: r.plan(run, f), Findings: check.Findings(f)}, nil
}

func newPlan(old, asked string) string {
	if asked == "" {
		return old
	}
	return service + ":" + ops.ShortPlan(asked)
}
