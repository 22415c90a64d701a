package upgrade

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// careFor is how long what lived on the old database is tried to be made again;
// after it people are told what is missing.
const careFor = 15 * time.Minute

// scheduleShows is how long a schedule that was made may take to be listed.
const scheduleShows = 30 * time.Second

// uncared reports whether something that lived on the old database is not yet
// known to be on the new one.
func uncared(run ops.Run) bool {
	return run.Cared.IsZero() && !run.RolledBack() && run.Plan != nil && len(run.Plan.Schedules) > 0
}

// care makes again on the new database what Heroku keeps with the old one: its
// backup schedules. It reports false when the turn is decided. The app does not
// wait for it, so nothing here calls people out of bed.
func (t *turn) care() bool {
	if !uncared(t.run) {
		return true
	}
	var missing []string
	for _, s := range t.run.Plan.Schedules {
		target := t.run.Follower.ID + " " + s.String()
		if t.w.Schedules.Known && scheduled(t.w.Schedules.Value, s) {
			t.seen(ops.ActSchedule, target)
			continue
		}
		missing = append(missing, fmt.Sprintf("`heroku pg:backups:schedule DATABASE_URL --at '%02d:00 %s' -a %s`", s.Hour, s.Timezone, t.run.Plan.BillingApp.Name))
		if t.now.Sub(t.run.Soak.From) > careFor {
			continue
		}
		if !t.w.Schedules.Known {
			t.blind("the backup schedules of the new database", t.w.Schedules.Why)
			return false
		}
		if last, ok := t.w.last(ops.ActSchedule, t.run.Step, target); ok && last.Outcome == ops.OutcomeDone && t.now.Sub(last.EndedAt) > scheduleShows {
			continue // made, Heroku says, and not seen: making it again and again would not help
		}
		refusal := t.try(ops.Act{Kind: ops.ActSchedule, Target: target, Args: map[string]string{
			"addon": t.run.Follower.ID, "hour": strconv.Itoa(s.Hour), "timezone": s.Timezone, "name": s.Name}}, "Making the backup schedule "+s.String()+" again.")
		if refusal == "" {
			return false
		}
	}
	t.run.Cared = t.now
	if len(missing) > 0 {
		t.say(ops.EventWarning, "Backup schedules of the old database could not be made again on `%s`. By hand: %s.", t.run.Follower.Name, strings.Join(missing, ", "))
		return true
	}
	t.say(ops.EventNote, "Backups are scheduled on `%s` as they were on the old database: %s.", t.run.Follower.Name, schedules(t.run.Plan.Schedules))
	return true
}

func scheduled(have []ops.BackupSchedule, want ops.BackupSchedule) bool {
	for _, s := range have {
		if s.Hour == want.Hour && s.Timezone == want.Timezone {
			return true
		}
	}
	return false
}

func schedules(all []ops.BackupSchedule) string {
	var out []string
	for _, s := range all {
		out = append(out, s.String())
	}
	return strings.Join(out, ", ")
}
