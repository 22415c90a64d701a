package herokutest

import (
	"maps"
	"slices"
)

// Range is the rows from From to To, both included.
type Range struct{ From, To int64 }

// Ranges is a set of row numbers: sorted, without overlap.
type Ranges []Range

// Add adds the rows first to last.
func (r *Ranges) Add(first, last int64) {
	if n := len(*r); n == 0 || first > (*r)[n-1].To+1 { // behind all, as almost always
		*r = append(*r, Range{first, last})
		return
	} else if first == (*r)[n-1].To+1 {
		(*r)[n-1].To = last
		return
	}
	all := append(r.clone(), Range{first, last})
	slices.SortFunc(all, func(a, b Range) int { return int(a.From - b.From) })
	out := all[:1]
	for _, x := range all[1:] {
		if l := &out[len(out)-1]; x.From <= l.To+1 {
			l.To = max(l.To, x.To)
		} else {
			out = append(out, x)
		}
	}
	*r = out
}

// Count is how many rows the set has.
func (r Ranges) Count() int64 {
	n := int64(0)
	for _, x := range r {
		n += x.To - x.From + 1
	}
	return n
}

// Missing is how many rows of r are not in o.
func (r Ranges) Missing(o Ranges) int64 {
	n, i := r.Count(), 0
	for _, x := range r {
		for i < len(o) && o[i].To < x.From {
			i++
		}
		for k := i; k < len(o) && o[k].From <= x.To; k++ {
			n -= min(o[k].To, x.To) - max(o[k].From, x.From) + 1
		}
	}
	return n
}

func (r Ranges) clone() Ranges { return slices.Clone(r) }

// Ledger is rows by writer.
type Ledger map[string]Ranges

func (l Ledger) add(writer string, first, last int64) {
	r := l[writer]
	r.Add(first, last)
	l[writer] = r
}

func (l Ledger) clone() Ledger {
	out := maps.Clone(l)
	for w, r := range out {
		out[w] = r.clone()
	}
	return out
}
