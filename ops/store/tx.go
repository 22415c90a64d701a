package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/pgupgrade/pgupgrade/ops"
)

// tx is a transaction that takes ? for an argument on both databases.
type tx struct {
	*sql.Tx
	s *Store
}

func (t tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.ExecContext(ctx, t.s.bind(query), clean(args)...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.QueryRowContext(ctx, t.s.bind(query), clean(args)...)
}

func (t tx) insert(ctx context.Context, query string, args ...any) (id int64, err error) {
	err = t.row(ctx, query+" RETURNING id", args...).Scan(&id)
	return id, err
}

// write runs f in one transaction, between the hooks.
func (s *Store) write(ctx context.Context, op string, f func(context.Context, tx) error) error {
	s.hook(op, "before")
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := s.inTx(limited, f); err != nil {
		return fmt.Errorf("%s: %w", op, s.redact(err))
	}
	s.hook(op, "after")
	return nil
}

// inTx runs f in one transaction. Nothing of it stays when f errs or panics.
func (s *Store) inTx(ctx context.Context, f func(context.Context, tx) error) error {
	if s.turn != nil {
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
		case <-ctx.Done():
			return fmt.Errorf("wait for the writer before: %w", ctx.Err())
		}
	}
	var t *sql.Tx
	err := s.retryBusy(ctx, func() (err error) {
		t, err = s.db.BeginTx(ctx, nil)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // after a commit it does nothing
	if err := f(ctx, tx{t, s}); err != nil {
		return err
	}
	return t.Commit()
}

// retryBusy repeats what a lock of another process kept from beginning. SQLite
// itself waits 5 s for each, but not for every kind of lock (sqlite.org/wal.html,
// "Sometimes Queries Return SQLITE_BUSY In WAL Mode").
func (s *Store) retryBusy(ctx context.Context, begin func() error) error {
	for try := 1; ; try++ {
		err := begin()
		l, ok := errors.AsType[*sqlite.Error](err)
		if !ok || l.Code()&0xff != sqlite3.SQLITE_BUSY || try == 4 {
			return err
		}
		s.log.WarnContext(ctx, "the file with the bot's rows is locked by another process; trying again", "try", try)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// scan reads one row; ops.ErrNotFound when there is none.
func (s *Store) scan(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.redact(found(s.db.QueryRowContext(ctx, s.bind(query), clean(args)...).Scan(into...)))
}

// found turns "no such row" into ops.ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ops.ErrNotFound
	}
	return err
}

type scanner interface{ Scan(...any) error }

// list reads rows, in the query's order.
func list[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, s.bind(query), clean(args)...)
	if err != nil {
		return nil, s.redact(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, s.redact(err)
		}
		out = append(out, v)
	}
	return out, s.redact(rows.Err())
}

// bind turns ? into $1, $2 ... for PostgreSQL.
func (s *Store) bind(query string) string {
	if !s.postgres {
		return query
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// clean replaces what PostgreSQL refuses in a text: NUL and broken UTF-8. A
// strange answer of some service must not make a write fail.
func clean(args []any) []any {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\ufffd"), "\ufffd")
		}
	}
	return args
}

// taken reports whether err is the violation of a unique index, and whether it
// is the one of a table's primary key.
func taken(err error) (violated, primary bool) {
	if p, ok := errors.AsType[*pgconn.PgError](err); ok {
		return p.Code == "23505", strings.HasSuffix(p.ConstraintName, "_pkey")
	}
	if l, ok := errors.AsType[*sqlite.Error](err); ok {
		primary = l.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
		return primary || l.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE, primary
	}
	return false, false
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }
