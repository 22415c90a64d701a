package ops

import (
	"fmt"
	"strings"
	"time"
)

// ParseAt reads when a cutover may begin, as people type it after "at": "03:00"
// (the next time that clocks show it), "2026-12-01 03:00", "sunday 03:00",
// "today 23:00", "tomorrow 03:00". Its errors are UserErrors.
func ParseAt(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if zone == nil {
		zone = time.UTC
	}
	words := strings.Fields(strings.ToLower(strings.Replace(text, "T", " ", 1)))
	today := dateOf(now.In(zone))
	if len(words) == 0 || len(words) > 2 {
		return time.Time{}, Refuse(RefusedTime, "%s is not a time. %s", quote(text), timeForms)
	}
	c, ok := parseClock(words[len(words)-1])
	if !ok || c == 24*60 {
		return time.Time{}, Refuse(RefusedTime, "%s is not a time. %s", quote(text), timeForms)
	}
	var days []Date
	if len(words) == 1 {
		days = []Date{today, today.plus(1)}
	} else if d, ok := parseDay(words[0], today, zone); ok {
		days = d
	} else {
		return time.Time{}, Refuse(RefusedTime, "%s is not a day. %s", quote(words[0]), timeForms)
	}
	for _, d := range days {
		t, exists := d.at(c, zone)
		switch {
		case !exists:
			return time.Time{}, Refuse(RefusedTime, "Clocks in %s never show %s on %s: they are put forward then. Choose another time.", zone, c, d)
		case t.Sub(now) > AtMost:
			return time.Time{}, Refuse(RefusedTime, "%s is more than %s ahead, and the follower would cost money until then. Start later, or choose an earlier time.", FormatMoment(t, zone), FormatDuration(AtMost))
		case t.After(now):
			return t, nil
		}
	}
	return time.Time{}, Refuse(RefusedTime, "%s %s (%s) is past.", days[len(days)-1], c, zone)
}

const timeForms = "Write `at 03:00`, `at 2026-12-01 03:00`, `at sunday 03:00` or `at tomorrow 03:00`."

// FormatMoment prints a moment for people, in a zone: "Sun 2026-11-29 03:00 (Europe/Berlin)".
func FormatMoment(t time.Time, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("Mon 2006-01-02 15:04") + " (" + zone.String() + ")"
}

func parseClock(s string) (Clock, bool) {
	var h, m int
	if len(s) < 4 || len(s) > 5 || strings.Trim(s, "0123456789:") != "" {
		return 0, false
	}
	if n, err := fmt.Sscanf(s, "%d:%02d", &h, &m); n != 2 || err != nil || len(s)-strings.IndexByte(s, ':') != 3 {
		return 0, false
	}
	if h > 24 || m > 59 || h == 24 && m > 0 {
		return 0, false
	}
	return Clock(h*60 + m), true
}

// parseDay is the days that a word may mean: one, or for the name of a weekday
// its next two.
func parseDay(word string, today Date, zone *time.Location) ([]Date, bool) {
	switch word {
	case "today":
		return []Date{today}, true
	case "tomorrow":
		return []Date{today.plus(1)}, true
	}
	if d, ok := parseDate(word); ok {
		return []Date{d}, true
	}
	day, ok := parseWeekday(word)
	if !ok {
		return nil, false
	}
	noon, _ := today.at(12*60, zone)
	ahead := (int(day) - int(noon.In(zone).Weekday()) + 7) % 7
	return []Date{today.plus(ahead), today.plus(ahead + 7)}, true
}

func parseDate(s string) (Date, bool) {
	t, err := time.Parse("2006-01-02", s)
	return dateOf(t), err == nil
}

func parseWeekday(s string) (time.Weekday, bool) {
	s = strings.ToLower(s)
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := strings.ToLower(d.String()); len(s) >= 2 && strings.HasPrefix(name, s) || s == "thurs" && d == time.Thursday || s == "tues" && d == time.Tuesday {
			return d, true
		}
	}
	return 0, false
}

// dashes are what keyboards make of a hyphen and of two dots.
var dashes = strings.NewReplacer("–", "-", "—", "-", "…", "..")

// ParseWindows reads weekly windows: "sun 02:00-05:00", "sat,sun 02:00-05:00",
// "mon-fri 23:00-01:00 sun 02:00-05:00", "daily 02:00-04:00". Its errors are UserErrors.
func ParseWindows(text string) ([]Window, error) {
	var out []Window
	var days []time.Weekday
	for _, word := range strings.Fields(strings.ReplaceAll(dashes.Replace(text), ", ", " ")) {
		if from, to, ok := parseRange(word); ok {
			if len(days) == 0 {
				return nil, Refuse(RefusedValue, "%s has no day. %s", quote(text), windowForms)
			}
			for _, d := range days {
				out = append(out, Window{Day: d, From: from, To: to})
			}
			if n := len(out); out[n-1].From == out[n-1].To {
				return nil, Refuse(RefusedValue, "%s begins and ends at the same time. %s", quote(word), windowForms)
			}
			days = nil
			continue
		}
		more, ok := parseDays(word)
		if !ok {
			return nil, Refuse(RefusedValue, "%s is not a weekday or a time from–to. %s", quote(word), windowForms)
		}
		days = append(days, more...)
	}
	if len(days) > 0 || len(out) == 0 {
		return nil, Refuse(RefusedValue, "%s has no time from–to. %s", quote(text), windowForms)
	}
	return out, nil
}

const windowForms = "Write `window sun 02:00-05:00`, `window mon-fri 23:00-01:00`, or `window off`."

func parseRange(word string) (from, to Clock, ok bool) {
	a, b, found := strings.Cut(word, "-")
	if !found {
		return 0, 0, false
	}
	from, okA := parseClock(a)
	to, okB := parseClock(b)
	return from, to, okA && okB && from < 24*60
}

func parseDays(word string) ([]time.Weekday, bool) {
	if w := strings.ToLower(word); w == "daily" || w == "every" {
		return []time.Weekday{0, 1, 2, 3, 4, 5, 6}, w == "daily"
	}
	var out []time.Weekday
	for part := range strings.SplitSeq(word, ",") {
		a, b, isRange := strings.Cut(part, "-")
		first, ok := parseWeekday(a)
		last := first
		if isRange && ok {
			last, ok = parseWeekday(b)
		}
		if !ok {
			return nil, false
		}
		for d := first; ; d = (d + 1) % 7 {
			out = append(out, d)
			if d == last {
				break
			}
		}
	}
	return out, true
}

// FormatWindows prints windows so that ParseWindows reads them again.
func FormatWindows(all []Window) string {
	var out []string
	for i, w := range all {
		day := w.Day.String()[:3]
		if i > 0 && all[i-1].From == w.From && all[i-1].To == w.To {
			n := len(out) - 1
			days, times, _ := strings.Cut(out[n], " ")
			out[n] = days + "," + day + " " + times
			continue
		}
		out = append(out, fmt.Sprintf("%s %s-%s", day, w.From, w.To))
	}
	return strings.Join(out, ", ")
}

// ParseFreezes reads times without cutovers: "2026-12-20..2027-01-03", a single
// day, or several of them. Its errors are UserErrors.
func ParseFreezes(text string) ([]Freeze, error) {
	var out []Freeze
	for _, word := range strings.Fields(strings.ReplaceAll(dashes.Replace(text), ",", " ")) {
		a, b, isRange := strings.Cut(word, "..")
		if !isRange {
			b = a
		}
		first, okA := parseDate(a)
		last, okB := parseDate(b)
		if !okA || !okB {
			return nil, Refuse(RefusedValue, "%s is not a day or a time from..to. %s", quote(word), freezeForms)
		}
		if last.before(first) {
			return nil, Refuse(RefusedValue, "%s ends before it begins. %s", quote(word), freezeForms)
		}
		out = append(out, Freeze{first, last})
	}
	if len(out) == 0 {
		return nil, Refuse(RefusedValue, "A freeze needs days. %s", freezeForms)
	}
	return out, nil
}

const freezeForms = "Write `freeze 2026-12-20..2027-01-03`, `freeze 2026-12-24`, or `freeze off`."

// FormatFreezes prints freezes so that ParseFreezes reads them again.
func FormatFreezes(all []Freeze) string {
	var out []string
	for _, f := range all {
		out = append(out, f.String())
	}
	return strings.Join(out, ", ")
}
