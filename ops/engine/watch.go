package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/jackc/pgx/v5"
)

// watch says that this executor lives, begins anew when peers may have taken
// over its runs, and takes over the runs of peers that have been silent. DBOS
// leaves the last to a service of its maker.
func (d *Durable) watch(ctx context.Context) {
	heard := d.session != nil // without a break
	since := time.Now()
	missing := map[string]time.Time{}
	for beats := 0; ; beats++ {
		why := ""
		select {
		case <-ctx.Done():
			return
		case why = <-d.again:
		case <-time.After(d.Beat):
		}
		if w := d.beat(ctx); w != "" {
			why = w
		}
		if why != "" {
			d.beginAnew(ctx, why)
			beats, since, missing = 0, time.Now(), map[string]time.Time{}
			continue
		}
		// DBOS begins to listen for wakes some time after its launch, and one that
		// is sent in between is heard only when it looks by itself; nor did whoever
		// died between writing a decision and ringing ring.
		if beats <= 3 {
			d.complain(ctx, "could not wake the runs after the start; they go on at their times", d.wakeAll(ctx))
		}
		d.complain(ctx, "could not look for runs that nobody carries", d.findLost(ctx, missing))
		// After a time without its database everybody looks dead to whoever comes
		// back first, so only one who was there all the while judges.
		if heard && time.Since(since) >= d.Silent {
			d.complain(ctx, "could not look for peers that died", d.takeOver(ctx))
		}
	}
}

func (d *Durable) complain(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		d.Log.WarnContext(ctx, what, "err", redact(err))
	}
}

// beat says that this executor lives. It returns why everything must begin anew:
// it was silent for so long that a peer may have taken over, or its name was free
// for a moment.
func (d *Durable) beat(ctx context.Context) (why string) {
	if d.session == nil {
		return ""
	}
	if silence := d.silence(); silence >= d.Silent {
		return fmt.Sprintf("it was not heard of for %s", silence.Round(time.Second))
	}
	if err := d.speak(ctx, d.Silent); err != nil && ctx.Err() == nil {
		return err.Error()
	}
	return ""
}

// beginAnew ends everything that this executor carries and launches again.
func (d *Durable) beginAnew(ctx context.Context, why string) {
	d.held.Store(false)
	d.Log.ErrorContext(ctx, "takes no turns until it has begun anew", "executor", d.Executor, "why", why)
	ended := make(chan error, 1)
	old := d.now()
	go func() { ended <- old.end(d.Drain) }()
	select {
	case err := <-ended:
		d.complain(ctx, "what was under way goes on without being recorded", err)
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil {
		err := d.regain(ctx)
		var l *life
		if err == nil {
			l, err = d.launch(ctx)
		}
		if err == nil {
			if d.session != nil { // it took a while; if this fails, the next beat sees it
				d.complain(ctx, "heartbeat failed", d.speak(ctx, d.Silent))
			}
			d.mu.Lock()
			d.life = l
			d.mu.Unlock()
			select {
			case <-d.again: // it was about the life that has ended
			default:
			}
			d.held.Store(true)
			d.Log.InfoContext(ctx, "has begun anew", "executor", d.Executor)
			return
		}
		d.complain(ctx, "could not begin anew; trying again", err)
		select {
		case <-ctx.Done():
		case <-time.After(min(d.Beat, time.Second)):
		}
	}
}

// regain makes sure that this executor holds its name, and says that it lives.
func (d *Durable) regain(ctx context.Context) error {
	if d.DatabaseURL == "" {
		return nil // the file stays locked
	}
	if d.session != nil {
		if d.speak(ctx, d.Silent) == nil {
			return nil
		}
		_ = d.session.close() // it is broken already
		d.session = nil
	}
	s, err := d.takeName(ctx)
	if err != nil {
		return err
	}
	if s == nil {
		return errors.New("another session still holds this executor's name")
	}
	d.session = s
	return d.speak(ctx, d.Silent)
}

// pending lists the durable programs that run somewhere.
func (l *life) pending(ctx context.Context, more ...dbos.ListWorkflowsOption) ([]dbos.WorkflowStatus, error) {
	return l.list(ctx, append(more, dbos.WithFilterStatus(dbos.WorkflowStatusPending))...)
}

func (l *life) list(ctx context.Context, filters ...dbos.ListWorkflowsOption) ([]dbos.WorkflowStatus, error) {
	return ask(ctx, l, func(x dbos.Context) ([]dbos.WorkflowStatus, error) {
		return dbos.ListWorkflows(x, append(filters, dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))...)
	})
}

func (l *life) wake(ctx context.Context, program string) error {
	_, err := ask(ctx, l, func(x dbos.Context) (struct{}, error) {
		return struct{}{}, dbos.Send(x, program, "wake", wakeTopic)
	})
	return err
}

// takeOver takes what belongs to an executor that has been silent, or that was
// never heard of. One process looks at a time: DBOS would take a run from the
// first that took it over.
func (d *Durable) takeOver(ctx context.Context) error {
	l := d.now()
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	t, err := l.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer t.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it held a lock alone
	var ok bool
	if err := t.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", gate).Scan(&ok); err != nil || !ok {
		return err
	}
	pending, err := l.pending(ctx)
	if err != nil || len(pending) == 0 {
		return err
	}
	// Read after the list: who began a program before it has said that it lives.
	living, err := d.living(ctx, t)
	if err != nil {
		return err
	}
	for _, w := range pending {
		if living[w.ExecutorID] {
			continue
		}
		_, err := ask(ctx, l, func(x dbos.Context) (dbos.WorkflowHandle[string], error) { return dbos.ResumeWorkflow[string](x, w.ID) })
		if err != nil {
			return err
		}
		d.Log.InfoContext(ctx, "took over a run", "run", strings.Split(w.ID, "/")[0], "from", w.ExecutorID)
	}
	return nil
}

// living returns the executors that have been heard of lately, this one among them.
func (d *Durable) living(ctx context.Context, t pgx.Tx) (map[string]bool, error) {
	rows, err := t.Query(ctx, "SELECT id FROM "+schema+".executors WHERE beat >= clock_timestamp() - make_interval(secs => $1)", d.Silent.Seconds())
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	living := map[string]bool{d.Executor: true}
	for _, id := range ids {
		living[id] = true
	}
	return living, nil
}

// findLost begins anew when a program that is this executor's by the rows has not
// run here for a while: whatever made DBOS drop it, nobody else would ever pick it
// up. For a moment that is so at each program's beginning and end.
func (d *Durable) findLost(ctx context.Context, missing map[string]time.Time) error {
	l := d.now()
	mine, err := l.pending(ctx, dbos.WithFilterExecutorIDs(d.Executor))
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, w := range mine {
		if l.has(w.ID) {
			continue
		}
		seen[w.ID] = true
		first, known := missing[w.ID]
		if !known {
			missing[w.ID] = time.Now()
		} else if time.Since(first) >= d.Silent {
			d.beginAgain("nothing here carries " + w.ID + ", which is this executor's by the rows")
		}
	}
	for id := range missing {
		if !seen[id] {
			delete(missing, id)
		}
	}
	return nil
}

// wakeAll wakes the runs that this executor carries.
func (d *Durable) wakeAll(ctx context.Context) error {
	l := d.now()
	mine, err := l.pending(ctx, dbos.WithFilterExecutorIDs(d.Executor))
	if err != nil {
		return err
	}
	for _, w := range mine {
		if err := l.wake(ctx, w.ID); err != nil {
			return err
		}
	}
	return nil
}

// quiet drops the warning that DBOS logs for every Recv that times out, which
// here is how time passes.
type quiet struct{ slog.Handler }

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level <= slog.LevelInfo || r.Level == slog.LevelWarn && strings.Contains(strings.ToLower(r.Message), "timeout") {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }
