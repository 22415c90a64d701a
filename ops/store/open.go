package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // driver "sqlite"

	"github.com/pgupgrade/pgupgrade/ops"
)

// schema is where the tables are on PostgreSQL.
const schema = "pgupgrade"

func (s *Store) openSQLite(c Config) error {
	if c.Path == "" {
		return errors.New("open the bot's rows: neither a database URL nor a path was given")
	}
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	// SQLite gives its -wal and -shm files the mode of the file itself.
	f, err := os.OpenFile(c.Path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the bot's rows: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("open the bot's rows: %w", err)
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: c.Path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return fmt.Errorf("open %s: %w", c.Path, err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	s.db, s.turn = db, make(chan struct{}, 1)
	return nil
}

func (s *Store) openPostgres(c Config) error {
	config, err := pgx.ParseConfig(c.DatabaseURL.Reveal())
	if err != nil { // its text quotes the URL
		return errors.New("the database URL is not a PostgreSQL connection URL: expected postgres://user:password@host:5432/name")
	}
	s.hide = hidden(c.DatabaseURL, config.Password)
	settings := config.RuntimeParams
	settings["search_path"] = schema
	settings["application_name"] = "pgupgrade"
	// A frozen process must not keep the lock on the table of changes.
	settings["idle_in_transaction_session_timeout"] = "20000"
	// An acknowledged intent must survive a crash of the server.
	settings["synchronous_commit"] = "on"
	db := stdlib.OpenDB(*config)
	if c.Pool <= 0 {
		c.Pool = 6
	}
	db.SetMaxOpenConns(c.Pool)
	db.SetMaxIdleConns(c.Pool)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s.db, s.postgres = db, true
	return nil
}

// ErrAway: the database server does not answer, or not yet. It may later.
var ErrAway = errors.New("it is not there at the moment")

// away reports whether a connection may succeed later: nothing answered, or the
// server said that it begins, ends or is full
// (postgresql.org/docs/current/errcodes-appendix.html).
func away(err error) bool {
	p, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || p.Code == "57P03" || p.Code == "57P01" || p.Code == "53300"
}

// hidden lists the texts that no error may hold.
func hidden(databaseURL ops.Secret, password string) []string {
	out := []string{databaseURL.Reveal()}
	if password != "" {
		out = append(out, password, url.QueryEscape(password), url.PathEscape(password))
	}
	return out
}

// redacted is an error without its secrets. It still is what it was (errors.Is),
// but does not give the original away.
type redacted struct {
	text string
	err  error
}

func (e redacted) Error() string { return e.text }

func (e redacted) Is(target error) bool { return errors.Is(e.err, target) }

// redact takes the connection URL and the password out of an error.
func (s *Store) redact(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, secret := range s.hide {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	if text == err.Error() {
		return err
	}
	return redacted{text, err}
}
