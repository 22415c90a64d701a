package herokutest

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A list is asked for in pieces with "Range: FIELD FROM..TO; max=N, order=desc".
// FROM may begin with "]": after it, not with it. The page is 200 long if
// nothing is said and 1,000 at most; when there is more the answer is 206 with a
// Next-Range (devcenter.heroku.com/articles/platform-api-reference#ranges).
const (
	pageLength  = 200
	pageLongest = 1000
)

var rangeForm = regexp.MustCompile(`^\s*([a-z_]+)\s*(\]?)([^;\s]*?)\.\.([^;\s]*)\s*(?:;\s*(.*))?$`)

// page answers as much of a list as the Range header asks for. A short list
// keeps its own order without one. fields are what it can be ordered by beside
// id, each different for every item.
func page(c call, all []any, fields ...string) answer {
	fields = append(fields, "id")
	most, desc, field := pageLength, false, ""
	from, after, to := "", false, ""
	if h := c.Header.Get("Range"); h != "" {
		m := rangeForm.FindStringSubmatch(h)
		if m == nil || !slices.Contains(fields, m[1]) {
			return badRange(fields)
		}
		field, after, from, to = m[1], m[2] != "", m[3], m[4]
		for o := range strings.SplitSeq(m[5], ",") {
			k, v, _ := strings.Cut(strings.TrimSpace(o), "=")
			n, err := strconv.Atoi(v)
			switch {
			case k == "":
			case k == "max" && err == nil && n > 0:
				most = min(n, pageLongest)
			case k == "order" && (v == "desc" || v == "asc"):
				desc = v == "desc"
			default:
				return badRange(fields)
			}
		}
	}
	by := cmp.Or(field, fields[0])
	if field != "" || len(all) > most { // what goes on elsewhere must have an order
		all = slices.Clone(all)
		slices.SortStableFunc(all, func(a, b any) int { return order(a, b, by, desc) })
		all = slices.DeleteFunc(all, func(x any) bool {
			low, high := compareKey(keyOf(x, by), from), compareKey(keyOf(x, by), to)
			if desc {
				low, high = -low, -high
			}
			return from != "" && (low < 0 || after && low == 0) || to != "" && high > 0
		})
	}
	return piece(all, by, most, desc, fields)
}

func piece(all []any, by string, most int, desc bool, fields []string) answer {
	a := ok(all)
	a.header = http.Header{"Accept-Ranges": {strings.Join(fields, ", ")}}
	if len(all) == 0 {
		return a
	}
	end := min(most, len(all))
	a.body = all[:end]
	a.header.Set("Content-Range", fmt.Sprintf("%s %s..%s", by, keyOf(all[0], by), keyOf(all[end-1], by)))
	if end < len(all) {
		a.status = http.StatusPartialContent
		next := fmt.Sprintf("%s ]%s..; max=%d", by, keyOf(all[end-1], by), most)
		if desc {
			next += ", order=desc"
		}
		a.header.Set("Next-Range", next)
	}
	return a
}

func badRange(fields []string) answer {
	return no(http.StatusRequestedRangeNotSatisfiable, "requested_range_not_satisfiable", "The range must be one of %s, with max from 1 to %d.", strings.Join(fields, ", "), pageLongest)
}

func order(a, b any, by string, desc bool) int {
	n := compareKey(keyOf(a, by), keyOf(b, by))
	if desc {
		return -n
	}
	return n
}

// keyOf is what a list is ordered by, as text.
func keyOf(item any, field string) string {
	m, _ := item.(map[string]any)
	if field == "started_at" { // of builds, which show when they were created
		field = "created_at"
	}
	return fmt.Sprint(m[field])
}

// compareKey compares numbers as numbers.
func compareKey(a, b string) int {
	x, errA := strconv.Atoi(a)
	y, errB := strconv.Atoi(b)
	if errA == nil && errB == nil {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}
