package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/bot/slack"
)

// Edge is Slack as this package needs it: Web, Directory and Writer over one client.
type Edge struct {
	*slack.Client
	*slack.Writer
}

// NewEdge joins a client with the ledger of its posts. delivered is called
// whenever Slack took a post.
func NewEdge(c *slack.Client, ledger slack.Ledger, log *slog.Logger, delivered func(ctx context.Context, channel string)) *Edge {
	w := slack.NewWriter(c, ledger, log)
	w.Delivered = delivered
	return &Edge{c, w}
}

// Respond answers one person through a response_url.
func (e *Edge) Respond(ctx context.Context, url string, v View, replace bool) error {
	return e.Client.Respond(ctx, url, v.Text, v.Blocks, replace)
}

// Ephemeral shows a message to one person in a channel.
func (e *Edge) Ephemeral(ctx context.Context, channel, user string, v View) error {
	return e.Client.Ephemeral(ctx, channel, user, v.Text, v.Blocks)
}

// Member looks somebody up; see Directory.
func (e *Edge) Member(ctx context.Context, id string) (Member, error) {
	u, err := e.Client.User(ctx, id)
	if errors.Is(err, slack.ErrNoUser) {
		return Member{}, fmt.Errorf("%w: %s", ErrNoMember, id)
	}
	if err != nil {
		return Member{}, err
	}
	return Member{ID: u.ID, Name: u.Name, TeamID: u.TeamID, Bot: u.IsBot, Deleted: u.Deleted, Guest: u.IsRestricted || u.IsUltraRestricted, Stranger: u.IsStranger}, nil
}

// Team returns the id of the workspace.
func (e *Edge) Team(ctx context.Context) (string, error) {
	i, err := e.Client.Identity(ctx)
	return i.TeamID, err
}

// Put makes a message stand as p says.
func (e *Edge) Put(p Post) {
	e.Writer.Put(slack.Post{Group: p.Group, Name: p.Name, Channel: p.Channel, InThread: p.InThread, Broadcast: p.Broadcast, Text: p.View.Text, Blocks: p.View.Blocks, Again: p.Again})
}

// Events hands what people do in Slack to the bot. It implements slack.Handler.
type Events struct{ Bot *Bot }

// Command takes a slash command.
func (e Events) Command(envelope string, c slackgo.SlashCommand) {
	e.Bot.Typed(Typed{Envelope: envelope, Text: c.Text, User: c.UserID, UserName: c.UserName, Channel: c.ChannelID, ResponseURL: c.ResponseURL, Trigger: c.TriggerID})
}

// Action takes a press of a button.
func (e Events) Action(envelope string, cb slackgo.InteractionCallback, a slackgo.BlockAction) {
	channel := cb.Container.ChannelID
	if channel == "" {
		channel = cb.Channel.ID
	}
	e.Bot.Pressed(Pressed{
		Typed:  Typed{Envelope: envelope, User: cb.User.ID, UserName: cb.User.Name, Channel: channel, ResponseURL: cb.ResponseURL, Trigger: cb.TriggerID},
		Action: a.ActionID, Value: a.Value,
	})
}

// Submit takes a modal.
func (e Events) Submit(envelope string, cb slackgo.InteractionCallback) *slackgo.ViewSubmissionResponse {
	values := map[string]string{}
	if cb.View.State != nil {
		for block, actions := range cb.View.State.Values {
			for _, a := range actions {
				values[block] = a.Value
			}
		}
	}
	o := e.Bot.Submitted(Submitted{
		Typed:    Typed{Envelope: envelope, User: cb.User.ID, UserName: cb.User.Name},
		Callback: cb.View.CallbackID, Metadata: cb.View.PrivateMetadata, ViewID: cb.View.ID, Values: values,
	})
	switch {
	case o.Update != nil:
		return slackgo.NewUpdateViewSubmissionResponse(o.Update)
	case len(o.Problems) > 0:
		return slackgo.NewErrorsViewSubmissionResponse(o.Problems)
	}
	return nil
}
