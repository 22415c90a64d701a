package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/engine"
	"github.com/pgupgrade/pgupgrade/ops/health"
	"github.com/pgupgrade/pgupgrade/ops/heroku"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/store"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// world is the procedure over the stand-in, real rows and the carrier whose
// clock is moved by hand: every instant is chosen, nothing sleeps.
type world struct {
	t       *testing.T
	heroku  *herokutest.Server
	store   *store.Store
	carrier *engine.Memory
	service *ops.Service
	// accepted is how many acknowledged rows people agreed to lose.
	accepted int
	silence  func() bool           // Slack takes no post
	crash    func(op, when string) // called around every row written; may panic with crashed
}

type crashed struct{ at string }

// team is a workspace of two approvers.
type team struct{}

func (team) Person(_ context.Context, id string) (ops.Person, error) {
	return ops.Person{Actor: ops.Actor{ID: id}}, nil
}

func (team) Policy(context.Context) (ops.Policy, error) {
	var all []ops.Person
	for _, id := range []string{"U1", "U2"} {
		all = append(all, ops.Person{Actor: ops.Actor{ID: id}})
	}
	return ops.Policy{Configured: true, Approvers: all}, nil
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, crash: func(string, string) {}, silence: func() bool { return false }}
	now := func() time.Time { return w.carrier.Now() }
	w.carrier = engine.NewMemory(time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), nil)
	w.heroku = herokutest.New(herokutest.Config{Token: "key", Now: now})
	api := httptest.NewServer(w.heroku.API())
	t.Cleanup(api.Close)
	w.heroku.SetBaseURL(api.URL)
	w.heroku.Acme()
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "rows.db"), Now: now, Hook: func(op, when string) { w.crash(op, when) }})
	if err != nil && !errors.Is(err, store.ErrSchema) {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.store = s
	quiet := slog.New(slog.DiscardHandler)
	runner := &upgrade.Runner{
		Rows: s, Heroku: heroku.Open(heroku.Config{Token: ops.NewSecret("key"), APIURL: api.URL, DataURL: api.URL, Now: now, Log: quiet}),
		Health: health.Probe{}, Now: now, Log: quiet, Versions: []int{15, 16, 17}, Soak: time.Hour, Memory: s,
	}
	w.carrier = engine.NewMemory(w.carrier.Now(), func(ctx context.Context, run string) (turn engine.Turn, err error) {
		defer func() {
			if p := recover(); p != nil {
				if _, ok := p.(crashed); !ok {
					panic(p)
				}
				turn = engine.Turn{In: time.Second} // the next process looks again
			}
		}()
		// Slack takes a post now and then.
		if !w.silence() {
			if err := s.Beat(ctx, upgrade.SlackDelivered, w.carrier.Now()); err != nil {
				return engine.Turn{}, err
			}
		}
		w.carrier.Advance(20 * time.Millisecond) // a look takes time
		done, in, err := runner.Tick(ctx, run)
		return engine.Turn{Done: done, In: in}, err
	})
	w.service = &ops.Service{Rows: s, Surveyor: runner, Carrier: w.carrier, People: team{}, Trials: s, Trier: runner, Now: now, Log: quiet}
	return w
}

func (w *world) start(app string) ops.Run {
	w.t.Helper()
	started, err := w.service.Start(w.t.Context(), ops.Actor{ID: "U1"}, "C1", app, ops.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	return started.Run
}

// until steps until the run is as wanted.
func (w *world) until(id, what string, want func(ops.Run) bool) ops.Run {
	w.t.Helper()
	for range 20_000 {
		r := w.run(id)
		if want(r) {
			return r
		}
		if !w.carrier.Step(w.t.Context()) {
			w.t.Fatalf("nothing is carried, and the run is not %s: %s", what, w.tell(id))
		}
	}
	w.t.Fatalf("the run never came to be %s: %s", what, w.tell(id))
	return ops.Run{}
}

func (w *world) run(id string) ops.Run {
	w.t.Helper()
	r, err := w.store.Run(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) tell(id string) string {
	r := w.run(id)
	s := fmt.Sprintf("step %s, outcome %q, why %q, help %q, next %q, errors %v\n", r.Step, r.Outcome, r.Why, r.Help, r.Next, w.carrier.Errors())
	events, err := w.store.Events(w.t.Context(), id, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		s += fmt.Sprintf("%s %-9s %-16s %s\n", e.At.Format("15:04:05.000"), e.Kind, e.Step, e.Text)
	}
	return s
}

func asked(g ops.Gate) func(ops.Run) bool {
	return func(r ops.Run) bool { return r.Asked != nil && r.Asked.Gate == g || !r.Active() }
}

func ended(r ops.Run) bool { return !r.Active() }

func (w *world) answer(id string, who string, g ops.Gate, typed string) {
	w.t.Helper()
	digest, open := ops.OpenQuestion(w.run(id), g)
	if !open {
		w.t.Fatalf("gate %s is not open: %s", g, w.tell(id))
	}
	if _, err := w.service.Answer(w.t.Context(), ops.Actor{ID: who}, ops.Answer{Run: id, Gate: g, Digest: digest, Yes: true, How: ops.ByButton, Typed: typed}); err != nil {
		w.t.Fatal(err)
	}
}

// story plays a run from start to a destroyed old database.
func (w *world) story(app string) ops.Run {
	w.t.Helper()
	r := w.start(app)
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	w.answer(r.ID, "U2", ops.GateCutover, "")
	if r := w.until(r.ID, "asking to destroy", asked(ops.GateDestroy)); !r.Active() {
		return r
	}
	w.answer(r.ID, "U1", ops.GateDestroy, app)
	return w.until(r.ID, "ended", ended)
}

func (w *world) app(name string) herokutest.AppView {
	w.t.Helper()
	for _, a := range w.heroku.Overview().Apps {
		if a.Name == name {
			return a
		}
	}
	w.t.Fatalf("no app %s", name)
	return herokutest.AppView{}
}

func (w *world) database(name string) (herokutest.DatabaseView, bool) {
	for _, d := range w.heroku.Overview().Databases {
		if d.Name == name {
			return d, true
		}
	}
	return herokutest.DatabaseView{}, false
}

// well checks how the app must be after every run, however it ended.
func (w *world) well(id, app string, formation map[string]int) {
	w.t.Helper()
	a := w.app(app)
	if a.Maintenance {
		w.t.Errorf("maintenance was left on: %s", w.tell(id))
	}
	if fmt.Sprint(a.Formation) != fmt.Sprint(formation) {
		w.t.Errorf("formation %v, was %v", a.Formation, formation)
	}
	for _, r := range w.heroku.Rows() {
		if r.App == app && r.Missing != w.accepted {
			w.t.Errorf("%d of %d acknowledged rows are missing, accepted were %d", r.Missing, r.Acknowledged, w.accepted)
		}
	}
}

// acknowledged is how many rows the app's database has acknowledged.
func (w *world) acknowledged(app string) int {
	w.t.Helper()
	for _, r := range w.heroku.Rows() {
		if r.App == app {
			return r.Acknowledged
		}
	}
	w.t.Fatalf("no rows of %s", app)
	return 0
}

// once checks that nothing took effect twice that must not.
func (w *world) once() {
	w.t.Helper()
	w.atMost(map[string]int{})
}

// atMost is once, with other limits for what a story does several times.
func (w *world) atMost(other map[string]int) {
	w.t.Helper()
	count := map[string]int{}
	for _, e := range w.heroku.Effects() {
		kind, _, _ := strings.Cut(e, " ")
		count[kind]++
		if strings.Contains(e, "force") {
			w.t.Errorf("force was sent: %s", e)
		}
	}
	for kind, most := range map[string]int{"backup.capture": 1, "addon.create": 1, "upgrade.run": 1, "attachment.replace": 1, "attachment.create": 1, "addon.destroy": 1, "maintenance.on": 1, "maintenance.off": 1, "formation.scale": 2} {
		if n, ok := other[kind]; ok {
			most = n
		}
		if count[kind] > most {
			w.t.Errorf("%s took effect %d times: %v", kind, count[kind], w.heroku.Effects())
		}
	}
}

func TestTheWholeStory(t *testing.T) {
	for app, formation := range map[string]map[string]int{"orders": {"web": 2, "worker": 1, "clock": 1}, "billing": {"web": 1}} {
		t.Run(app, func(t *testing.T) {
			w := newWorld(t)
			old := w.app(app).Database
			r := w.story(app)
			if r.Outcome != ops.Succeeded {
				t.Fatal(w.tell(r.ID))
			}
			w.well(r.ID, app, formation)
			w.once()
			a := w.app(app)
			d, ok := w.database(a.Database)
			if !ok || !strings.HasPrefix(d.Version, "17") || d.Following != "" {
				t.Errorf("the app uses %+v", d)
			}
			if _, there := w.database(old); there {
				t.Error("the old database is still there")
			}
			var kinds []ops.EventKind
			events, err := w.store.Events(t.Context(), r.ID, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Posted() && !slices.Contains(kinds, e.Kind) {
					kinds = append(kinds, e.Kind)
				}
			}
			for _, k := range []ops.EventKind{ops.EventStarted, ops.EventSurvey, ops.EventAsked, ops.EventDecided, ops.EventUndo, ops.EventStep, ops.EventOutage, ops.EventReport} {
				if !slices.Contains(kinds, k) {
					t.Errorf("no %s event: %s", k, w.tell(r.ID))
				}
			}
		})
	}
}
