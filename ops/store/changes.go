package store

import (
	"context"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Cursor is how far a reader has followed the changes. The zero Cursor is
// before all of them. It means something only with the database it came from.
type Cursor int64

// Changed returns the ids of runs that were saved, decided on, given an event or
// an act's outcome since the cursor, each once, the latest change last; and the
// cursor to pass next.
//
// Nothing is missed: writers draw the number of their change from one row, which
// stays locked until they commit. So numbers, and the ids of events and decisions,
// become visible in their order, and who has seen one has seen all below it.
func (s *Store) Changed(ctx context.Context, after Cursor) ([]string, Cursor, error) {
	last := after
	ids, err := list(ctx, s, func(row scanner) (id string, err error) {
		var n Cursor
		err = row.Scan(&id, &n)
		last = max(last, n)
		return id, err
	}, "SELECT id, touched FROM runs WHERE touched > ? ORDER BY touched", int64(after))
	if err != nil {
		return nil, after, fmt.Errorf("read changes: %w", err)
	}
	return ids, last, nil
}

// touch draws the number of a change. It must come before every other write of
// the transaction: the lock that it takes orders them, and keeps them from
// waiting for each other in a circle.
func (t tx) touch(ctx context.Context) (n int64, err error) {
	err = t.row(ctx, "UPDATE changes SET last = last + 1 WHERE one = 1 RETURNING last").Scan(&n)
	return n, err
}

// touchRun draws the number of a change for a run: ops.ErrNotFound when it is not there.
func (t tx) touchRun(ctx context.Context, run string) error {
	n, err := t.touch(ctx)
	if err != nil {
		return err
	}
	rows, err := t.exec(ctx, "UPDATE runs SET touched = ? WHERE id = ?", n, run)
	if err == nil && rows == 0 {
		return ops.ErrNotFound
	}
	return err
}
