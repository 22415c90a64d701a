package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
)

func TestMessages(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		ctx := t.Context()
		if m, err := s.Message(ctx, "r1", "root"); !errors.Is(err, ops.ErrNotFound) || m.Group != "" {
			t.Errorf("no message yet: %+v, %v", m, err)
		}
		seen := func(what string, want ops.Message) {
			t.Helper()
			got := must[ops.Message](t)(p.open().Message(ctx, "r1", "root"))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		whole := at.Truncate(time.Microsecond)
		m := ops.Message{Group: "r1", Name: "root", Channel: "C1", Intended: whole}
		for range 2 {
			if err := s.IntendMessage(ctx, m); err != nil {
				t.Fatal(err)
			}
			seen("intended", m)
			m.Intended, m.Channel = m.Intended.Add(time.Minute), "C2" // it moved before it was posted
		}
		m.TS, m.Hash = "17.1", "h1"
		if err := s.SaveMessage(ctx, m); err != nil {
			t.Fatal(err)
		}
		seen("posted", m)
		if err := s.IntendMessage(ctx, ops.Message{Group: "r1", Name: "root", Channel: "C9"}); err != nil {
			t.Fatal(err)
		}
		seen("intended again", m)
		m.TS, m.Hash = "18.2", "h2"
		if err := s.SaveMessage(ctx, m); err != nil {
			t.Fatal(err)
		}
		seen("posted anew", m)
		lag := ops.Message{Group: "r1", Name: "lag"}
		for _, other := range []ops.Message{lag, {Group: "r2", Name: "root"}} {
			if err := s.SaveMessage(ctx, other); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]ops.Message{lag, m}, must[[]ops.Message](t)(s.Messages(ctx, "r1"))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEnvelopesAreTakenOnce(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		stores := []*Store{s, p.open()}
		first := atOnce(t, 8, func(i int) (bool, error) { return stores[i%2].FirstTime(t.Context(), "e1") })
		if first != 1 {
			t.Errorf("%d of 8 saw it for the first time, want 1", first)
		}
		p.pass(14 * time.Minute)
		if again := must[bool](t)(s.FirstTime(t.Context(), "e1")); again {
			t.Error("after 14 minutes it was taken again")
		}
		p.pass(2 * time.Minute)
		for i := range 3 {
			if !must[bool](t)(s.FirstTime(t.Context(), fmt.Sprint("new", i))) {
				t.Errorf("envelope new%d was not taken", i)
			}
		}
		var n int
		if err := s.scan(t.Context(), "SELECT COUNT(*) FROM envelopes", nil, &n); err != nil || n != 3 {
			t.Errorf("%d envelopes are kept, %v; want the 3 new ones", n, err)
		}
	})
}

func TestFirings(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		if last, ok, err := s.LastFiring(t.Context(), "r1"); err != nil || ok || !last.IsZero() {
			t.Errorf("before any: %v %v %v", last, ok, err)
		}
		stores, later := []*Store{s, p.open()}, at.Add(time.Hour).Truncate(time.Microsecond)
		for _, firing := range []time.Time{later, at.In(time.FixedZone("X", 3600))} {
			if n := atOnce(t, 8, func(i int) (bool, error) { return stores[i%2].Fire(t.Context(), "r1", firing) }); n != 1 {
				t.Errorf("a firing was claimed %d times", n)
			}
		}
		if !must[bool](t)(s.Fire(t.Context(), "r2", later.Add(time.Hour))) {
			t.Error("the firing of another run was not claimed")
		}
		if last, ok, err := s.LastFiring(t.Context(), "r1"); err != nil || !ok || last != later {
			t.Errorf("last %v %v %v, want %v", last, ok, err, later)
		}
	})
}

func TestSettings(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		ctx := t.Context()
		if v, ok, err := s.Setting(ctx, "a", "health"); err != nil || ok || v != "" {
			t.Errorf("before any: %q %v %v", v, ok, err)
		}
		for _, x := range [][3]string{{"a", "health", "https://x"}, {"a", "soak", "7d"}, {"b", "soak", "1d"}, {"a", "health", "https://y"}, {"a", "soak", ""}} {
			if err := s.SetSetting(ctx, x[0], x[1], x[2], ops.Actor{ID: "U1"}); err != nil {
				t.Fatal(err)
			}
		}
		if v, ok, err := p.open().Setting(ctx, "a", "soak"); err != nil || !ok || v != "" {
			t.Errorf("a setting that was emptied: %q %v %v", v, ok, err)
		}
		if diff := cmp.Diff(map[string]string{"health": "https://y", "soak": ""}, must[map[string]string](t)(s.Settings(ctx, "a"))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBeats(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		if last, ok, err := s.LastBeat(t.Context(), "slack"); err != nil || ok || !last.IsZero() {
			t.Errorf("before any: %v %v %v", last, ok, err)
		}
		whole := at.Truncate(time.Microsecond)
		for _, beat := range []time.Duration{0, time.Minute, -time.Minute} {
			if err := s.Beat(t.Context(), "slack", whole.Add(beat)); err != nil {
				t.Fatal(err)
			}
		}
		if last, ok, err := p.open().LastBeat(t.Context(), "slack"); err != nil || !ok || last != whole.Add(time.Minute) {
			t.Errorf("last beat %v %v %v", last, ok, err)
		}
	})
}

func TestLeases(t *testing.T) {
	both(t, func(t *testing.T, p *place, s *Store) {
		other := p.open()
		acquire := func(what string, s *Store, owner string, want bool) {
			t.Helper()
			if held, err := s.Acquire(t.Context(), "poster", owner, time.Minute); err != nil || held != want {
				t.Errorf("%s: %v, %v; want %v", what, held, err, want)
			}
		}
		if n := atOnce(t, 8, func(i int) (bool, error) {
			return s.Acquire(t.Context(), "reminders", fmt.Sprint("worker.", i), time.Minute)
		}); n != 1 {
			t.Errorf("%d owners of one lease", n)
		}
		acquire("free", s, "a", true)
		acquire("held", other, "b", false)
		p.pass(40 * time.Second)
		acquire("renewed", s, "a", true)
		p.pass(40 * time.Second)
		acquire("held since it was renewed", other, "b", false)
		p.pass(20 * time.Second)
		acquire("run out", other, "b", true)
		acquire("lost", s, "a", false)
		if err := s.Release(t.Context(), "poster", "a"); err != nil {
			t.Fatal(err)
		}
		acquire("given back by one who does not hold it", s, "a", false)
		if err := other.Release(t.Context(), "poster", "b"); err != nil {
			t.Fatal(err)
		}
		acquire("given back", s, "a", true)
	})
}
