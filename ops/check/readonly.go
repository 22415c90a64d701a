package check

import (
	"github.com/pgupgrade/pgupgrade/ops"
)

// readOnly: where the apps run on, the database's own read-only default is all
// that stops writers, so it must be settable.
func readOnly(f Facts) []ops.Finding {
	switch {
	case !f.ReadOnly:
		return nil
	case !f.Server.Known:
		return []ops.Finding{{Verdict: ops.Block, Unknown: true, Evidence: "unknown: the database cannot be reached by SQL (" + first(f.Server.Why) + "), and only SQL can make it read-only."}}
	case !f.Server.Value.Owner:
		return says(ops.Block, "The credential does not own the database, so it cannot make it read-only.")
	}
	return says(ops.Inform, "The apps run on and read; writes are refused until the switch. A release command at the switch runs while the apps run.")
}
