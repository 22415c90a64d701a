package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// trials are kept among the settings, whose rows are only added, under a name
// that no app can have: what was asked for and told before stays on record.
func trials(app string) string { return "dry run of " + app }

// Trial returns the newest dry run of an app's database; the zero DryRun when
// there was none.
func (s *Store) Trial(ctx context.Context, appID, databaseID string) (ops.DryRun, error) {
	var r ops.DryRun
	text, ok, err := s.Setting(ctx, trials(appID), databaseID)
	if err != nil || !ok {
		return r, err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return ops.DryRun{}, fmt.Errorf("read dry run of %s: %w", databaseID, err)
	}
	return r, nil
}

// SaveTrial keeps a dry run as it stands now.
func (s *Store) SaveTrial(ctx context.Context, appID, databaseID string, r ops.DryRun, by ops.Actor) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep dry run of %s: %w", databaseID, err)
	}
	return s.SetSetting(ctx, trials(appID), databaseID, string(text), by)
}

// Past returns the runs of an app that have ended, newest first.
func (s *Store) Past(ctx context.Context, appID string) ([]ops.Run, error) {
	all, err := s.Runs(ctx, ops.RunFilter{App: appID, Limit: 20})
	var out []ops.Run
	for _, r := range all {
		if !r.Active() {
			out = append(out, r)
		}
	}
	return out, err
}
