package store

import (
	"context"
	"time"
)

// Beat notes that something was alive at that time. It never goes back: an
// earlier time than the one noted changes nothing.
func (s *Store) Beat(ctx context.Context, name string, at time.Time) error {
	return s.write(ctx, "beat "+name, func(ctx context.Context, t tx) error {
		_, err := t.exec(ctx, "INSERT INTO beats (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE excluded.at > beats.at", name, micros(at))
		return err
	})
}

// LastBeat is when something was last seen alive; ok is false when it never was.
func (s *Store) LastBeat(ctx context.Context, name string) (at time.Time, ok bool, err error) {
	return s.instant(ctx, "read beat", "SELECT at FROM beats WHERE name = ?", name)
}

// Acquire takes or renews a lease for ttl from now: one owner at a time. Times
// are those of the callers' clocks, so choose ttl much longer than these differ.
func (s *Store) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (held bool, err error) {
	now := s.now()
	err = s.write(ctx, "acquire lease", func(ctx context.Context, t tx) error {
		n, err := t.exec(ctx, `INSERT INTO leases (name, owner, until) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
			WHERE leases.owner = excluded.owner OR leases.until <= ?`, name, owner, micros(now.Add(ttl)), micros(now))
		held = n == 1
		return err
	})
	return held && err == nil, err
}

// Release gives a lease back. It does nothing when somebody else holds it.
func (s *Store) Release(ctx context.Context, name, owner string) error {
	return s.write(ctx, "release lease", func(ctx context.Context, t tx) error {
		_, err := t.exec(ctx, "DELETE FROM leases WHERE name = ? AND owner = ?", name, owner)
		return err
	})
}
