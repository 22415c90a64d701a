package upgrade

import (
	"maps"
	"slices"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Choose replaces the rules of a runner.
func (r *Runner) Choose(f func(ops.Run, World, time.Time) (ops.Run, Move)) { r.choose = f }

// KnownSteps are the steps that have a rule.
func KnownSteps() []ops.Step { return slices.Sorted(maps.Keys(steps)) }
