package upgrade

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// foreign compares the apps with the baseline and names every difference that
// is not this run's own doing. unreadable says what could not be compared; that
// is neither a change nor the absence of one.
func foreign(run ops.Run, w World) (changes []string, unreadable string) {
	for _, b := range headingOf(run).base.Apps {
		f := w.Apps[b.ID]
		if why := f.unreadable(b.Name); why != "" {
			unreadable = why
			continue
		}
		changes = append(changes, foreignTo(run, b, f)...)
	}
	others, why := foreignApps(run, w)
	unreadable = cmp.Or(unreadable, why)
	written, why := foreignInside(run, w)
	return slices.Concat(changes, others, written), cmp.Or(unreadable, why)
}

// foreignApps names apps that are not of this run and were given the old database
// behind the fence: nobody stopped them.
func foreignApps(run ops.Run, w World) (changes []string, unreadable string) {
	if needs[run.Step]&needOldAttachments == 0 {
		return nil, ""
	}
	if !w.Old.Attachments.Known {
		return nil, fmt.Sprintf("the attachments of %s (%s)", run.Database.Name, unread(w.Old.Attachments))
	}
	for _, a := range w.Old.Attachments.Value {
		if _, of := headingOf(run).base.App(a.App.ID); !of {
			changes = append(changes, fmt.Sprintf("`%s` was attached to `%s` as %s", run.Database.Name, a.App.Name, a.Name))
		}
	}
	return changes, ""
}

// foreignInside names what was written to the old database since it was proven
// still, and a fence that somebody took down. Counts that sessions still keep to
// themselves are waited for before the switch (settled).
func foreignInside(run ops.Run, w World) (changes []string, unreadable string) {
	if !run.SQL.On || run.SQL.StillAt.IsZero() || run.RollingBack() || run.Returning {
		return nil, ""
	}
	sql, still := w.Old.SQL, w.Kept.Still
	if !sql.Fence.Known || !sql.Activity.Known || !still.Known {
		return nil, fmt.Sprintf("`%s` by SQL (%s)", run.Database.Name, firstWhy(sql.Fence.Why, sql.Activity.Why, still.Why))
	}
	if !sql.Fence.Value.On() {
		changes = append(changes, fmt.Sprintf("`%s` was made writable", run.Database.Name))
	}
	if why := ops.Incomparable(still.Value, sql.Activity.Value); why != "" {
		changes = append(changes, fmt.Sprintf("`%s` was restarted or replaced, so whether somebody wrote to it cannot be told (%s)", run.Database.Name, why))
	}
	written, _ := ops.WrittenSince(still.Value, sql.Activity.Value, run.SQL.LastID)
	for i, x := range written {
		if i == 3 {
			changes = append(changes, fmt.Sprintf("and %d more tables", len(written)-i))
			break
		}
		changes = append(changes, fmt.Sprintf("`%s` was written to (%s)", run.Database.Name, x))
	}
	return changes, ""
}

// unreadable names the first fact of an app that could not be read, or is "".
func (f AppFacts) unreadable(app string) string {
	for _, x := range []struct{ what, why string }{
		{"app", unread(f.App)}, {"formation", unread(f.Formation)}, {"dynos", unread(f.Dynos)},
		{"releases", unread(f.Releases)}, {"attachments", unread(f.Attachments)},
	} {
		if x.why != "" {
			return fmt.Sprintf("the %s of %s (%s)", x.what, app, x.why)
		}
	}
	return ""
}

// oneOffsOnly reports whether one-off dynos that run are all that changed.
func oneOffsOnly(run ops.Run, w World, changes []string) bool {
	n := 0
	for _, b := range headingOf(run).base.Apps {
		for _, d := range w.Apps[b.ID].Dynos.Value {
			if !ofFormation(b, d) {
				n++
			}
		}
	}
	return n > 0 && n == len(changes)
}

func foreignTo(run ops.Run, b ops.BaselineApp, f AppFacts) []string {
	out := started(run, b, f)
	for _, r := range f.Releases.Value {
		if r.Version > b.Release && !ours(run, r) {
			out = append(out, fmt.Sprintf("release v%d of %s (%s)", r.Version, b.Name, r.Description))
		}
	}
	return append(out, foreignAttachments(run, b, f.Attachments.Value)...)
}

// started names what runs although it was stopped. In a read-only cutover nothing was.
func started(run ops.Run, b ops.BaselineApp, f AppFacts) []string {
	if run.Plan.ReadOnly() && !run.RollingBack() {
		return nil
	}
	var out []string
	if !f.App.Value.Maintenance {
		out = append(out, fmt.Sprintf("maintenance mode of %s was turned off", b.Name))
	}
	for _, p := range f.Formation.Value {
		if p.Type != ops.ReleaseProcess && p.Quantity > 0 {
			out = append(out, fmt.Sprintf("%s of %s was scaled to %d", p.Type, b.Name, p.Quantity))
		}
	}
	for _, d := range f.Dynos.Value {
		out = append(out, fmt.Sprintf("dyno %s of %s runs", d.Name, b.Name))
	}
	return out
}

// ours reports whether a release is one that this run's own switch makes.
func ours(run ops.Run, r ops.Release) bool {
	h := headingOf(run)
	if run.Step == ops.StepReturnAttach { // the switch's own releases are there too
		return (strings.HasPrefix(r.Description, "Attach ") || strings.HasPrefix(r.Description, "Detach ")) &&
			(strings.Contains(r.Description, h.to.Name) || strings.Contains(r.Description, h.from.Name))
	}
	return strings.HasPrefix(r.Description, "Attach ") && strings.Contains(r.Description, h.to.Name) ||
		strings.HasPrefix(r.Description, "Detach ") && strings.Contains(r.Description, h.from.Name)
}

func foreignAttachments(run ops.Run, b ops.BaselineApp, now []ops.Attachment) []string {
	var out []string
	before := map[string]ops.Attachment{}
	for _, a := range b.Attachments {
		before[a.Name] = a
	}
	for _, a := range now {
		was, known := before[a.Name]
		delete(before, a.Name)
		switch {
		case !known:
			out = append(out, fmt.Sprintf("%s was attached to %s", a.Name, b.Name))
		case a.Addon.ID == was.Addon.ID && a.Namespace == was.Namespace:
		case planned(run, b, a.Name) && a.Addon.ID == headingOf(run).to.ID:
		case planned(run, b, a.Name) && a.Addon.ID == headingOf(run).from.ID: // not moved back yet
		default:
			out = append(out, fmt.Sprintf("%s of %s leads to %s now", a.Name, b.Name, a.Addon.Name))
		}
	}
	for _, a := range b.Attachments {
		if _, gone := before[a.Name]; gone {
			out = append(out, fmt.Sprintf("%s was detached from %s", a.Name, b.Name))
		}
	}
	return out
}

// planned reports whether the plan moves that name on that app.
func planned(run ops.Run, b ops.BaselineApp, name string) bool {
	for _, app := range run.Plan.Apps {
		if app.ID != b.ID {
			continue
		}
		for _, a := range app.Attachments {
			if a.Name == name {
				return true
			}
		}
	}
	return false
}

// undisturbed reports whether nothing foreign changed since the baseline; if
// something did, the run goes back, if it cannot tell, it looks again.
func (t *turn) undisturbed() bool {
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
