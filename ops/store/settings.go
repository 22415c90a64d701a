package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Setting returns one setting of an app; ok is false when it was never set.
func (s *Store) Setting(ctx context.Context, app, key string) (value string, ok bool, err error) {
	err = s.scan(ctx, "SELECT value FROM settings WHERE app = ? AND name = ? ORDER BY id DESC LIMIT 1", []any{app, key}, &value)
	switch {
	case errors.Is(err, ops.ErrNotFound):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("read setting: %w", err)
	}
	return value, true, nil
}

// SetSetting writes one setting of an app. Rows are only added, so who set what
// before stays on record.
func (s *Store) SetSetting(ctx context.Context, app, key, value string, by ops.Actor) error {
	return s.write(ctx, "set setting", func(ctx context.Context, t tx) error {
		_, err := t.exec(ctx, "INSERT INTO settings (app, name, value, set_by, set_at) VALUES (?, ?, ?, ?, ?)", app, key, value, by.ID, micros(s.now()))
		return err
	})
}

// Settings returns all settings of an app, by key.
func (s *Store) Settings(ctx context.Context, app string) (map[string]string, error) {
	type setting struct{ key, value string }
	all, err := list(ctx, s, func(row scanner) (x setting, err error) {
		err = row.Scan(&x.key, &x.value)
		return x, err
	}, "SELECT name, value FROM settings WHERE app = ? ORDER BY id", app)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	out := make(map[string]string, len(all))
	for _, x := range all {
		out[x.key] = x.value
	}
	return out, nil
}
