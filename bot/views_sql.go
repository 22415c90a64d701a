package bot

import (
	"fmt"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// apps are the names of the apps that a run stops and switches.
func apps(run ops.Run) string { return prose(run.AppNames()) }

// keptOut is what users notice between the fence and its end.
func keptOut(run ops.Run) string {
	if readOnly(run) {
		return "Users can read but not write"
	}
	return "Users see the maintenance page"
}

// readOnly reports whether the apps run on and only read while the run is in its
// cutover. A rollback stops them.
func readOnly(run ops.Run) bool {
	return run.Plan != nil && run.Plan.ReadOnly() && !run.RollingBack()
}

// movedNames are the names that the switch moves, as people know them.
func movedNames(run ops.Run) string {
	if run.Plan == nil || run.Plan.Names() == "" {
		return "`DATABASE`"
	}
	return run.Plan.Names()
}

// severalNames reports whether the switch moves more than one name.
func severalNames(run ops.Run) bool { return strings.Contains(movedNames(run), ", ") }

func severalApps(run ops.Run) bool { return run.Plan != nil && len(run.Plan.Apps) > 1 }

// verb is the second word where there are several, else the first.
func verb(several bool, one, many string) string {
	if several {
		return many
	}
	return one
}

// opens is what is opened again: "the app", or the apps by name.
func opens(run ops.Run) string {
	if severalApps(run) {
		return apps(run)
	}
	return "the app"
}

// lossCounted says that a rollback's loss is counted, where it is.
func lossCounted(p *ops.RunPlan) string {
	if p.SQL {
		return ", which is counted by SQL and shown before it is decided"
	}
	return ""
}

// noSQL is that a plan's old database cannot be reached by SQL, and why.
func noSQL(p *ops.RunPlan) string {
	if p == nil || p.SQLWhy == "" {
		return "unknown: cannot reach the database by SQL"
	}
	return "unknown: no SQL, " + prose(p.SQLWhy)
}

// writersWords says in the approval who is stopped from writing, and who is not.
func writersWords(p *ops.RunPlan) string {
	names, old := prose(p.AppNames()), code(p.Old.Name)
	if !p.SQL {
		return "*Who stops writing:* everything that runs on Heroku as a dyno of " + names + ". A program elsewhere that holds a copy of the URL is not stopped: what it writes to " + old +
			" after the switch is missing from the new database. I cannot prevent that (" + noSQL(p) + "), so change such copies by hand."
	}
	return "*Who stops writing:* the dynos and, by SQL, everybody else: " + old + " is made read-only for every credential and its sessions are ended, so a program elsewhere with a copy of the URL is stopped too, unless it asks for read-write by itself. Then two looks must see nothing move in it; " +
		"if something does, I go back. It stays read-only after the switch: change such copies by hand, they fail until then."
}

// closedWords says whether the retired database can still be written to.
func closedWords(run ops.Run) string {
	fence := run.SQL.Fence
	if run.RolledBack() {
		fence = run.SQL.NewFence
	}
	name := code(run.Retired().Name)
	if fence == nil {
		why := noSQL(run.Plan)
		if run.SQL.Why != "" {
			why = "unknown: no SQL, " + prose(run.SQL.Why)
		}
		return "*Still true:* " + name + " stays writable for anybody who holds a copy of its URL; I cannot prevent that (" + why + ")."
	}
	text := "*Closed:* " + name + " is read-only for whoever does not ask for read-write by itself, and is watched by SQL."
	if len(fence.Overrides) > 0 {
		text += " Not for " + escape(strings.Join(fence.Overrides, ", ")) + ", which have a setting of their own."
	}
	return text
}

// seenWords is what the last look of the soak saw by SQL; "" without SQL.
func seenWords(run ops.Run) string {
	if run.Soak.Seen == "" {
		return ""
	}
	return " Last look by SQL: " + strings.TrimSuffix(run.Soak.Seen, ".") + "."
}

// provenLines are what was proven by SQL so far, one line each.
func provenLines(run ops.Run) []string {
	in := run.SQL
	var out []string
	say := func(there bool, format string, args ...any) {
		if there {
			out = append(out, "• "+fmt.Sprintf(format, args...))
		}
	}
	old := code(run.Database.Name)
	say(in.Fence != nil, "%s is read-only since %s", old, date(in.FencedAt, timeSecs))
	say(!in.StillAt.IsZero(), "nothing moved in it in two looks, the last one %s", date(in.StillAt, timeSecs))
	say(in.Target != 0, "the follower has replayed its log to %s", in.Target)
	say(in.Counted, "its log position could not be read, so \"Behind By\" was counted")
	say(in.Proven != "", "a trial write to the new database: %s", prose(in.Proven))
	say(in.Analyzed != "", "statistics: %s", prose(in.Analyzed))
	say(len(in.Compared) > 0, "rows of %d %s compared with the old database", len(in.Compared), plural(len(in.Compared), "table"))
	say(in.Objects != "", "objects and sequences: %s", prose(in.Objects))
	say(in.Moved != "", "seen moving behind the fence: %s", prose(in.Moved))
	if len(out) == 0 && in.Why != "" {
		return []string{"*By SQL:* nothing was looked at: " + prose(in.Why) + "."}
	}
	if len(out) == 0 {
		return nil
	}
	return append([]string{"*By SQL*"}, out...)
}

// lostWords says before a rollback how much it may lose, or how that is counted.
func lostWords(run ops.Run) string {
	unknown := " unknown, I cannot reach the databases by SQL."
	counted := run.SQL.On && !run.SQL.BaseAt.IsZero()
	switch {
	case run.Outage.Until.IsZero() && counted:
		return "no dyno has run since the fence. Whether anything else wrote to " + code(run.Follower.Name) + " is counted by SQL once more before I ask."
	case run.Outage.Until.IsZero():
		return "no dyno has run since the fence, so only a release command or a program outside Heroku can have written to " + code(run.Follower.Name) + ". Whether one did:" + unknown
	case counted:
		return "what was written since the switch" + sinceSwitch(run) + ". Once the writers are stopped it is counted by SQL, table by table, and you decide on that list. If it is nothing, I go back without asking again."
	}
	return "everything written since the switch" + sinceSwitch(run) + " may be missing afterwards. How much that is:" + unknown
}

// goneOn is who may have gone on writing to the old database since the switch.
func goneOn(run ops.Run) string {
	if run.SQL.Fence != nil {
		return "*" + code(run.Database.Name) + "* is read-only since the cutover" + seenIn(run) + "; it is made writable again before the apps are let in."
	}
	return "*Still running on " + code(run.Database.Name) + ":* a program outside Heroku that kept the old URL has gone on writing there."
}

func seenIn(run ops.Run) string {
	if run.Soak.Seen == "" {
		return ""
	}
	return " (last look by SQL: " + prose(run.Soak.Seen) + ")"
}
