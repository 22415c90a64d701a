package store

import (
	"context"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// BeginAct is Save with the intent of an act, in one transaction: when it
// returns nil the intent is committed and the call may be made. The act comes
// back with its ID.
func (s *Store) BeginAct(ctx context.Context, r ops.Run, events []ops.Event, a ops.Act) (ops.Run, ops.Act, error) {
	run, begun := r, a
	err := s.write(ctx, "begin act "+string(a.Kind), func(ctx context.Context, t tx) (err error) {
		a := a
		if err := belongs("an act", &a.Run, r.ID); err != nil {
			return err
		}
		if run, err = t.save(ctx, r, events); err != nil {
			return err
		}
		doc, err := encode(a)
		if err != nil {
			return err
		}
		begun = ops.Act{}
		if err := decode(doc, &begun); err != nil {
			return err
		}
		begun.ID, err = t.insert(ctx, "INSERT INTO acts (run, outcome, doc) VALUES (?, ?, ?)", a.Run, a.Outcome, doc)
		return err
	})
	if err != nil {
		return r, a, err
	}
	return run, begun, nil
}

// EndAct writes an act's outcome: Outcome, Detail, RequestID and EndedAt; the
// intent stays as it was committed. An unknown outcome may be replaced by what
// was seen later, a final one not (ops.ErrStale). An act that is not there is
// ops.ErrNotFound.
func (s *Store) EndAct(ctx context.Context, a ops.Act) error {
	return s.write(ctx, "end act "+string(a.Kind), func(ctx context.Context, t tx) error {
		if err := t.touchRun(ctx, a.Run); err != nil {
			return err
		}
		var before string
		if err := found(t.row(ctx, "SELECT doc FROM acts WHERE id = ? AND run = ?", a.ID, a.Run).Scan(&before)); err != nil {
			return err
		}
		var act ops.Act
		if err := decode(before, &act); err != nil {
			return err
		}
		if !act.Open() {
			return ops.ErrStale
		}
		act.Outcome, act.Detail, act.RequestID, act.EndedAt = a.Outcome, a.Detail, a.RequestID, a.EndedAt
		doc, err := encode(act)
		if err != nil {
			return err
		}
		if doc, err = keepUnknown[ops.Act](before, doc); err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE acts SET outcome = ?, doc = ? WHERE id = ?", a.Outcome, doc, a.ID)
		return err
	})
}

// Acts returns a run's acts, oldest first.
func (s *Store) Acts(ctx context.Context, run string) ([]ops.Act, error) {
	acts, err := documents(ctx, s, func(a *ops.Act, id int64) { a.ID = id }, "SELECT id, doc FROM acts WHERE run = ? ORDER BY id", run)
	if err != nil {
		return nil, fmt.Errorf("read acts: %w", err)
	}
	return acts, nil
}
