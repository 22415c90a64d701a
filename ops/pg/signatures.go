package pg

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

var errSoon = errors.New("not written yet")

// Server says what the database is.
func (d *Database) Server(ctx context.Context) (ops.Server, error) { return ops.Server{}, errSoon }

// Position reads where the database stands in the write-ahead log.
func (d *Database) Position(ctx context.Context) (ops.Position, error) {
	return ops.Position{}, errSoon
}

// Activity takes one sample of everything that moves.
func (d *Database) Activity(ctx context.Context) (ops.Activity, error) {
	return ops.Activity{}, errSoon
}

// Stillness takes two samples at least ops.MinGap apart and compares them.
func (d *Database) Stillness(ctx context.Context, fence ops.DBFence) (ops.Stillness, error) {
	return ops.Stillness{}, errSoon
}

// Fenced reads the database's read-only default.
func (d *Database) Fenced(ctx context.Context) (ops.DBFence, error) { return ops.DBFence{}, errSoon }

// Fence makes new sessions read-only unless they ask otherwise.
func (d *Database) Fence(ctx context.Context) error { return errSoon }

// Clear restores what was recorded before the fence.
func (d *Database) Clear(ctx context.Context, recorded ops.DBFence) error { return errSoon }

// EndSessions ends every session of others that the credential may end.
func (d *Database) EndSessions(ctx context.Context) (ops.Ended, error) { return ops.Ended{}, errSoon }

// Writable tries to write, in a transaction that is rolled back, on a table of its own.
func (d *Database) Writable(ctx context.Context) (ops.Writable, error) {
	return ops.Writable{}, errSoon
}

// Objects counts objects by kind.
func (d *Database) Objects(ctx context.Context) (map[string]int64, error) { return nil, errSoon }

// SequencesBehind names sequences whose next number is in their column already.
func (d *Database) SequencesBehind(ctx context.Context) ([]ops.SequenceBehind, error) {
	return nil, errSoon
}

// CompareRows compares rows of d with those of other. Both must be fenced.
func (d *Database) CompareRows(ctx context.Context, other *Database, limits ops.CompareLimits) ([]ops.RowsCompared, error) {
	return nil, errSoon
}

// Busiest names the tables with the most reads and writes, busiest first.
func (d *Database) Busiest(ctx context.Context, most int) ([]string, error) { return nil, errSoon }

// Analyze makes statistics for tables without any, first in the order given, then the largest.
func (d *Database) Analyze(ctx context.Context, first []string, within time.Duration, progress func(done, all int, table string)) (ops.Analyzed, error) {
	return ops.Analyzed{}, errSoon
}

// Reading reads everything that tells that something was written.
func (d *Database) Reading(ctx context.Context) (ops.Reading, error) { return ops.Reading{}, errSoon }

// WriteTimes adds to a loss when its rows were committed, where that is knowable.
func (d *Database) WriteTimes(ctx context.Context, base ops.Reading, loss ops.Loss) (ops.Loss, error) {
	return loss, errSoon
}

// Export writes the rows that are newer than base as JSON lines.
func (d *Database) Export(ctx context.Context, w io.Writer, base ops.Reading, loss ops.Loss, limits ops.ExportLimits) (ops.Export, error) {
	return ops.Export{}, errSoon
}
