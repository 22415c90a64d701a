package pg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgupgrade/pgupgrade/ops"
)

// What every connection of the bot's is bounded by.
const (
	// AppName is how the bot is known in pg_stat_activity. A session of that
	// name and the bot's own role is the bot's.
	AppName = "pgupgrade"

	statementLimit = 5 * time.Second
	lockWait       = time.Second
	connectLimit   = 5 * time.Second
	idleLimit      = 30 * time.Second // then the connection is closed
	silence        = 20 * time.Second // a read of several statements, on a network that says nothing
	goodbye        = time.Second      // when nothing is left to lose
)

// Reach keeps one Database for each add-on, so that a look does not connect
// anew. The zero value is ready; Close it at the end.
type Reach struct {
	mu      sync.Mutex
	open    map[string]*Database
	closing sync.WaitGroup
}

// Database returns the add-on's database behind url. It does not connect: the
// first question does. When the url is another than last time (credentials were
// rotated), the former Database is closed.
func (r *Reach) Database(addonID string, url ops.Secret) (*Database, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, ok := r.open[addonID]; ok {
		if d.url == url {
			return d, nil
		}
		r.closing.Go(d.Close) // which waits for what is under way
		delete(r.open, addonID)
	}
	d, err := Open(url)
	if err != nil {
		return nil, err
	}
	if r.open == nil {
		r.open = map[string]*Database{}
	}
	r.open[addonID] = d
	return d, nil
}

// Close closes every database.
func (r *Reach) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, d := range r.open {
		d.Close()
		delete(r.open, id)
	}
	r.closing.Wait()
}

// Database is one database of the customer's. It is safe for concurrent use.
type Database struct {
	url  ops.Secret
	conf *pgx.ConnConfig
	pool *pgxpool.Pool // one connection, for reads
	acts sync.Mutex    // one more, for the act under way

	// atEnd, when set, is called at the end of each read's transaction. Tests
	// look at the locks that it took.
	atEnd func(context.Context, string, pgx.Tx)
}

// Open returns the database behind a connection URL, as config vars hold it. It
// does not connect.
func Open(url ops.Secret) (*Database, error) {
	pc, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pc.MaxConns, pc.MinConns = 1, 0
	pc.MaxConnIdleTime, pc.HealthCheckPeriod = idleLimit, idleLimit
	pc.AfterConnect = settle
	d := &Database{url: url, conf: pc.ConnConfig.Copy()}
	// NewWithConfig does not connect while MinConns is 0, so its context ends nothing.
	if d.pool, err = pgxpool.NewWithConfig(context.Background(), pc); err != nil {
		return nil, d.failed("open database", err)
	}
	return d, nil
}

// Close closes its connections, waiting for what is under way.
func (d *Database) Close() { d.pool.Close() }

// settle bounds sessions that a crash of the bot leaves behind. The setting is
// not known to every version, so it cannot be a connection option.
func settle(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, `SELECT set_config(name, $1, false) FROM pg_settings WHERE name = 'idle_session_timeout'`,
		fmt.Sprint((2 * idleLimit).Milliseconds()))
	return err
}

// read calls f in one read-only transaction (READ COMMITTED), at whose end every
// lock is gone. what names the read in errors: "read sessions".
func (d *Database) read(ctx context.Context, what string, f func(pgx.Tx) error) error {
	return d.readWithin(ctx, what, statementLimit, f)
}

// readWithin is read with another limit for each statement.
func (d *Database) readWithin(ctx context.Context, what string, limit time.Duration, f func(pgx.Tx) error) error {
	tx, err := d.begin(ctx)
	if err != nil {
		return d.failed(what, err)
	}
	// The server ends a statement; a network that says nothing is ended here.
	silent := time.AfterFunc(limit+silence, func() { _ = tx.Conn().PgConn().Conn().SetDeadline(time.Now()) })
	defer silent.Stop()
	defer func() { // it only read: there is nothing to commit, or to lose
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		_ = tx.Rollback(end)
	}()
	if limit != statementLimit {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", limit.Milliseconds())); err != nil {
			return d.failed(what, err)
		}
	}
	if err := f(tx); err != nil {
		return d.failed(what, err)
	}
	if d.atEnd != nil {
		d.atEnd(ctx, what, tx)
	}
	return nil
}

// begin tries twice: the connection that was kept may have been ended meanwhile,
// and nothing was asked on it yet.
func (d *Database) begin(ctx context.Context) (pgx.Tx, error) {
	readOnly := pgx.TxOptions{AccessMode: pgx.ReadOnly}
	tx, err := d.pool.BeginTx(ctx, readOnly)
	var connect *pgconn.ConnectError
	if err != nil && ctx.Err() == nil && !errors.As(err, &connect) {
		tx, err = d.pool.BeginTx(ctx, readOnly)
	}
	return tx, err
}

// act calls f on a connection of its own that may write. It is closed at the
// end, so that everything it counted is told.
func (d *Database) act(ctx context.Context, what string, f func(*pgx.Conn) error) (err error) {
	d.acts.Lock()
	defer d.acts.Unlock()
	conf := d.conf.Copy()
	conf.RuntimeParams["options"] = "-c default_transaction_read_only=off"
	delete(conf.RuntimeParams, "default_transaction_read_only")
	c, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return d.failed(what, err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		_ = c.Close(end) // what f did is committed or not already
	}()
	if err := settle(ctx, c); err != nil {
		return d.failed(what, err)
	}
	return d.failed(what, f(c))
}

// rows collects a query's rows as T, by column position.
func rows[T any](ctx context.Context, tx pgx.Tx, query string, args ...any) ([]T, error) {
	r, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(r, pgx.RowToStructByPos[T])
}

// scalar returns the one value of the one row of a query.
func scalar[T any](ctx context.Context, tx pgx.Tx, query string, args ...any) (T, error) {
	var v T
	err := tx.QueryRow(ctx, query, args...).Scan(&v)
	return v, err
}
