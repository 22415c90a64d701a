package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// Rows is what the procedure needs of the store.
type Rows interface {
	Run(ctx context.Context, id string) (ops.Run, error)
	// Save and BeginAct compare-and-set on the run's epoch (ops.ErrStale) and
	// write everything in one transaction.
	Save(ctx context.Context, r ops.Run, events []ops.Event) (ops.Run, error)
	BeginAct(ctx context.Context, r ops.Run, events []ops.Event, a ops.Act) (ops.Run, ops.Act, error)
	EndAct(ctx context.Context, a ops.Act) error
	Acts(ctx context.Context, run string) ([]ops.Act, error)
	Decide(ctx context.Context, d ops.Decision, e ops.Event) (ops.Decision, error)
	Decisions(ctx context.Context, run string) ([]ops.Decision, error)
	AddSample(ctx context.Context, s ops.Sample) error
	// SaveReading fails with ops.ErrStale once somebody else saved the run.
	SaveReading(ctx context.Context, r ops.Run, name string, reading any) error
	Reading(ctx context.Context, run, name string, into any) (bool, error)
	Settings(ctx context.Context, app string) (map[string]string, error)
	// LastBeat is when something was last seen alive.
	LastBeat(ctx context.Context, name string) (time.Time, bool, error)
}

// SlackDelivered is the name of the beat that the Slack side gives whenever
// Slack took a post.
const SlackDelivered = "slack.delivered"

// Health asks an app's health address.
type Health interface {
	Ask(ctx context.Context, url string) ops.Health
}

// Runner carries out the procedure: look, choose, act. It is safe for
// concurrent use for different runs; for one run the store's compare-and-set
// lets only one of two ticks go on.
type Runner struct {
	Rows   Rows
	Heroku Heroku
	Health Health
	SQL    SQL // nil: no database is reached by SQL
	Now    func() time.Time
	Log    *slog.Logger

	Versions      []int          // majors offered
	Soak          time.Duration  // how long both databases are watched
	DowntimeLimit time.Duration  // 0: twice the forecast, at least 30 min
	Zone          *time.Location // of windows and freezes; nil: UTC
	OwnDatabase   ops.Endpoint   // where the bot's own rows are; zero for a file
	Deadlines     []check.Deadline

	// Memory is what earlier runs and trials left; nil when there is none.
	Memory Memory

	// Sleep waits inside a tick during the cutover, where waits are too short
	// for the carrier. Nil leaves every wait to the carrier.
	Sleep func(ctx context.Context, d time.Duration)

	// choose replaces Next in tests that break a rule to see that it is noticed.
	choose func(ops.Run, World, time.Time) (ops.Run, Move)
}

// ActLimit ends a call that changes something.
const ActLimit = 15 * time.Second

// turnFor is how long one tick may keep polling during the cutover before it
// hands back to the carrier.
const turnFor = 5 * time.Second

// ctxKey carries the step of the run for observers of calls.
type ctxKey struct{}

// StepOf returns the step for which a call is made, "" outside a tick.
func StepOf(ctx context.Context) ops.Step {
	s, _ := ctx.Value(ctxKey{}).(ops.Step)
	return s
}

// Tick looks, chooses, acts and saves, until there is something to wait for. It
// returns whether the run has ended and when to look again. It is safe to
// repeat at any point where it was interrupted.
func (r *Runner) Tick(ctx context.Context, id string) (done bool, in time.Duration, err error) {
	begun := r.Now()
	for {
		done, in, err = r.turn(ctx, id)
		if errors.Is(err, ops.ErrStale) {
			return false, time.Second, nil // somebody else moved it on; look again
		}
		if err != nil || done {
			return done, in, err
		}
		if in > 0 && (r.Sleep == nil || in > turnFor || r.Now().Add(in).Sub(begun) > turnFor) {
			return false, in, nil
		}
		if ctx.Err() != nil {
			return false, 0, nil
		}
		if in > 0 {
			r.Sleep(ctx, in)
		}
	}
}

func (r *Runner) turn(ctx context.Context, id string) (done bool, in time.Duration, err error) {
	run, err := r.Rows.Run(ctx, id)
	if err != nil {
		return false, 0, fmt.Errorf("load run %s: %w", id, err)
	}
	if !run.Active() {
		return true, 0, nil
	}
	var w World
	if w.Acts, err = r.Rows.Acts(ctx, id); err != nil {
		return false, 0, fmt.Errorf("load acts of run %s: %w", id, err)
	}
	if w.Decisions, err = r.Rows.Decisions(ctx, id); err != nil {
		return false, 0, fmt.Errorf("load decisions of run %s: %w", id, err)
	}
	if w.SlackAt, _, err = r.Rows.LastBeat(ctx, SlackDelivered); err != nil {
		return false, 0, fmt.Errorf("load Slack's last beat for run %s: %w", id, err)
	}
	ctx = context.WithValue(ctx, ctxKey{}, run.Step)
	looked, cancel := context.WithTimeout(ctx, 20*time.Second)
	w = r.look(looked, run, w, needOf(run, w.Decisions, r.Now()))
	cancel()
	if ctx.Err() != nil {
		return false, 0, nil // shutting down: what was read may be half a look
	}
	choose := Next
	if r.choose != nil {
		choose = r.choose
	}
	next, move := choose(clone(run), w, r.Now())
	return r.carryOut(ctx, run, next, move)
}

// carryOut writes what was chosen, then does it.
func (r *Runner) carryOut(ctx context.Context, was, run ops.Run, m Move) (done bool, in time.Duration, err error) {
	// Rows are written even when the process is asked to stop.
	ctx = context.WithoutCancel(ctx)
	for _, a := range m.Resolved {
		if err := r.Rows.EndAct(ctx, a); err != nil {
			return false, 0, fmt.Errorf("resolve act %s of run %s: %w", a.Kind, run.ID, err)
		}
	}
	for _, d := range m.Decisions {
		e := ops.Event{Run: run.ID, At: d.At, Kind: ops.EventAudit, Gate: d.Gate, Actor: d.Actor, Text: "decision recorded by " + d.How}
		if _, err := r.Rows.Decide(ctx, d, e); err != nil {
			return false, 0, fmt.Errorf("keep decision of run %s: %w", run.ID, err)
		}
	}
	for _, x := range m.Readings {
		if err := r.Rows.SaveReading(ctx, run, x.Name, x.Reading); err != nil {
			return false, 0, fmt.Errorf("keep reading %s of run %s: %w", x.Name, run.ID, err)
		}
	}
	for _, s := range m.Samples {
		if err := r.Rows.AddSample(ctx, s); err != nil {
			return false, 0, fmt.Errorf("keep sample of run %s: %w", run.ID, err)
		}
	}
	run.UpdatedAt = r.Now()
	if m.Kind == Act {
		return false, 0, r.act(ctx, run, m)
	}
	if len(m.Events) > 0 || !same(was, run) {
		if _, err := r.Rows.Save(ctx, run, m.Events); err != nil {
			return false, 0, fmt.Errorf("save run %s: %w", run.ID, err)
		}
	}
	if was.Step != run.Step {
		r.Log.InfoContext(ctx, "step", "run", run.ID, "from", was.Step, "to", run.Step)
	}
	return m.Kind == End, m.In, nil
}

// act commits the intent, calls, and commits the outcome.
func (r *Runner) act(ctx context.Context, run ops.Run, m Move) error {
	a := m.Act
	a.StartedAt = r.Now()
	a.Deadline = a.StartedAt.Add(ActLimit)
	ends := time.Now().Add(ActLimit) // that deadline, on the clock by which requests end
	run, a, err := r.Rows.BeginAct(ctx, run, m.Events, a)
	if err != nil {
		return fmt.Errorf("write intent %s of run %s: %w", a.Kind, run.ID, err)
	}
	call, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	detail, err := r.do(call, run, a)
	a.EndedAt = r.Now()
	a.Outcome, a.Detail = ops.OutcomeDone, detail
	if err != nil {
		a.Detail = err.Error()
		switch {
		case errors.Is(err, ops.ErrBusy), ops.KeyRefused(err): // nothing happened, and another key may be taken
			a.Outcome = ops.OutcomeBusy
		case errors.Is(err, ops.ErrRefused), errors.Is(err, ops.ErrNotFound):
			a.Outcome = ops.OutcomeRefused
		default:
			a.Outcome = ops.OutcomeUnknown
		}
		if c, ok := errors.AsType[*ops.CallError](err); ok {
			a.RequestID = c.RequestID
		}
	}
	r.Log.InfoContext(ctx, "act", "run", run.ID, "step", a.Step, "kind", a.Kind, "target", a.Target, "outcome", a.Outcome, "detail", a.Detail)
	if err := r.Rows.EndAct(ctx, a); err != nil {
		return fmt.Errorf("write outcome of %s of run %s: %w", a.Kind, run.ID, err)
	}
	return nil
}

// do makes the one call that an act means.
func (r *Runner) do(ctx context.Context, run ops.Run, a ops.Act) (detail string, err error) {
	switch a.Kind {
	case ops.ActBackup:
		t, err := r.Heroku.CaptureBackup(ctx, a.Target)
		return t.ID, err
	case ops.ActCreate:
		x, err := r.Heroku.CreateFollower(ctx, ops.FollowerSpec{App: a.App, Plan: a.Args["plan"], Name: a.Target, Attachment: a.Args["name"], LeaderName: a.Args["leader"]})
		return x.ID, err
	case ops.ActAttach, ops.ActPromote:
		x, err := r.Heroku.Attach(ctx, ops.AttachSpec{App: a.App, AddonID: a.Args["addon"], Name: a.Args["name"], Namespace: a.Args["namespace"]})
		return x.ID, err
	case ops.ActMaintenance:
		return "", r.Heroku.SetMaintenance(ctx, a.App, a.Args["on"] == "true")
	case ops.ActScale:
		var to []ops.Process
		if err := json.Unmarshal([]byte(a.Args["formation"]), &to); err != nil {
			return "", fmt.Errorf("%w: read formation: %w", ops.ErrRefused, err)
		}
		return "", r.Heroku.Scale(ctx, a.App, to)
	case ops.ActStopDyno:
		return "", r.Heroku.StopDyno(ctx, a.App, a.Args["dyno"])
	case ops.ActUpgrade:
		return r.Heroku.RunUpgrade(ctx, a.Target, a.Args["version"])
	case ops.ActSchedule:
		hour, err := strconv.Atoi(a.Args["hour"])
		if err != nil {
			return "", fmt.Errorf("%w: read hour: %w", ops.ErrRefused, err)
		}
		x, err := r.Heroku.CreateSchedule(ctx, a.Args["addon"], ops.BackupSchedule{Name: a.Args["name"], Hour: hour, Timezone: a.Args["timezone"]})
		return x.ID, err
	case ops.ActDestroy:
		x, err := r.Heroku.DestroyAddon(ctx, a.App, a.Target)
		return x.State, err
	case ops.ActFlag:
		return "", r.Heroku.SetConfigVar(ctx, a.App, a.Args["name"], a.Args["value"])
	case ops.ActReset:
		return "", r.Heroku.ResetConnections(ctx, a.Target)
	case ops.ActFenceDB, ops.ActClearDB, ops.ActEndSessions, ops.ActProve, ops.ActAnalyze:
		return r.doInside(ctx, run, a)
	}
	return "", fmt.Errorf("%w: this version does not know the act %q", ops.ErrRefused, a.Kind)
}

// clone keeps Next from sharing memory with the run that was loaded.
func clone(run ops.Run) ops.Run {
	if run.Plan != nil {
		p := *run.Plan
		run.Plan = &p
	}
	if run.Asked != nil {
		a := *run.Asked
		run.Asked = &a
	}
	if run.Rollback != nil {
		b := *run.Rollback
		run.Rollback = &b
	}
	run.Steps = append([]ops.StepRecord(nil), run.Steps...)
	return run
}

// same reports whether there is nothing worth saving between two states: a due
// time that moved by a few seconds is not.
func same(a, b ops.Run) bool {
	if d := b.Due.Sub(a.Due); d > 20*time.Second || d < 0 {
		return false
	}
	a.UpdatedAt, b.UpdatedAt, a.Due, b.Due = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}
