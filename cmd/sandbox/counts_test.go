package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

func TestLagLog(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	look := func(following string, behind int, known bool) herokutest.Overview {
		return herokutest.Overview{Databases: []herokutest.DatabaseView{{Name: "leader"}, {Name: "f", State: "provisioned", Following: following, Behind: behind, BehindKnown: known}}}
	}
	var l lagLog
	for _, c := range []struct {
		after time.Duration
		o     herokutest.Overview
		want  string
	}{
		{0, look("leader", 9, true), "[{f [9]}]"},
		{time.Second, look("leader", 4, true), "[{f [9 4]}]"},
		{time.Millisecond, look("leader", 3, true), "[{f [9 4]}]"},
		{time.Second, look("leader", 0, false), "[{f [9 4]}]"},
		{time.Second, look("leader", 0, true), "[{f [9 4 0]}]"},
		{time.Second, look("", 0, false), "[]"},
	} {
		now = now.Add(c.after)
		if got := fmt.Sprint(l.sample(c.o, now)); got != c.want {
			t.Errorf("after %s: %s, want %s", c.after, got, c.want)
		}
	}
	for range 500 {
		now = now.Add(time.Second)
		l.sample(look("leader", 1, true), now)
	}
	if n := len(l.all[0].Behind); n != lagSamples {
		t.Errorf("it keeps %d samples", n)
	}
}
