package upgrade

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// doInside makes the one call that an act inside a database means. Each can be
// made again without harm.
func (r *Runner) doInside(ctx context.Context, run ops.Run, a ops.Act) (string, error) {
	d, err := r.open(ctx, placeOf(run, a.Target))
	if err != nil {
		return "", err
	}
	before, fence := run.SQL.Before, run.SQL.Fence
	if a.Target == run.Follower.ID && run.SQL.NewBefore != nil {
		before, fence = run.SQL.NewBefore, run.SQL.NewFence
	}
	switch a.Kind {
	case ops.ActFenceDB, ops.ActClearDB:
		if before == nil {
			return "", fmt.Errorf("%w: what was set before the fence is not recorded", ops.ErrRefused)
		}
		change := d.Fence
		if a.Kind == ops.ActClearDB {
			change = d.Clear
		}
		_, err := change(ctx, *before)
		if errors.Is(err, ops.ErrStale) {
			return "", fmt.Errorf("%w: somebody else set its read-only default meanwhile", ops.ErrRefused)
		}
		return "", err
	case ops.ActEndSessions:
		if fence == nil {
			return "", fmt.Errorf("%w: the fence is not up", ops.ErrRefused)
		}
		e, err := d.EndSessions(ctx, *fence)
		if len(e.Left) > 0 {
			return fmt.Sprintf("%d ended; %s %s", e.Ended, ops.SessionWords(e.Left), leftWord), err
		}
		return fmt.Sprintf("%d ended", e.Ended), err
	case ops.ActProve:
		return trial(ctx, d, a.Args["version"])
	case ops.ActAnalyze:
		return r.analyze(ctx, run, d)
	}
	return "", fmt.Errorf("%w: this version does not know the act %q", ops.ErrRefused, a.Kind)
}

// trial writes to the new database and says what is wrong with it as a refusal.
func trial(ctx context.Context, d Database, version string) (string, error) {
	major, err := strconv.Atoi(version)
	if err != nil {
		return "", fmt.Errorf("%w: read version: %w", ops.ErrRefused, err)
	}
	w, err := d.Writable(ctx)
	switch {
	case err != nil:
		return "", err
	case w.OK(major):
		return "wrote and rolled back on " + w.Server.Version, nil
	case w.Server.Major != major:
		return "", fmt.Errorf("%w: it runs %s", ops.ErrRefused, w.Server.Version)
	case w.Why != "":
		return "", fmt.Errorf("%w: %s", ops.ErrRefused, w.Why)
	}
	return "", fmt.Errorf("%w: it does not take writes", ops.ErrRefused)
}

// analyzePiece is how long one act makes statistics.
const analyzePiece = 10 * time.Second

// analyze makes statistics on the new database, first for the tables that were
// busiest on the old one.
func (r *Runner) analyze(ctx context.Context, run ops.Run, d Database) (string, error) {
	var first []string
	if old, err := r.open(ctx, oldPlace(run)); err == nil {
		if first, err = old.Busiest(ctx, 50); err != nil {
			r.Log.WarnContext(ctx, "the busiest tables are not known; the largest come first", "run", run.ID, "err", err)
		}
	}
	a, err := d.Analyze(ctx, first, analyzePiece, func(int, int, string) {})
	if err != nil {
		return "", err
	}
	all := len(a.Done) + len(a.Left) + len(a.Failed)
	if len(a.Left) == 0 && len(a.Failed) == 0 {
		return allWord + "tables have statistics", nil
	}
	if len(a.Left) == 0 {
		return fmt.Sprintf("%sbut %d tables have statistics", allWord, len(a.Failed)), nil
	}
	return fmt.Sprintf("%d tables wait for statistics (%d made in the last %s)", len(a.Left), all-len(a.Left), ops.FormatDuration(a.Elapsed)), nil
}

var errNoSQL = errors.New(noSQL)
