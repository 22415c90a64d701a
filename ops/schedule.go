package ops

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// AtMost is how far ahead a cutover can be set: the follower costs money until then.
const AtMost = 30 * 24 * time.Hour

// Window is a weekly time in which a cutover may take place. It ends on the
// next day when To is not after From.
type Window struct {
	Day  time.Weekday
	From Clock
	To   Clock
}

// Clock is a time of day in minutes after midnight; 24:00 is the end of the day.
type Clock int

func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// Date is a day in the configured time zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

func (d Date) before(o Date) bool {
	return cmp.Or(cmp.Compare(d.Year, o.Year), cmp.Compare(d.Month, o.Month), cmp.Compare(d.Day, o.Day)) < 0
}

// Freeze is a time in which no cutover begins: from the first day to the last, both included.
type Freeze struct{ First, Last Date }

func (f Freeze) String() string { return f.First.String() + ".." + f.Last.String() }

// Schedule is when a cutover may begin.
type Schedule struct {
	NotBefore time.Time // zero: at once
	Windows   []Window  // none: always
	Freezes   []Freeze
	Zone      *time.Location // of windows and freezes; nil: UTC
}

// Opening is a stretch of time in which a cutover may begin and end.
type Opening struct {
	From  time.Time
	Until time.Time // zero: no end
}

// Free reports whether nothing keeps a cutover from beginning at any time.
func (s Schedule) Free() bool {
	return s.NotBefore.IsZero() && len(s.Windows) == 0 && len(s.Freezes) == 0
}

// searched is how far ahead openings are looked for.
const searched = 400 * 24 * time.Hour

// Next returns the first opening at or after now that leaves at least need. It
// begins at now when now lies in one. It reports false when there is none
// within 400 days. On the days when clocks change, a time that does not exist
// begins when the clocks jump over it, and one that comes twice counts the first time.
func (s Schedule) Next(now time.Time, need time.Duration) (Opening, bool) {
	from := now
	if s.NotBefore.After(from) {
		from = s.NotBefore
	}
	for _, o := range s.openings(from) {
		if o.Until.IsZero() || o.Until.Sub(o.From) >= need {
			return o, true
		}
	}
	return Opening{}, false
}

// openings are the windows from a moment on, merged where they touch, without
// the freezes, in order.
func (s Schedule) openings(from time.Time) []Opening {
	zone := s.zone()
	open := []Opening{{From: from}}
	if len(s.Windows) > 0 {
		open = nil
		first, last := dateOf(from.In(zone)), from.Add(searched)
		for d := first.plus(-1); ; d = d.plus(1) { // yesterday's window may reach into today
			midnight, _ := d.at(0, zone)
			if midnight.After(last) {
				break
			}
			for _, w := range s.Windows {
				if w.Day == midnight.In(zone).Weekday() {
					open = append(open, w.on(d, zone))
				}
			}
		}
		open = merged(open, from)
	}
	for _, f := range s.Freezes {
		open = without(open, f, zone)
	}
	return open
}

func (s Schedule) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

func (w Window) on(d Date, zone *time.Location) Opening {
	end := d
	if w.To <= w.From {
		end = d.plus(1)
	}
	from, _ := d.at(w.From, zone)
	until, _ := end.at(w.To, zone)
	return Opening{From: from, Until: until}
}

// merged sorts windows, joins those that touch, and cuts off what is before from.
func merged(all []Opening, from time.Time) []Opening {
	slices.SortFunc(all, func(a, b Opening) int { return a.From.Compare(b.From) })
	var out []Opening
	for _, o := range all {
		if !o.Until.After(from) || !o.Until.After(o.From) {
			continue
		}
		if o.From.Before(from) {
			o.From = from
		}
		if n := len(out); n > 0 && !o.From.After(out[n-1].Until) {
			if o.Until.After(out[n-1].Until) {
				out[n-1].Until = o.Until
			}
			continue
		}
		out = append(out, o)
	}
	return out
}

// without takes a freeze out of openings.
func without(all []Opening, f Freeze, zone *time.Location) []Opening {
	begin, _ := f.First.at(0, zone)
	end, _ := f.Last.plus(1).at(0, zone)
	var out []Opening
	for _, o := range all {
		if !o.From.Before(end) || !o.Until.IsZero() && !o.Until.After(begin) {
			out = append(out, o)
			continue
		}
		if o.From.Before(begin) {
			out = append(out, Opening{From: o.From, Until: begin})
		}
		if o.Until.IsZero() || o.Until.After(end) {
			out = append(out, Opening{From: end, Until: o.Until})
		}
	}
	return out
}

func dateOf(t time.Time) Date { return Date{t.Year(), t.Month(), t.Day()} }

func (d Date) plus(days int) Date {
	return dateOf(time.Date(d.Year, d.Month, d.Day+days, 12, 0, 0, 0, time.UTC))
}

// at is the moment at which clocks in zone show c on d, the first one when they
// show it twice. It reports false when they jump over it, and returns the
// moment of the jump.
func (d Date) at(c Clock, zone *time.Location) (time.Time, bool) {
	shown := time.Date(d.Year, d.Month, d.Day, int(c)/60, int(c)%60, 0, 0, time.UTC)
	_, before := shown.Add(-36 * time.Hour).In(zone).Zone()
	_, after := shown.Add(36 * time.Hour).In(zone).Zone()
	for _, offset := range []int{max(before, after), min(before, after)} { // the larger offset comes first
		t := shown.Add(-time.Duration(offset) * time.Second).In(zone)
		if t.Hour() == shown.Hour() && t.Minute() == shown.Minute() && t.Day() == shown.Day() {
			return t, true
		}
	}
	jump, _ := shown.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
	return jump, false
}
