package bot

import (
	"context"
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// dryRun asks for a dry run, or keeps what its e-mail says.
func (b *Bot) dryRun(ctx context.Context, t Typed, c Command) {
	if !c.Trial.Told {
		b.askDryRun(ctx, t, c.App, c.Request())
		return
	}
	r, err := b.c.Service.TellDryRun(ctx, t.actor(), c.App, c.Request(), c.Trial.Passed, c.Trial.Took, c.Reason)
	switch {
	case err != nil:
		b.fail(ctx, t, err)
	case r.Passed && r.Took > 0:
		b.say(ctx, t, Said(fmt.Sprintf(":white_check_mark: Recorded: the dry run of %s to %s passed and took %s. The next check and forecast go by it.", code(c.App), escape(r.Version), ops.FormatDuration(r.Took))))
	case r.Passed:
		b.say(ctx, t, Said(fmt.Sprintf(":white_check_mark: Recorded: the dry run of %s to %s passed. With the seconds that the e-mail names, the forecast would go by them: `/pgupgrade dry-run %s passed SECONDS`.", code(c.App), escape(r.Version), escape(c.App))))
	default:
		b.say(ctx, t, Said(fmt.Sprintf(":no_entry: Recorded: the dry run of %s to %s failed: %s. Until another one passes, the upgrade is blocked.", code(c.App), escape(r.Version), prose(r.Why))))
	}
}

func (b *Bot) askDryRun(ctx context.Context, t Typed, app string, request ops.Request) {
	r, message, err := b.c.Service.AskDryRun(ctx, t.actor(), app, request)
	if err != nil {
		b.fail(ctx, t, err)
		return
	}
	text := fmt.Sprintf(":test_tube: Heroku tries the upgrade of %s to PostgreSQL %s on a copy that it makes and destroys itself. Nothing of the app's changes. ", code(app), escape(r.Version))
	if message != "" {
		text += "Heroku says: " + prose(cutLines(message, 300)) + "\n"
	}
	text += fmt.Sprintf("*How to read the result:* it comes by e-mail to the owner of the database; no call tells it. Then type `/pgupgrade dry-run %[1]s passed SECONDS` with the seconds that it names, or `/pgupgrade dry-run %[1]s failed REASON`.", escape(app))
	b.say(ctx, t, Said(text))
}
