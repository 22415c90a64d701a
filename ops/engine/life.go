package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // SQLite as DBOS's system database
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// life is DBOS in this process from one launch to its end.
type life struct {
	d    *Durable
	dbos dbos.Context
	pool *pgxpool.Pool // PostgreSQL only; DBOS closes it

	mu    sync.Mutex
	runs  map[string]bool // the durable programs that run here
	given bool            // up
}

func (d *Durable) now() *life {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.life
}

func (l *life) enter(program string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs[program] = true
}

func (l *life) leave(program string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs, program)
}

func (l *life) has(program string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs[program]
}

// launch prepares the tables and begins to carry.
func (d *Durable) launch(ctx context.Context) (*life, error) {
	l := &life{d: d, runs: map[string]bool{}}
	if d.DatabaseURL != "" {
		var err error
		if l.pool, err = connect(ctx, d.DatabaseURL); err != nil {
			return nil, err
		}
	}
	begun := make(chan error, 1)
	go func() {
		err := l.gated(ctx, launchFor, l.begin)
		if err != nil {
			l.abandon()
		}
		begun <- err
	}()
	select {
	case err := <-begun:
		return l, err
	case <-ctx.Done():
		l.abandon()
		return nil, ctx.Err()
	case <-time.After(launchFor): // DBOS itself would try for ever
		l.abandon()
		return nil, errors.New("launch the carrier: its database does not answer")
	}
}

// launchFor ends a launch, that of an empty database too.
const launchFor = 45 * time.Second

// begin opens DBOS and lets it carry what belongs to this executor.
func (l *life) begin() error {
	if err := l.open(); err != nil {
		return err
	}
	dbos.RegisterWorkflow(l.dbos, l.loop, dbos.WithWorkflowName("run"), dbos.WithMaxRecoveryAttempts(1_000_000))
	if err := dbos.Launch(l.dbos); err != nil {
		return fmt.Errorf("launch the carrier: %w", redact(err))
	}
	return nil
}

// open makes DBOS's tables, if they are not there, and its context.
func (l *life) open() error {
	x := dbos.Config{AppName: appName, ApplicationVersion: appVersion, ExecutorID: l.d.Executor, Logger: slog.New(quiet{l.d.Log.Handler()})}
	if l.pool != nil {
		x.SystemDBPool, x.DatabaseSchema = l.pool, schema
	} else {
		x.DatabaseURL = "sqlite:" + l.d.Path
	}
	// The context given to DBOS lives as long as this life: end ends it.
	c, err := dbos.NewContext(context.Background(), x)
	if err != nil {
		return fmt.Errorf("open the carrier: %w", redact(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dbos = c; l.given {
		return errors.New("open the carrier: its database answered too late")
	}
	return nil
}

// abandon gives up a life that did not begin, and waits for nothing.
func (l *life) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = true
	if l.dbos != nil {
		go dbos.Shutdown(l.dbos, time.Second) //nolint:errcheck // nothing was carried; it closes the pool too
	} else if l.pool != nil {
		go l.pool.Close()
	}
}

// end takes no more turns and waits for ticks under way, at most that long. DBOS
// gives each of its parts the whole time, and closing a pool waits for a server
// that is gone, so the wait is bounded here.
func (l *life) end(limit time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- dbos.Shutdown(l.dbos, limit) }()
	select {
	case err := <-ended:
		return redact(err)
	case <-time.After(limit):
		return fmt.Errorf("ticks under way did not end within %s", limit)
	}
}

// askFor ends a question to the carrier's database.
const askFor = 10 * time.Second

// ask puts a question, with a context that ends with ctx or after a while: by
// itself DBOS asks for ever while its database is away. It returns then, whatever
// becomes of the question; nothing may be started with the context.
func ask[T any](ctx context.Context, l *life, question func(dbos.Context) (T, error)) (T, error) {
	x, cancel := dbos.WithTimeout(l.dbos, askFor)
	stop := context.AfterFunc(ctx, cancel)
	type answer struct {
		v   T
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		defer cancel()
		defer stop()
		v, err := question(x)
		answered <- answer{v, redact(err)}
	}()
	select {
	case a := <-answered:
		return a.v, a.err
	case <-x.Done():
	}
	select {
	case a := <-answered:
		return a.v, a.err
	case <-time.After(time.Second): // it does not listen
		var none T
		return none, fmt.Errorf("the carrier's database does not answer: %w", context.Cause(x))
	}
}

// gate is the advisory lock under which tables are made, programs begun, and the
// runs of a dead peer taken: by one process at a time.
var gate = lockNumber(appName + " carrier")

// lockNumber makes the number of an advisory lock from its name.
func lockNumber(name string) int64 {
	sum := sha256.Sum256([]byte(name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// gated runs f while no other process is in its gate. One that is stopped in it
// for longer than limit loses it.
func (l *life) gated(ctx context.Context, limit time.Duration, f func() error) error {
	if l.pool == nil {
		return f() // there is one process
	}
	ctx, cancel := context.WithTimeout(ctx, launchFor)
	defer cancel()
	c, err := l.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("reach the carrier's database: %w", redact(err))
	}
	defer c.Release()
	// Asked again and again rather than waited for: a session that waits inside a
	// statement keeps CREATE INDEX CONCURRENTLY, with which DBOS makes its tables,
	// from ending.
	for {
		inside, err := enter(ctx, c.Conn(), limit)
		if err != nil {
			return fmt.Errorf("wait for another process: %w", redact(err))
		}
		if inside {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another process to prepare the carrier: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	defer func() {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if _, err := c.Exec(leave, "COMMIT"); err != nil {
			_ = c.Conn().Close(leave) // the lock ends with its session
		}
	}()
	return f()
}

// enter begins a transaction that holds the gate, if nobody else does.
func enter(ctx context.Context, c *pgx.Conn, limit time.Duration) (inside bool, err error) {
	t, err := c.Begin(ctx)
	if err != nil {
		return false, err
	}
	if err = t.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", gate).Scan(&inside); err == nil && inside {
		// The last statement, and one that needs no snapshot: see above.
		_, err = t.Exec(ctx, fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", limit.Milliseconds()))
	}
	if inside && err == nil {
		return true, nil
	}
	return false, errors.Join(err, t.Rollback(ctx))
}

// poolSize is how many connections the carrier's pool holds, one of which DBOS
// listens on. By default DBOS would hold 10 to 20, and small Heroku plans allow 20
// for all processes together.
const poolSize = 4

// connect opens the carrier's pool. It is lazy: an error is about the URL.
func connect(ctx context.Context, url string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL cannot be read as a PostgreSQL URL")
	}
	c.MaxConns, c.MinConns = poolSize, 0
	named(c.ConnConfig.RuntimeParams, "pgupgrade carrier")
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reach the carrier's database: %w", redact(err))
	}
	return pool, nil
}

// Migrate prepares the tables, before any executor starts. Open would do it too;
// this is for the release phase.
func Migrate(ctx context.Context, c Config) error {
	c.defaults()
	if c.DatabaseURL == "" {
		return nil // made on start; there is only one process
	}
	s, err := dial(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	defer hangUp(s)
	pool, err := connect(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	l := &life{d: &Durable{Config: c}, pool: pool}
	err = l.gated(ctx, launchFor, l.open)
	if l.dbos == nil {
		l.abandon()
		return err
	}
	return errors.Join(err, executors(ctx, s), l.end(5*time.Second))
}

// redact withholds errors that may name the connection URL.
func redact(err error) error {
	if err != nil && strings.Contains(err.Error(), "://") {
		return errors.New("the database refused or could not be reached (details withheld: they name the connection URL)")
	}
	return err
}
