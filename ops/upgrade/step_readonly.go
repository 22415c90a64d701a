package upgrade

import (
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// flagValue is what an app's read-only flag is set to.
const flagValue = "true"

// flags tells the apps to live read-only, or no longer, and waits for the
// releases that this makes. It is done before the database is fenced and after
// the switch, since a release command is a writer. It reports true when each app
// was seen so.
func (t *turn) flags(on bool, abort func(string, ...any)) bool {
	if !t.run.Plan.ReadOnly() {
		return true
	}
	for _, app := range t.run.Plan.Apps {
		if b, _ := t.run.Baseline.App(app.ID); app.Flag == "" || b.Flagged {
			continue
		}
		f := t.w.Apps[app.ID]
		if !f.Flag.Known || !f.Releases.Known {
			t.blind("the config vars of "+app.Name, firstWhy(f.Flag.Why, f.Releases.Why))
			return false
		}
		if f.Flag.Value != on {
			a := ops.Act{Kind: ops.ActFlag, Target: app.Name + " " + app.Flag, App: app.Name, Args: map[string]string{"name": app.Flag, "value": ""}}
			next := "Taking `" + app.Flag + "` of " + app.Name + " away again."
			if on {
				a.Args["value"], next = flagValue, "Telling "+app.Name+" to live read-only (`"+app.Flag+"`)."
			}
			t.must(a, next, abort)
			return false
		}
		t.seen(ops.ActFlag, app.Name+" "+app.Flag)
		switch r := newest(f.Releases.Value); r.Status {
		case ops.ReleasePending:
			t.wait(t.poll(t.now.Sub(t.run.StepSince)), "Waiting for release v%d of %s (%s).", r.Version, app.Name, r.Description)
			return false
		case ops.ReleaseFailed, ops.ReleaseExpired:
			abort("release v%d of %s (%s) %s", r.Version, app.Name, r.Description, r.Status)
			return false
		default:
			// How Heroku describes such a release is not known for certain: it is the
			// one release since the baseline, made since the flag was set.
			b, _ := t.run.Baseline.App(app.ID)
			if _, sent := t.w.sent(ops.ActFlag, ops.StepFence); on && sent && r.Version == b.Release+1 {
				t.run.Baseline = released(t.run.Baseline, app.ID, r.Version)
			}
		}
	}
	return true
}

// quiet is the fence of a read-only cutover before the database's own: the apps
// run on, so only that nobody deploys or attaches is looked at.
func (t *turn) quiet() bool {
	if !t.flags(true, t.back) {
		return false
	}
	changes, unreadable := foreign(t.run, t.w)
	switch {
	case len(changes) > 0:
		t.back("somebody else changed something: %s", strings.Join(changes, "; "))
		return false
	case unreadable != "":
		t.blind(unreadable, "needed before going on")
		return false
	}
	return true
}

// released is the baseline with a release of our own as an app's newest.
func released(b *ops.Baseline, app string, version int) *ops.Baseline {
	out := &ops.Baseline{At: b.At}
	for _, a := range b.Apps {
		if a.ID == app {
			a.Release = max(a.Release, version)
		}
		out.Apps = append(out.Apps, a)
	}
	return out
}

// unflagByHand are the commands that take the flags away without the bot.
func unflagByHand(p *ops.RunPlan) []string {
	var out []string
	for _, app := range p.Apps {
		if app.Flag != "" && p.ReadOnly() {
			out = append(out, fmt.Sprintf("heroku config:unset %s -a %s", app.Flag, app.Name))
		}
	}
	return out
}

// stuckFlag is a flag that cannot be taken away: the app is open, but may go on
// refusing to write.
func (t *turn) stuckFlag(format string, args ...any) {
	t.help("An app may still live read-only: %s. By hand: `%s`. Then `/pgupgrade retry %s`.", fmt.Sprintf(format, args...), strings.Join(unflagByHand(t.run.Plan), "` and `"), t.run.App.Name)
}
