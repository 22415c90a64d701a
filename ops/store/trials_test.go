package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
)

func TestTrials(t *testing.T) {
	both(t, func(t *testing.T, _ *place, s *Store) {
		ctx := t.Context()
		if r, err := s.Trial(ctx, "app-1", "db-1"); err != nil || !r.At.IsZero() {
			t.Fatalf("before any: %+v, %v", r, err)
		}
		at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
		asked := ops.DryRun{Version: "17", At: at, By: ops.Actor{ID: "UALICE"}}
		ended := asked
		ended.Ended, ended.Passed, ended.Took, ended.Told = ops.Known(at.Add(time.Hour)), true, 4*time.Minute, ops.Actor{ID: "UBOB"}
		for _, want := range []ops.DryRun{asked, ended} {
			if err := s.SaveTrial(ctx, "app-1", "db-1", want, want.By); err != nil {
				t.Fatal(err)
			}
			got, err := s.Trial(ctx, "app-1", "db-1")
			if err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("%v %s", err, cmp.Diff(want, got))
			}
		}
		if r, err := s.Trial(ctx, "app-1", "db-2"); err != nil || !r.At.IsZero() {
			t.Errorf("of another database: %+v, %v", r, err)
		}
		if all, err := s.Settings(ctx, "app-1"); err != nil || len(all) != 0 {
			t.Errorf("it shows among the app's settings: %v, %v", all, err)
		}
	})
}
