package ops

import (
	"fmt"
	"strings"
	"time"
)

// FormatDuration prints a duration in people's units: "8 s", "12 min 5 s",
// "3 h 10 min", "6 days 4 h". Two units at most; below a second "0.4 s".
func FormatDuration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	var parts []string
	for _, u := range units {
		n := d / u.size
		d -= n * u.size
		if n == 0 {
			if len(parts) > 0 {
				break
			}
			continue
		}
		name := u.name
		if name == "day" && n > 1 {
			name = "days"
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, name))
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// FormatBytes prints a size: "8.2 GB", "512 MB".
func FormatBytes(n int64) string {
	switch f := float64(n); {
	case f >= 1e12:
		return fmt.Sprintf("%.1f TB", f/1e12)
	case f >= 1e9:
		return fmt.Sprintf("%.1f GB", f/1e9)
	case f >= 1e6:
		return fmt.Sprintf("%.0f MB", f/1e6)
	case f >= 1e3:
		return fmt.Sprintf("%.0f kB", f/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}

// FormatCents prints money: "$50", "$1.67".
func FormatCents(cents int) string {
	if cents%100 == 0 {
		return fmt.Sprintf("$%d", cents/100)
	}
	return fmt.Sprintf("$%d.%02d", cents/100, cents%100)
}

// CentsFor returns what a database of so many cents a month costs for d. Heroku
// prorates to the second; the CLI shows a month as 720 hours
// (heroku/cli src/lib/addons/util.ts).
func CentsFor(perMonth int, d time.Duration) int {
	if d < 0 {
		return 0
	}
	return int(float64(perMonth)*d.Hours()/720 + 0.5)
}

// Major returns the major version of a PostgreSQL version: "15" for "15.13".
func Major(version string) string {
	major, _, _ := strings.Cut(version, ".")
	return major
}

// ShortPlan returns the plan without the service: "standard-0".
func ShortPlan(plan string) string {
	if _, p, ok := strings.Cut(plan, ":"); ok {
		return p
	}
	return plan
}
