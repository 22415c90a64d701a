package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// tokenWords is what a refused bot token means and what helps. Answers to what
// people type and press still reach them: they need no token.
const tokenWords = "Slack refuses my bot token, so I can post nothing and look nobody up. Upgrades that are under way go on. Whoever runs me: copy the *Bot User OAuth Token* of the Slack app again and set `SLACK_BOT_TOKEN`. Until then `pgupgrade status`, `approve`, `cancel` and `rollback` work at my terminal."

// tokenAgain is how long a refused token is not told again in a run's rows.
const tokenAgain = time.Hour

// noteToken puts it on the record of every active run that Slack refuses the
// token: the terminal shows it now, and the thread once Slack takes posts again.
func (b *Bot) noteToken(ctx context.Context) {
	refused := b.c.Writer.Refused()
	now := b.c.Now()
	if refused == nil || now.Sub(b.told) < tokenAgain {
		return
	}
	runs, err := b.c.Rows.Runs(ctx, ops.RunFilter{ActiveOnly: true})
	for _, run := range runs {
		if err != nil {
			break
		}
		err = b.c.Rows.Audit(ctx, ops.Event{Run: run.ID, At: now, Kind: ops.EventHelp, Step: run.Step, Gate: ops.NoteToken, Actor: ops.BotActor(),
			Text: fmt.Sprintf("Slack refuses my bot token (%v): nothing reaches this channel until `SLACK_BOT_TOKEN` is a new one. The upgrade goes on; before the cutover it waits.", refused)})
	}
	if err != nil {
		b.c.Log.ErrorContext(ctx, "that Slack refuses the token could not be put on record; trying again", "err", err)
		return
	}
	b.told = now
}
