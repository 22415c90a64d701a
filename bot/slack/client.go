// Package slack speaks to Slack through slack-go: Socket Mode in, the Web API
// out, and one writer that keeps messages as they should be. It knows nothing of
// what the messages are about.
package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Sentinels on which callers act.
var (
	// ErrAuth: a token is not, or no longer, accepted. Trying again is of no use.
	ErrAuth = errors.New("the token is not accepted by Slack")
	// ErrChannel: the channel is gone, archived, or the bot is not in it.
	ErrChannel = errors.New("the channel does not take posts")
	// ErrScope: the bot token lacks a permission.
	ErrScope = errors.New("the bot token lacks a scope")
	// ErrNoUser: the workspace does not know somebody of that id.
	ErrNoUser = errors.New("no such user")
	// ErrNoMessage: the message is gone or cannot be edited any more.
	ErrNoMessage = errors.New("no such message")
	// ErrContent: Slack refuses what the message holds.
	ErrContent = errors.New("the content is refused by Slack")
)

// Config says how Slack is reached.
type Config struct {
	AppToken ops.Secret // xapp-..., for Socket Mode
	BotToken ops.Secret // xoxb-...
	APIURL   string     // "": Slack's own; else of a stand-in, ending in /api/
	Log      *slog.Logger
}

// Client calls the Web API. It is safe for concurrent use.
type Client struct {
	api  *slackgo.Client
	http *http.Client
	log  *slog.Logger

	calls *limited
	opens *slowOpen

	// silence is how long a connection may bring no ping before it is taken for
	// dead; 0: slack-go's 30 seconds.
	silence time.Duration

	patience time.Duration // with a socket that cannot connect

	mu     sync.Mutex
	scopes []string // of the bot token, as the last answer said
}

// Open makes a client. It asks nothing yet.
func Open(c Config) *Client {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	k := &Client{log: c.Log, patience: longestWait, calls: &limited{next: http.DefaultTransport, limit: requestLimit}}
	k.opens = &slowOpen{next: k.calls, after: time.After}
	k.http = &http.Client{Transport: k.opens}
	options := []slackgo.Option{
		slackgo.OptionHTTPClient(k.http), slackgo.OptionAppLevelToken(c.AppToken.Reveal()),
		slackgo.OptionOnResponseHeaders(func(_ string, h http.Header) { k.seen(h) }),
	}
	if c.APIURL != "" {
		options = append(options, slackgo.OptionAPIURL(strings.TrimSuffix(c.APIURL, "/")+"/"))
	}
	k.api = slackgo.New(c.BotToken.Reveal(), options...)
	return k
}

// seen keeps the scopes that each answer to the bot token names
// (docs.slack.dev/authentication/installing-with-oauth, "X-OAuth-Scopes").
func (k *Client) seen(h http.Header) {
	all := h.Get("X-OAuth-Scopes")
	if all == "" {
		return
	}
	var scopes []string
	for s := range strings.SplitSeq(all, ",") {
		scopes = append(scopes, strings.TrimSpace(s))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(scopes, []string{"connections:write"}) { // that is the app-level token's answer
		k.scopes = scopes
	}
}

// Identity is who the bot token belongs to, and what it may do.
type Identity struct {
	Team, TeamID string
	UserID       string
	BotID        string
	Scopes       []string // empty when Slack did not say
}

// Identity asks auth.test.
func (k *Client) Identity(ctx context.Context) (Identity, error) {
	k.mu.Lock()
	k.scopes = nil
	k.mu.Unlock()
	r, err := k.api.AuthTestContext(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("ask Slack who the bot is: %w", kind(err))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return Identity{Team: r.Team, TeamID: r.TeamID, UserID: r.UserID, BotID: r.BotID, Scopes: k.scopes}, nil
}

// Channel is what Slack says about a channel.
type Channel struct {
	ID, Name  string
	Member    bool // the bot is in it
	Shared    bool // with another organisation
	Archived  bool
	IsPrivate bool
}

// Channel asks conversations.info. A channel that the bot cannot see is ErrChannel.
func (k *Client) Channel(ctx context.Context, id string) (Channel, error) {
	c, err := k.api.GetConversationInfoContext(ctx, &slackgo.GetConversationInfoInput{ChannelID: id})
	if err != nil {
		return Channel{}, fmt.Errorf("look at channel %s: %w", id, kind(err))
	}
	return Channel{ID: c.ID, Name: c.Name, Member: c.IsMember, Shared: c.IsExtShared || c.IsPendingExtShared, Archived: c.IsArchived, IsPrivate: c.IsPrivate}, nil
}

// User asks users.info; ErrNoUser when the workspace does not know the id.
func (k *Client) User(ctx context.Context, id string) (*slackgo.User, error) {
	u, err := k.api.GetUserInfoContext(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", id, kind(err))
	}
	return u, nil
}

// Group returns the ids of a user group's members.
func (k *Client) Group(ctx context.Context, id string) ([]string, error) {
	ids, err := k.api.GetUserGroupMembersContext(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look up group %s: %w", id, kind(err))
	}
	return ids, nil
}

// DM opens the direct messages with somebody and returns their channel's id.
func (k *Client) DM(ctx context.Context, user string) (string, error) {
	c, _, _, err := k.api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{user}, ReturnIM: true})
	if err != nil {
		return "", fmt.Errorf("open direct messages with %s: %w", user, kind(err))
	}
	return c.ID, nil
}

// Permalink returns the address of a message.
func (k *Client) Permalink(ctx context.Context, channel, ts string) (string, error) {
	link, err := k.api.GetPermalinkContext(ctx, &slackgo.PermalinkParameters{Channel: channel, Ts: ts})
	if err != nil {
		return "", fmt.Errorf("link to a message: %w", kind(err))
	}
	return link, nil
}

// OpenView opens a modal. The trigger of a command or a press holds three seconds.
func (k *Client) OpenView(ctx context.Context, trigger string, m slackgo.ModalViewRequest) error {
	if _, err := k.api.OpenViewContext(ctx, trigger, m); err != nil {
		return fmt.Errorf("open a modal: %w", kind(err))
	}
	return nil
}

// UpdateView changes an open modal.
func (k *Client) UpdateView(ctx context.Context, id string, m slackgo.ModalViewRequest) error {
	if _, err := k.api.UpdateViewContext(ctx, m, "", "", id); err != nil {
		return fmt.Errorf("change a modal: %w", kind(err))
	}
	return nil
}

// Ephemeral shows a message to one person in a channel.
func (k *Client) Ephemeral(ctx context.Context, channel, user, text string, blocks []slackgo.Block) error {
	if _, err := k.api.PostEphemeralContext(ctx, channel, user, content(text, blocks)...); err != nil {
		return fmt.Errorf("show %s a message: %w", user, kind(err))
	}
	return nil
}

// Respond answers one person through the response_url of a command or a press:
// at most five times within 30 minutes. The address is a secret, so no error
// names it.
func (k *Client) Respond(ctx context.Context, url, text string, blocks []slackgo.Block, replace bool) error {
	m := &slackgo.WebhookMessage{Text: text, ResponseType: slackgo.ResponseTypeEphemeral, ReplaceOriginal: replace}
	if len(blocks) > 0 {
		m.Blocks = &slackgo.Blocks{BlockSet: blocks}
	}
	if err := slackgo.PostWebhookCustomHTTPContext(ctx, url, k.http, m); err != nil {
		return fmt.Errorf("answer through the response_url: %s", strings.ReplaceAll(err.Error(), url, "[response_url]"))
	}
	return nil
}

func content(text string, blocks []slackgo.Block) []slackgo.MsgOption {
	return []slackgo.MsgOption{
		slackgo.MsgOptionText(text, false), slackgo.MsgOptionBlocks(blocks...),
		slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl(),
	}
}
