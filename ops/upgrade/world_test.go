package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
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
// clock is moved by hand: every instant is chosen, nothing sleeps. What must
// never be is checked at every row written and every call made.
type world struct {
	t       testing.TB
	api     string // where the stand-in answers
	heroku  *herokutest.Server
	store   *store.Store
	carrier *engine.Memory
	service *ops.Service
	runner  *upgrade.Runner
	never   *never
	inTick  bool
	loses   bool // the next write is committed, and its answer lost
	// accepted is how many acknowledged rows people agreed to lose.
	accepted int

	// Set before build.
	postgres string // rows are in this database; "": in a file
	own      bool   // the app's database holds the bot's own rows
	broken   int    // this rule is broken on purpose: what is noticed is only kept
	goOn     bool   // though it was noticed, the story is told to its end
	surveyor func(ops.Surveyor) ops.Surveyor
	choose   chooser
	rows     func(upgrade.Rows) upgrade.Rows
	stock    func(*herokutest.Server) // the apps; nil: Acme's
	before   string                   // the read-only default that was set before anything
	sql      bool                     // the databases can be reached by SQL
	insides  *insides                 // then
	// silence: Slack takes no post. away: no row can be read or written.
	silence, away func() bool
	// stop is called at each moment of a tick, before and after a row is written
	// ("before save run") or a call is made ("after call upgrade.run"). It may
	// panic with crashed: the process is killed there.
	stop func(moment string)
}

type chooser func(ops.Run, upgrade.World, time.Time) (ops.Run, upgrade.Move)

type crashed struct{ at string }

// team is a workspace of two approvers; whoever else is a member and no more.
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

// soakFor is short: the soak's own rules have tables.
const soakFor = 10 * time.Second

// times of the stand-in: long enough to stop in between, short enough to look often.
func times() herokutest.Times {
	return herokutest.Times{Provision: 4 * time.Second, CatchUp: 4 * time.Second, Upgrade: 5 * time.Second, Release: 2 * time.Second,
		Backup: 3 * time.Second, DynoStop: 1500 * time.Millisecond, DynoStart: 1200 * time.Millisecond, Destroy: time.Second}
}

// migrated is a file with tables and no rows: making the tables is most of the
// cost of a world.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "rows")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rows.db")
	s, err := store.Open(context.Background(), store.Config{Path: path})
	if err != nil && !errors.Is(err, store.ErrSchema) {
		return nil, err
	}
	if _, err := s.Migrate(context.Background()); err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func newWorld(t *testing.T) *world { return build(t, &world{}) }

// build makes the world as w asks for it.
func build(t testing.TB, w *world) *world {
	t.Helper()
	w.t = t
	no := func() bool { return false }
	if w.silence == nil {
		w.silence = no
	}
	if w.away == nil {
		w.away = no
	}
	if w.stop == nil {
		w.stop = func(string) {}
	}
	now := func() time.Time { return w.carrier.Now() }
	w.carrier = engine.NewMemory(time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), w.tick)
	standIn := herokutest.Config{Token: "key", Now: now, Times: times()}
	if w.sql {
		w.insides = newInsides(now)
		w.insides.before = w.before
		standIn.Storage = w.insides
	}
	w.heroku = herokutest.New(standIn)
	api := httptest.NewServer(w.heroku.API())
	t.Cleanup(api.Close)
	w.api = api.URL
	w.heroku.SetBaseURL(api.URL)
	if w.stock == nil {
		w.stock = (*herokutest.Server).Acme
	}
	w.stock(w.heroku)
	w.store = w.open(now)
	w.never = newNever(w)

	quiet := slog.New(slog.DiscardHandler)
	var rows upgrade.Rows = flaky{w.store, w}
	if w.rows != nil {
		rows = w.rows(rows)
	}
	client := heroku.Open(heroku.Config{Token: ops.NewSecret("key"), APIURL: api.URL, DataURL: api.URL, Now: hurried(), Log: quiet})
	runner := &upgrade.Runner{
		Rows: rows, Heroku: calls{client, w}, Health: health.Probe{Client: api.Client()}, Now: now, Log: quiet, Versions: []int{15, 16, 17}, Soak: soakFor, Memory: w.store,
	}
	if w.own {
		addon, err := client.Addon(t.Context(), w.app("orders").Database)
		if err != nil {
			t.Fatal(err)
		}
		db, err := client.Database(t.Context(), addon.ID)
		if err != nil {
			t.Fatal(err)
		}
		runner.OwnDatabase = db.Endpoint
	}
	if w.sql {
		runner.SQL = reach{w, w.insides}
	}
	runner.Memory = w.store
	runner.Choose(w.choose)
	w.runner = runner
	var surveyor ops.Surveyor = runner
	if w.surveyor != nil {
		surveyor = w.surveyor(surveyor)
	}
	w.service = &ops.Service{Rows: w.store, Surveyor: surveyor, Carrier: w.carrier, People: team{}, Trials: w.store, Trier: runner, Now: now, Log: quiet}
	return w
}

// hurried is a clock for the client's rate limit: a call that waits for its turn
// waits on the machine's clock, during which the hand-moved one stands still.
func hurried() func() time.Time {
	begun := time.Now()
	return func() time.Time { return begun.Add(1_000_000 * time.Since(begun)) }
}

// open opens the rows, migrated.
func (w *world) open(now func() time.Time) *store.Store {
	w.t.Helper()
	c := store.Config{Now: now, Hook: w.wrote}
	if w.postgres != "" {
		c.DatabaseURL, c.Pool = ops.NewSecret(w.postgres), 2
	} else {
		file, err := migrated()
		if err != nil {
			w.t.Fatal(err)
		}
		c.Path = filepath.Join(w.dir(), "rows.db")
		if err := os.WriteFile(c.Path, file, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	s, err := store.Open(w.t.Context(), c)
	if w.postgres != "" && errors.Is(err, store.ErrSchema) {
		_, err = s.Migrate(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

// dir is in memory where the machine has that: a story waits for the disk longer
// than for anything else.
func (w *world) dir() string {
	w.t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "world")
	if err != nil {
		return w.t.TempDir()
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tick is one turn of the program, which may be killed in it.
func (w *world) tick(ctx context.Context, run string) (turn engine.Turn, err error) {
	defer func() {
		w.inTick = false
		if p := recover(); p != nil {
			if _, ok := p.(crashed); !ok {
				panic(p)
			}
			turn, err = engine.Turn{In: time.Second}, nil // the next process looks again
		}
	}()
	// Slack takes a post now and then.
	if !w.silence() && !w.away() {
		if err := w.store.Beat(ctx, upgrade.SlackDelivered, w.carrier.Now()); err != nil {
			return engine.Turn{}, err
		}
	}
	w.carrier.Advance(20 * time.Millisecond) // a look takes time
	w.inTick = true
	done, in, err := w.runner.Tick(ctx, run)
	return engine.Turn{Done: done, In: in}, err
}

// wrote is told of every row. What people's own requests write is theirs to
// repeat, and the beat is not the procedure's.
func (w *world) wrote(op, when string) { w.moment(when+" "+op, when == "after") }

// moment is a place where the program may be killed, and where the world is
// looked at when something may have changed.
func (w *world) moment(name string, changed bool) {
	if !w.inTick {
		return
	}
	if changed {
		w.never.check(name)
	}
	w.stop(name)
}

func (w *world) start(app string) ops.Run {
	w.t.Helper()
	return w.startAs("U1", app)
}

func (w *world) startAs(who, app string) ops.Run {
	w.t.Helper()
	started, err := w.service.Start(w.t.Context(), ops.Actor{ID: who}, "C1", app, ops.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.never.watch(started.Run, app)
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
		if w.broken != 0 && !w.goOn && w.never.saw(w.broken) {
			panic(gaveUp{})
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

func (w *world) events(id string) []ops.Event {
	w.t.Helper()
	events, err := w.store.Events(w.t.Context(), id, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

func (w *world) tell(id string) string {
	r := w.run(id)
	s := fmt.Sprintf("step %s, outcome %q, why %q, help %q, next %q, errors %v\n", r.Step, r.Outcome, r.Why, r.Help, r.Next, w.carrier.Errors())
	for _, e := range w.events(id) {
		s += fmt.Sprintf("%s %-9s %-16s %s\n", e.At.Format("15:04:05.000"), e.Kind, e.Step, e.Text)
	}
	return s
}

func (w *world) stage(what, name string) { w.t.Helper(); w.stageWith(what, name, "") }

func (w *world) stageWith(what, name, arg string) {
	w.t.Helper()
	if err := w.heroku.Stage(what, name, arg); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) app(name string) herokutest.AppView {
	w.t.Helper()
	a, ok := find(w.heroku.Overview(), name)
	if !ok {
		w.t.Fatalf("no app %s", name)
	}
	return a
}

func find(o herokutest.Overview, name string) (herokutest.AppView, bool) {
	for _, a := range o.Apps {
		if a.Name == name {
			return a, true
		}
	}
	return herokutest.AppView{}, false
}

func database(o herokutest.Overview, name string) (herokutest.DatabaseView, bool) {
	for _, d := range o.Databases {
		if d.Name == name {
			return d, true
		}
	}
	return herokutest.DatabaseView{}, false
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
