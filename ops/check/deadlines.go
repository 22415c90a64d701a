package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

const day = 24 * time.Hour

// Deadline is when Heroku ends a major version, and who says so.
type Deadline struct {
	Version int
	Ends    time.Time
	// Rough: only the quarter is known; Ends is its first day.
	Rough  bool
	Source string
	Known  time.Time // how old the knowledge is
}

// Deadlines are Heroku's dates as far as they were published.
// PGUPGRADE_DEADLINES replaces single ones.
func Deadlines() []Deadline {
	article := "devcenter.heroku.com/articles/heroku-postgres-version-support"
	return []Deadline{
		{Version: 13, Ends: date(2024, 10, 29), Source: article, Known: date(2024, 10, 29)},
		{Version: 14, Ends: date(2025, 11, 28), Source: "codebar/planner issue 2233 (Heroku's letter: upgrades by force from 2025-10-28)", Known: date(2025, 10, 28)},
		{Version: 15, Ends: date(2026, 7, 1), Rough: true, Source: article, Known: date(2024, 10, 29)},
		{Version: 16, Ends: date(2027, 7, 1), Rough: true, Source: article, Known: date(2024, 10, 29)},
		{Version: 17, Ends: date(2028, 7, 1), Rough: true, Source: article, Known: date(2024, 10, 29)},
	}
}

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// ParseDeadlines reads PGUPGRADE_DEADLINES, "15=2026-09-30,16=2027-Q3", over the
// table: what is named replaces it, the rest stays. Its errors are for people.
func ParseDeadlines(s string, table []Deadline) ([]Deadline, error) {
	out := slices.Clone(table)
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, when, ok := strings.Cut(part, "=")
		version, err := strconv.Atoi(name)
		if !ok || err != nil || version < 10 || version > 99 {
			return nil, fmt.Errorf("%q is not a version and a date such as 15=2026-09-30", part)
		}
		d := Deadline{Version: version, Source: "PGUPGRADE_DEADLINES"}
		if year, quarter, found := strings.Cut(when, "-Q"); found {
			y, err := strconv.Atoi(year)
			q, err2 := strconv.Atoi(quarter)
			if err != nil || err2 != nil || q < 1 || q > 4 || y < 2000 || y > 2999 {
				return nil, fmt.Errorf("%q is not a quarter such as 2026-Q3", when)
			}
			d.Ends, d.Rough = date(y, time.Month(3*q-2), 1), true
		} else if d.Ends, err = time.Parse(time.DateOnly, when); err != nil {
			return nil, fmt.Errorf("%q is not a date such as 2026-09-30", when)
		}
		if i := slices.IndexFunc(out, func(x Deadline) bool { return x.Version == version }); i >= 0 {
			out[i] = d
		} else {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b Deadline) int { return a.Version - b.Version })
	return out, nil
}

// DeadlineOf returns the deadline of a version.
func DeadlineOf(table []Deadline, version string) (Deadline, bool) {
	n, err := strconv.Atoi(ops.Major(version))
	i := slices.IndexFunc(table, func(d Deadline) bool { return d.Version == n })
	if err != nil || i < 0 {
		return Deadline{}, false
	}
	return table[i], true
}

// When is the date in words: "2025-11-28", or "the 3rd quarter of 2026".
func (d Deadline) When() string {
	if !d.Rough {
		return d.Ends.Format(time.DateOnly)
	}
	return fmt.Sprintf("the %s quarter of %d", []string{"1st", "2nd", "3rd", "4th"}[(d.Ends.Month()-1)/3], d.Ends.Year())
}

// Said is where the date is from, and how old that is at now.
func (d Deadline) Said(now time.Time) string {
	if d.Known.IsZero() {
		return "as set in " + d.Source
	}
	age := int(now.Sub(d.Known).Hours() / 24 / 30)
	return fmt.Sprintf("%s, read %s, %d months ago; Heroku may have changed it", d.Source, d.Known.Format("2006-01"), max(0, age))
}

// Near is how long before the end of a version people are reminded of it: Heroku
// begins upgrades by force about a month before (changelog item 2722: five of
// six months).
const Near = 180 * day

// Standing is one database on a version that ends soon or has ended.
type Standing struct {
	App      string
	Database string
	Version  string
	Deadline Deadline
}

// EndingSoon returns those whose version ends within Near of now or has ended, the
// nearest first. A version that is not in the table is left out.
func EndingSoon(all []Standing, table []Deadline, now time.Time) []Standing {
	var out []Standing
	for _, s := range all {
		if d, ok := DeadlineOf(table, s.Version); ok && d.Ends.Sub(now) <= Near {
			s.Deadline = d
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Standing) int {
		if c := a.Deadline.Ends.Compare(b.Deadline.Ends); c != 0 {
			return c
		}
		return strings.Compare(a.App, b.App)
	})
	return out
}

func supported(f Facts) []ops.Finding {
	if !f.Database.Known {
		return blind(f.Database.Why)
	}
	d, ok := DeadlineOf(f.Deadlines, f.Database.Value.Version)
	if !ok {
		return nil
	}
	major, said := ops.Major(f.Database.Value.Version), " ("+d.Said(f.At)+")"
	switch left := d.Ends.Sub(f.At); {
	case left < 0:
		return says(ops.Warn, fmt.Sprintf("Heroku's support for PostgreSQL %s ended, or ends, in %s%s. Heroku upgrades such databases by force.", major, d.When(), said))
	case left <= Near:
		return says(ops.Warn, fmt.Sprintf("Heroku ends PostgreSQL %s in %s%s, and begins to upgrade by force about a month before.", major, d.When(), said))
	}
	return says(ops.Pass, fmt.Sprintf("PostgreSQL %s until %s%s", major, d.When(), said))
}
