package upgrade

import "github.com/pgupgrade/pgupgrade/ops"

// heading is which way the names move: to the new database, or in a rollback
// back to the old one. base is the state that foreign changes are told from.
type heading struct {
	base     *ops.Baseline
	from, to ops.Ref
}

func headingOf(run ops.Run) heading {
	if run.RollingBack() && run.Rollback.Baseline != nil {
		return heading{run.Rollback.Baseline, run.Follower, run.Database}
	}
	if run.Step == ops.StepReturnAttach {
		return heading{run.Baseline, run.Follower, run.Database}
	}
	return heading{run.Baseline, run.Database, run.Follower}
}

func baselineOf(run ops.Run, app string) ops.BaselineApp {
	b, _ := headingOf(run).base.App(app)
	return b
}
