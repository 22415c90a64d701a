package ops

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestNextOpening is the table of when a cutover may begin, with the days on which
// clocks change: in Berlin they jump from 02:00 to 03:00 on 2027-03-28, and go
// back from 03:00 to 02:00 on 2026-10-25.
func TestNextOpening(t *testing.T) {
	tests := []struct {
		name, zone, now   string
		at                string // local; "" for none
		windows, freezes  string
		need              time.Duration
		from, until, none string // in UTC
	}{
		{name: "nothing set", now: "2026-11-23T03:00", from: "2026-11-23T03:00"},
		{name: "at a time", now: "2026-11-23T03:00", at: "2026-11-29T04:00", from: "2026-11-29T04:00"},
		{name: "at a time that is past", now: "2026-11-23T03:00", at: "2026-11-20T04:00", from: "2026-11-23T03:00"},
		{name: "before the window", now: "2026-11-23T03:00", windows: "sun 02:00-05:00", from: "2026-11-29T02:00", until: "2026-11-29T05:00"},
		{name: "in the window", now: "2026-11-29T03:00", windows: "sun 02:00-05:00", from: "2026-11-29T03:00", until: "2026-11-29T05:00"},
		{name: "at its last moment", now: "2026-11-29T05:00", windows: "sun 02:00-05:00", from: "2026-12-06T02:00", until: "2026-12-06T05:00"},
		{name: "too late in it for the outage", now: "2026-11-29T04:50", windows: "sun 02:00-05:00", need: 12 * time.Minute, from: "2026-12-06T02:00", until: "2026-12-06T05:00"},
		{name: "just early enough", now: "2026-11-29T04:48", windows: "sun 02:00-05:00", need: 12 * time.Minute, from: "2026-11-29T04:48", until: "2026-11-29T05:00"},
		{name: "shorter than the outage, every week", now: "2026-11-23T03:00", windows: "sun 02:00-02:10", need: 12 * time.Minute, none: "yes"},
		{name: "over midnight, in the part of the next day", now: "2026-11-30T00:30", windows: "sun 23:00-01:00", from: "2026-11-30T00:30", until: "2026-11-30T01:00"},
		{name: "two that touch are one", now: "2026-11-28T12:00", windows: "sat 23:00-24:00 sun 00:00-02:00", need: 90 * time.Minute, from: "2026-11-28T23:00", until: "2026-11-29T02:00"},
		{name: "the nearer of two", now: "2026-11-23T12:00", windows: "sun 02:00-05:00 wed 03:00-04:00", from: "2026-11-25T03:00", until: "2026-11-25T04:00"},
		{name: "a range of days", now: "2026-11-28T12:00", windows: "mon-fri 03:00-04:00", from: "2026-11-30T03:00", until: "2026-11-30T04:00"},
		{name: "a range of days over the weekend", now: "2026-11-25T12:00", windows: "sat-mon 03:00-04:00", from: "2026-11-28T03:00", until: "2026-11-28T04:00"},
		{name: "frozen", now: "2026-12-22T03:00", freezes: "2026-12-20..2027-01-03", from: "2027-01-04T00:00"},
		{name: "before a freeze, without end", now: "2026-12-01T03:00", freezes: "2026-12-20..2027-01-03", from: "2026-12-01T03:00", until: "2026-12-20T00:00"},
		{name: "too near before a freeze", now: "2026-12-19T23:55", freezes: "2026-12-20..2027-01-03", need: 12 * time.Minute, from: "2027-01-04T00:00"},
		{name: "windows in a freeze are skipped", now: "2026-12-17T03:00", windows: "sun 02:00-05:00", freezes: "2026-12-20..2027-01-03", from: "2027-01-10T02:00", until: "2027-01-10T05:00"},
		{name: "a freeze of one day in the middle of a window", now: "2026-12-23T20:00", windows: "daily 22:00-04:00", freezes: "2026-12-24", from: "2026-12-23T22:00", until: "2026-12-24T00:00"},
		{name: "and what is left too short", now: "2026-12-23T23:55", windows: "daily 22:00-04:00", freezes: "2026-12-24", need: 12 * time.Minute, from: "2026-12-25T00:00", until: "2026-12-25T04:00"},
		{name: "two freezes", now: "2026-12-24T12:00", freezes: "2026-12-24 2026-12-25", from: "2026-12-26T00:00"},
		{name: "a time in a freeze", now: "2026-12-01T03:00", at: "2026-12-24T03:00", freezes: "2026-12-20..2027-01-03", from: "2027-01-04T00:00"},
		{name: "a time outside the window", now: "2026-11-23T03:00", at: "2026-11-28T03:00", windows: "sun 02:00-05:00", from: "2026-11-29T02:00", until: "2026-11-29T05:00"},
		{name: "a time inside the window", now: "2026-11-23T03:00", at: "2026-11-29T03:00", windows: "sun 02:00-05:00", from: "2026-11-29T03:00", until: "2026-11-29T05:00"},

		{name: "Berlin in winter", zone: "Europe/Berlin", now: "2026-11-23T03:00", windows: "sun 02:00-05:00", from: "2026-11-29T01:00", until: "2026-11-29T04:00"},
		{name: "Berlin in summer", zone: "Europe/Berlin", now: "2026-07-01T03:00", windows: "sun 02:00-05:00", from: "2026-07-05T00:00", until: "2026-07-05T03:00"},
		{name: "clocks jump over its beginning", zone: "Europe/Berlin", now: "2027-03-27T12:00", windows: "sun 02:30-05:00", from: "2027-03-28T01:00", until: "2027-03-28T03:00"},
		{name: "clocks jump over its end", zone: "Europe/Berlin", now: "2027-03-27T12:00", windows: "sun 01:00-02:30", from: "2027-03-28T00:00", until: "2027-03-28T01:00"},
		{name: "all of it is jumped over", zone: "Europe/Berlin", now: "2027-03-27T12:00", windows: "sun 02:10-02:50", from: "2027-04-04T00:10", until: "2027-04-04T00:50"},
		{name: "it is an hour shorter", zone: "Europe/Berlin", now: "2027-03-27T12:00", windows: "sun 01:30-03:30", need: 90 * time.Minute, from: "2027-04-03T23:30", until: "2027-04-04T01:30"},
		{name: "its beginning comes twice", zone: "Europe/Berlin", now: "2026-10-24T12:00", windows: "sun 02:30-05:00", from: "2026-10-25T00:30", until: "2026-10-25T04:00"},
		{name: "its end comes twice: the first counts", zone: "Europe/Berlin", now: "2026-10-24T12:00", windows: "sun 01:00-02:30", from: "2026-10-24T23:00", until: "2026-10-25T00:30"},
		{name: "a freeze ends at midnight there", zone: "America/New_York", now: "2026-12-24T12:00", freezes: "2026-12-24", from: "2026-12-25T05:00"},
		{name: "the weekday is the one there", zone: "Asia/Tokyo", now: "2026-11-28T12:00", windows: "sun 02:00-05:00", from: "2026-11-28T17:00", until: "2026-11-28T20:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			moment := func(s string) time.Time {
				if s == "" {
					return time.Time{}
				}
				x, err := time.ParseInLocation("2006-01-02T15:04", s, time.UTC)
				if err != nil {
					t.Fatal(err)
				}
				return x
			}
			s := Schedule{NotBefore: moment(tt.at)}
			if tt.zone != "" {
				s.Zone = zone(t, tt.zone)
			}
			var err error
			if tt.windows != "" {
				if s.Windows, err = ParseWindows(tt.windows); err != nil {
					t.Fatal(err)
				}
			}
			if tt.freezes != "" {
				if s.Freezes, err = ParseFreezes(tt.freezes); err != nil {
					t.Fatal(err)
				}
			}
			o, ok := s.Next(moment(tt.now), tt.need)
			if ok != (tt.none == "") || !o.From.Equal(moment(tt.from)) || !o.Until.Equal(moment(tt.until)) {
				t.Errorf("Next = %s to %s, %v; want %s to %s", o.From.UTC(), o.Until.UTC(), ok, tt.from, tt.until)
			}
			if ok && s.Free() != (tt.at == "" && tt.windows == "" && tt.freezes == "") {
				t.Error("Free is wrong")
			}
		})
	}
}

// TestParseAt: now is Monday, 2026-11-23, 10:00 in Berlin.
func TestParseAt(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"10:30":            "2026-11-23T09:30",
		"03:00":            "2026-11-24T02:00",
		"3:00":             "2026-11-24T02:00",
		"10:00":            "2026-11-24T09:00",
		"today 23:00":      "2026-11-23T22:00",
		"tomorrow 03:00":   "2026-11-24T02:00",
		"sunday 03:00":     "2026-11-29T02:00",
		"Sun 03:00":        "2026-11-29T02:00",
		"monday 03:00":     "2026-11-30T02:00",
		"mon 12:00":        "2026-11-23T11:00",
		"2026-12-01 03:00": "2026-12-01T02:00",
		"2026-12-01T03:00": "2026-12-01T02:00",
	} {
		got, err := ParseAt(text, now, berlin)
		if err != nil || got.UTC().Format("2006-01-02T15:04") != want {
			t.Errorf("ParseAt(%q) = %v, %v; want %s", text, got.UTC(), err, want)
		}
	}
	for text, says := range map[string]string{
		"":                      "is not a time",
		"noon":                  "is not a time",
		"25:00":                 "is not a time",
		"24:00":                 "is not a time",
		"03:60":                 "is not a time",
		"3:0":                   "is not a time",
		"-3:00":                 "is not a time",
		"someday 03:00":         "is not a day",
		"2026-13-01 03:00":      "is not a day",
		"2026-11-22 03:00":      "is past",
		"today 03:00":           "is past",
		"2027-03-28 03:30":      "more than 30 days ahead",
		"sunday 03:00 please":   "is not a time",
		"<!channel> 03:00":      "“‹!channel›” is not a day",
		strings.Repeat("x", 99): "…” is not a time",
	} {
		at, err := ParseAt(text, now, berlin)
		refused(t, "ParseAt "+text, at, err, RefusedTime, says)
	}
	at, err := ParseAt("2027-03-28 02:30", time.Date(2027, 3, 20, 9, 0, 0, 0, time.UTC), berlin)
	refused(t, "a time that is jumped over", at, err, RefusedTime, "never show 02:30 on 2027-03-28")
	first, err := ParseAt("2026-10-25 02:30", time.Date(2026, 10, 20, 9, 0, 0, 0, time.UTC), berlin)
	if err != nil || !first.Equal(time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)) {
		t.Errorf("a time that comes twice: %v, %v; want the first one", first.UTC(), err)
	}
}

// refused checks that something was refused, for the reason and in the words expected.
func refused(t *testing.T, what string, got any, err error, code Refusal, says string) {
	t.Helper()
	var user *UserError
	if !errors.As(err, &user) || user.Code != code || !strings.Contains(user.Text, says) {
		t.Errorf("%s: %v, %v; want refusal %q with %q", what, got, err, code, says)
	}
}

// TestSchedulesRoundTrip: what is kept is read again as it was meant.
func TestSchedulesRoundTrip(t *testing.T) {
	for in, want := range map[string]string{
		"sun 02:00-05:00":                 "Sun 02:00-05:00",
		"Sunday 2:00–5:00":                "Sun 02:00-05:00",
		"sat,sun 02:00-05:00":             "Sat,Sun 02:00-05:00",
		"mon-wed 23:00-01:00":             "Mon,Tue,Wed 23:00-01:00",
		"sun 02:00-05:00, wed 03:00-4:00": "Sun 02:00-05:00, Wed 03:00-04:00",
		"daily 00:00-24:00":               "Sun,Mon,Tue,Wed,Thu,Fri,Sat 00:00-24:00",
	} {
		w, err := ParseWindows(in)
		if err != nil || FormatWindows(w) != want {
			t.Errorf("%q: %q, %v; want %q", in, FormatWindows(w), err, want)
			continue
		}
		if again, err := ParseWindows(want); err != nil || FormatWindows(again) != want || len(again) != len(w) {
			t.Errorf("%q is read again as %v, %v", want, again, err)
		}
	}
	for _, bad := range []string{"", "sun", "02:00-05:00", "sun 02:00", "sun 25:00-26:00", "someday 02:00-05:00", "sun 02:00-02:00", "sun 24:00-01:00", "sun 02:00-05:00 mon", "every 02:00-03:00", "s 02:00-03:00"} {
		got, err := ParseWindows(bad)
		refused(t, "ParseWindows "+bad, got, err, RefusedValue, "Write `window")
	}
	for in, want := range map[string]string{"2026-12-20..2027-01-03": "2026-12-20..2027-01-03", "2026-12-24": "2026-12-24..2026-12-24", "2026-12-24, 2026-12-31…2027-01-01": "2026-12-24..2026-12-24, 2026-12-31..2027-01-01"} {
		f, err := ParseFreezes(in)
		if err != nil || FormatFreezes(f) != want {
			t.Errorf("%q: %q, %v; want %q", in, FormatFreezes(f), err, want)
		}
	}
	for _, bad := range []string{"", "xmas", "2026-12-20..", "2027-01-03..2026-12-20", "2026-02-30"} {
		got, err := ParseFreezes(bad)
		refused(t, "ParseFreezes "+bad, got, err, RefusedValue, "Write `freeze")
	}
}
