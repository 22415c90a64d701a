package engine

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // SQLite as DBOS's system database
	"github.com/jackc/pgx/v5/pgxpool"
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
type Durable struct {
	Config
	tick   Tick
	dbos   dbos.Context
	pool   *pgxpool.Pool // PostgreSQL only
	unlock func() error
	// held is false while another process may have taken this executor's name.
	held   atomic.Bool
	stop   context.CancelFunc
	beats  sync.WaitGroup
	closed atomic.Bool
}

// Open takes this executor's name, continues the runs that it carried before,
// and watches for peers that died. It returns ErrTaken when another living
// process has the name.
func Open(ctx context.Context, c Config, tick Tick) (*Durable, error) {
	c.defaults()
	d := &Durable{Config: c, tick: tick}
	var err error
	if c.DatabaseURL == "" {
		err = d.lockFile()
	} else {
		err = d.lockName(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := d.launch(); err != nil {
		return nil, errors.Join(err, d.unlock())
	}
	return d, nil
}

// Migrate prepares the tables, before any executor starts: two that start on an
// empty database would race.
func Migrate(ctx context.Context, c Config) error {
	c.defaults()
	d := &Durable{Config: c, tick: func(context.Context, string) (Turn, error) { return Turn{Done: true}, nil }}
	if c.DatabaseURL == "" {
		return nil // made on start; there is only one process
	}
	if err := d.connect(ctx); err != nil {
		return err
	}
	defer d.pool.Close()
	x, err := dbos.NewContext(ctx, d.config())
	if err != nil {
		return fmt.Errorf("prepare the carrier's tables: %w", redact(err))
	}
	return dbos.Shutdown(x, 5*time.Second)
}

func redact(err error) error {
	if err != nil && strings.Contains(err.Error(), "://") {
		return errors.New("the database refused or could not be reached (details withheld: they name the connection URL)")
	}
	return err
}

func (d *Durable) config() dbos.Config {
	x := dbos.Config{AppName: appName, ApplicationVersion: appVersion, ExecutorID: d.Executor, Logger: slog.New(quiet{d.Log.Handler()})}
	if d.pool != nil {
		x.SystemDBPool, x.DatabaseSchema = d.pool, schema
	} else {
		x.DatabaseURL = "sqlite:" + d.Path
	}
	return x
}

func (d *Durable) launch() error {
	if d.pool != nil { // peers take over from whoever was not heard of
		if err := d.alive(context.Background()); err != nil {
			return fmt.Errorf("say that this executor lives: %w", redact(err))
		}
	}
	// The context given to DBOS lives as long as the carrier: Close ends it.
	x, err := dbos.NewContext(context.Background(), d.config())
	if err != nil {
		return fmt.Errorf("open the carrier: %w", redact(err))
	}
	d.dbos = x
	dbos.RegisterWorkflow(x, d.loop, dbos.WithWorkflowName("run"), dbos.WithMaxRecoveryAttempts(1_000_000))
	if err := dbos.Launch(x); err != nil {
		return fmt.Errorf("launch the carrier: %w", redact(err))
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	if d.pool != nil {
		d.beats.Go(func() { d.beatAndWatch(ctx) })
	}
	return nil
}

// carried is the input of a run's durable program.
type carried struct {
	Run        string
	Generation int
}

func (c carried) id() string { return c.Run + "/" + strconv.Itoa(c.Generation) }

// loop is the whole durable program of a run.
func (d *Durable) loop(ctx dbos.Context, c carried) (string, error) {
	for range d.MaxTurns {
		turn, err := dbos.RunAsStep(ctx, func(ctx context.Context) (Turn, error) { return d.safeTick(ctx, c.Run), nil }, dbos.WithStepName("tick"))
		if err != nil || turn.Done {
			return "ended", err
		}
		if turn.In <= 0 {
			continue
		}
		if _, err := dbos.Recv[string](ctx, wakeTopic, turn.In); err != nil && !errors.Is(err, dbos.ErrTimeout) {
			return "", err
		}
	}
	// A replay reads a run's whole history, so it begins anew now and then.
	next := carried{c.Run, c.Generation + 1}
	_, err := dbos.RunWorkflow(ctx, d.loop, next, dbos.WithWorkflowID(next.id()))
	return "continued as " + next.id(), err
}

// safeTick never fails: an error or a panic is logged and tried again later.
func (d *Durable) safeTick(ctx context.Context, run string) (turn Turn) {
	defer func() {
		if p := recover(); p != nil {
			d.Log.ErrorContext(ctx, "tick panicked; trying again", "run", run, "panic", p, "stack", string(debug.Stack()))
			turn = Turn{In: retryIn}
		}
	}()
	if !d.held.Load() {
		d.Log.WarnContext(ctx, "not ticking: this executor's lock is lost", "run", run)
		return Turn{In: time.Second}
	}
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
	known, err := dbos.ListWorkflows(d.dbos, dbos.WithFilterWorkflowIDPrefix(run+"/"), dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return fmt.Errorf("look up run %s: %w", run, redact(err))
	}
	newest := 0
	for _, w := range known {
		switch w.Status {
		case dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued:
			return nil
		}
		if n, err := strconv.Atoi(w.ID[len(run)+1:]); err == nil {
			newest = max(newest, n)
		}
	}
	next := carried{run, newest + 1}
	if _, err := dbos.RunWorkflow(d.dbos, d.loop, next, dbos.WithWorkflowID(next.id())); err != nil {
		return fmt.Errorf("carry run %s: %w", run, redact(err))
	}
	return nil
}

// Wake makes the run's next tick happen now. See Carrier.
func (d *Durable) Wake(ctx context.Context, run string) error {
	live, err := dbos.ListWorkflows(d.dbos, dbos.WithFilterWorkflowIDPrefix(run+"/"), dbos.WithFilterStatus(dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return fmt.Errorf("look up run %s: %w", run, redact(err))
	}
	for _, w := range live {
		if err := dbos.Send(d.dbos, w.ID, "wake", wakeTopic); err != nil {
			return fmt.Errorf("wake run %s: %w", run, redact(err))
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
	err := dbos.Shutdown(d.dbos, limit)
	d.beats.Wait()
	err = errors.Join(err, d.unlock())
	if d.pool != nil {
		d.pool.Close()
	}
	return err
}

// Failed returns the runs whose durable program ended in an error, which the
// carrier takes care never to let happen.
func (d *Durable) Failed(ctx context.Context) ([]string, error) {
	failed, err := dbos.ListWorkflows(d.dbos, dbos.WithFilterStatus(dbos.WorkflowStatusError, dbos.WorkflowStatusMaxRecoveryAttemptsExceeded))
	var ids []string
	for _, w := range failed {
		ids = append(ids, w.ID)
	}
	return ids, redact(err)
}

func (d *Durable) lockFile() error {
	if err := os.MkdirAll(filepath.Dir(d.Path), 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	f, err := os.OpenFile(d.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the lock file: %w", err)
	}
	if err := flock(f); err != nil {
		return errors.Join(fmt.Errorf("%w (the file %s is locked)", ErrTaken, f.Name()), f.Close())
	}
	d.held.Store(true)
	d.unlock = f.Close
	return nil
}

// connect opens a small pool of the carrier's own: by default DBOS would hold
// 10 to 20 connections, and small Heroku plans allow 20.
func (d *Durable) connect(ctx context.Context) error {
	c, err := pgxpool.ParseConfig(d.DatabaseURL)
	if err != nil {
		return errors.New("DATABASE_URL cannot be read as a PostgreSQL URL")
	}
	c.MaxConns, c.MinConns = 5, 0
	c.ConnConfig.RuntimeParams["application_name"] = "pgupgrade carrier"
	if d.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return fmt.Errorf("reach the carrier's database: %w", redact(err))
	}
	for _, statement := range []string{
		"CREATE SCHEMA IF NOT EXISTS " + schema,
		"CREATE TABLE IF NOT EXISTS " + schema + ".executors (id TEXT PRIMARY KEY, beat TIMESTAMPTZ NOT NULL)",
	} {
		if _, err := d.pool.Exec(ctx, statement); err != nil && !strings.Contains(err.Error(), "23505") { // another process was first
			d.pool.Close()
			return fmt.Errorf("prepare the carrier's tables: %w", redact(err))
		}
	}
	return nil
}

// lockName takes this executor's name with a session lock: it ends with the
// connection, so a killed process frees it at once.
func (d *Durable) lockName(ctx context.Context) error {
	if err := d.connect(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(d.Wait)
	for {
		l, ok, err := d.tryLock(ctx)
		if ok {
			d.held.Store(true)
			ctx, stop := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() { d.keepLock(ctx, l) })
			d.unlock = func() error { stop(); wg.Wait(); return nil }
			return nil
		}
		if err == nil && time.Now().After(deadline) {
			err = fmt.Errorf("%w (the name %s is held)", ErrTaken, d.Executor)
		}
		if err != nil {
			d.pool.Close()
			return err
		}
		select {
		case <-ctx.Done():
			d.pool.Close()
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lock is one session that holds this executor's name.
type lock struct {
	db   *sql.DB
	conn *sql.Conn
}

func (l lock) close() error { return errors.Join(l.conn.Close(), l.db.Close()) }

func (d *Durable) tryLock(ctx context.Context) (lock, bool, error) {
	u, err := url.Parse(d.DatabaseURL)
	if err != nil {
		return lock{}, false, errors.New("DATABASE_URL is not a URL")
	}
	q := u.Query()
	q.Set("application_name", "pgupgrade lock")
	u.RawQuery = q.Encode()
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		return lock{}, false, redact(err)
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return lock{}, false, errors.Join(redact(err), db.Close())
	}
	sum := sha256.Sum256([]byte(appName + "/" + d.Executor))
	var ok bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(binary.BigEndian.Uint64(sum[:8]))).Scan(&ok); err != nil || !ok {
		return lock{}, false, errors.Join(redact(err), conn.Close(), db.Close())
	}
	return lock{db, conn}, true, nil
}

// keepLock takes no turns while the session that holds the lock is gone.
func (d *Durable) keepLock(ctx context.Context, l lock) {
	for {
		select {
		case <-ctx.Done():
			if err := l.close(); err != nil { // the session ends, and the lock with it
				d.Log.Warn("gave back the executor's lock", "err", redact(err))
			}
			return
		case <-time.After(d.Beat):
		}
		ping, cancel := context.WithTimeout(ctx, d.Beat)
		err := l.conn.PingContext(ping)
		cancel()
		if err == nil || ctx.Err() != nil {
			continue
		}
		if d.held.Swap(false) {
			d.Log.Error("lost the executor's lock; not ticking until it is held again", "err", redact(err))
		}
		if again, ok, _ := d.tryLock(ctx); ok {
			_ = l.close() // it is broken already
			l = again
			d.held.Store(true)
			d.Log.Info("holds the executor's lock again")
		}
	}
}
