package upgrade

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Followers that were there before the upgrade are never touched: they cost
// money and somebody reads from them. They go on following the old database, so
// after the switch they stand still; people are told at once, with the commands,
// again when the old one can be destroyed, and in the last word of the run.

// LookForReplicas is how many other databases of the account are asked whether
// they follow: the row "Followers" of the leader may be empty though it has some.
const LookForReplicas = 150

// unlooked reports whether the followers of the old database are still to be
// looked for, after the switch.
func unlooked(run ops.Run) bool {
	return run.Plan != nil && !run.RolledBack() && (run.Step == ops.StepSoak && run.ReplicasAt.IsZero() || run.Step == ops.StepDestroy)
}

// replicas reads the followers of the old database.
func (r *Runner) replicas(ctx context.Context, run ops.Run) ([]ops.Replica, error) {
	all, err := r.Heroku.Databases(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	if len(all) > LookForReplicas {
		return nil, fmt.Errorf("the account sees %d databases, more than the %d that are asked", len(all), LookForReplicas)
	}
	old, err := r.Heroku.Database(ctx, run.Database.ID)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", run.Database.Name, err)
	}
	out := []ops.Replica{}
	for _, a := range all {
		if a.ID == run.Database.ID || a.ID == run.Follower.ID {
			continue
		}
		d, err := r.Heroku.Database(ctx, a.ID)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", a.Name, err)
		}
		if !follows(d, old) {
			continue
		}
		on, err := r.Heroku.AddonAttachments(ctx, a.ID)
		if err != nil {
			return nil, fmt.Errorf("list the attachments of %s: %w", a.Name, err)
		}
		x := ops.Replica{Ref: a.Ref, App: a.App, Plan: a.Plan, Cents: a.CentsPerMonth}
		for _, at := range on {
			x.Names = append(x.Names, ops.AppVar{App: at.App.Name, Name: at.Name})
		}
		out = append(out, x)
	}
	return out, nil
}

// tellReplicas says once what stands still since the switch, and how it is
// replaced. The run does not wait for it.
func (t *turn) tellReplicas() {
	if t.run.Step != ops.StepSoak || !unlooked(t.run) {
		return
	}
	if !t.w.Replicas.Known {
		if t.w.Replicas.Why != "" && t.now.Sub(t.run.Soak.From) > careFor {
			t.run.ReplicasAt = t.now
			t.say(ops.EventWarning, "Whether `%s` has followers could not be read (%s). One that it has stands still since the switch: `heroku addons --all` lists every database.", t.run.Database.Name, t.w.Replicas.Why)
		}
		return
	}
	t.run.ReplicasAt, t.run.Replicas = t.now, t.w.Replicas.Value
	for i, x := range t.run.Replicas {
		t.say(ops.EventWarning, "The follower %s goes on following `%s`, so whoever reads from it sees nothing that was written since the switch. One of the new database, once its Fork/Follow is Available (`heroku pg:info %s_URL -a %s` says so), in this order:\n• `%s`",
			x.Words(), t.run.Database.Name, t.run.Plan.NewAlias, t.run.Plan.BillingApp.Name, strings.Join(x.Replace(t.run.Follower.Name, replicaName(t.run, i)), "`\n• `"))
	}
}

// replicaName is what a follower of the new database is called.
func replicaName(run ops.Run, i int) string {
	return fmt.Sprintf("%s-follower-%d", run.Follower.Name, i+1)
}

// replicaWords is said of them where the old database can be destroyed.
func replicaWords(run ops.Run) string {
	if run.RolledBack() || len(run.Replicas) == 0 {
		return ""
	}
	return " Its followers stay, are billed on, and have nobody to follow then: " + replicaList(run) + "."
}

func replicaList(run ops.Run) string {
	var out []string
	for _, x := range run.Replicas {
		out = append(out, x.Words())
	}
	return strings.Join(out, "; ")
}

// keepReplicas lists what is left to people, at the end.
func (t *turn) keepReplicas() {
	if t.run.RolledBack() {
		return
	}
	left := append([]string(nil), t.run.Leftovers...)
	for _, x := range t.run.Replicas {
		left = append(left, "the follower of the old database, "+x.Words()+", once nobody reads from it: `"+x.Destroy()+"`")
	}
	t.run.Leftovers = left
}
