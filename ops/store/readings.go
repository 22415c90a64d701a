package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// SaveReading keeps a reading of a run under a name, in place of an earlier one
// of that name, if nobody saved the run since it was read (ops.ErrStale): a
// process that was overtaken must not change what losses are counted from.
func (s *Store) SaveReading(ctx context.Context, r ops.Run, name string, reading any) error {
	return s.write(ctx, "save reading "+name, func(ctx context.Context, t tx) error {
		if _, err := t.touch(ctx); err != nil { // one writer of runs at a time
			return err
		}
		var epoch int64
		if err := found(t.row(ctx, "SELECT epoch FROM runs WHERE id = ?", r.ID).Scan(&epoch)); err != nil {
			return err
		}
		if epoch != r.Epoch {
			return ops.ErrStale
		}
		doc, err := encode(reading)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, "INSERT INTO readings (run, name, doc) VALUES (?, ?, ?) ON CONFLICT (run, name) DO UPDATE SET doc = excluded.doc", r.ID, name, doc)
		return err
	})
}

// Reading decodes the reading of a run that was kept under a name, and reports
// whether there is one.
func (s *Store) Reading(ctx context.Context, run, name string, into any) (bool, error) {
	var doc string
	err := s.scan(ctx, "SELECT doc FROM readings WHERE run = ? AND name = ?", []any{run, name}, &doc)
	switch {
	case errors.Is(err, ops.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read reading %s: %w", name, err)
	}
	return true, decode(doc, into)
}
