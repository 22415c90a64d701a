package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// belongs gives a row that names no run the run that it is written with, and
// refuses one of another run.
func belongs(what string, is *string, run string) error {
	if *is == "" {
		*is = run
	}
	if *is != run {
		return fmt.Errorf("%s of run %q given with run %q", what, *is, run)
	}
	return nil
}

// events adds events of a run. The transaction has drawn its number before.
func (t tx) events(ctx context.Context, run string, events []ops.Event) error {
	for _, e := range events {
		if err := belongs("an event", &e.Run, run); err != nil {
			return err
		}
		doc, err := encode(e)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, "INSERT INTO events (run, at, doc) VALUES (?, ?, ?)", e.Run, micros(e.At), doc); err != nil {
			return err
		}
	}
	return nil
}

// Audit adds one event. Its run need not exist: a refusal may be about none.
func (s *Store) Audit(ctx context.Context, e ops.Event) error {
	return s.write(ctx, "audit", func(ctx context.Context, t tx) error {
		if err := t.touchRun(ctx, e.Run); err != nil && !errors.Is(err, ops.ErrNotFound) {
			return err
		}
		return t.events(ctx, e.Run, []ops.Event{e})
	})
}

// Events returns a run's events with ids above after, oldest first. Ids rise in
// the order of commits, so a reader who goes on after the last id that it has
// seen misses none.
func (s *Store) Events(ctx context.Context, run string, after int64) ([]ops.Event, error) {
	events, err := documents(ctx, s, func(e *ops.Event, id int64) { e.ID = id }, "SELECT id, doc FROM events WHERE run = ? AND id > ? ORDER BY id", run, after)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return events, nil
}

func (t tx) decision(ctx context.Context, d ops.Decision) (int64, error) {
	doc, err := encode(d)
	if err != nil {
		return 0, err
	}
	return t.insert(ctx, "INSERT INTO decisions (run, doc) VALUES (?, ?)", d.Run, doc)
}

// Decide keeps a decision and its event in one transaction, and returns the
// decision with its ID. It does not change the run's epoch: the run reads
// decisions anew at every look. A run that is not there is ops.ErrNotFound.
func (s *Store) Decide(ctx context.Context, d ops.Decision, e ops.Event) (ops.Decision, error) {
	var id int64
	err := s.write(ctx, "decide "+string(d.Gate), func(ctx context.Context, t tx) (err error) {
		if err := t.touchRun(ctx, d.Run); err != nil {
			return err
		}
		if id, err = t.decision(ctx, d); err != nil {
			return err
		}
		return t.events(ctx, d.Run, []ops.Event{e})
	})
	if err == nil {
		d.ID = id
	}
	return d, err
}

// Decisions returns a run's decisions, in the order in which they were kept.
func (s *Store) Decisions(ctx context.Context, run string) ([]ops.Decision, error) {
	decisions, err := documents(ctx, s, func(d *ops.Decision, id int64) { d.ID = id }, "SELECT id, doc FROM decisions WHERE run = ? ORDER BY id", run)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return decisions, nil
}

// AddSample keeps one look at the old database.
func (s *Store) AddSample(ctx context.Context, x ops.Sample) error {
	return s.write(ctx, "add sample", func(ctx context.Context, t tx) error {
		doc, err := encode(x)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, "INSERT INTO samples (run, doc) VALUES (?, ?)", x.Run, doc)
		return err
	})
}

// Samples returns a run's samples, oldest first.
func (s *Store) Samples(ctx context.Context, run string) ([]ops.Sample, error) {
	samples, err := documents(ctx, s, func(*ops.Sample, int64) {}, "SELECT id, doc FROM samples WHERE run = ? ORDER BY id", run)
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	return samples, nil
}

// documents reads rows of an id and a document; number gives each its id.
func documents[T any](ctx context.Context, s *Store, number func(*T, int64), query string, args ...any) ([]T, error) {
	return list(ctx, s, func(row scanner) (v T, err error) {
		var id int64
		var doc string
		if err := row.Scan(&id, &doc); err != nil {
			return v, err
		}
		err = decode(doc, &v)
		number(&v, id)
		return v, err
	}, query, args...)
}
