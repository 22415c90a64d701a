package upgrade

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// before are the checks that Heroku's dry run has to pass as well: it is refused
// for Essential plans, followers, and while something else is under way.
var before = []string{"OWN", "H1", "H2", "H3", "H5", "H10", "H11"}

// MayTry returns the version that a dry run would be made to. It implements
// ops.Trier.
func (r *Runner) MayTry(ctx context.Context, app, database ops.Ref, req ops.Request) (string, error) {
	h := r.Heroku
	f := check.Facts{At: r.Now(), Target: r.target(req), Offered: r.Versions, OwnDatabase: r.OwnDatabase, App: ops.Known(ops.App{Ref: app})}
	var wg sync.WaitGroup
	fact(&wg, &f.Addon, func() (ops.Addon, error) { return h.Addon(ctx, database.ID) })
	fact(&wg, &f.Database, func() (ops.Database, error) { return h.Database(ctx, database.ID) })
	fact(&wg, &f.Wait, func() (ops.Wait, error) { return h.WaitStatus(ctx, database.ID) })
	fact(&wg, &f.Upgrade, func() (ops.Wait, error) { return r.upgradeStatus(ctx, database.ID) })
	fact(&wg, &f.Maintenance, func() (check.Window, error) {
		status, by, err := h.Maintenance(ctx, database.ID)
		return check.Window{Status: status, RequiredBy: by}, err
	})
	wg.Wait()
	for _, c := range check.Catalogue() {
		if !slices.Contains(before, c.Number) {
			continue
		}
		for _, x := range c.Look(f) {
			if x.Verdict == ops.Block {
				return "", ops.Refuse(ops.RefusedTrial, "There can be no dry run: %s %s Nothing was done.", x.Evidence, x.Fix)
			}
		}
	}
	return fmt.Sprint(f.Target), nil
}

// TryUpgrade has Heroku try the upgrade on a copy. It implements ops.Trier.
func (r *Runner) TryUpgrade(ctx context.Context, databaseID, version string) (string, error) {
	return r.Heroku.DryRun(ctx, databaseID, version)
}

// upgradeStatus is the wait status of an upgrade. Where nothing was ever
// scheduled, nothing is under way.
func (r *Runner) upgradeStatus(ctx context.Context, databaseID string) (ops.Wait, error) {
	w, err := r.Heroku.UpgradeStatus(ctx, databaseID)
	if errors.Is(err, ops.ErrNotFound) || errors.Is(err, ops.ErrRefused) {
		return ops.Wait{}, nil
	}
	return w, err
}
