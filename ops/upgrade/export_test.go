package upgrade

import (
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Choose replaces the rules of a runner.
func (r *Runner) Choose(f func(ops.Run, World, time.Time) (ops.Run, Move)) { r.choose = f }
