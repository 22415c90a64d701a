package upgrade_test

import (
	"context"
	"errors"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// calls is Heroku as the procedure calls it, with a moment before and after each
// call that changes something, and the rules of such calls checked before it.
type calls struct {
	upgrade.Heroku
	w *world
}

func call[T any](c calls, ctx context.Context, kind ops.ActKind, target string, do func() (T, error)) (T, error) {
	c.w.never.called(upgrade.StepOf(ctx), kind, target)
	c.w.moment("before call "+string(kind), false)
	v, err := do()
	c.w.never.answered(kind, err)
	c.w.moment("after call "+string(kind), true)
	return v, err
}

func only(do func() error) func() (struct{}, error) {
	return func() (struct{}, error) { return struct{}{}, do() }
}

func (c calls) CreateFollower(ctx context.Context, x ops.FollowerSpec) (ops.Addon, error) {
	return call(c, ctx, ops.ActCreate, x.Name, func() (ops.Addon, error) { return c.Heroku.CreateFollower(ctx, x) })
}

func (c calls) Attach(ctx context.Context, x ops.AttachSpec) (ops.Attachment, error) {
	kind, target := ops.ActAttach, x.Name
	if !strings.HasPrefix(x.Name, "PG1") { // not a spare name
		kind, target = ops.ActPromote, x.App+" "+x.Name
	}
	return call(c, ctx, kind, target, func() (ops.Attachment, error) { return c.Heroku.Attach(ctx, x) })
}

func (c calls) SetMaintenance(ctx context.Context, app string, on bool) error {
	_, err := call(c, ctx, ops.ActMaintenance, app, only(func() error { return c.Heroku.SetMaintenance(ctx, app, on) }))
	return err
}

func (c calls) Scale(ctx context.Context, app string, to []ops.Process) error {
	_, err := call(c, ctx, ops.ActScale, app, only(func() error { return c.Heroku.Scale(ctx, app, to) }))
	return err
}

func (c calls) StopDyno(ctx context.Context, app, dyno string) error {
	_, err := call(c, ctx, ops.ActStopDyno, dyno, only(func() error { return c.Heroku.StopDyno(ctx, app, dyno) }))
	return err
}

func (c calls) RunUpgrade(ctx context.Context, id, version string) (string, error) {
	return call(c, ctx, ops.ActUpgrade, id, func() (string, error) { return c.Heroku.RunUpgrade(ctx, id, version) })
}

func (c calls) ResetConnections(ctx context.Context, id string) error {
	_, err := call(c, ctx, ops.ActReset, id, only(func() error { return c.Heroku.ResetConnections(ctx, id) }))
	return err
}

func (c calls) CaptureBackup(ctx context.Context, id string) (ops.Transfer, error) {
	return call(c, ctx, ops.ActBackup, id, func() (ops.Transfer, error) { return c.Heroku.CaptureBackup(ctx, id) })
}

func (c calls) DestroyAddon(ctx context.Context, app, id string) (ops.Addon, error) {
	return call(c, ctx, ops.ActDestroy, id, func() (ops.Addon, error) { return c.Heroku.DestroyAddon(ctx, app, id) })
}

// flaky is the rows as the procedure has them: sometimes they are away.
type flaky struct {
	upgrade.Rows
	w *world
}

var errAway = errors.New("the rows cannot be reached")

func (f flaky) down() error {
	if f.w.away() {
		return errAway
	}
	return nil
}

func (f flaky) Run(ctx context.Context, id string) (ops.Run, error) {
	if err := f.down(); err != nil {
		return ops.Run{}, err
	}
	return f.Rows.Run(ctx, id)
}

// lost is the answer to the last write before the rows went away: it was
// committed, and nobody was told.
func (f flaky) lost(err error) error {
	if err == nil && f.w.loses {
		f.w.loses = false
		return errAway
	}
	return err
}

func (f flaky) Save(ctx context.Context, r ops.Run, e []ops.Event) (ops.Run, error) {
	if err := f.down(); err != nil {
		return r, err
	}
	saved, err := f.Rows.Save(ctx, r, e)
	return saved, f.lost(err)
}

func (f flaky) BeginAct(ctx context.Context, r ops.Run, e []ops.Event, a ops.Act) (ops.Run, ops.Act, error) {
	if err := f.down(); err != nil {
		return r, a, err
	}
	run, begun, err := f.Rows.BeginAct(ctx, r, e, a)
	return run, begun, f.lost(err)
}

func (f flaky) EndAct(ctx context.Context, a ops.Act) error {
	if err := f.down(); err != nil {
		return err
	}
	return f.lost(f.Rows.EndAct(ctx, a))
}

func (f flaky) Decide(ctx context.Context, d ops.Decision, e ops.Event) (ops.Decision, error) {
	if err := f.down(); err != nil {
		return d, err
	}
	return f.Rows.Decide(ctx, d, e)
}

func (f flaky) AddSample(ctx context.Context, s ops.Sample) error {
	if err := f.down(); err != nil {
		return err
	}
	return f.Rows.AddSample(ctx, s)
}
