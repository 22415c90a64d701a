package upgrade

import (
	"context"
	"errors"
	"sync"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// Memory is what earlier runs and trials of an app left.
type Memory interface {
	// Trial returns the newest dry run of an app's database; the zero DryRun
	// when there was none.
	Trial(ctx context.Context, appID, databaseID string) (ops.DryRun, error)
	// Past returns the runs of an app, newest first.
	Past(ctx context.Context, appID string) ([]ops.Run, error)
}

// more reads what the checks need beyond the app and its database at Heroku.
func (r *Runner) more(ctx context.Context, wg *sync.WaitGroup, run ops.Run, old ops.Place, f *check.Facts) {
	h, app, db := r.Heroku, run.App.ID, run.Database.ID
	f.Deadlines = r.Deadlines
	if r.Memory != nil {
		fact(wg, &f.DryRun, func() (ops.DryRun, error) { return r.Memory.Trial(ctx, app, db) })
		fact(wg, &f.Past, func() ([]ops.Run, error) { return r.Memory.Past(ctx, app) })
	}
	fact(wg, &f.SQL, func() (ops.Inside, error) {
		d, err := r.open(ctx, old)
		if err != nil {
			return ops.Inside{}, err
		}
		return d.Inside(ctx, f.Cutover)
	})
	if !f.Cutover {
		wg.Go(func() {
			account, err := h.Account(ctx)
			f.Account = ops.FactOf(account, err)
			if err == nil {
				access, err := h.Access(ctx, f.Billing.Name, account.ID)
				f.Access = ops.FactOf(access, err)
			}
		})
		fact(wg, &f.AppAddons, func() ([]ops.Addon, error) { return h.AppAddons(ctx, app) })
		fact(wg, &f.Vars, func() ([]string, error) { return h.ConfigNames(ctx, app) })
		return
	}
	if run.Plan != nil && run.Plan.Schema != "" {
		f.SQLBefore = ops.Known(ops.Inside{SchemaHash: ops.Known(run.Plan.Schema)})
	}
	fact(wg, &f.SQLFollower, func() (ops.Inside, error) {
		if run.Follower.ID == "" {
			return ops.Inside{}, errors.New("there is no follower yet")
		}
		d, err := r.open(ctx, newPlace(run))
		if err != nil {
			return ops.Inside{}, err
		}
		return d.Holding(ctx)
	})
}

// forecast says how long the parts will take, from all that is known here.
func (r *Runner) forecast(run ops.Run, f check.Facts) ops.Forecast {
	in := forecastFrom{
		Bytes: f.Database.Value.Bytes, Trial: f.DryRun.Value, To: f.Target, Limit: r.DowntimeLimit,
		ReleasePhase: check.HasReleasePhase(f.Formation.Value), Past: f.Past.Value,
	}
	switch o := f.SQL.Value.Objects; {
	case o.Known:
		in.Objects = o.Value.All
	case run.Plan != nil: // right before the fence it is not counted again
		in.Objects = run.Plan.Forecast.Objects
	}
	return forecast(in)
}
