package check

import (
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// confirmed says whether Heroku tried this upgrade on a copy, and how it went.
func confirmed(f Facts) ops.Finding {
	x := ops.Finding{Check: "H5", Title: ops.UnconfirmedTitle, Verdict: ops.Inform,
		Evidence: fmt.Sprintf("No dry run was made, so whether this database passes the upgrade to %d is known only when it runs. It runs on the follower; the database in use is not touched.", f.Target),
		Fix:      "`/pgupgrade dry-run APP` has Heroku try it on a copy beforehand; the result comes by e-mail to the owner of the database."}
	r := f.DryRun.Value
	switch {
	case !f.DryRun.Known || r.At.IsZero() || r.Version != fmt.Sprint(f.Target):
	case !r.Ended.Known:
		x.Evidence = fmt.Sprintf("A dry run to %s was asked for %s ago. Its result comes by e-mail to the owner of the database; it cannot be read from here.", r.Version, ops.FormatDuration(f.At.Sub(r.At)))
		x.Fix = "Read the e-mail, then say what it said: `/pgupgrade dry-run APP passed 240` with the seconds that it names, or `/pgupgrade dry-run APP failed REASON`."
	case r.Passed:
		x.Title, x.Verdict, x.Fix = ops.ConfirmedTitle, ops.Pass, ""
		x.Evidence = fmt.Sprintf("the dry run to %s passed on %s, as %s read in Heroku's e-mail", r.Version, r.Ended.Value.Format("2006-01-02"), r.Told.Mention())
		if r.Took > 0 {
			x.Evidence += "; it took " + ops.FormatDuration(r.Took)
		}
	default:
		x.Title, x.Verdict = "Heroku's dry run failed", ops.Block
		x.Evidence = fmt.Sprintf("The dry run to %s failed on %s: %s", r.Version, r.Ended.Value.Format("2006-01-02"), first(r.Why))
		x.Fix = "Put right what it names, then have it tried again: `/pgupgrade dry-run APP`."
	}
	return x
}

// tried reports whether Heroku's dry run to the target passed: pg_upgrade has
// then seen what a check could only suspect.
func tried(f Facts) bool {
	r := f.DryRun.Value
	return f.DryRun.Known && r.Passed && r.Ended.Known && r.Version == fmt.Sprint(f.Target)
}
