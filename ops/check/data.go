package check

import (
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// dataChecks are about what a follower does not carry, or what changes its
// meaning (guardrails D). D4 is for logical methods alone, which there is none of.
var dataChecks = []Check{
	{Number: "D1", Title: "Unlogged tables", Level: ops.Acknowledge, When: both, Where: inCatalogue, sql: true,
		Fix: "`ALTER TABLE … SET LOGGED` before the follower is created: an unlogged table is empty on the new database.", look: some(ops.UnloggedTables, ops.Acknowledge)},
	{Number: "D2", Title: "Temporary tables", Level: ops.Warn, When: both, Where: inCatalogue, sql: true,
		Fix: "Nothing, unless somebody keeps something in one: they end with their sessions.", look: some(ops.TemporaryTables, ops.Warn)},
	{Number: "D2", Title: "Advisory locks", Level: ops.Warn, When: both, Where: "SQL: pg_locks", sql: true,
		Fix: "See that what holds them takes them again after the switch, such as a job queue.", look: some(ops.AdvisoryLocks, ops.Warn)},
	{Number: "D2", Title: "Listening sessions", Level: ops.Warn, When: both, Where: "SQL: pg_stat_activity", sql: true,
		Fix: "See that what listens connects again after the switch, such as a job queue.", look: some(ops.Listeners, ops.Warn)},
	{Number: "D3", Title: "Sequences", Level: ops.Warn, When: kept, Where: "SQL: the sequences", sql: true,
		Fix: "Make the column `bigint` before the sequence ends; the upgrade keeps its value.", look: some(ops.FullSequences, ops.Warn)},
	{Number: "D5", Title: "Schema as it was when the plan was made", Level: ops.Acknowledge, When: late, Where: "SQL: hash of the system catalogue", sql: true,
		Fix: "See what was deployed since then; start anew if the checks should look at it.", look: schemaChanged},
	{Number: "D6", Title: "Invalid indexes", Level: ops.Block, Early: ops.Warn, When: kept, Where: "SQL: pg_index", sql: true,
		Fix: "`REINDEX INDEX CONCURRENTLY` or drop them: usually a build that failed.", look: grown(ops.InvalidIndexes)},
	{Number: "D6", Title: "Constraints that were not validated", Level: ops.Block, Early: ops.Warn, When: kept, Where: "SQL: pg_constraint", sql: true,
		Fix: "`ALTER TABLE … VALIDATE CONSTRAINT`, or leave them as they are: the upgrade keeps them so.", look: grown(ops.UnvalidatedConstraints)},
	{Number: "D7", Title: "Collation versions", Level: ops.Block, Early: ops.Acknowledge, When: kept, Where: "SQL: pg_database, pg_collation", sql: true,
		Fix: "`REINDEX` the text indexes, then `ALTER DATABASE … REFRESH COLLATION VERSION`: until then they may miss rows.", look: collations},
	{Number: "D8", Title: "Text indexes", Level: ops.Inform, When: early, Where: "SQL: pg_index, sizes", sql: true,
		Fix:  "Nothing: it is what a rebuild would cost, should the operating system's collations change.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.Sized] { return in.TextIndexes }, textIndexes)},
	{Number: "D9", Title: "Age of the transaction ids", Level: ops.Acknowledge, When: early, Where: "SQL: pg_database, pg_class", sql: true,
		Fix:  "`VACUUM (FREEZE)` the oldest tables before: a vacuum against the wraparound makes the follower lag and waits for nobody.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.Age] { return in.Age }, age)},
	{Number: "D10", Title: "Dead rows", Level: ops.Inform, When: early, Where: "SQL: pg_stat_user_tables", sql: true,
		Fix:  "`VACUUM` before makes the statistics after the upgrade faster.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.DeadRows] { return in.DeadRows }, deadRows)},
	{Number: "D11", Title: "Statistics of their own", Level: ops.Warn, When: kept, Where: "SQL: pg_statistic_ext, pg_attribute", sql: true,
		Fix: "Nothing: their definition is kept, their content is made anew by ANALYZE, which takes longer with them.", look: some(ops.StatisticsSettings, ops.Warn)},
}

func schemaChanged(f Facts) []ops.Finding {
	was, is := f.SQLBefore.Value.SchemaHash, f.SQL.Value.SchemaHash
	switch {
	case !f.SQLBefore.Known || !was.Known: // there was no SQL when the plan was made
		return nil
	case !is.Known:
		return blind(is.Why)
	case was.Value != is.Value:
		return says(ops.Acknowledge, "Tables, columns, indexes, constraints or functions have changed since the plan was made.")
	}
	return says(ops.Pass, "unchanged")
}

// grown warns of what is there before the start, and blocks what is new after
// the switch: then the upgrade has made it.
func grown(t ops.Thing) func(Facts) []ops.Finding {
	return things(t, func(f Facts, n ops.Names) []ops.Finding {
		was := f.SQLBefore.Value.Things[t]
		switch {
		case !f.After || !was.Known:
			return says(ops.Warn, listed(n)+".")
		case n.Count > was.Value.Count:
			return says(ops.Block, fmt.Sprintf("%s, more than before the upgrade (%d).", listed(n), was.Value.Count))
		}
		return says(ops.Inform, listed(n)+", as before the upgrade.")
	})
}

func collations(f Facts) []ops.Finding {
	return things(ops.CollationMismatches, func(f Facts, n ops.Names) []ops.Finding {
		if f.After {
			return says(ops.Block, listed(n)+".")
		}
		return says(ops.Acknowledge, listed(n)+".")
	})(f)
}

func textIndexes(_ Facts, s ops.Sized) []ops.Finding {
	if s.Count == 0 {
		return says(ops.Pass, "none")
	}
	return says(ops.Inform, fmt.Sprintf("%s, %s.", counted(s.Count, "index", "indexes"), ops.FormatBytes(s.Bytes)))
}

func age(_ Facts, a ops.Age) []ops.Finding {
	evidence := fmt.Sprintf("%s is at %d %% of where autovacuum begins to force its way, %d %% of where PostgreSQL stops", a.Oldest, a.Percent, a.Limit)
	switch {
	case a.Limit > 75:
		return says(ops.Acknowledge, evidence+".")
	case a.Limit > 50:
		return says(ops.Warn, evidence+".")
	}
	return says(ops.Pass, evidence)
}

func deadRows(_ Facts, d ops.DeadRows) []ops.Finding {
	if d.Tables == 0 {
		return says(ops.Pass, "autovacuum keeps up")
	}
	return says(ops.Inform, fmt.Sprintf("%s above autovacuum's threshold, %d dead rows in all; most in %s.", counted(d.Tables, "table is", "tables are"), d.Rows, d.Largest))
}
