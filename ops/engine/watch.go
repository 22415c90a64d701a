package engine

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/jackc/pgx/v5"
)

// beatAndWatch says that this executor lives, and takes over the runs of peers
// that have been silent. DBOS leaves this to a service of its maker; a peer
// that is only slow may go on for a moment, which the compare-and-set on each
// run's epoch makes harmless.
func (d *Durable) beatAndWatch(ctx context.Context) {
	for beats := 0; ; beats++ {
		// DBOS begins to listen for wakes some time after its launch, and one that
		// is sent in between is heard only when it looks by itself; nor did whoever
		// died between writing a decision and ringing ring.
		if 0 < beats && beats <= 3 {
			if err := d.wakeAll(); err != nil && ctx.Err() == nil {
				d.Log.WarnContext(ctx, "could not wake the runs after the start; they go on at their times", "err", redact(err))
			}
		}
		if d.held.Load() {
			if err := d.beat(ctx); err != nil && ctx.Err() == nil {
				d.Log.WarnContext(ctx, "heartbeat failed", "err", redact(err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(d.Beat):
		}
	}
}

// alive writes that this executor lives.
func (d *Durable) alive(ctx context.Context) error {
	_, err := d.pool.Exec(ctx, "INSERT INTO "+schema+".executors (id, beat) VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET beat = excluded.beat", d.Executor)
	return err
}

// beat says that this executor lives, and takes over what belongs to one that
// has been silent, or that was never heard of.
func (d *Durable) beat(ctx context.Context) error {
	if err := d.alive(ctx); err != nil {
		return err
	}
	pending, err := dbos.ListWorkflows(d.dbos, dbos.WithFilterStatus(dbos.WorkflowStatusPending), dbos.WithFilterLoadInput(false))
	if err != nil || len(pending) == 0 {
		return err
	}
	// Read after the list: who began a program before it has said that it lives.
	living, err := d.living(ctx)
	if err != nil {
		return err
	}
	for _, w := range pending {
		if living[w.ExecutorID] {
			continue
		}
		if _, err := dbos.ResumeWorkflow[string](d.dbos, w.ID); err != nil {
			return err
		}
		d.Log.InfoContext(ctx, "took over a run", "run", strings.Split(w.ID, "/")[0], "from", w.ExecutorID)
	}
	return nil
}

// living returns the executors that have been heard of lately, this one among them.
func (d *Durable) living(ctx context.Context) (map[string]bool, error) {
	rows, err := d.pool.Query(ctx, "SELECT id FROM "+schema+".executors WHERE beat >= clock_timestamp() - make_interval(secs => $1)", d.Silent.Seconds())
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

// wakeAll wakes the runs that this executor carries.
func (d *Durable) wakeAll() error {
	mine, err := dbos.ListWorkflows(d.dbos, dbos.WithFilterStatus(dbos.WorkflowStatusPending), dbos.WithFilterExecutorIDs(d.Executor), dbos.WithFilterLoadInput(false))
	if err != nil {
		return err
	}
	for _, w := range mine {
		if err := dbos.Send(d.dbos, w.ID, "wake", wakeTopic); err != nil {
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
