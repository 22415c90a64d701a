package upgrade

import (
	"context"
	"errors"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Database is what the procedure asks of, and does to, one database by SQL. Reads
// take nothing stronger than a plain SELECT does; no error holds a secret.
type Database interface {
	Server(ctx context.Context) (ops.Server, error)
	Position(ctx context.Context) (ops.Position, error)
	Activity(ctx context.Context) (ops.Activity, error)
	Reading(ctx context.Context) (ops.Reading, error)
	Fenced(ctx context.Context) (ops.DBFence, error)
	Objects(ctx context.Context) (map[string]int64, error)
	SequencesBehind(ctx context.Context) ([]ops.SequenceBehind, error)
	Busiest(ctx context.Context, most int) ([]string, error)
	// Inside looks at what the checks want to know; with late only at what may
	// change within a minute.
	Inside(ctx context.Context, late bool) (ops.Inside, error)
	// Holding looks on a follower for what holds its replay back.
	Holding(ctx context.Context) (ops.Inside, error)

	// Fence and Clear do nothing, with ops.ErrStale, when somebody else changed
	// the setting meanwhile. All acts are safe to make twice.
	Fence(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error)
	Clear(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error)
	EndSessions(ctx context.Context, fence ops.DBFence) (ops.Ended, error)
	Writable(ctx context.Context) (ops.Writable, error)
	Analyze(ctx context.Context, first []string, within time.Duration, progress func(done, all int, table string)) (ops.Analyzed, error)
}

// SQL reaches databases through the config vars that the platform gives.
type SQL interface {
	// Open returns the database behind a config var. It need not have connected.
	Open(ctx context.Context, at ops.Place) (Database, error)
	// Compare compares rows of two databases that are both fenced.
	Compare(ctx context.Context, first, second ops.Place, limits ops.CompareLimits) ([]ops.RowsCompared, error)
}

// noSQL is what is said of a database when the program has no way in.
const noSQL = "cannot reach the database by SQL"

// Kept are the readings of a run that were kept as rows.
type Kept struct {
	Sample ops.Fact[ops.Activity]
	Still  ops.Fact[ops.Activity]
	Base   ops.Fact[ops.Reading]
	Use    ops.Fact[ops.Activity]
}

// keep asks for a reading to be kept under a name, replacing the one of that name.
func (t *turn) keepReading(name string, reading any) {
	t.move.Readings = append(t.move.Readings, Named{Name: name, Reading: reading})
}

// Named is a reading to keep.
type Named struct {
	Name    string
	Reading any // an ops.Activity or ops.Reading
}

// oldPlace is where the old database's URL is read: under the name that is never
// moved, once it has it.
func oldPlace(run ops.Run) ops.Place {
	if run.Follower.ID == "" || run.Step == ops.StepFollowerCreate {
		return run.Plan.Reach
	}
	return ops.Place{AddonID: run.Database.ID, App: run.Plan.BillingApp.Name, Var: run.Plan.OldAlias + "_URL"}
}

func newPlace(run ops.Run) ops.Place {
	return ops.Place{AddonID: run.Follower.ID, App: run.Plan.BillingApp.Name, Var: run.Plan.NewAlias + "_URL"}
}

// placeOf is the place of one of the run's two databases.
func placeOf(run ops.Run, addonID string) ops.Place {
	if addonID == run.Follower.ID {
		return newPlace(run)
	}
	return oldPlace(run)
}

// open reaches one of the run's databases.
func (r *Runner) open(ctx context.Context, at ops.Place) (Database, error) {
	if r.SQL == nil {
		return nil, errNoSQL
	}
	return r.SQL.Open(ctx, at)
}

// readInside reads what is asked for of one database by SQL.
func (l *looker) readInside(n need, at ops.Place, into *SQLFacts) {
	if n == 0 {
		return
	}
	l.async(func() {
		d, err := l.open(l.ctx, at)
		if err != nil {
			why := err.Error()
			l.set(func() {
				*into = SQLFacts{ops.Unknown[ops.Server](why), ops.Unknown[ops.DBFence](why), ops.Unknown[ops.Position](why), ops.Unknown[ops.Activity](why), ops.Unknown[ops.Reading](why)}
			})
			return
		}
		if n&insideServer != 0 {
			read(l, func(v ops.Fact[ops.Server]) { into.Server = v }, d.Server)
		}
		if n&insideFence != 0 {
			read(l, func(v ops.Fact[ops.DBFence]) { into.Fence = v }, d.Fenced)
		}
		if n&insidePosition != 0 {
			read(l, func(v ops.Fact[ops.Position]) { into.Position = v }, d.Position)
		}
		if n&insideActivity != 0 {
			read(l, func(v ops.Fact[ops.Activity]) { into.Activity = v }, d.Activity)
		}
		if n&insideReading != 0 {
			read(l, func(v ops.Fact[ops.Reading]) { into.Reading = v }, d.Reading)
		}
	})
}

// What can be read of a database by SQL.
const (
	insideServer need = 1 << iota
	insideFence
	insidePosition
	insideActivity
	insideReading
)

// insideNeeds is what a step reads of the old and the new database by SQL, and
// which kept readings it compares with.
func insideNeeds(run ops.Run) (old, new, retired need, kept []string) {
	in := run.SQL
	if run.Plan == nil || run.Help != "" {
		return
	}
	if run.Step == ops.StepGateCutover {
		return insideServer, 0, 0, nil
	}
	if run.Step == ops.StepSoak || run.Step == ops.StepGateDestroy {
		if run.Plan.SQL {
			retired, kept = insideActivity, []string{ops.ReadingUse}
		}
		return
	}
	if !in.On {
		return
	}
	switch run.Step {
	case ops.StepFence:
		old = insideFence
		if in.Fence != nil {
			old |= insideActivity
			kept = []string{ops.ReadingSample}
		}
	case ops.StepCatchUpExact:
		old, new, kept = insideFence|insideActivity|insidePosition, insidePosition, []string{ops.ReadingStill}
	case ops.StepUpgrade:
		old, kept = insideFence|insideActivity, []string{ops.ReadingStill}
	case ops.StepVerifyNew:
		old, new, kept = insideFence|insideActivity, insideFence|insideServer, []string{ops.ReadingStill}
		if in.Proven != "" {
			new |= insideReading
		}
	case ops.StepPromote:
		old, kept = insideFence|insideActivity, []string{ops.ReadingStill}
		if !in.MeasureAt.IsZero() {
			new, kept = insideReading, []string{ops.ReadingStill, ops.ReadingBase}
		}
	case ops.StepReturnAttach, ops.StepReturnUnfence:
		old = insideFence
		if run.Step == ops.StepReturnAttach && run.Proof.Doubt != "" && !in.BaseAt.IsZero() {
			new, kept = insideReading, []string{ops.ReadingBase}
		}
	case ops.StepRollbackFence:
		new = insideFence
	case ops.StepRollbackMeter:
		new, kept = insideFence|insideReading, []string{ops.ReadingBase}
	case ops.StepRollbackAttach, ops.StepRollbackUnfence:
		old = insideFence
	case ops.StepRollbackLift:
		old, new = insideFence, insideFence
	}
	return
}

// inside reads both databases by SQL as far as the step needs it.
func (l *looker) inside() {
	if l.run.Step == ops.StepSoak && uninspected(l.run) && l.run.Help == "" {
		read(l, func(v ops.Fact[After]) { l.w.After = v }, func(c context.Context) (After, error) { return l.after(c, l.run) })
	}
	old, new, retired, kept := insideNeeds(l.run)
	if old|new|retired == 0 {
		return
	}
	l.readInside(old, oldPlace(l.run), &l.w.Old.SQL)
	l.readInside(new, newPlace(l.run), &l.w.New.SQL)
	if retired != 0 {
		l.readInside(retired, placeOf(l.run, l.run.Retired().ID), &l.w.Retired.SQL)
	}
	for _, name := range kept {
		k := &l.w.Kept
		switch name {
		case ops.ReadingSample:
			readKept(l, name, &k.Sample)
		case ops.ReadingStill:
			readKept(l, name, &k.Still)
		case ops.ReadingBase:
			readKept(l, name, &k.Base)
		case ops.ReadingUse:
			readKept(l, name, &k.Use)
		}
	}
	if l.run.Step == ops.StepVerifyNew && l.run.SQL.Proven != "" && l.run.SQL.ComparedAt.IsZero() {
		read(l, func(v ops.Fact[[]ops.RowsCompared]) { l.w.Compared = v }, func(c context.Context) ([]ops.RowsCompared, error) {
			return l.SQL.Compare(c, oldPlace(l.run), newPlace(l.run), ops.CompareLimits{Tables: 50, Within: compareFor})
		})
	}
}

// compareFor bounds the comparison of rows, which is part of the outage.
const compareFor = 3 * time.Second

func readKept[T any](l *looker, name string, into *ops.Fact[T]) {
	read(l, func(v ops.Fact[T]) { *into = v }, func(ctx context.Context) (T, error) {
		var v T
		there, err := l.Rows.Reading(ctx, l.run.ID, name, &v)
		if err == nil && !there {
			err = errNotKept
		}
		return v, err
	})
}

// errNotKept: no reading was kept under the name.
var errNotKept = errors.New("no reading was kept")
