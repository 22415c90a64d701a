package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

const messageColumns = "grp, name, channel, ts, hash, intended"

func scanMessage(row scanner) (m ops.Message, err error) {
	var intended int64
	err = row.Scan(&m.Group, &m.Name, &m.Channel, &m.TS, &m.Hash, &intended)
	m.Intended = fromMicros(intended)
	return m, err
}

// Message returns what is known of one message in Slack, or ops.ErrNotFound.
func (s *Store) Message(ctx context.Context, group, name string) (ops.Message, error) {
	found, err := list(ctx, s, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE grp = ? AND name = ?", group, name)
	if err == nil && len(found) == 0 {
		err = ops.ErrNotFound
	}
	if err != nil {
		return ops.Message{}, fmt.Errorf("read message: %w", err)
	}
	return found[0], nil
}

// Messages returns a group's messages, in the order of their names.
func (s *Store) Messages(ctx context.Context, group string) ([]ops.Message, error) {
	all, err := list(ctx, s, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE grp = ? ORDER BY name", group)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	return all, nil
}

// IntendMessage notes, before a first post, that it will be made. A message that
// was posted already stays as it is.
func (s *Store) IntendMessage(ctx context.Context, m ops.Message) error {
	m.TS = ""
	return s.putMessage(ctx, "intend message", m, " WHERE messages.ts = ''")
}

// SaveMessage writes what is known of one message, whatever was known before.
func (s *Store) SaveMessage(ctx context.Context, m ops.Message) error {
	return s.putMessage(ctx, "save message", m, "")
}

func (s *Store) putMessage(ctx context.Context, op string, m ops.Message, where string) error {
	return s.write(ctx, op, func(ctx context.Context, t tx) error {
		_, err := t.exec(ctx, "INSERT INTO messages ("+messageColumns+`) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (grp, name) DO UPDATE SET channel = excluded.channel, ts = excluded.ts, hash = excluded.hash, intended = excluded.intended`+where,
			m.Group, m.Name, m.Channel, m.TS, m.Hash, micros(m.Intended))
		return err
	})
}

// envelopesKept is how long an envelope is remembered. Slack repeats one within
// minutes.
const envelopesKept = 15 * time.Minute

// FirstTime reports whether the envelope was not seen before, by any process,
// and remembers it for at least 15 minutes.
func (s *Store) FirstTime(ctx context.Context, envelopeID string) (first bool, err error) {
	now := s.now()
	err = s.write(ctx, "see envelope", func(ctx context.Context, t tx) error {
		n, err := t.exec(ctx, "INSERT INTO envelopes (id, at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", envelopeID, micros(now))
		first = n == 1
		return err
	})
	if err != nil {
		return false, err
	}
	s.forget(ctx, now)
	return first, nil
}

// forget deletes old envelopes, once a minute. It may fail: the next one deletes more.
func (s *Store) forget(ctx context.Context, now time.Time) {
	last := s.pruned.Load()
	if micros(now)-last < time.Minute.Microseconds() || !s.pruned.CompareAndSwap(last, micros(now)) {
		return
	}
	err := s.write(ctx, "forget envelopes", func(ctx context.Context, t tx) error {
		_, err := t.exec(ctx, "DELETE FROM envelopes WHERE at < ?", micros(now.Add(-envelopesKept)))
		return err
	})
	if err != nil {
		s.log.WarnContext(ctx, "old envelopes were not deleted; trying again in a minute", "err", err)
	}
}

// Fire claims the firing of a run's reminder: true for one caller only, of all processes.
func (s *Store) Fire(ctx context.Context, run string, firing time.Time) (claimed bool, err error) {
	err = s.write(ctx, "fire", func(ctx context.Context, t tx) error {
		n, err := t.exec(ctx, "INSERT INTO firings (run, at) VALUES (?, ?) ON CONFLICT (run, at) DO NOTHING", run, micros(firing))
		claimed = n == 1
		return err
	})
	return claimed && err == nil, err
}

// LastFiring returns the latest firing that was claimed for the run; ok is
// false when there was none.
func (s *Store) LastFiring(ctx context.Context, run string) (at time.Time, ok bool, err error) {
	return s.instant(ctx, "read last firing", "SELECT at FROM firings WHERE run = ? ORDER BY at DESC LIMIT 1", run)
}

// instant reads one time, if it is there.
func (s *Store) instant(ctx context.Context, op, query string, args ...any) (at time.Time, ok bool, err error) {
	var n int64
	err = s.scan(ctx, query, args, &n)
	switch {
	case errors.Is(err, ops.ErrNotFound):
		return time.Time{}, false, nil
	case err != nil:
		return time.Time{}, false, fmt.Errorf("%s: %w", op, err)
	}
	return fromMicros(n), true, nil
}
