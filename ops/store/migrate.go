package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// The migrations, in order. The first line of each names the oldest version of
// the tables whose programs still work with them afterwards ("-- oldest: 3"):
// migrations only add, so that the release before goes on during a deploy.
//
//go:embed migrations/*.sql
var migrations embed.FS

// ErrSchema: the tables do not fit this program. The error that wraps it says
// what to do.
var ErrSchema = errors.New("the bot's tables do not fit this program")

// ErrEmpty: there are no tables yet. It is an ErrSchema.
var ErrEmpty = fmt.Errorf("%w: there are none yet", ErrSchema)

// migrateLock is the advisory lock that lets one process migrate at a time.
const migrateLock = 7281640234

// Migrate brings the tables up to date, all or nothing, and returns the names of
// what it applied. Processes may call it at the same time: one migrates, the
// others wait and find nothing to do.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	s.hook("migrate", "before")
	err = s.inTx(ctx, func(ctx context.Context, t tx) error {
		applied = nil
		if err := s.prepare(ctx, t); err != nil {
			return err
		}
		var have int
		if err := t.row(ctx, "SELECT COALESCE(MAX(version), 0) FROM migrations").Scan(&have); err != nil {
			return err
		}
		for n, name := range names() {
			if n+1 <= have {
				continue
			}
			if err := s.apply(ctx, t, n+1, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			applied = append(applied, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", s.redact(err))
	}
	s.log.InfoContext(ctx, "migrated", "applied", applied)
	s.hook("migrate", "after")
	return applied, s.Ready(ctx)
}

// prepare takes the lock and makes the place for the tables.
func (s *Store) prepare(ctx context.Context, t tx) error {
	if s.postgres {
		if _, err := t.exec(ctx, "SELECT pg_advisory_xact_lock(?)", migrateLock); err != nil {
			return err
		}
		// IF NOT EXISTS alone would ask for the right to create even when it is there.
		var there bool
		if err := t.row(ctx, "SELECT to_regnamespace(?) IS NOT NULL", schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := t.exec(ctx, "CREATE SCHEMA "+schema); err != nil {
				return err
			}
		}
	}
	_, err := t.exec(ctx, "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, oldest BIGINT NOT NULL, applied_at BIGINT NOT NULL)")
	return err
}

func (s *Store) apply(ctx context.Context, t tx, version int, name string) error {
	text, err := migrations.ReadFile("migrations/" + name)
	if err != nil {
		return err
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	oldest, err := strconv.Atoi(strings.TrimPrefix(first, "-- oldest: "))
	if err != nil {
		return fmt.Errorf("its first line must be \"-- oldest: N\": %w", err)
	}
	words := strings.NewReplacer("{{serial}}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{{json}}", "TEXT")
	if s.postgres {
		words = strings.NewReplacer("{{serial}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{{json}}", "JSONB")
	}
	for statement := range strings.SplitSeq(words.Replace(rest), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := t.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = t.exec(ctx, "INSERT INTO migrations (version, name, oldest, applied_at) VALUES (?, ?, ?, ?)", version, name, oldest, micros(s.now()))
	return err
}

// names are the migrations in order; the number before the underscore counts up from 1.
func names() []string {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		panic("read embedded migrations: " + err.Error()) // they are compiled in
	}
	var out []string
	for i, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			panic("migration out of order: " + e.Name())
		}
		out = append(out, e.Name())
	}
	return out
}

// Ready returns ErrSchema when the tables are missing or older than this program
// needs, or so much newer that it can no longer use them.
func (s *Store) Ready(ctx context.Context) error {
	know := len(names())
	there := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'"
	if s.postgres {
		there = "SELECT COUNT(to_regclass('" + schema + ".migrations'))"
	}
	var tables, have, oldest int
	if err := s.scan(ctx, there, nil, &tables); err != nil {
		return fmt.Errorf("look for the bot's tables: %w", err)
	}
	if tables > 0 {
		if err := s.scan(ctx, "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(oldest), 0) FROM migrations", nil, &have, &oldest); err != nil {
			return fmt.Errorf("read the version of the bot's tables: %w", err)
		}
	}
	switch {
	case have == 0:
		return fmt.Errorf("%w: run `pgupgrade migrate`", ErrEmpty)
	case have < know:
		return fmt.Errorf("%w: they are at version %d and it needs %d: run `pgupgrade migrate`", ErrSchema, have, know)
	case oldest > know:
		return fmt.Errorf("%w: they are at version %d, made by a newer release, and it knows %d: deploy the newer release again", ErrSchema, have, know)
	}
	return nil
}
