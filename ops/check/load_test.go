package check

import (
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

func TestLoad(t *testing.T) {
	table(t, []row{
		{"L1", has(ops.LongTransactions, "pid 7"), ops.Warn, "pid 7"},
		{"L1", and(atCutover, has(ops.LongTransactions, "pid 7")), ops.Block, "pid 7"},
		{"L2", has(ops.IdleTransactions, "pid 7"), ops.Warn, "pid 7"},
		{"L2", and(atCutover, has(ops.IdleTransactions, "pid 7")), ops.Block, "pid 7"},
		{"L3", and(atCutover, has(ops.StrongLocks, "pid 7 waits for ShareLock")), ops.Block, "waits"},
		{"L4", has(ops.LongWork, "pid 7 dumps"), ops.Warn, "dumps"},
		{"L4", and(atCutover, has(ops.LongWork, "pid 7 dumps")), ops.Acknowledge, "dumps"},
		{"L5", func(f *Facts) {
			f.SQLFollower = ops.Known(ops.Inside{Things: map[ops.Thing]ops.Fact[ops.Names]{ops.ReplayHolders: ops.Known(ops.Names{Count: 1, First: []string{"replay is paused"}})}})
		}, ops.Acknowledge, "paused"},
		{"L5", func(f *Facts) { f.SQLFollower = ops.Unknown[ops.Inside]("refused") }, ops.Acknowledge, "unknown: refused"},
		{"L6", nil, ops.Inform, "1 kB of WAL a second"},
		{"L7", func(f *Facts) { f.SQL.Value.Connections = ops.Known(ops.Sessions{Now: 51, Limit: 100}) }, ops.Acknowledge, "51 of 100"},
		{"L7", and(database(func(d *ops.Database) { d.ConnectionLimit = 18 }), func(f *Facts) { f.SQL.Value.Connections = ops.Known(ops.Sessions{Now: 10, Limit: 100}) }), ops.Acknowledge, "10 of 18"},
		{"L8", has(ops.Clients, "psql × 1"), ops.Inform, "psql × 1"},
		{"L10", has(ops.HiddenConnections, "pid 7"), ops.Warn, "pid 7"},
	})
}

// TestSplit: what passes by itself is waited for, seen or not.
func TestSplit(t *testing.T) {
	stays, passes := Split([]ops.Finding{
		{Check: "L1", Verdict: ops.Block}, {Check: "L2", Verdict: ops.Block, Unknown: true}, {Check: "L4", Verdict: ops.Acknowledge}, {Check: "L3", Verdict: ops.Pass},
		{Check: "S1", Verdict: ops.Block}, {Check: "H22", Verdict: ops.Warn}, {Check: "unheard of", Verdict: ops.Block},
	})
	if len(passes) != 3 || len(stays) != 4 {
		t.Errorf("%v stay, %v pass", stays, passes)
	}
}
