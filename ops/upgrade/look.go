package upgrade

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// need is a set of reads.
type need uint

const (
	needSurvey need = 1 << iota
	needApps        // app, formation, dynos, releases, attachments of every app
	needBuilds
	needHosts
	needHealth
	needDynos // dynos only
	needOld
	needOldAttachments // on every app, also on those that are not of the run
	needRetired        // the database that is to be destroyed, with its attachments
	needNew            // add-on by id or name
	needNewInfo
	needNewUpgrade
	needNewAttachments
	needBackup
	needFlag
	needSchedules
	needReplicas
)

// needs is what each step's done-condition reads, and nothing more.
var needs = map[ops.Step]need{
	ops.StepSurvey:         needSurvey,
	ops.StepBackup:         needBackup,
	ops.StepFollowerCreate: needNew | needNewInfo | needOld | needApps,
	ops.StepCatchUp:        needNewInfo | needOld,
	ops.StepGateCutover:    needFlag | needNewInfo | needOld | needBackup | needSurvey | needApps | needBuilds | needHealth,
	ops.StepFence:          needApps | needFlag,
	ops.StepCatchUpExact:   needApps | needNewInfo | needOld | needOldAttachments,
	ops.StepUpgrade:        needApps | needNewInfo | needNewUpgrade,
	ops.StepVerifyNew:      needApps | needNew | needNewInfo | needNewUpgrade | needOldAttachments,
	ops.StepPromote:        needApps | needNew | needNewInfo | needNewUpgrade | needOldAttachments | needHosts,
	ops.StepUnfence:        needApps | needFlag,
	ops.StepVerifyApp:      needDynos | needHealth,
	ops.StepSoak:           needRetired,
	ops.StepGateDestroy:    needRetired,
	ops.StepDestroy:        needRetired,
	ops.StepReturnAttach:   needApps | needOld | needHosts,
	ops.StepReturnUnfence:  needApps | needFlag,
	ops.StepReturnFollower: needNew | needNewInfo | needNewAttachments | needOld,

	ops.StepRollbackFence:   needApps | needBuilds | needOld,
	ops.StepRollbackMeter:   needApps,
	ops.StepRollbackAttach:  needApps | needOld | needHosts,
	ops.StepRollbackUnfence: needApps,
	ops.StepRollbackLift:    needApps,
}

// needOf narrows a step's reads by what the run stands waiting for.
func needOf(run ops.Run, decisions []ops.Decision, now time.Time) need {
	n := needs[run.Step]
	if run.Step == ops.StepSoak && uncared(run) {
		n |= needSchedules
	}
	if unlooked(run) {
		n |= needReplicas
	}
	if run.Help != "" {
		return 0
	}
	if run.Step == ops.StepGateCutover && run.Asked != nil {
		if _, answered := ops.LatestDecision(decisions, ops.GateCutover, run.Asked.Digest, run.Asked.At, now); !answered {
			n &^= needApps | needBuilds | needHealth // only needed right before the fence
		}
	}
	return n
}

// look reads what the run's step needs, in parallel.
func (r *Runner) look(ctx context.Context, run ops.Run, w World, n need) World {
	l := &looker{Runner: r, ctx: ctx, run: run, w: &w}
	w.Apps = map[string]AppFacts{}
	w.SoakFor, w.Zone = r.Soak, r.zone()
	if run.Plan != nil && run.Plan.Soak > 0 {
		w.SoakFor = run.Plan.Soak
	}
	if n&needSurvey != 0 {
		l.async(func() {
			s, err := r.survey(ctx, run)
			l.set(func() { w.Survey = ops.FactOf(s, err) })
		})
	}
	if run.Plan != nil {
		for _, app := range run.Plan.Apps {
			l.app(app, n)
		}
	}
	l.old(n)
	l.oldAttachments(n)
	l.retired(n)
	l.new(n)
	l.inside()
	l.backup(n)
	if n&needSchedules != 0 {
		read(l, func(v ops.Fact[[]ops.BackupSchedule]) { w.Schedules = v }, func(c context.Context) ([]ops.BackupSchedule, error) { return r.Heroku.Schedules(c, run.Follower.ID) })
	}
	if n&needReplicas != 0 {
		read(l, func(v ops.Fact[[]ops.Replica]) { w.Replicas = v }, func(c context.Context) ([]ops.Replica, error) { return r.replicas(c, run) })
	}
	l.wait.Wait()
	return w
}

type looker struct {
	*Runner
	ctx  context.Context
	run  ops.Run
	w    *World
	mu   sync.Mutex
	wait sync.WaitGroup
}

func (l *looker) async(f func()) { l.wait.Go(f) }

func (l *looker) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func read[T any](l *looker, put func(ops.Fact[T]), get func(context.Context) (T, error)) {
	l.async(func() {
		v, err := get(l.ctx)
		l.set(func() { l.refused(err); put(ops.FactOf(v, err)) })
	})
}

// refused notes an answer that refuses the key.
func (l *looker) refused(err error) {
	if ops.KeyRefused(err) {
		l.w.KeyRefused = true
	}
}

func (l *looker) app(app ops.PlanApp, n need) {
	f := &AppFacts{}
	put := func() { l.w.Apps[app.ID] = *f }
	h, id := l.Heroku, app.ID
	if n&needApps != 0 {
		read(l, func(v ops.Fact[ops.App]) { f.App = v; put() }, func(c context.Context) (ops.App, error) { return h.App(c, id) })
		read(l, func(v ops.Fact[[]ops.Process]) { f.Formation = v; put() }, func(c context.Context) ([]ops.Process, error) { return h.Formation(c, id) })
		read(l, func(v ops.Fact[[]ops.Attachment]) { f.Attachments = v; put() }, func(c context.Context) ([]ops.Attachment, error) { return h.Attachments(c, id) })
		l.releases(app, n, func(v ops.Fact[[]ops.Release]) { f.Releases = v; put() }, func(v ops.Fact[map[string]ops.Endpoint]) { f.Hosts = v; put() })
	}
	if n&(needApps|needDynos) != 0 {
		read(l, func(v ops.Fact[[]ops.Dyno]) { f.Dynos = v; put() }, func(c context.Context) ([]ops.Dyno, error) { return h.Dynos(c, id) })
	}
	if n&needBuilds != 0 {
		read(l, func(v ops.Fact[[]ops.Build]) { f.Builds = v; put() }, func(c context.Context) ([]ops.Build, error) { return h.Builds(c, id) })
	}
	if n&needFlag != 0 && app.Flag != "" && l.run.Plan.ReadOnly() {
		read(l, func(v ops.Fact[bool]) { f.Flag = v; put() }, func(c context.Context) (bool, error) { return h.ConfigFlag(c, id, app.Flag) })
	}
	if n&needHealth != 0 {
		read(l, func(v ops.Fact[ops.Health]) { f.Health = v; put() }, func(c context.Context) (ops.Health, error) { return l.Health.Ask(c, app.HealthURL), nil })
	}
}

// releases reads the newest releases and, when wanted, where the config vars of
// the current one lead to.
func (l *looker) releases(app ops.PlanApp, n need, put func(ops.Fact[[]ops.Release]), hosts func(ops.Fact[map[string]ops.Endpoint])) {
	l.async(func() {
		rs, err := l.Heroku.Releases(l.ctx, app.ID, 10)
		l.set(func() { l.refused(err); put(ops.FactOf(rs, err)) })
		if n&needHosts == 0 || err != nil {
			return
		}
		for _, r := range rs {
			if r.Current {
				v, err := l.Heroku.ReleaseHosts(l.ctx, app.ID, r.ID)
				l.set(func() { hosts(ops.FactOf(v, err)) })
				return
			}
		}
		l.set(func() { hosts(ops.Unknown[map[string]ops.Endpoint]("no current release among the newest")) })
	})
}

func (l *looker) old(n need) {
	id := l.run.Database.ID
	if n&needOld != 0 {
		read(l, func(v ops.Fact[Found[ops.Addon]]) { l.w.Old.Addon = v }, func(c context.Context) (Found[ops.Addon], error) { return exists(l.Heroku.Addon(c, id)) })
		read(l, func(v ops.Fact[ops.Database]) { l.w.Old.Info = v }, func(c context.Context) (ops.Database, error) { return l.Heroku.Database(c, id) })
	}
}

func (l *looker) oldAttachments(n need) {
	if id := l.run.Database.ID; n&needOldAttachments != 0 {
		read(l, func(v ops.Fact[[]ops.Attachment]) { l.w.Old.Attachments = v }, func(c context.Context) ([]ops.Attachment, error) { return l.Heroku.AddonAttachments(c, id) })
	}
}

func (l *looker) retired(n need) {
	if n&needRetired == 0 {
		return
	}
	id := l.run.Retired().ID
	read(l, func(v ops.Fact[Found[ops.Addon]]) { l.w.Retired.Addon = v }, func(c context.Context) (Found[ops.Addon], error) { return exists(l.Heroku.Addon(c, id)) })
	read(l, func(v ops.Fact[ops.Database]) { l.w.Retired.Info = v }, func(c context.Context) (ops.Database, error) { return l.Heroku.Database(c, id) })
	read(l, func(v ops.Fact[[]ops.Attachment]) { l.w.Retired.Attachments = v }, func(c context.Context) ([]ops.Attachment, error) { return l.Heroku.AddonAttachments(c, id) })
}

// new looks for the new database by the id that was recorded, before that by
// its name, and reads on only when there is one.
func (l *looker) new(n need) {
	if l.run.Plan == nil || n&(needNew|needNewInfo|needNewUpgrade|needNewAttachments) == 0 {
		return
	}
	id := l.run.Follower.ID
	details := func(id string) {
		if n&needNewInfo != 0 {
			read(l, func(v ops.Fact[ops.Database]) { l.w.New.Info = v }, func(c context.Context) (ops.Database, error) {
				d, err := l.Heroku.Database(c, id)
				if errors.Is(err, ops.ErrNotFound) && n&needNew == 0 { // gone, or only the Data API says so
					found, err := exists(l.Heroku.Addon(c, id))
					l.set(func() { l.w.New.Addon = ops.FactOf(found, err) })
				}
				return d, err
			})
			if l.run.Step == ops.StepFollowerCreate {
				read(l, func(v ops.Fact[ops.Wait]) { l.w.New.Wait = v }, func(c context.Context) (ops.Wait, error) { return l.Heroku.WaitStatus(c, id) })
			}
		}
		if n&needNewUpgrade != 0 {
			read(l, func(v ops.Fact[ops.Wait]) { l.w.New.Upgrade = v }, func(c context.Context) (ops.Wait, error) { return l.Heroku.UpgradeStatus(c, id) })
		}
		if n&needNewAttachments != 0 {
			read(l, func(v ops.Fact[[]ops.Attachment]) { l.w.New.Attachments = v }, func(c context.Context) ([]ops.Attachment, error) { return l.Heroku.AddonAttachments(c, id) })
		}
	}
	if id != "" && n&needNew == 0 {
		details(id)
		return
	}
	l.async(func() {
		by := id
		if by == "" {
			by = l.run.Plan.NewName
		}
		found, err := exists(l.Heroku.Addon(l.ctx, by))
		l.set(func() { l.refused(err); l.w.New.Addon = ops.FactOf(found, err) })
		if err == nil && found.Exists && found.Value.State == ops.AddonProvisioned {
			details(found.Value.ID)
		}
	})
}

// exists turns "not found" into an answer.
func exists[T any](v T, err error) (Found[T], error) {
	if errors.Is(err, ops.ErrNotFound) {
		return Found[T]{}, nil
	}
	return Found[T]{Value: v, Exists: err == nil}, err
}

func (l *looker) backup(n need) {
	if n&needBackup == 0 || l.run.Backup.Done || l.run.Plan == nil {
		return
	}
	app, id := l.run.Plan.BillingApp.Name, l.run.Backup.TransferID
	read(l, func(v ops.Fact[Found[ops.Transfer]]) { l.w.Backup = v }, func(c context.Context) (Found[ops.Transfer], error) {
		if id != "" {
			return exists(l.Heroku.Transfer(c, app, id))
		}
		all, err := l.Heroku.Transfers(c, app)
		if err != nil {
			return Found[ops.Transfer]{}, err
		}
		for _, t := range all { // one that began since this step did is ours
			if t.ToType == "gof3r" && t.CreatedAt.After(l.run.StepSince.Add(-time.Second)) {
				return Found[ops.Transfer]{Value: t, Exists: true}, nil
			}
		}
		return Found[ops.Transfer]{}, nil
	})
}
