package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestInspected is the table of the look inside the new database after the switch.
func TestInspected(t *testing.T) {
	soaking := func(change func(*fixture)) func(*fixture) {
		return func(f *fixture) {
			f.soaking(time.Hour, 0)
			f.run.Soak.From = now.Add(-time.Minute)
			f.run.SQL = ops.SQLWork{On: true, Analyzed: "all tables have statistics"}
			f.w.After = ops.Known(After{Old: map[string]int64{"tables": 3, "indexes": 4}, New: map[string]int64{"tables": 3, "indexes": 4}})
			if change != nil {
				change(f)
			}
		}
	}
	play(t, []row{
		{"as many of each kind is said once", ops.StepSoak, soaking(nil), want{kind: Wait, says: "3 tables, 4 indexes"}},
		{"a missing index is told", ops.StepSoak, soaking(func(f *fixture) { f.w.After.Value.New["indexes"] = 3 }), want{kind: Wait, says: "3 indexes, the old one has 4"}},
		{"a kind that the old one has not", ops.StepSoak, soaking(func(f *fixture) { f.w.After.Value.New["triggers"] = 1 }), want{kind: Wait, says: "1 triggers, the old one has none"}},
		{"a sequence that would give a number twice", ops.StepSoak, soaking(func(f *fixture) {
			f.w.After.Value.Sequences = []ops.SequenceBehind{{Sequence: "public.orders_id_seq", Column: "public.orders.id", Last: 4, Max: 9}}
		}), want{kind: Wait, says: "holds 9 already"}},
		{"a check that warns is told", ops.StepSoak, soaking(func(f *fixture) {
			f.w.After.Value.Findings = []ops.Finding{{Check: "E9", Title: "Extensions", Verdict: ops.Warn, Evidence: "hstore 1.7 < 1.8", Fix: "ALTER EXTENSION."}}
		}), want{kind: Wait, says: "hstore 1.7 < 1.8"}},
		{"out of reach is looked at again", ops.StepSoak, soaking(func(f *fixture) { f.w.After = ops.Unknown[After]("refused") }), want{kind: Wait, says: "by SQL"}},
		{"and told after five minutes", ops.StepSoak, soaking(func(f *fixture) {
			f.w.After = ops.Unknown[After]("refused")
			f.run.Soak.From = now.Add(-time.Hour)
		}), want{kind: Wait, says: "could not be compared"}},
		{"once is enough", ops.StepSoak, soaking(func(f *fixture) { f.run.SQL.Objects = "3 tables"; f.w.After = ops.Unknown[After]("refused") }), want{kind: Wait, says: "Soaking"}},
		{"the rest of the statistics is made", ops.StepSoak, soaking(func(f *fixture) { f.run.SQL.Objects, f.run.SQL.Analyzed = "3 tables", "7 tables wait for statistics" }), want{kind: Act, act: ops.ActAnalyze}},
		{"until none is missing", ops.StepSoak, soaking(func(f *fixture) {
			f.run.SQL.Objects, f.run.SQL.Analyzed = "3 tables", "7 tables wait for statistics"
			f.sent(ops.ActAnalyze, ops.StepSoak, newDB.ID, ops.OutcomeDone)
			f.w.Acts[len(f.w.Acts)-1].Detail = "all tables have statistics"
		}), want{kind: Wait, says: "All tables have statistics now"}},
	})
}
