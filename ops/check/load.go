package check

import (
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

const inActivity = "SQL: pg_stat_activity"

// loadChecks are about what runs now (guardrails L). What they find right before
// the fence passes by itself, so the gate waits for it. L9 needs a week of
// samples and is left to whoever knows the app.
var loadChecks = []Check{
	{Number: "L1", Title: "Long transactions", Level: ops.Block, Early: ops.Warn, When: both, Where: inActivity, sql: true, Passing: true,
		Fix: "Let them end, or end them: `heroku pg:ps`, `heroku pg:kill PID`.", look: underLoad(ops.LongTransactions, ops.Warn, ops.Block)},
	{Number: "L2", Title: "Sessions idle in a transaction", Level: ops.Block, Early: ops.Warn, When: both, Where: inActivity, sql: true, Passing: true,
		Fix: "Find what does not commit (`heroku pg:ps`), or end it: `heroku pg:kill PID`.", look: underLoad(ops.IdleTransactions, ops.Warn, ops.Block)},
	{Number: "L3", Title: "Exclusive locks and lock queues", Level: ops.Block, Early: ops.Warn, When: both, Where: "SQL: pg_locks", sql: true, Passing: true,
		Fix: "Let the schema change end: `heroku pg:locks` shows who waits for whom.", look: underLoad(ops.StrongLocks, ops.Warn, ops.Block)},
	{Number: "L4", Title: "Long work under way", Level: ops.Acknowledge, Early: ops.Warn, When: both, Where: inActivity + ", pg_stat_progress_*", sql: true, Passing: true,
		Fix: "Wait for it: index builds, copies, dumps and vacuums against the wraparound make the follower lag.", look: underLoad(ops.LongWork, ops.Warn, ops.Acknowledge)},
	{Number: "L5", Title: "Queries that hold replay back", Level: ops.Acknowledge, When: late, Where: "SQL on the follower: pg_stat_activity, replay paused", sql: true, Passing: true,
		Fix: "End them on the follower: until then its lag does not reach zero.", look: replayHolders},
	{Number: "L6", Title: "How much is written", Level: ops.Inform, When: early, Where: "SQL: two positions of the WAL", sql: true,
		Fix:  "Choose a quieter hour if the follower cannot follow.",
		look: fromSQL(func(in ops.Inside) ops.Fact[int64] { return in.WALRate }, walRate)},
	{Number: "L7", Title: "Connections", Level: ops.Acknowledge, When: both, Where: inActivity + ", max_connections", sql: true,
		Fix:  "Use fewer: right after the switch both generations of dynos may connect at once, and above the limit the app is refused.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.Sessions] { return in.Connections }, sessions)},
	{Number: "L8", Title: "Who connects", Level: ops.Inform, When: early, Where: inActivity, sql: true,
		Fix: "Clients that are no dyno of the app keep the old address: tell whoever runs them.", look: some(ops.Clients, ops.Inform)},
	{Number: "L10", Title: "Connections of other roles", Level: ops.Warn, When: early, Where: inActivity, sql: true,
		Fix: "Find out who uses them: `heroku pg:credentials`.", look: some(ops.HiddenConnections, ops.Warn)},
}

// underLoad says early in the survey, and last right before the fence.
func underLoad(t ops.Thing, early, last ops.Verdict) func(Facts) []ops.Finding {
	return things(t, func(f Facts, n ops.Names) []ops.Finding {
		if f.Cutover {
			return says(last, listed(n)+".")
		}
		return says(early, listed(n)+".")
	})
}

// replayHolders looks at the follower.
func replayHolders(f Facts) []ops.Finding {
	if !f.SQLFollower.Known {
		return blind(first(f.SQLFollower.Why))
	}
	n := f.SQLFollower.Value.Things[ops.ReplayHolders]
	switch {
	case !n.Known:
		return blind(n.Why)
	case n.Value.Count == 0:
		return says(ops.Pass, "none")
	}
	return says(ops.Acknowledge, listed(n.Value)+".")
}

func walRate(_ Facts, perSecond int64) []ops.Finding {
	return says(ops.Inform, fmt.Sprintf("%s of WAL a second while it was looked at.", ops.FormatBytes(perSecond)))
}

func sessions(f Facts, s ops.Sessions) []ops.Finding {
	limit := s.Limit
	if f.Database.Known && f.Database.Value.ConnectionLimit > 0 {
		limit = f.Database.Value.ConnectionLimit // the plan's, which is what refuses first
	}
	evidence := fmt.Sprintf("%d of %d", s.Now, limit)
	if limit > 0 && s.Now*2 > limit {
		return says(ops.Acknowledge, evidence+": twice as many would be too many.")
	}
	return says(ops.Pass, evidence)
}
