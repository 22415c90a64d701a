package main

import (
	"strings"
	"testing"
)

// TestATokenRevokedInTheCutover: the cutover is brought to its end, and only then
// the program ends, with an explanation.
func TestATokenRevokedInTheCutover(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin
		ben presses Approve cutover
		pgupgrade: Writers stopped`)
	if err := s.slack.Revoke("app"); err != nil {
		t.Fatal(err)
	}
	s.slack.CutAll()
	err := <-s.failed
	if err == nil || !strings.Contains(err.Error(), "Slack refuses SLACK_APP_TOKEN") {
		t.Errorf("the program ended with %v", err)
	}
	if a := orders(s); a.Maintenance || a.Formation["web"] != 2 || !strings.HasPrefix(a.Database, "orders-pg17") {
		t.Errorf("it ended before the cutover did: %+v", a)
	}
}
