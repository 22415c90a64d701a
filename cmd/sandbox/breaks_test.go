package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// TestTheStrip presses every button of it: what begins can be ended, and what
// cannot be broken yet says so.
func TestTheStrip(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := newPlayer(t, s)
	on := func(id string) breakSeen {
		all := s.breaks()
		return all[slices.IndexFunc(all, func(b breakSeen) bool { return b.ID == id })]
	}
	for _, m := range mischiefs() {
		if m.needs == nil {
			continue
		}
		if b := on(m.id); b.Why == "" || b.On {
			t.Errorf("%s before there is a follower: %+v", m.id, b)
		}
		if err := s.doBreak(m.id); err == nil {
			t.Errorf("%s was broken before there is a follower", m.id)
		}
	}
	if err := s.doBreak("nonsense"); err == nil {
		t.Error("nonsense was broken")
	}
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin`)
	for _, m := range mischiefs() {
		if m.end == nil {
			continue
		}
		for _, want := range []bool{true, false} {
			if err := s.doBreak(m.id); err != nil {
				t.Fatalf("%s: %v", m.id, err)
			}
			if b := on(m.id); b.On != want || b.Why != "" || b.Label == "" || b.Help == "" {
				t.Errorf("%s: %+v, want on %v", m.id, b, want)
			}
		}
	}
	// All of it was mended: the upgrade goes through. What cannot be mended strikes.
	if err := s.doBreak("fail-upgrade"); err != nil {
		t.Fatal(err)
	}
	s.says(t, p, `
		ben presses Approve cutover
		pgupgrade: Upgrade of orders went back
		heroku: orders · DATABASE postgresql-curved-41822 · maintenance off · formation clock=1 web=2 worker=1`)
}

// TestLagThatRises holds the approval back until it falls again.
func TestLagThatRises(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin
		break lag-rises
		ben presses Approve cutover
		pgupgrade: Approved; waiting: the follower is ... commits behind
		break lag-rises
		pgupgrade: Writers stopped`)
}

// TestOnceTheRateLimitIsOver an approved cutover begins: that it is over is asked for,
// at both of Heroku's APIs.
func TestOnceTheRateLimitIsOver(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin
		break heroku-busy
		ben presses Approve cutover`)
	for _, of := range []string{"/apps/", "/client/"} {
		err := p.until(t.Context(), func() bool {
			return slices.ContainsFunc(s.heroku.History(), func(h herokutest.Request) bool {
				return h.Status == http.StatusTooManyRequests && strings.HasPrefix(h.Path, of)
			})
		})
		if err != nil {
			t.Fatalf("no call to %s was turned away: %v", of, err)
		}
	}
	s.says(t, p, `
		break heroku-busy
		pgupgrade: Writers stopped`)
}
