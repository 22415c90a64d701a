package slack

import (
	"context"
	"errors"
	"fmt"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// metadataType marks our posts (docs.slack.dev/messaging/message-metadata).
const metadataType = "pgupgrade_message"

func mark(p Post) slackgo.MsgOption {
	return slackgo.MsgOptionMetadata(slackgo.SlackMetadata{EventType: metadataType, EventPayload: map[string]any{"group": p.Group, "name": p.Name}})
}

// tooSoon: the request of another process may still be under way.
type tooSoon struct{ left time.Duration }

func (e tooSoon) Error() string { return "the post of another process may still be under way" }

// find looks for a post whose answer was lost. One that another process was about
// to make when it died, or was stopped, is looked for only when its request has
// ended for certain.
func (w *Writer) find(ctx context.Context, it *item, p Post) error {
	if left := it.row.Intended.Add(sendFor).Sub(w.now()); it.foreign && left > 0 {
		return tooSoon{min(left, sendFor)}
	}
	parent, err := w.thread(ctx, p)
	if err != nil {
		return err
	}
	intended := it.row.Intended
	if intended.IsZero() {
		intended = w.now()
	}
	oldest := fmt.Sprintf("%d.000000", intended.Add(-time.Minute).Unix())
	ts, err := w.search(ctx, p, parent, oldest)
	if parent != "" && errors.Is(kind(err), ErrNoMessage) { // with its parent gone it stands in the channel
		ts, err = w.search(ctx, p, "", oldest)
	}
	if err != nil {
		return fmt.Errorf("look for %s of %s: %w", p.Name, p.Group, kind(err))
	}
	it.unsure, it.foreign = false, false
	if ts != "" {
		w.log.InfoContext(ctx, "found a message whose answer was lost", "run", p.Group, "message", p.Name)
		w.setRow(it, ops.Message{Group: p.Group, Name: p.Name, Channel: p.Channel, TS: ts, Intended: intended})
		it.unsaved = true
		return w.save(ctx, it)
	}
	return nil
}

func (w *Writer) search(ctx context.Context, p Post, parent, oldest string) (string, error) {
	cursor := ""
	for range 10 {
		var found []slackgo.Message
		next, more := "", false
		if parent != "" {
			var err error
			found, more, next, err = w.client.api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{
				ChannelID: p.Channel, Timestamp: parent, Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true})
			if err != nil {
				return "", err
			}
		} else {
			r, err := w.client.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{
				ChannelID: p.Channel, Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true})
			if err != nil {
				return "", err
			}
			found, more, next = r.Messages, r.HasMore, r.ResponseMetaData.NextCursor
		}
		for _, m := range found {
			d := m.Metadata
			if d.EventType == metadataType && d.EventPayload["group"] == p.Group && d.EventPayload["name"] == p.Name && m.BotID != "" {
				return m.Timestamp, nil
			}
		}
		if !more || next == "" {
			return "", nil
		}
		cursor = next
	}
	return "", nil
}
