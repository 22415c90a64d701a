package upgrade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// facts reads what the checks need, in parallel.
func (r *Runner) facts(ctx context.Context, run ops.Run, set ops.Settings) (check.Facts, error) {
	f := check.Facts{At: r.Now(), Target: r.target(run.Request), Offered: r.Versions, OwnDatabase: r.OwnDatabase, OneOffs: set.OneOffs, ReadOnly: run.Request.ReadOnly, Cutover: run.Step == ops.StepGateCutover}
	h, db := r.Heroku, run.Database.ID
	addon, err := h.Addon(ctx, db)
	if errors.Is(err, ops.ErrNotFound) {
		return f, ops.Refuse(ops.RefusedGone, "The database `%s` is gone.", run.Database.Name)
	}
	f.Addon = ops.FactOf(addon, err)
	f.Billing = addon.App
	f.NewPlan = newPlan(addon.Plan, run.Request.Plan)
	var own check.AppFacts
	var wg sync.WaitGroup
	fact(&wg, &f.Database, func() (ops.Database, error) { return h.Database(ctx, db) })
	fact(&wg, &f.Wait, func() (ops.Wait, error) { return h.WaitStatus(ctx, db) })
	fact(&wg, &f.Credentials, func() ([]ops.Credential, error) { return h.Credentials(ctx, db) })
	fact(&wg, &f.Maintenance, func() (check.Window, error) {
		status, by, err := h.Maintenance(ctx, db)
		return check.Window{Status: status, RequiredBy: by}, err
	})
	fact(&wg, &f.Schedules, func() ([]ops.BackupSchedule, error) { return h.Schedules(ctx, db) })
	fact(&wg, &f.Upgrade, func() (ops.Wait, error) { return r.upgradeStatus(ctx, db) })
	if f.Cutover && run.Follower.ID != "" {
		fact(&wg, &f.NewCredentials, func() ([]ops.Credential, error) { return h.Credentials(ctx, run.Follower.ID) })
	}
	if !f.Cutover {
		fact(&wg, &f.Plans, func() ([]ops.Plan, error) { return h.Plans(ctx) })
	}
	r.appFacts(ctx, &wg, run.App, &own, f.Cutover)
	on, err := h.AddonAttachments(ctx, db)
	f.OnDatabase = ops.FactOf(on, err)
	old := reach(on, run.Database, f.Billing)
	fact(&wg, &f.Server, func() (ops.Server, error) {
		d, err := r.open(ctx, old)
		if err != nil {
			return ops.Server{}, err
		}
		return d.Server(ctx)
	})
	f.Others = make([]check.AppFacts, 0, 4)
	for _, ref := range otherApps(run.App, on) {
		f.Others = append(f.Others, check.AppFacts{Ref: ref})
	}
	for i := range f.Others {
		own, err := r.settings(ctx, f.Others[i].Ref)
		if err != nil {
			return f, err
		}
		f.Others[i].HealthURL, f.Others[i].Flag = own.HealthURL, own.ReadOnlyFlag
		r.appFacts(ctx, &wg, f.Others[i].Ref, &f.Others[i], f.Cutover)
	}
	r.more(ctx, &wg, run, old, &f)
	wg.Wait()
	f.App, f.OnApp, f.Hosts, f.Formation = own.App, own.OnApp, own.Hosts, own.Formation
	f.Dynos, f.Releases, f.Builds, f.Features = own.Dynos, own.Releases, own.Builds, own.Features
	f.Elsewhere = r.elsewhere(ctx, run, f)
	return f, nil
}

func fact[T any](wg *sync.WaitGroup, into *ops.Fact[T], get func() (T, error)) {
	wg.Go(func() { *into = ops.FactOf(get()) })
}

// appFacts reads one app. Right before the fence the gate reads the rest itself.
func (r *Runner) appFacts(ctx context.Context, wg *sync.WaitGroup, app ops.Ref, f *check.AppFacts, cutover bool) {
	h, id := r.Heroku, app.ID
	f.Ref = app
	fact(wg, &f.App, func() (ops.App, error) { return h.App(ctx, id) })
	fact(wg, &f.OnApp, func() ([]ops.Attachment, error) { return h.Attachments(ctx, id) })
	fact(wg, &f.Hosts, func() (map[string]ops.Endpoint, error) { return h.ConfigHosts(ctx, id) })
	fact(wg, &f.Formation, func() ([]ops.Process, error) { return h.Formation(ctx, id) })
	fact(wg, &f.Releases, func() ([]ops.Release, error) { return h.Releases(ctx, id, 10) })
	if !cutover {
		fact(wg, &f.Dynos, func() ([]ops.Dyno, error) { return h.Dynos(ctx, id) })
		fact(wg, &f.Builds, func() ([]ops.Build, error) { return h.Builds(ctx, id) })
		fact(wg, &f.Features, func() (map[string]bool, error) { return h.Features(ctx, id) })
	}
}

// otherApps are the apps of the attachments, without the one asked for, by name.
func otherApps(asked ops.Ref, on []ops.Attachment) []ops.Ref {
	var out []ops.Ref
	for _, a := range on {
		if a.App.ID != asked.ID && !slices.Contains(out, a.App) {
			out = append(out, a.App)
		}
	}
	slices.SortFunc(out, func(a, b ops.Ref) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// LookElsewhere is on how many further apps config vars are searched for a copy
// of the database's URL: each costs a call of the account's 4,500 an hour.
const LookElsewhere = 150

// elsewhere looks for copies of the database's URL in the config vars of apps on
// which it is not attached. Values are compared by host and never kept.
func (r *Runner) elsewhere(ctx context.Context, run ops.Run, f check.Facts) ops.Fact[[]check.Copy] {
	if !f.Database.Known || !f.OnDatabase.Known {
		return ops.Unknown[[]check.Copy](cmp.Or(f.Database.Why, f.OnDatabase.Why))
	}
	all, err := r.Heroku.Apps(ctx)
	if err != nil {
		return ops.Unknown[[]check.Copy](err.Error())
	}
	all = slices.DeleteFunc(all, func(a ops.Ref) bool {
		return a.ID == run.App.ID || slices.ContainsFunc(f.Others, func(x check.AppFacts) bool { return x.Ref.ID == a.ID })
	})
	if len(all) > LookElsewhere {
		return ops.Unknown[[]check.Copy](fmt.Sprintf("the account sees %d other apps, more than the %d that are searched", len(all), LookElsewhere))
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		copies = []check.Copy{}
		failed error
		slots  = make(chan struct{}, 8)
	)
	for _, app := range all {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			hosts, err := r.Heroku.ConfigHosts(ctx, app.ID)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = fmt.Errorf("the config vars of %s: %w", app.Name, err)
			}
			for name, e := range hosts {
				if e.SameServer(f.Database.Value.Endpoint) {
					copies = append(copies, check.Copy{App: app.Name, Var: name})
				}
			}
		})
	}
	wg.Wait()
	if len(copies) == 0 && failed != nil {
		return ops.Unknown[[]check.Copy](failed.Error())
	}
	return ops.Known(copies)
}
