package upgrade

import (
	"context"
	"fmt"
	"sync"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// Endings lists the databases that the account can see whose version Heroku ends
// soon or has ended, the nearest first. One that cannot be read is left out and
// logged: next week's look may see it.
func (r *Runner) Endings(ctx context.Context) ([]ops.Ending, error) {
	all, err := r.Heroku.Databases(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		found []check.Standing
		slots = make(chan struct{}, 4) // it is in no hurry, and upgrades need the account's calls
	)
	for _, a := range all {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			d, err := r.Heroku.Database(ctx, a.ID)
			if err != nil {
				r.Log.WarnContext(ctx, "a database's version cannot be read", "database", a.Name, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, check.Standing{App: a.App.Name, Database: a.Name, Version: d.Version})
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("look at the databases: %w", err)
	}
	now := r.Now()
	var out []ops.Ending
	for _, s := range check.EndingSoon(found, r.Deadlines, now) {
		out = append(out, ops.Ending{
			App: s.App, Database: s.Database, Version: ops.Major(s.Version),
			When: s.Deadline.When(), Over: s.Deadline.Ends.Before(now), Said: s.Deadline.Said(now),
		})
	}
	return out, nil
}
