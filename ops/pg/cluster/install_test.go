package cluster

import (
	"errors"
	"strings"
	"testing"
)

func TestPair(t *testing.T) {
	of := func(majors ...int) (out []Install) {
		for _, m := range majors {
			out = append(out, Install{Major: m})
		}
		return out
	}
	for _, c := range []struct {
		found        []Install
		older, newer int
		says         string
	}{
		{of(), 0, 0, "none is installed"},
		{of(15), 0, 0, "only 15 is installed"},
		{of(15, 17), 15, 17, ""},
		{of(13, 16), 13, 16, ""},
		{of(13, 15, 16, 17, 18), 15, 17, ""},
		{of(15, 16), 15, 16, ""},
		{of(16, 17, 18), 17, 18, ""},
	} {
		older, newer, err := Pair(c.found)
		if older.Major != c.older || newer.Major != c.newer {
			t.Errorf("of %v it takes %d and %d", c.found, older.Major, newer.Major)
		}
		if (c.says != "") != errors.Is(err, ErrTooFew) || err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "make setup")) {
			t.Errorf("of %v it says %v", c.found, err)
		}
	}
}

// TestRefusal reads pg_upgrade's explanation as 16 and 17 write it.
func TestRefusal(t *testing.T) {
	const why = "Your installation contains one of the reg* data types in user tables"
	for _, out := range []string{
		"Checking cluster versions     ok\nChecking for reg* data types in user tables                   fatal\n\n" + why + ".\nThese data types\n",
		"Checking data type usage      failed check: Checking for reg* data types in user tables\n\nData type checks failed: \n" + why + ".\nThese\n",
	} {
		if got := refusal(out); got != why {
			t.Errorf("it reads %q", got)
		}
	}
	if got := refusal("Killed"); got != "pg_upgrade refused" {
		t.Errorf("it reads %q", got)
	}
}
