package bot

import (
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// insideStories are upgrades in which the databases are reached by SQL, of one
// database that two apps use under several names.
func insideStories() map[string]Story {
	all := map[string]Story{
		"key-refused": keyStory(), "sql-gate": inside(story(ops.StepGateCutover)), "sql-fence": inside(story(ops.StepFence)), "sql-upgrade": inside(story(ops.StepUpgrade)), "sql-soak": inside(story(ops.StepSoak)),
		"sql-reminded": inside(remindedStory()), "sql-return-attach": attachStory(), "sql-rollback-counted": countedStory(), "sql-rollback-destroy": inside(rollbackStory(ops.StepGateDestroy)),
	}
	for name, step := range map[string]ops.Step{"read-only-gate": ops.StepGateCutover, "read-only-upgrade": ops.StepUpgrade} {
		s := inside(story(step))
		s.Run.Plan.Mode, s.Run.Plan.ReadOnlyFlag, s.Run.Request.ReadOnly = ops.ModeReadOnly, "READ_ONLY", true
		all[name] = s
	}
	return all
}

// inside adds to a story what SQL saw in it, and a second app.
func inside(s Story) Story {
	r := &s.Run
	p := *r.Plan
	p.SQL, p.SQLWhy = true, ""
	p.Apps = []ops.PlanApp{
		{Ref: p.Apps[0].Ref, Attachments: []ops.PlanAttachment{{ID: "att-1", Name: "DATABASE"}, {ID: "att-2", Name: "DATABASE_CONNECTION_POOL", Namespace: "pooler"}}},
		{Ref: ops.Ref{ID: "app-2", Name: "reports"}, Attachments: []ops.PlanAttachment{{ID: "att-3", Name: "ORDERS_DB", Namespace: "credential:reader"}}},
	}
	p.Fates = append([]ops.Fate{
		{What: "`DATABASE_CONNECTION_POOL` of `orders`", Fate: "moves to the new database, through its pooler"},
		{What: "`ORDERS_DB` of `reports`", Fate: "moves to the new database, with its credential `reader`"},
		{What: "the follower at `ec2-1-2-3-4.compute.example`", Fate: "stays with the old database; a new one can be created once Fork/Follow of the new database is Available"},
	}, p.Fates...)
	r.Plan = &p
	if r.Baseline == nil {
		return s
	}
	r.SQL = ops.SQLWork{On: true, Fence: &ops.DBFence{Setting: "on", Overrides: []string{"etl"}}, FencedAt: r.Baseline.At.Add(3 * time.Second), StillAt: r.Baseline.At.Add(7 * time.Second)}
	if r.Step.Before(ops.StepUpgrade) {
		return s
	}
	r.SQL.Reached, r.SQL.Target = 2, 0x16B374D848
	if r.Proof.PromotedAt.IsZero() {
		return s
	}
	r.SQL.Proven, r.SQL.Analyzed, r.SQL.BaseAt = "a row was written and rolled back", "all 41 tables have statistics", r.Proof.PromotedAt
	r.SQL.Compared = []ops.RowsCompared{{Table: "public.orders", Rows: 1000}, {Table: "public.lines", Whole: true}}
	r.Soak.Seen = "no use seen"
	if r.RolledBack() {
		r.SQL.NewFence = &ops.DBFence{Setting: "on"}
	}
	return s
}

// countedStory stands at the second question of a rollback, with a counted loss.
func countedStory() Story {
	s := inside(rollbackStory(ops.StepRollbackMeter))
	r := &s.Run
	loss := ops.Loss{Since: r.Proof.PromotedAt, At: r.StepSince, Tables: []ops.TableChange{{Table: "public.orders", Inserted: 812, Updated: 41}, {Table: "public.lines", Inserted: 2417}},
		Sequences: []ops.SequenceChange{{Name: "public.orders_id_seq", From: ops.Sequence{Last: 9000}, To: ops.Sequence{Last: 9812}}}}
	r.SQL.Loss, r.Rollback.Meter = &loss, loss.String()
	list := ""
	for _, l := range loss.Lines(12) {
		list += "\n• " + l
	}
	last := &s.Events[len(s.Events)-1]
	last.Text = "Go back and lose this? What was written to `orders-pg17-k3f9q` since the switch: " + r.Rollback.Meter + ". " + list + "\nIt stays readable in `orders-pg17-k3f9q`, which is kept. Without an answer within 10 min `orders` stays as it was before the rollback."
	return s
}

// attachStory goes back from a switch that could not end.
func attachStory() Story {
	s := inside(story(ops.StepPromote))
	r := &s.Run
	r.Returning, r.Why = true, "release v48 of orders (Attach DATABASE) failed"
	at := r.StepSince.Add(time.Minute)
	r.Steps[len(r.Steps)-1].Ended, r.Steps[len(r.Steps)-1].Note = at, r.Why
	r.Step, r.StepSince, r.Next = ops.StepReturnAttach, at, "Switching DATABASE of orders back to the old database."
	r.Steps = append(r.Steps, ops.StepRecord{Step: ops.StepReturnAttach, Begun: at})
	s.add(ops.Event{Kind: ops.EventReturning, Step: ops.StepPromote, Text: "Going back: " + r.Why + ". Every app was fenced, so nothing was written to `orders-pg17-k3f9q`; " + r.Plan.Names() + " is attached to `postgresql-curved-12345` again, then maintenance and formation come back as they were."})
	return s
}

// keyStory is an upgrade in whose cutover Heroku refuses the key.
func keyStory() Story {
	s := story(ops.StepUpgrade)
	r := &s.Run
	r.Key = ops.Refusing{Since: r.StepSince, Told: r.StepSince.Add(2 * time.Minute)}
	r.Next = "Looking again: could not read the apps (the API key was refused: it is wrong, revoked or expired)."
	s.addAt(r.Key.Told, ops.Event{Kind: ops.EventHelp, Step: r.Step, Text: "Heroku has refused my key for 2 min, so I can neither see nor do anything, nor go back. Users of `orders` are kept out meanwhile. By hand, in this order: `heroku ps:scale web=2 worker=1 -a orders` and `heroku maintenance:off -a orders`. Make a new key with `heroku authorizations:create -d pgupgrade` and set it as `HEROKU_API_KEY` of the bot; then I go on by myself."})
	return s
}
