package check

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

func passed(f *Facts) {
	f.DryRun = ops.Known(ops.DryRun{Version: "17", At: now.Add(-time.Hour), Ended: ops.Known(now), Passed: true})
}

func objects(o ops.Objects) func(*Facts) {
	return func(f *Facts) { f.SQL.Value.Objects = ops.Known(o) }
}

func setup(change func(*ops.Setup)) func(*Facts) {
	return func(f *Facts) { change(&f.SQL.Value.Setup.Value) }
}

func TestCompat(t *testing.T) {
	table(t, []row{
		{"S1", has(ops.PreparedTransactions, "in d1"), ops.Block, "1: in d1"},
		{"S2", has(ops.RegColumns, "public.a.b", "public.a.c"), ops.Block, "2: public.a.b, public.a.c"},
		{"S3", has(ops.CompositeColumns, "public.a.b"), ops.Block, "public.a.b"},
		{"S4", has(ops.AclitemColumns, "public.a.b"), ops.Block, "public.a.b"},
		{"S4", and(to(15), has(ops.AclitemColumns, "x")), "", "the format changes in 16 only"},
		{"S4", and(setup(func(s *ops.Setup) { s.Major = 16 }), has(ops.AclitemColumns, "x")), "", "16 has the new format"},
		{"S5", has(ops.NullableChildren, "x"), "", "17 does not mind"},
		{"S5", and(to(18), has(ops.NullableChildren, "x")), ops.Block, "1: x"},
		{"S7", has(ops.UnicodeObjects, "x"), ops.Warn, "1: x"},
		{"S8", has(ops.ClosedDatabases, "old (invalid)"), ops.Block, "old (invalid)"},
		{"S9 Logical", has(ops.LogicalSlots, "s"), ops.Acknowledge, "1: s"},
		{"S9 Subscriptions", has(ops.Subscriptions, "s"), ops.Block, "1: s"},
		{"S11", objects(ops.Objects{Schemas: 1000, All: 10000}), ops.Pass, "1000 schemas"},
		{"S11", objects(ops.Objects{Schemas: 1001}), ops.Acknowledge, "1001 schemas"},
		{"S11", objects(ops.Objects{All: 10001}), ops.Acknowledge, "10001 objects"},
		{"S12", objects(ops.Objects{LargeObjects: 1}), ops.Pass, "1 large object"},
		{"S12", objects(ops.Objects{LargeObjects: 100_001}), ops.Acknowledge, "100001"},
		{"S12", objects(ops.Objects{LargeObjects: 5_000_001}), ops.Block, "More than 5000000"},
		{"S13", has(ops.SystemViewUsers, "public.v"), ops.Acknowledge, "public.v"},
		{"S13", and(passed, has(ops.SystemViewUsers, "public.v")), ops.Inform, "dry run passed"},
		{"S14", has(ops.EventTriggers, "e"), ops.Warn, "1: e"},
		{"S15", has(ops.PathFunctions, "public.f"), ops.Warn, "public.f"},
		{"S15", and(to(16), has(ops.PathFunctions, "public.f")), "", "safe path from 17 on"},
		{"S17", setup(func(s *ops.Setup) { s.Checksums = false }), ops.Pass, "off"},
		{"S17", and(to(18), setup(func(s *ops.Setup) { s.Checksums = false })), ops.Inform, "Off"},
		{"S18", and(to(18), has(ops.SearchIndexes, "public.i")), ops.Pass, "none"},
		{"S18", and(to(18), and(setup(func(s *ops.Setup) { s.Provider = "icu" }), has(ops.SearchIndexes, "public.i"))), ops.Warn, "icu's; 1: public.i"},
		{"S19", setup(func(s *ops.Setup) { s.PasswordEncryption = "md5" }), ops.Warn, "md5"},
		{"S22", has(ops.RoleSettings, "work_mem of a role"), ops.Warn, "work_mem"},
	})
}

func TestListed(t *testing.T) {
	for want, n := range map[string]ops.Names{"0": {}, "2: a, b": {Count: 2, First: []string{"a", "b"}}, "9: a, b, …": {Count: 9, First: []string{"a", "b"}}} {
		if got := listed(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
