package check

import (
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// some is a check that says v when there is something of the kind, with the
// count and the names as evidence.
func some(t ops.Thing, v ops.Verdict) func(Facts) []ops.Finding {
	return things(t, func(_ Facts, n ops.Names) []ops.Finding { return says(v, listed(n)) })
}

// things is a check about things with names: unknown when they could not be
// looked for, a pass when there are none.
func things(t ops.Thing, say func(Facts, ops.Names) []ops.Finding) func(Facts) []ops.Finding {
	return func(f Facts) []ops.Finding {
		n, ok := f.SQL.Value.Things[t]
		switch {
		case !ok || !n.Known:
			return blind(n.Why)
		case n.Value.Count == 0:
			return says(ops.Pass, "none")
		}
		return say(f, n.Value)
	}
}

// towards runs a check only when the upgrade ends at that major or later, and
// not when it begins there: what only the way past it touches.
func towards(major int, look func(Facts) []ops.Finding) func(Facts) []ops.Finding {
	return func(f Facts) []ops.Finding {
		if f.Target < major || f.SQL.Value.Setup.Known && f.SQL.Value.Setup.Value.Major >= major {
			return nil
		}
		return look(f)
	}
}

// listed is a count and the first names: "3: a, b, c".
func listed(n ops.Names) string {
	s := fmt.Sprint(n.Count)
	if len(n.First) == 0 {
		return s
	}
	s += ": " + strings.Join(n.First, ", ")
	if n.Count > len(n.First) {
		s += ", …"
	}
	return s
}

// counted is "1 table", "3 tables".
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// fromSQL is a check about one fact.
func fromSQL[T any](get func(ops.Inside) ops.Fact[T], say func(Facts, T) []ops.Finding) func(Facts) []ops.Finding {
	return func(f Facts) []ops.Finding {
		x := get(f.SQL.Value)
		if !x.Known {
			return blind(x.Why)
		}
		return say(f, x.Value)
	}
}
