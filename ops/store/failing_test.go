package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// failing is every write of the store. Each changes rows when it works.
var failing = map[string]func(ctx context.Context, s *Store, r ops.Run, a ops.Act) error{
	"CreateRun": func(ctx context.Context, s *Store, _ ops.Run, _ ops.Act) error {
		_, err := s.CreateRun(ctx, newRun("r2", "db2"), nil, nil)
		return err
	},
	"Save": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		r.Step = ops.StepSoak
		_, err := s.Save(ctx, r, []ops.Event{{At: at, Kind: ops.EventNote}})
		return err
	},
	"BeginAct": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		_, _, err := s.BeginAct(ctx, r, nil, ops.Act{Kind: ops.ActUpgrade})
		return err
	},
	"EndAct": func(ctx context.Context, s *Store, _ ops.Run, a ops.Act) error {
		a.Outcome = ops.OutcomeDone
		return s.EndAct(ctx, a)
	},
	"Decide": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		_, err := s.Decide(ctx, ops.Decision{Run: r.ID, Gate: ops.GateCutover}, ops.Event{Run: r.ID})
		return err
	},
	"Audit": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		return s.Audit(ctx, ops.Event{Run: r.ID, Kind: ops.EventAudit})
	},
	"AddSample": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		return s.AddSample(ctx, ops.Sample{Run: r.ID, At: at})
	},
	"SetSetting": func(ctx context.Context, s *Store, _ ops.Run, _ ops.Act) error {
		return s.SetSetting(ctx, "orders", "health", "x", ops.Actor{ID: "U1"})
	},
	"IntendMessage": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		return s.IntendMessage(ctx, ops.Message{Group: r.ID, Name: "new", Intended: at})
	},
	"SaveMessage": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		return s.SaveMessage(ctx, ops.Message{Group: r.ID, Name: "root", TS: "2"})
	},
	"SaveTrial": func(ctx context.Context, s *Store, _ ops.Run, _ ops.Act) error {
		return s.SaveTrial(ctx, "orders", "db1", ops.DryRun{Version: "17", At: at}, ops.Actor{ID: "U1"})
	},
	"SaveReading": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		return s.SaveReading(ctx, r, ops.ReadingStill, ops.Activity{At: at})
	},
	"FirstTime": func(ctx context.Context, s *Store, _ ops.Run, _ ops.Act) error {
		first, err := s.FirstTime(ctx, "new")
		return worse(first, err)
	},
	"Fire": func(ctx context.Context, s *Store, r ops.Run, _ ops.Act) error {
		claimed, err := s.Fire(ctx, r.ID, at)
		return worse(claimed, err)
	},
	"Beat": func(ctx context.Context, s *Store, _ ops.Run, _ ops.Act) error { return s.Beat(ctx, "new", at) },
	"Acquire": func(ctx context.Context, s *Store, _ ops.Run, _ ops.Act) error {
		held, err := s.Acquire(ctx, "new", "me", time.Minute)
		return worse(held, err)
	},
	"Release": func(ctx context.Context, s *Store, _ ops.Run, _ ops.Act) error { return s.Release(ctx, "held", "me") },
}

var errSaidYes = errors.New("it said yes to what was not written")

// worse is the error of a call that answers yes or no.
func worse(yes bool, err error) error {
	if yes && err != nil {
		return errSaidYes
	}
	return err
}

// reading is every method that writes nothing, or that is not about rows.
var reading = []string{
	"ActiveRun", "Acts", "Changed", "Close", "Decisions", "Events", "LastBeat", "LastFiring", "LastRun", "Message", "Messages", "Migrate", "Past", "Ping", "Reading", "Ready",
	"Run", "Runs", "Samples", "Setting", "Settings", "Trial",
}

// TestEveryMethodIsKnown: whoever adds a method says whether it writes.
func TestEveryMethodIsKnown(t *testing.T) {
	methods := reflect.TypeFor[*Store]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		if (failing[name] != nil) == slices.Contains(reading, name) {
			t.Errorf("%s must be in one of the tables failing and reading", name)
		}
	}
}

// TestAWriteThatFailsSaysSo: on PostgreSQL the commit itself fails, on SQLite the
// statement. Nothing of it stays, and the same write works afterwards.
func TestAWriteThatFailsSaysSo(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		r, a, err := s.BeginAct(t.Context(), r, nil, ops.Act{Kind: ops.ActMaintenance})
		if err != nil {
			t.Fatal(err)
		}
		if held := must[bool](t)(s.Acquire(t.Context(), "held", "me", time.Hour)); !held {
			t.Fatal("the lease was not taken")
		}
		if err := s.SaveMessage(t.Context(), ops.Message{Group: "r1", Name: "root", TS: "1"}); err != nil {
			t.Fatal(err)
		}
		repair := sabotage(t, s)
		before := dump(t, s)
		for name, write := range failing {
			if err := write(t.Context(), s, r, a); err == nil || errors.Is(err, errSaidYes) {
				t.Errorf("%s: %v", name, err)
			}
			if after := dump(t, s); after != before {
				t.Errorf("%s failed and left something:\n%s\n%s", name, before, after)
				before = after
			}
		}
		repair()
		for name, write := range failing {
			r := must[ops.Run](t)(s.Run(t.Context(), "r1"))
			if err := write(t.Context(), s, r, a); err != nil {
				t.Errorf("%s, afterwards: %v", name, err)
			}
			if after := dump(t, s); after == before {
				t.Errorf("%s wrote nothing, so its failure proves nothing", name)
			} else {
				before = after
			}
		}
	})
}

// TestAWriteToWhatIsGoneSaysSo: the store is closed, or the caller has given up.
func TestAWriteToWhatIsGoneSaysSo(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		other := p.open()
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		before := dump(t, s)
		for name, write := range failing {
			if err := write(gone, s, r, ops.Act{ID: 1, Run: "r1"}); err == nil || errors.Is(err, errSaidYes) {
				t.Errorf("%s, given up: %v", name, err)
			}
			if err := write(t.Context(), other, r, ops.Act{ID: 1, Run: "r1"}); err == nil || errors.Is(err, errSaidYes) {
				t.Errorf("%s, closed: %v", name, err)
			}
		}
		if after := dump(t, s); after != before {
			t.Errorf("something was left:\n%s\n%s", before, after)
		}
	})
}

// tables are those that hold rows of the bot.
var tables = []string{"changes", "runs", "events", "acts", "decisions", "samples", "messages", "envelopes", "firings", "settings", "beats", "leases", "readings"}

// sabotage makes every write fail until it is repaired.
func sabotage(t *testing.T, s *Store) (repair func()) {
	t.Helper()
	run := func(query string) {
		t.Helper()
		if _, err := s.db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	drop := func(trigger, table string) { run("DROP TRIGGER " + trigger) }
	if s.postgres {
		run("CREATE FUNCTION pgupgrade.sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'sabotaged'; END $$")
		drop = func(trigger, table string) { run("DROP TRIGGER " + trigger + " ON " + table) }
	}
	for _, table := range tables {
		if s.postgres {
			run("CREATE CONSTRAINT TRIGGER sabotage_" + table + " AFTER INSERT OR UPDATE OR DELETE ON " + table + " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pgupgrade.sabotage()")
			continue
		}
		for _, what := range []string{"INSERT", "UPDATE", "DELETE"} {
			run(fmt.Sprintf("CREATE TRIGGER sabotage_%s_%s AFTER %s ON %s BEGIN SELECT RAISE(ABORT, 'sabotaged'); END", table, what, what, table))
		}
	}
	return func() {
		for _, table := range tables {
			if s.postgres {
				drop("sabotage_"+table, table)
				continue
			}
			for _, what := range []string{"INSERT", "UPDATE", "DELETE"} {
				drop("sabotage_"+table+"_"+what, table)
			}
		}
	}
}

// dump is all rows as one text.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	out := ""
	for _, table := range tables {
		rows, err := s.db.QueryContext(t.Context(), "SELECT * FROM "+table+" ORDER BY 1, 2")
		if err != nil {
			t.Fatal(err)
		}
		columns := must[[]string](t)(rows.Columns())
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			out += table
			for _, v := range values {
				out += fmt.Sprintf(" %s", *v.(*any))
			}
			out += "\n"
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
