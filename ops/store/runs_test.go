package store

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
)

// fill gives every field that can be reached from v a value of its own: times in
// another zone and to the nanosecond.
func fill(v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		zone := time.FixedZone("CEST", 2*60*60)
		v.Set(reflect.ValueOf(at.Add(time.Duration(*n) * 1_000_001 * time.Microsecond).In(zone)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text " + strings.Repeat("x", *n%7) + " <&> ü \\u0000 \"")
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) + 1<<53) // more than a float can tell apart
	case reflect.Int32:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n) + 1<<53)
	case reflect.Uint32:
		v.SetUint(uint64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"version": "17"}))
	default:
		panic("fill: " + v.Type().String())
	}
}

func filled[T any](ids ...func(*T)) T {
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n)
	for _, id := range ids {
		id(&v)
	}
	return v
}

// notUTC lists the times in v that are not in UTC.
func notUTC(v reflect.Value, path string) (out []string) {
	if t, ok := v.Interface().(time.Time); ok {
		if t.Location() != time.UTC {
			out = append(out, path)
		}
		return out
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out = notUTC(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, notUTC(v.Index(i), path+"[]")...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			out = append(out, notUTC(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
	}
	return out
}

// TestRunsKeepEverything: every field of a run comes back, in whatever way it is
// found, also after all connections were closed.
func TestRunsKeepEverything(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		given := filled(func(r *ops.Run) { r.ID, r.App.ID, r.App.Name, r.Outcome = "r1", "id-of-orders", "orders", "" })
		kept, err := s.CreateRun(t.Context(), given, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		given.Epoch = 1
		if diff := cmp.Diff(given, kept); diff != "" {
			t.Errorf("CreateRun: %s", diff)
		}
		if kept, err = s.Save(t.Context(), kept, nil); err != nil {
			t.Fatal(err)
		}
		given.Epoch = 2
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = p.open()
		for name, find := range map[string]func() (ops.Run, error){
			"Run":                 func() (ops.Run, error) { return s.Run(t.Context(), "r1") },
			"ActiveRun by name":   func() (ops.Run, error) { return s.ActiveRun(t.Context(), "orders") },
			"ActiveRun by app id": func() (ops.Run, error) { return s.ActiveRun(t.Context(), "id-of-orders") },
			"LastRun":             func() (ops.Run, error) { return s.LastRun(t.Context(), "orders") },
		} {
			got, err := find()
			if diff := cmp.Diff(given, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", name, err, diff)
			}
			if diff := cmp.Diff(kept, got); diff != "" {
				t.Errorf("%s: Save returned something else than is read: %s", name, diff)
			}
			if times := notUTC(reflect.ValueOf(got), "run"); len(times) > 0 {
				t.Errorf("%s: not in UTC: %v", name, times)
			}
		}
	})
}

func TestFindRuns(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		first := create(t, s, "r1", "db1")
		create(t, s, "r2", "db2")
		other := newRun("r3", "db3")
		other.App = ops.Ref{ID: "id-of-shop", Name: "shop"}
		other.CreatedAt = at.Add(-time.Hour) // by a clock that is slow
		must[ops.Run](t)(s.CreateRun(t.Context(), other, nil, nil))
		first.Outcome, first.EndedAt = ops.Returned, at
		must[ops.Run](t)(s.Save(t.Context(), first, nil))

		for name, test := range map[string]struct {
			filter ops.RunFilter
			want   []string
		}{
			"all, newest first": {ops.RunFilter{}, []string{"r3", "r2", "r1"}},
			"limit":             {ops.RunFilter{Limit: 2}, []string{"r3", "r2"}},
			"app by name":       {ops.RunFilter{App: "orders"}, []string{"r2", "r1"}},
			"app by id":         {ops.RunFilter{App: "id-of-shop"}, []string{"r3"}},
			"active":            {ops.RunFilter{ActiveOnly: true}, []string{"r3", "r2"}},
			"active of an app":  {ops.RunFilter{App: "orders", ActiveOnly: true, Limit: 5}, []string{"r2"}},
			"no such app":       {ops.RunFilter{App: "none"}, nil},
		} {
			var got []string
			for _, r := range must[[]ops.Run](t)(s.Runs(t.Context(), test.filter)) {
				got = append(got, r.ID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		for name, find := range map[string]func(context.Context, string) (ops.Run, error){"Run": s.Run, "ActiveRun": s.ActiveRun, "LastRun": s.LastRun} {
			if r, err := find(t.Context(), "none"); !errors.Is(err, ops.ErrNotFound) || r.ID != "" {
				t.Errorf("%s of something that is not there: %q, %v", name, r.ID, err)
			}
		}
		second := must[ops.Run](t)(s.ActiveRun(t.Context(), "orders"))
		second.Outcome = ops.Succeeded
		must[ops.Run](t)(s.Save(t.Context(), second, nil))
		if _, err := s.ActiveRun(t.Context(), "orders"); !errors.Is(err, ops.ErrNotFound) {
			t.Errorf("ActiveRun when all have ended: %v", err)
		}
		if r := must[ops.Run](t)(s.LastRun(t.Context(), "orders")); r.ID != "r2" {
			t.Errorf("LastRun is %s, want r2", r.ID)
		}
	})
}

func TestOneActiveRunPerDatabase(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		if _, err := p.open().CreateRun(t.Context(), newRun("r2", "db1"), []ops.Event{{At: at}}, nil); !errors.Is(err, ops.ErrActive) {
			t.Fatalf("a second run on one database: %v", err)
		}
		if events := must[[]ops.Event](t)(s.Events(t.Context(), "r2", 0)); len(events) != 0 {
			t.Errorf("the run that was refused left %d events", len(events))
		}
		if _, err := s.CreateRun(t.Context(), newRun("r1", "db9"), nil, nil); err == nil || errors.Is(err, ops.ErrActive) {
			t.Errorf("a second run with one id: %v; want an error other than ErrActive", err)
		}
		r.Outcome = ops.Succeeded
		r = must[ops.Run](t)(s.Save(t.Context(), r, nil))
		create(t, s, "r4", "db1")
		r.Outcome = ""
		if _, err := s.Save(t.Context(), r, nil); !errors.Is(err, ops.ErrActive) {
			t.Errorf("an ended run made active again beside another: %v", err)
		}
		won := atOnce(t, 8, func(i int) (bool, error) {
			_, err := s.CreateRun(context.WithoutCancel(t.Context()), newRun("many-"+string(rune('a'+i)), "db5"), nil, nil)
			if errors.Is(err, ops.ErrActive) {
				return false, nil
			}
			return err == nil, err
		})
		if won != 1 {
			t.Errorf("%d of 8 starts on one database won, want 1", won)
		}
	})
}

func TestCreateRunIsOneTransaction(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		for name, try := range map[string]func() error{
			"an event of another run": func() error {
				_, err := s.CreateRun(t.Context(), newRun("r1", "db1"), []ops.Event{{At: at}, {Run: "other", At: at}}, nil)
				return err
			},
			"a decision of another run": func() error {
				_, err := s.CreateRun(t.Context(), newRun("r1", "db1"), nil, []ops.Decision{{Run: "other"}})
				return err
			},
		} {
			if err := try(); err == nil {
				t.Errorf("%s was taken", name)
			}
			if _, err := s.Run(t.Context(), "r1"); !errors.Is(err, ops.ErrNotFound) {
				t.Errorf("%s: the run is there: %v", name, err)
			}
		}
		d := ops.Decision{Gate: ops.GateCreate, How: ops.ByStart, Yes: true, At: at}
		must[ops.Run](t)(s.CreateRun(t.Context(), newRun("r1", "db1"), nil, []ops.Decision{d}))
		got := must[[]ops.Decision](t)(s.Decisions(t.Context(), "r1"))
		if len(got) != 1 || got[0].Run != "r1" || got[0].ID == 0 || !got[0].Yes {
			t.Errorf("decisions %+v", got)
		}
	})
}

func TestSaveIsCompareAndSet(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		if r.Epoch != 1 {
			t.Errorf("a new run is at epoch %d", r.Epoch)
		}
		other := p.open()
		if saved := must[ops.Run](t)(other.Save(t.Context(), r, []ops.Event{{At: at, Text: "first"}})); saved.Epoch != 2 {
			t.Errorf("a saved run is at epoch %d", saved.Epoch)
		}
		lost, err := s.Save(t.Context(), r, []ops.Event{{At: at, Text: "second"}})
		if !errors.Is(err, ops.ErrStale) || lost.Epoch != 1 {
			t.Errorf("a second save of one epoch: epoch %d, %v", lost.Epoch, err)
		}
		if _, _, err := s.BeginAct(t.Context(), r, []ops.Event{{At: at, Text: "third"}}, ops.Act{Kind: ops.ActUpgrade}); !errors.Is(err, ops.ErrStale) {
			t.Errorf("an intent on a stale run: %v", err)
		}
		if acts := must[[]ops.Act](t)(s.Acts(t.Context(), "r1")); len(acts) != 0 {
			t.Errorf("a stale intent left %d rows", len(acts))
		}
		events := must[[]ops.Event](t)(s.Events(t.Context(), "r1", 0))
		if len(events) != 2 || events[1].Text != "first" {
			t.Errorf("events %+v; the losers' must not be there", events)
		}
		if _, err := s.Save(t.Context(), newRun("none", "db"), nil); !errors.Is(err, ops.ErrNotFound) {
			t.Errorf("a save of a run that is not there: %v", err)
		}
	})
}

// TestOneOfManySaves lets writers of two processes save one epoch at once.
func TestOneOfManySaves(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		stores := []*Store{s, p.open()}
		for round := range 5 {
			won := atOnce(t, 8, func(i int) (bool, error) {
				_, err := stores[i%2].Save(context.WithoutCancel(t.Context()), r, nil)
				if errors.Is(err, ops.ErrStale) {
					return false, nil
				}
				return err == nil, err
			})
			if won != 1 {
				t.Errorf("round %d: %d writers won, want 1", round, won)
			}
			r = must[ops.Run](t)(s.Run(t.Context(), "r1"))
		}
		if r.Epoch != 6 {
			t.Errorf("after 5 rounds the epoch is %d, want 6", r.Epoch)
		}
	})
}

func TestBigRuns(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := newRun("r1", "db1")
		r.Why = strings.Repeat("why ", 1<<20)
		for range 5000 {
			r.Findings = append(r.Findings, ops.Finding{Check: "H1", Evidence: "what was seen of it"})
		}
		r = must[ops.Run](t)(s.CreateRun(t.Context(), r, nil, nil))
		r = must[ops.Run](t)(s.Save(t.Context(), r, nil))
		if diff := cmp.Diff(r, must[ops.Run](t)(p.open().Run(t.Context(), "r1"))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestANewerProgramsRunSurvives: after a step back to this release, a run that a
// newer one wrote keeps its step and the fields that this one does not know.
func TestANewerProgramsRunSurvives(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		create(t, s, "r1", "db1")
		doc := must[string](t)(encode(newRun("r1", "db1")))
		doc = strings.Replace(doc, `"step":"survey"`, `"step":"polish","shine":{"level":12345678901234567,"on":true}`, 1)
		if _, err := s.db.ExecContext(t.Context(), s.bind("UPDATE runs SET doc = ? WHERE id = ?"), doc, "r1"); err != nil {
			t.Fatal(err)
		}
		r := must[ops.Run](t)(s.Run(t.Context(), "r1"))
		r.Findings = nil
		r.Why = "seen"
		for range 2 {
			r = must[ops.Run](t)(s.Save(t.Context(), r, nil))
		}
		if r.Step != "polish" || r.Why != "seen" || r.Step.Known() {
			t.Errorf("step %q, why %q", r.Step, r.Why)
		}
		var after string
		if err := s.scan(t.Context(), "SELECT doc FROM runs WHERE id = ?", []any{"r1"}, &after); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(after, " ", ""), `"level":12345678901234567`) {
			t.Errorf("the field that is not known was lost: %s", after)
		}
	})
}

// TestCancelledWritesLeaveNothing: a context that has ended writes no row.
func TestCancelledWritesLeaveNothing(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		r := create(t, s, "r1", "db1")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Save(ended, r, []ops.Event{{At: at}}); !errors.Is(err, context.Canceled) {
			t.Errorf("a save in an ended context: %v", err)
		}
		if got := must[ops.Run](t)(s.Run(t.Context(), "r1")); got.Epoch != 1 {
			t.Errorf("the run is at epoch %d", got.Epoch)
		}
		must[ops.Run](t)(s.Save(t.Context(), r, nil)) // and nothing is locked
	})
}
