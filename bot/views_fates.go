package bot

import (
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// How many things are named in a message that also says much else. Details has
// them all.
const (
	fatesMost = 8 // different fates
	namesMost = 6 // with the same fate
)

// fateLines say what will happen to everything that leads to the old database or
// lives on it: one line for each fate, with the names it concerns.
func fateLines(p *ops.RunPlan, full bool) []string {
	if p == nil || len(p.Fates) == 0 {
		return nil
	}
	var order []string
	named := map[string][]string{}
	for _, f := range p.Fates {
		if named[f.Fate] == nil {
			order = append(order, f.Fate)
		}
		named[f.Fate] = append(named[f.Fate], f.What)
	}
	out := []string{"*What becomes of what:*"}
	for i, fate := range order {
		names := named[fate]
		if !full && i == fatesMost {
			out = append(out, fmt.Sprintf("• and %d more: see *Details*", len(order)-i))
			break
		}
		more := ""
		if n := len(names) - namesMost; !full && n > 0 {
			names, more = names[:namesMost], fmt.Sprintf(" and %d more", n)
		}
		out = append(out, "• "+prose(strings.Join(names, ", ")+more)+": "+prose(fate))
	}
	return out
}
