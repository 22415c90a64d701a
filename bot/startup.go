package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgupgrade/pgupgrade/bot/slack"
)

// Problem is something that start-up found in Slack, in one sentence that says
// what to do.
type Problem struct {
	Text  string
	Fatal bool // the bot cannot work at all before it is put right
}

// Preflight asks Slack whether the bot can work. An error means that Slack could
// not be asked.
func Preflight(ctx context.Context, web Web, channel string) (slack.Identity, []Problem, error) {
	who, err := web.Identity(ctx)
	if err != nil {
		return who, nil, err
	}
	var problems []Problem
	if missing := missingScopes(who.Scopes); len(missing) > 0 {
		problems = append(problems, Problem{Fatal: true, Text: fmt.Sprintf("The bot token lacks the %s %s. Add %s in the Slack app under OAuth & Permissions (or paste the manifest again), reinstall the app, and set SLACK_BOT_TOKEN to the new token.",
			plural(len(missing), "scope"), strings.Join(missing, ", "), map[bool]string{true: "it", false: "them"}[len(missing) == 1])})
	}
	ch, err := web.Channel(ctx, channel)
	switch {
	case err != nil:
		problems = append(problems, Problem{Text: fmt.Sprintf("The channel %s cannot be seen (%v). Set PGUPGRADE_CHANNEL to the id at the end of the channel's details in Slack, and type /invite @pgupgrade there.", channel, err)})
	case ch.Archived:
		problems = append(problems, Problem{Text: fmt.Sprintf("The channel #%s is archived. Set PGUPGRADE_CHANNEL to the id of one that is in use.", ch.Name)})
	case ch.Shared:
		problems = append(problems, Problem{Text: fmt.Sprintf("The channel #%s is shared with another organisation, so no upgrade is handled there. Set PGUPGRADE_CHANNEL to the id of a channel of your own.", ch.Name)})
	case !ch.Member:
		problems = append(problems, Problem{Text: fmt.Sprintf("The bot is not in #%s. Type /invite @pgupgrade there.", ch.Name)})
	}
	return who, problems, nil
}

// missingScopes are the required scopes that a token lacks; none when Slack did
// not say which it has.
func missingScopes(has []string) []string {
	if len(has) == 0 {
		return nil
	}
	var missing []string
	for _, s := range RequiredScopes() {
		if !slices.Contains(has, s.Name) {
			missing = append(missing, s.Name)
		}
	}
	return missing
}
