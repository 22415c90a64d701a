package main

import (
	"strings"
	"testing"
)

// TestExtendAndReturnNow: near its limit the cutover asks for more time. It is
// given by the button and by the command; then somebody has enough.
func TestExtendAndReturnNow(t *testing.T) {
	t.Parallel()
	s := begin(t, func(o *options) { o.extra = []string{"PGUPGRADE_DOWNTIME_LIMIT=15s"} })
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin
		break stall-upgrade
		ben presses Approve cutover
		pgupgrade: More time?
		cleo: /pgupgrade extend orders
		pgupgrade to cleo: You are not an approver
		ana presses Extend 10 min
		pgupgrade: gave the cutover 10 min more
		ben: /pgupgrade extend orders
		pgupgrade to ben: There is nothing to extend`)
	if a := orders(s); !a.Maintenance {
		t.Error("it went back although it was given more time")
	}
	s.says(t, p, `
		ana: /pgupgrade cancel orders
		pgupgrade to ana: Stop the upgrade of
		ana presses Stop the upgrade
		pgupgrade: Upgrade of orders went back`)
	if a := orders(s); a.Maintenance || a.Formation["web"] != 2 || a.Database != "postgresql-curved-41822" {
		t.Errorf("after the way back: %+v", a)
	}
}

// TestReturnNow, and a command that extends.
func TestReturnNow(t *testing.T) {
	t.Parallel()
	s := begin(t, func(o *options) { o.extra = []string{"PGUPGRADE_DOWNTIME_LIMIT=20s"} })
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin
		break stall-upgrade
		ben presses Approve cutover
		pgupgrade: More time?
		ben presses Return now
		pgupgrade: Going back: cancelled by <@U2>
		pgupgrade: Upgrade of orders went back`)
	if a := orders(s); a.Maintenance || a.Formation["web"] != 2 || !strings.HasPrefix(a.Database, "postgresql-curved") {
		t.Errorf("after the way back: %+v", a)
	}
}
