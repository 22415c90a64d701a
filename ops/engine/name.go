package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session holds this executor's name: an advisory lock that ends with the
// connection, so that a killed process frees it at once. What it writes proves
// that the lock was held.
type session struct{ conn *pgx.Conn }

func (s *session) close() error {
	if s == nil {
		return nil
	}
	return hangUp(s.conn)
}

func hangUp(c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return redact(c.Close(ctx))
}

// dial opens one connection.
func dial(ctx context.Context, url string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL cannot be read as a PostgreSQL URL")
	}
	named(c.RuntimeParams, "pgupgrade lock")
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reach the carrier's database: %w", redact(err))
	}
	return conn, nil
}

// named gives sessions a name, and lets the server notice within half a minute
// that this machine is gone: until then it would keep the lock for nobody
// (postgresql.org/docs/current/runtime-config-connection.html). A process that was
// stopped within a transaction must not keep its locks from a peer either.
func named(settings map[string]string, name string) {
	settings["application_name"] = name
	settings["idle_in_transaction_session_timeout"] = "10000"
	settings["tcp_keepalives_idle"] = "10"
	settings["tcp_keepalives_interval"] = "5"
	settings["tcp_keepalives_count"] = "3"
}

// anotherWasFirst are the answers when another session makes the same table in
// the same moment: unique_violation of a catalog, duplicate_schema,
// duplicate_table, duplicate_object (the table's row type).
var anotherWasFirst = []string{"23505", "42P06", "42P07", "42710"}

// executors makes the table of those who live. Several may make it at once.
func executors(ctx context.Context, c *pgx.Conn) error {
	for try := 0; ; try++ {
		// IF NOT EXISTS alone would ask for the right to create even when it is there.
		var there bool
		if err := c.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", schema+".executors").Scan(&there); err != nil || there {
			return redact(err)
		}
		_, err := c.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema)
		if err == nil {
			_, err = c.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+schema+".executors (id TEXT PRIMARY KEY, beat TIMESTAMPTZ NOT NULL)")
		}
		if err == nil {
			return nil
		}
		p, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || !slices.Contains(anotherWasFirst, p.Code) || try == 5 {
			return fmt.Errorf("prepare the carrier's tables: %w", redact(err))
		}
	}
}

// takeName asks once for this executor's name. The session is nil when another
// has it.
func (d *Durable) takeName(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	c, err := dial(ctx, d.DatabaseURL)
	if err != nil {
		return nil, err
	}
	var ok bool
	if err = executors(ctx, c); err == nil {
		err = c.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lockNumber(appName+"/"+d.Executor)).Scan(&ok)
	}
	if err != nil || !ok {
		_ = hangUp(c) // nothing is held
		return nil, redact(err)
	}
	return &session{c}, nil
}

// awaitName takes this executor's name, after a predecessor has ended.
func (d *Durable) awaitName(ctx context.Context) error {
	deadline := time.Now().Add(d.Wait)
	for {
		s, err := d.takeName(ctx)
		if err == nil && s != nil {
			d.session = s
			return d.speak(ctx, askFor)
		}
		if err == nil && time.Now().After(deadline) {
			err = fmt.Errorf("%w (the name %s is held)", ErrTaken, d.Executor)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// speak says, in the session that holds the name, that this executor lives.
func (d *Durable) speak(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	said := time.Since(d.began)
	_, err := d.session.conn.Exec(ctx, "INSERT INTO "+schema+".executors (id, beat) VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET beat = excluded.beat", d.Executor)
	if err != nil {
		return fmt.Errorf("say that this executor lives: %w", redact(err))
	}
	d.spoke.Store(int64(said))
	return nil
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
	d.file = f
	return nil
}
