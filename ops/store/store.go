// Package store keeps the rows: one set of SQL for SQLite and PostgreSQL.
//
// Every write is one transaction, durable when its method returns nil, and every
// write of a run is a compare-and-set on its epoch. An error from a write means
// "not known to be written": a connection can be lost between the commit and its
// answer, so read again before deciding anything. Times come back in UTC.
package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Config says where the rows are.
type Config struct {
	// DatabaseURL is a direct PostgreSQL connection URL (not a transaction
	// pooler's, which refuses the session settings). Empty: a SQLite file.
	DatabaseURL ops.Secret
	Path        string           // of the SQLite file; its directory is made
	Pool        int              // connections to PostgreSQL at most; 0 means 6
	Now         func() time.Time // for leases and pruning; nil means time.Now
	Log         *slog.Logger     // nil keeps quiet

	// Hook, for tests, is called with when "before" and "after" around each
	// write, outside of its transaction; "after" only when it was committed.
	// op is the write's name, such as "save run" or "begin act upgrade.run".
	Hook func(op, when string)
}

// Store is the rows. It is safe for concurrent use by goroutines and by
// processes. A method whose context has no nearer deadline gives up after 20 s.
type Store struct {
	db       *sql.DB
	postgres bool
	turn     chan struct{} // SQLite has one writer: who writes holds the one place
	hide     []string      // what must not be in an error
	now      func() time.Time
	log      *slog.Logger
	hook     func(op, when string)
	pruned   atomic.Int64 // when old envelopes were last deleted, in microseconds
}

var _ ops.Rows = (*Store)(nil)

// limit ends a read or a write whose database does not answer.
const limit = 20 * time.Second

// Open connects. It does not migrate: when the tables do not fit this program
// the error is ErrSchema, and the store comes with it, open, for Migrate alone.
// With every other error the store is nil.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{now: c.Now, hook: c.Hook, log: c.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.hook == nil {
		s.hook = func(string, string) {}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	open := s.openPostgres
	if c.DatabaseURL.Empty() {
		open = s.openSQLite
	}
	if err := open(c); err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		_ = s.db.Close() // nothing was written
		return nil, err
	}
	return s, s.Ready(ctx)
}

// Ping asks the database for an answer.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.retryBusy(ctx, func() error { return s.db.PingContext(ctx) })
	switch {
	case err == nil:
		return nil
	case s.postgres && away(err):
		return fmt.Errorf("reach the bot's database: %w: %w", ErrAway, s.redact(err))
	}
	return fmt.Errorf("reach the bot's database: %w", s.redact(err))
}

// Close ends all connections, after the writes in progress.
func (s *Store) Close() error { return s.redact(s.db.Close()) }
