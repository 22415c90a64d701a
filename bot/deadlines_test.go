package bot

import (
	"testing"
	"time"
)

// TestDeadlineDue: Mondays at nine, once, also when one was missed; never at the first start.
func TestDeadlineDue(t *testing.T) {
	schedule, err := ParseSchedule(weekly, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		x, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, tt := range []struct{ name, last, now, want string }{
		{"never before", "", "2026-11-23 09:00", ""},
		{"Monday, too early", "2026-11-20 12:00", "2026-11-23 08:59", ""},
		{"Monday at nine", "2026-11-20 12:00", "2026-11-23 09:00", "2026-11-23 09:00"},
		{"the same again", "2026-11-23 09:00", "2026-11-23 09:01", ""},
		{"missed", "2026-11-16 09:00", "2026-11-25 07:00", "2026-11-23 09:00"},
		{"missed for months", "2026-06-01 09:00", "2026-11-25 07:00", "2026-11-23 09:00"},
	} {
		var last time.Time
		if tt.last != "" {
			last = at(tt.last)
		}
		firing, due := deadlineDue(schedule, last, at(tt.now))
		if due != (tt.want != "") || due && !firing.Equal(at(tt.want)) {
			t.Errorf("%s: %v %s, want %q", tt.name, due, firing, tt.want)
		}
	}
}
