package bot

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/pgupgrade/pgupgrade/ops"
)

// DefaultRemind is weekdays at ten.
const DefaultRemind = "0 10 * * 1-5"

// ParseSchedule reads PGUPGRADE_REMIND: five fields, six with seconds, or a word
// such as "@daily" or "@every 8h". "" is the default.
func ParseSchedule(expression string, zone *time.Location) (cron.Schedule, error) {
	if expression == "" {
		expression = DefaultRemind
	}
	p := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	s, err := p.Parse("CRON_TZ=" + zone.String() + " " + expression)
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression such as %q: %w", expression, DefaultRemind, err)
	}
	return s, nil
}

// How long an unanswered question, and a call for help, wait to be repeated.
const (
	firstRepeat = 4 * time.Hour
	nextRepeat  = 24 * time.Hour
	helpFenced  = 10 * time.Minute // while users are locked out
)

// reminderDue says whether a reminder about the run is due now, for which moment,
// and about what. last is the latest firing of the run; zero when there was none.
// A moment that was missed is due once, however many were missed.
func reminderDue(run ops.Run, schedule cron.Schedule, last, now time.Time) (firing time.Time, e ops.Event, due bool) {
	e = ops.Event{Run: run.ID, At: now, Kind: ops.EventReminder, Step: run.Step, Actor: ops.BotActor()}
	switch {
	case !run.Active():
		return firing, e, false
	case run.Help != "":
		every, first := nextRepeat, firstRepeat
		if fenced(run) {
			every, first = helpFenced, helpFenced
		}
		e.Gate, e.Text = ops.OrderRetry, remindHelp(run, now)
		firing = repeats(run.HelpSince, first, every, now)
	case run.Step == ops.StepGateDestroy:
		since := run.StepSince
		if run.Soak.Snoozed.After(since) {
			since = run.Soak.Snoozed
		}
		if now.Before(since) {
			return firing, e, false
		}
		e.Gate, e.Text = ops.GateDestroy, remindDestroy(run, now)
		firing = latest(schedule, laterOf(since, last), now)
	case run.Asked != nil && run.Asked.Blocked == "":
		e.Gate, e.Text = run.Asked.Gate, remindAsked(run, now)
		firing = repeats(run.Asked.At, firstRepeat, nextRepeat, now)
	}
	return firing, e, !firing.IsZero() && firing.After(last)
}

// repeats is the latest moment not after now of since+first, since+first+every, ...
func repeats(since time.Time, first, every time.Duration, now time.Time) time.Time {
	begin := since.Add(first)
	if since.IsZero() || now.Before(begin) {
		return time.Time{}
	}
	return begin.Add(now.Sub(begin).Truncate(every))
}

// latest is the last moment of the schedule after since that is not after now.
func latest(schedule cron.Schedule, since, now time.Time) time.Time {
	var at time.Time
	// A schedule of every few seconds, after a week of being down, need not be
	// walked from its beginning.
	if long := now.Add(-8 * 24 * time.Hour); since.Before(long) {
		since = long
	}
	for n := schedule.Next(since); !n.IsZero() && !n.After(now); n = schedule.Next(n) {
		at = n
	}
	return at
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// remindLoop fires reminders until ctx ends: on the schedule, and every half
// minute for what repeats by the clock of its own question.
func (b *Bot) remindLoop(ctx context.Context) {
	c := cron.New(cron.WithLocation(b.c.Timezone), cron.WithLogger(cronLog{b.c.Log}),
		cron.WithChain(cron.Recover(cronLog{b.c.Log}), cron.SkipIfStillRunning(cronLog{b.c.Log})))
	remind := cron.FuncJob(func() { b.remind(ctx) })
	c.Schedule(b.schedule, remind)
	c.Schedule(cron.Every(30*time.Second), remind)
	b.remind(ctx) // what was missed while nobody ran
	c.Schedule(cron.Every(time.Minute), cron.FuncJob(func() { b.tellDeadlines(ctx) }))
	c.Start()
	<-ctx.Done()
	<-c.Stop().Done()
}

// remind fires what is due, each firing once among all processes.
func (b *Bot) remind(ctx context.Context) {
	b.reminding.Lock()
	defer b.reminding.Unlock()
	runs, err := b.c.Rows.Runs(ctx, ops.RunFilter{ActiveOnly: true})
	if err != nil {
		if ctx.Err() == nil {
			b.c.Log.WarnContext(ctx, "the active runs cannot be read; reminders wait", "err", err)
		}
		return
	}
	for _, run := range runs {
		if err := b.remindRun(ctx, run); err != nil && ctx.Err() == nil {
			b.c.Log.WarnContext(ctx, "a reminder could not be made; trying again", "run", run.ID, "err", err)
		}
	}
}

func (b *Bot) remindRun(ctx context.Context, run ops.Run) error {
	last, _, err := b.c.Rows.LastFiring(ctx, run.ID)
	if err != nil {
		return err
	}
	firing, e, due := reminderDue(run, b.schedule, last, b.c.Now())
	if !due {
		return nil
	}
	mine, err := b.c.Rows.Fire(ctx, run.ID, firing)
	if err != nil || !mine {
		return err
	}
	return b.c.Rows.Audit(ctx, e)
}

// cronLog writes cron's own messages where ours go.
type cronLog struct{ log *slog.Logger }

func (l cronLog) Info(msg string, kv ...any) { l.log.Debug("cron: "+msg, kv...) }
func (l cronLog) Error(err error, msg string, kv ...any) {
	l.log.Error("cron: "+msg, append(kv, "err", err)...)
}
