package upgrade

import (
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// KeyWait is how long Heroku may refuse the key before people are told. A key
// that is being replaced is refused for less: setting the new one restarts the bot.
const KeyWait = 2 * time.Minute

// keyRefused tells people once that Heroku refuses the key, wherever the run
// stands. Nothing can be seen or done without it, the way back included, so the
// looking goes on: a new key restarts the bot, and the run goes on where it is.
func (t *turn) keyRefused() {
	k := &t.run.Key
	switch {
	case t.w.KeyRefused && k.Since.IsZero():
		k.Since = t.now
	case !t.w.KeyRefused && !k.Since.IsZero() && t.w.answered():
		if !k.Told.IsZero() {
			t.say(ops.EventNote, "Heroku takes the key again; the upgrade of %s goes on where it is.", t.run.AppNames())
		}
		*k = ops.Refusing{}
	}
	if !t.w.KeyRefused || !k.Told.IsZero() || t.move.Kind == End || t.now.Sub(k.Since) < KeyWait {
		return
	}
	k.Told = t.now
	t.say(ops.EventHelp, "Heroku has refused my key for %s, so I can neither see nor do anything, nor go back. %s Make a new key with `heroku authorizations:create -d pgupgrade` and set it as `HEROKU_API_KEY` of the bot; then I go on by myself.",
		ops.FormatDuration(t.now.Sub(k.Since)), t.keptOutByHand())
}

// keptOutByHand says what the refused key means for users, and how people open
// the apps without the bot.
func (t *turn) keptOutByHand() string {
	base := t.run.Recorded()
	if !t.run.Step.Cutover() || base == nil || t.run.Step == ops.StepRollbackFence && t.run.Rollback.Baseline == nil && !t.run.Rollback.Fenced {
		return t.run.AppNames() + ": users are not kept out, and nothing is lost by waiting."
	}
	reading := t.run.Plan.ReadOnly() && !t.run.RollingBack()
	out := "Users of " + t.run.AppNames() + " are kept out meanwhile. "
	if reading {
		out = "Users of " + t.run.AppNames() + " can only read meanwhile. "
	}
	switch t.run.Step {
	case ops.StepPromote, ops.StepReturnAttach, ops.StepRollbackAttach:
		return out + "Please do not open it by hand before: it could write to the database that it is to leave."
	}
	var undo []string
	for _, db := range t.closed() {
		undo = append(undo, clearByHand(placeOf(t.run, db.ID), t.w.database(t.run, db.ID), ops.DBFence{}))
	}
	if reading {
		undo = append(undo, unflagByHand(t.run.Plan)...)
	}
	for _, b := range base.Apps {
		if !reading { // there nothing was scaled
			undo = append(undo, undoCommands(b)...)
		}
	}
	if len(undo) == 0 { // of a read-only cutover, after its switch
		return out + "Nothing needs to be opened by hand: " + t.run.AppNames() + " runs on with the new database."
	}
	return out + "By hand, in this order: `" + strings.Join(undo, "` and `") + "`."
}

// closed is the database that the apps are to use when they are opened by hand
// now, where SQL may have made it read-only.
func (t *turn) closed() []ops.Ref {
	switch {
	case !t.run.SQL.On:
		return nil
	case !t.run.RollingBack():
		if t.run.Step == ops.StepUnfence {
			return nil // on the new database, whose fence was cleared
		}
		return []ops.Ref{t.run.Database}
	case t.run.Step == ops.StepRollbackUnfence:
		return []ops.Ref{t.run.Database}
	}
	return []ops.Ref{t.run.Follower}
}

// answered reports whether Heroku answered anything in this look.
func (w World) answered() bool {
	for _, a := range w.Apps {
		if a.App.Known || a.Dynos.Known {
			return true
		}
	}
	for _, d := range []DatabaseFacts{w.Old, w.New, w.Retired} {
		if d.Addon.Known || d.Info.Known {
			return true
		}
	}
	return w.Survey.Known && w.Survey.Value.Plan != nil
}
