package herokutest

import (
	"math/rand/v2"
	"testing"
)

// TestRanges compares the sets with plain ones.
func TestRanges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var a, b Ranges
		in := [2]map[int64]bool{{}, {}}
		for range random.IntN(8) {
			for i, r := range []*Ranges{&a, &b} {
				first := random.Int64N(30)
				last := first + random.Int64N(6)
				r.Add(first, last)
				for n := first; n <= last; n++ {
					in[i][n] = true
				}
			}
		}
		missing := int64(0)
		for n := range in[0] {
			if !in[1][n] {
				missing++
			}
		}
		if a.Count() != int64(len(in[0])) || a.Missing(b) != missing {
			t.Fatalf("%v has %d rows, want %d; without %v %d, want %d", a, a.Count(), len(in[0]), b, a.Missing(b), missing)
		}
		for i := 1; i < len(a); i++ {
			if a[i].From <= a[i-1].To+1 {
				t.Fatalf("not in order, or not joined: %v", a)
			}
		}
	}
}
