package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

// Config says where a durable carrier keeps its rows.
type Config struct {
	DatabaseURL string // PostgreSQL; secret; empty: a SQLite file
	Path        string // of the SQLite file
	Executor    string // this process's slot: the same name after a restart
	Log         *slog.Logger
	Beat        time.Duration // how often this executor says that it lives; 0: 5 s
	Silent      time.Duration // after which silence a peer counts as dead; 0: 15 s
	MaxTurns    int           // after which a run's history begins anew; 0: 200
	Wait        time.Duration // for a predecessor of the same name to end; 0: 35 s
	Drain       time.Duration // for ticks under way when this executor begins anew; 0: 10 s
}

const (
	appName = "pgupgrade"
	schema  = "pgupgrade_carrier"
	// The version is constant on purpose: DBOS leaves workflows of another
	// version alone, and by default the version is a hash of the program, so
	// that every deploy would abandon all runs.
	appVersion = "1"
	wakeTopic  = "wake"
)

func (c *Config) defaults() {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Executor == "" {
		c.Executor = "local"
	}
	c.Beat = or(c.Beat, 5*time.Second)
	c.Silent = or(c.Silent, 15*time.Second)
	c.Wait = or(c.Wait, 35*time.Second)
	c.Drain = or(c.Drain, 10*time.Second)
	if c.MaxTurns == 0 {
		c.MaxTurns = 200
	}
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Durable carries runs with DBOS Transact, in SQLite or PostgreSQL.
//
// Whenever peers may have taken over its runs (it was stopped, or the session
// that holds its name was lost) it takes no turn and records nothing, drops
// everything that it carried, and begins anew with what the rows say.
type Durable struct {
	Config
	tick Tick
	file io.Closer // SQLite: the locked file

	mu   sync.Mutex
	life *life // replaced when this executor begins anew

	session *session // PostgreSQL: holds the name; used by the watch alone
	held    atomic.Bool
	spoke   atomic.Int64 // when it last said that it lives, in nanoseconds since began
	began   time.Time
	again   chan string // why to begin anew

	starting sync.Mutex // one run is started at a time
	stop     context.CancelFunc
	watching sync.WaitGroup
	closed   atomic.Bool
}

// Open takes this executor's name, continues the runs that it carried before,
// and watches for peers that died. It returns ErrTaken when another living
// process has the name.
func Open(ctx context.Context, c Config, tick Tick) (*Durable, error) {
	c.defaults()
	d := &Durable{Config: c, tick: tick, began: time.Now(), again: make(chan string, 1)}
	if err := d.takePlace(ctx); err != nil {
		return nil, err
	}
	l, err := d.launch(ctx)
	if err != nil {
		return nil, errors.Join(err, d.leavePlace())
	}
	d.life = l
	if d.session != nil { // preparing an empty database takes a while
		if err := d.speak(ctx, askFor); err != nil {
			return nil, errors.Join(err, l.end(c.Drain), d.leavePlace())
		}
	}
	d.held.Store(true)
	watch, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.watching.Go(func() { d.watch(watch) })
	return d, nil
}

// takePlace locks the file, or waits for this executor's name.
func (d *Durable) takePlace(ctx context.Context) error {
	if d.DatabaseURL == "" {
		return d.lockFile()
	}
	return d.awaitName(ctx)
}

func (d *Durable) leavePlace() error {
	if d.file != nil {
		return d.file.Close()
	}
	return d.session.close()
}

// may reports whether this executor may take turns: it holds its name, and was
// heard of so lately that no peer can have taken over.
func (d *Durable) may() bool {
	return d.held.Load() && (d.DatabaseURL == "" || d.silence() < d.Silent)
}

// silence is for how long this executor has not said that it lives.
func (d *Durable) silence() time.Duration {
	return time.Since(d.began) - time.Duration(d.spoke.Load())
}

// awaitTurn waits until this executor may take turns. It reports false when the
// life of which ctx is a part has ended instead.
func (d *Durable) awaitTurn(ctx context.Context) bool {
	for !d.may() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return ctx.Err() == nil
}

// carried is the input of a run's durable program.
type carried struct {
	Run        string
	Generation int
}

func (c carried) id() string { return c.Run + "/" + strconv.Itoa(c.Generation) }

// loop is the whole durable program of a run.
func (l *life) loop(ctx dbos.Context, c carried) (string, error) {
	l.enter(c.id())
	defer l.leave(c.id())
	for range l.d.MaxTurns {
		turn, err := dbos.RunAsStep(ctx, func(ctx context.Context) (Turn, error) { return l.d.safeTick(ctx, c.Run), nil }, dbos.WithStepName("tick"))
		if err != nil {
			return "", l.broken(ctx, c, err)
		}
		if turn.Done {
			return "ended", nil
		}
		if turn.In <= 0 {
			continue
		}
		if _, err := dbos.Recv[string](ctx, wakeTopic, turn.In); err != nil && !errors.Is(err, dbos.ErrTimeout) {
			return "", l.broken(ctx, c, err)
		}
	}
	// A replay reads a run's whole history, so it begins anew now and then.
	next := carried{c.Run, c.Generation + 1}
	if _, err := dbos.RunWorkflow(ctx, l.loop, next, dbos.WithWorkflowID(next.id())); err != nil {
		return "", l.broken(ctx, c, err)
	}
	return "continued as " + next.id(), nil
}

// broken keeps a program from ending in an error, which DBOS would take for its
// end, and from being parked after a conflict, which DBOS does not wake when the
// other one dies: everything that this executor carries begins anew.
func (l *life) broken(ctx context.Context, c carried, err error) error {
	if ctx.Err() == nil {
		l.d.beginAgain(fmt.Sprintf("the program of run %s broke: %v", c.Run, redact(err)))
		<-ctx.Done()
	}
	return err
}

// beginAgain asks the watch to begin anew.
func (d *Durable) beginAgain(why string) {
	select {
	case d.again <- why:
	default: // it was asked already
	}
}

// safeTick never fails: an error or a panic is logged and tried again later.
// It returns only while this executor may take turns, or when its life has ended:
// DBOS records what it returns, and a record by one whose runs a peer has taken
// over would put the peer out of step.
func (d *Durable) safeTick(ctx context.Context, run string) (turn Turn) {
	if !d.awaitTurn(ctx) {
		return Turn{In: retryIn}
	}
	turn = d.tried(ctx, run)
	d.awaitTurn(ctx)
	return turn
}

func (d *Durable) tried(ctx context.Context, run string) (turn Turn) {
	defer func() {
		if p := recover(); p != nil {
			d.Log.ErrorContext(ctx, "tick panicked; trying again", "run", run, "panic", p, "stack", string(debug.Stack()))
			turn = Turn{In: retryIn}
		}
	}()
	turn, err := d.tick(ctx, run)
	if err != nil {
		if ctx.Err() == nil {
			d.Log.ErrorContext(ctx, "tick failed; trying again", "run", run, "err", err)
		}
		return Turn{In: retryIn}
	}
	return turn
}

// Start carries the run. See Carrier.
func (d *Durable) Start(ctx context.Context, run string) error {
	d.starting.Lock()
	defer d.starting.Unlock()
	l := d.now()
	if carried, _, err := l.generation(ctx, run); err != nil || carried {
		return err
	}
	// DBOS lets the second of two that begin the same program take its name from
	// the first, without running it: so one at a time looks and begins.
	return l.gated(ctx, askFor, func() error {
		carries, newest, err := l.generation(ctx, run)
		if err != nil || carries {
			return err
		}
		next := carried{run, newest + 1}
		if _, err := dbos.RunWorkflow(l.dbos, l.loop, next, dbos.WithWorkflowID(next.id())); err != nil {
			return fmt.Errorf("carry run %s: %w", run, redact(err))
		}
		return nil
	})
}

// generation reports whether the run is carried, and the newest generation of
// its program.
func (l *life) generation(ctx context.Context, run string) (carries bool, newest int, err error) {
	known, err := l.list(ctx, dbos.WithFilterWorkflowIDPrefix(run+"/"))
	if err != nil {
		return false, 0, fmt.Errorf("look up run %s: %w", run, err)
	}
	for _, w := range known {
		if n, err := strconv.Atoi(w.ID[len(run)+1:]); err == nil {
			newest = max(newest, n)
		}
		carries = carries || w.Status == dbos.WorkflowStatusPending || w.Status == dbos.WorkflowStatusEnqueued
	}
	return carries, newest, nil
}

// Wake makes the run's next tick happen now. See Carrier.
func (d *Durable) Wake(ctx context.Context, run string) error {
	l := d.now()
	live, err := l.list(ctx, dbos.WithFilterWorkflowIDPrefix(run+"/"), dbos.WithFilterStatus(dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued))
	if err != nil {
		return fmt.Errorf("look up run %s: %w", run, err)
	}
	for _, w := range live {
		if err := l.wake(ctx, w.ID); err != nil {
			return fmt.Errorf("wake run %s: %w", run, err)
		}
	}
	return nil
}

// Close stops. See Carrier.
func (d *Durable) Close(ctx context.Context) error {
	if !d.closed.CompareAndSwap(false, true) {
		return nil
	}
	limit := 25 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	d.stop()
	d.watching.Wait()
	return errors.Join(d.now().end(limit), d.leavePlace())
}

// Failed returns the runs whose durable program ended in an error, which the
// carrier takes care never to let happen.
func (d *Durable) Failed(ctx context.Context) ([]string, error) {
	failed, err := d.now().list(ctx, dbos.WithFilterStatus(dbos.WorkflowStatusError, dbos.WorkflowStatusMaxRecoveryAttemptsExceeded))
	var ids []string
	for _, w := range failed {
		ids = append(ids, w.ID)
	}
	return ids, err
}
