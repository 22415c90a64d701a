package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// weekly is when databases on a version that ends soon are named: Mondays at
// nine, in the zone of the reminders.
const weekly = "0 9 * * 1"

// deadlineGroup is the group of the weekly messages, and of their firings.
const deadlineGroup = "deadlines"

// endingsWithin ends one look, which reads every database of the account.
const endingsWithin = 5 * time.Minute

// deadlineDue says for which moment the weekly line is due. Who has never fired
// begins to count now: nobody asked for it at the first start.
func deadlineDue(schedule cron.Schedule, last, now time.Time) (firing time.Time, due bool) {
	if last.IsZero() {
		return now, false
	}
	firing = latest(schedule, last, now)
	return firing, !firing.IsZero()
}

// tellDeadlines posts the weekly line when it is due, once among all processes.
func (b *Bot) tellDeadlines(ctx context.Context) {
	if b.c.Endings == nil {
		return
	}
	if err := b.deadlines(ctx); err != nil && ctx.Err() == nil {
		b.c.Log.WarnContext(ctx, "the versions that end soon could not be told; next week again", "err", err)
	}
}

func (b *Bot) deadlines(ctx context.Context) error {
	schedule, err := ParseSchedule(weekly, b.c.Timezone)
	if err != nil {
		return err
	}
	last, _, err := b.c.Rows.LastFiring(ctx, deadlineGroup)
	if err != nil {
		return err
	}
	firing, due := deadlineDue(schedule, last, b.c.Now())
	if !due && !last.IsZero() {
		return nil
	}
	mine, err := b.c.Rows.Fire(ctx, deadlineGroup, firing)
	if err != nil || !mine || !due {
		return err
	}
	look, cancel := context.WithTimeout(ctx, endingsWithin)
	defer cancel()
	all, err := b.c.Endings(look)
	if err != nil || len(all) == 0 {
		return err
	}
	b.c.Writer.Put(Post{Group: deadlineGroup, Name: firing.UTC().Format(time.RFC3339), Channel: b.c.Channel, View: Endings(all)})
	return nil
}

// shownEndings is how many databases the weekly message names.
const shownEndings = 15

// Endings names the databases on versions that Heroku ends, each with a button
// that checks its app.
func Endings(all []ops.Ending) View {
	lead := ":calendar: *" + fmt.Sprintf("%d %s on a version that Heroku ends soon or has ended.* Heroku upgrades such databases by force, at a time of its choosing.", len(all), plural(len(all), "database"))
	v := View{Blocks: []slackgo.Block{section(lead)}}
	lines := []string{unmark(lead)}
	for i, e := range all {
		if i == shownEndings {
			more := fmt.Sprintf("… and %d more.", len(all)-i)
			v.Blocks, lines = append(v.Blocks, small(more)), append(lines, more)
			break
		}
		verb := "ends"
		if e.Over {
			verb = "ended, or ends,"
		}
		line := fmt.Sprintf("*%s*: %s on PostgreSQL %s, which %s %s", escape(e.App), code(e.Database), escape(e.Version), verb, when(e.When))
		v.Blocks = append(v.Blocks, slackgo.NewSectionBlock(mrkdwn(line), nil, slackgo.NewAccessory(checkButton(e.App, ops.Request{Database: e.Database}, "Check", checkShort))))
		lines = append(lines, "• "+unmark(line))
	}
	var said []string
	seen := map[string]bool{}
	for _, e := range all {
		if s := "PostgreSQL " + e.Version + ": " + e.Said; !seen[s] {
			seen[s] = true
			said = append(said, s)
		}
	}
	from := "Dates: " + escape(strings.Join(said, "; ")) + ". `PGUPGRADE_DEADLINES` sets others."
	v.Blocks = append(v.Blocks, small(from))
	v.Text = strings.Join(append(lines, from), "\n")
	return fit(v)
}

// when puts "in" before a quarter and "on" before a day.
func when(s string) string {
	if strings.HasPrefix(s, "the ") {
		return "in " + escape(s)
	}
	return "on " + escape(s)
}
