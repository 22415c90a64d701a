package check

import (
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

func TestData(t *testing.T) {
	after := func(f *Facts) { f.After = true }
	before := func(thing ops.Thing, names ...string) func(*Facts) {
		return func(f *Facts) {
			f.SQLBefore = ops.Known(ops.Inside{Things: map[ops.Thing]ops.Fact[ops.Names]{thing: ops.Known(ops.Names{Count: len(names), First: names})}})
		}
	}
	hash := func(h ops.Fact[string]) func(*Facts) {
		return func(f *Facts) { f.Cutover, f.SQL.Value.SchemaHash = true, h }
	}
	aged := func(limit int) func(*Facts) {
		return func(f *Facts) { f.SQL.Value.Age = ops.Known(ops.Age{Percent: 10 * limit, Limit: limit, Oldest: "d1"}) }
	}
	table(t, []row{
		{"D1", has(ops.UnloggedTables, "public.cache (8192 bytes)"), ops.Acknowledge, "public.cache"},
		{"D2 Temporary", has(ops.TemporaryTables, "pg_temp_3.x"), ops.Warn, "pg_temp_3.x"},
		{"D2 Advisory", has(ops.AdvisoryLocks, "pid 7 (jobs)"), ops.Warn, "jobs"},
		{"D2 Listening", has(ops.Listeners, "pid 7"), ops.Warn, "pid 7"},
		{"D3", has(ops.FullSequences, "public.s (93 %)"), ops.Warn, "93 %"},
		{"D5", hash(ops.Known("a")), ops.Pass, "unchanged"},
		{"D5", hash(ops.Known("b")), ops.Acknowledge, "have changed"},
		{"D5", hash(ops.Unknown[string]("no answer")), ops.Acknowledge, "unknown: no answer"},
		{"D5", and(hash(ops.Known("b")), func(f *Facts) { f.SQLBefore = ops.Fact[ops.Inside]{} }), "", "no SQL when the plan was made"},
		{"D6 Invalid", has(ops.InvalidIndexes, "public.i"), ops.Warn, "public.i"},
		{"D6 Invalid", and(after, and(before(ops.InvalidIndexes), has(ops.InvalidIndexes, "public.i"))), ops.Block, "public.i, more than before"},
		{"D6 Invalid", and(after, and(before(ops.InvalidIndexes, "public.i"), has(ops.InvalidIndexes, "public.i"))), ops.Inform, "as before"},
		{"D6 Constraints", has(ops.UnvalidatedConstraints, "public.t: c"), ops.Warn, "public.t: c"},
		{"D7", has(ops.CollationMismatches, "database d1"), ops.Acknowledge, "database d1"},
		{"D7", and(after, has(ops.CollationMismatches, "database d1")), ops.Block, "database d1"},
		{"D8", func(f *Facts) { f.SQL.Value.TextIndexes = ops.Known(ops.Sized{Count: 3, Bytes: 2e9}) }, ops.Inform, "3 indexes, 2.0 GB"},
		{"D9", aged(50), ops.Pass, "50 %"},
		{"D9", aged(51), ops.Warn, "51 %"},
		{"D9", aged(76), ops.Acknowledge, "76 %"},
		{"D10", func(f *Facts) {
			f.SQL.Value.DeadRows = ops.Known(ops.DeadRows{Tables: 1, Rows: 9, Largest: "public.t"})
		}, ops.Inform, "most in public.t"},
		{"D11", has(ops.StatisticsSettings, "public.t.a"), ops.Warn, "public.t.a"},
	})
}
