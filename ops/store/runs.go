package store

import (
	"context"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// CreateRun adds a run with its first events and decisions, at epoch 1, and
// returns it as it is now stored. It returns ops.ErrActive when another active
// run has the same database.
func (s *Store) CreateRun(ctx context.Context, r ops.Run, events []ops.Event, decisions []ops.Decision) (ops.Run, error) {
	var kept ops.Run
	err := s.write(ctx, "create run", func(ctx context.Context, t tx) error {
		touched, err := t.touch(ctx)
		if err != nil {
			return err
		}
		created := r
		created.Epoch = 1
		doc, err := encode(created)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, "INSERT INTO runs (id, number, app_id, app_name, database_id, step, active, epoch, touched, created_at, doc) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
			r.ID, touched, r.App.ID, r.App.Name, r.Database.ID, string(r.Step), active(r), touched, micros(r.CreatedAt), doc)
		if violated, id := taken(err); violated && id {
			return fmt.Errorf("there is a run %s already", r.ID)
		} else if violated {
			return ops.ErrActive
		}
		if err != nil {
			return err
		}
		for _, d := range decisions {
			if err := belongs("a decision", &d.Run, r.ID); err != nil {
				return err
			}
			if _, err := t.decision(ctx, d); err != nil {
				return err
			}
		}
		if err := t.events(ctx, r.ID, events); err != nil {
			return err
		}
		return decode(doc, &kept)
	})
	if err != nil {
		return r, err
	}
	return kept, nil
}

func active(r ops.Run) int {
	if r.Active() {
		return 1
	}
	return 0
}

// Save writes the run if nobody saved it since it was read (ops.ErrStale), with
// its events, in one transaction. It returns the run as it is now stored, with
// its new epoch; after an error, r as it was given. Fields of the row that this
// program does not know stay.
func (s *Store) Save(ctx context.Context, r ops.Run, events []ops.Event) (ops.Run, error) {
	kept := r
	err := s.write(ctx, "save run", func(ctx context.Context, t tx) (err error) {
		kept, err = t.save(ctx, r, events)
		return err
	})
	if err != nil {
		return r, err
	}
	return kept, nil
}

func (t tx) save(ctx context.Context, r ops.Run, events []ops.Event) (kept ops.Run, err error) {
	touched, err := t.touch(ctx)
	if err != nil {
		return r, err
	}
	before, epoch := "", int64(0)
	if err := found(t.row(ctx, "SELECT epoch, doc FROM runs WHERE id = ?", r.ID).Scan(&epoch, &before)); err != nil {
		return r, err
	}
	if epoch != r.Epoch {
		return r, ops.ErrStale
	}
	r.Epoch++
	doc, err := encode(r)
	if err != nil {
		return r, err
	}
	if doc, err = keepUnknown[ops.Run](before, doc); err != nil {
		return r, err
	}
	n, err := t.exec(ctx, "UPDATE runs SET app_id = ?, app_name = ?, database_id = ?, step = ?, active = ?, epoch = ?, touched = ?, doc = ? WHERE id = ? AND epoch = ?",
		r.App.ID, r.App.Name, r.Database.ID, string(r.Step), active(r), r.Epoch, touched, doc, r.ID, epoch)
	if violated, _ := taken(err); violated {
		return r, ops.ErrActive
	}
	if err != nil {
		return r, err
	}
	if n != 1 {
		return r, ops.ErrStale
	}
	if err := t.events(ctx, r.ID, events); err != nil {
		return r, err
	}
	return kept, decode(doc, &kept)
}

// Run returns one run, or ops.ErrNotFound.
func (s *Store) Run(ctx context.Context, id string) (ops.Run, error) {
	return s.run(ctx, "SELECT epoch, doc FROM runs WHERE id = ?", id)
}

// ActiveRun returns the active run of an app, by id or name, or ops.ErrNotFound.
// With several databases under upgrade it is the one that was started last.
func (s *Store) ActiveRun(ctx context.Context, app string) (ops.Run, error) {
	return s.run(ctx, "SELECT epoch, doc FROM runs WHERE active = 1 AND (app_id = ? OR app_name = ?) ORDER BY number DESC LIMIT 1", app, app)
}

// LastRun returns the newest run of an app, by id or name, or ops.ErrNotFound.
func (s *Store) LastRun(ctx context.Context, app string) (ops.Run, error) {
	return s.run(ctx, "SELECT epoch, doc FROM runs WHERE app_id = ? OR app_name = ? ORDER BY number DESC LIMIT 1", app, app)
}

func (s *Store) run(ctx context.Context, query string, args ...any) (ops.Run, error) {
	runs, err := list(ctx, s, scanRun, query, args...)
	if err == nil && len(runs) == 0 {
		err = ops.ErrNotFound
	}
	if err != nil {
		return ops.Run{}, fmt.Errorf("read run: %w", err)
	}
	return runs[0], nil
}

func scanRun(row scanner) (r ops.Run, err error) {
	var epoch int64
	var doc string
	if err := row.Scan(&epoch, &doc); err != nil {
		return r, err
	}
	err = decode(doc, &r)
	r.Epoch = epoch
	return r, err
}

// Runs returns runs, newest first: in the order in which they were created,
// whatever the clocks of their creators said.
func (s *Store) Runs(ctx context.Context, f ops.RunFilter) ([]ops.Run, error) {
	query, args := "SELECT epoch, doc FROM runs WHERE 1 = 1", []any{}
	if f.App != "" {
		query, args = query+" AND (app_id = ? OR app_name = ?)", append(args, f.App, f.App)
	}
	if f.ActiveOnly {
		query += " AND active = 1"
	}
	query += " ORDER BY number DESC"
	if f.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, f.Limit)
	}
	runs, err := list(ctx, s, scanRun, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return runs, nil
}
