package slack

import (
	"context"
	"errors"
	"fmt"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// deliver posts or edits one message. Only the goroutine of Run is here.
func (w *Writer) deliver(ctx context.Context, it *item, p Post) error {
	if it.row.TS != "" && it.row.Channel != p.Channel { // the bot was moved to another channel
		w.setRow(it, ops.Message{Group: p.Group, Name: p.Name, Channel: p.Channel})
	}
	if it.row.TS == "" && it.unsure {
		if err := w.find(ctx, it, p); err != nil {
			return err
		}
	}
	if it.row.TS == "" {
		return w.post(ctx, it, p)
	}
	return w.edit(ctx, it, p)
}

func (w *Writer) setRow(it *item, row ops.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	it.row = row
}

// thread is the ts of the message in whose thread p belongs.
func (w *Writer) thread(ctx context.Context, p Post) (string, error) {
	if p.InThread == "" {
		return "", nil
	}
	row, err := w.ledger.Message(ctx, p.Group, p.InThread)
	if err != nil && !errors.Is(err, ops.ErrNotFound) {
		return "", err
	}
	if row.TS == "" || row.Channel != p.Channel {
		return "", nil // better in the channel than not at all
	}
	return row.TS, nil
}

func (w *Writer) post(ctx context.Context, it *item, p Post) error {
	row := ops.Message{Group: p.Group, Name: p.Name, Channel: p.Channel, Intended: w.now()}
	if err := w.ledger.IntendMessage(ctx, row); err != nil {
		return err
	}
	parent, err := w.thread(ctx, p)
	if err != nil {
		return err
	}
	options := append(content(p.Text, p.Blocks), mark(p)) // lets a post be found again whose answer was lost
	outside := options
	if parent != "" {
		options = append(options[:len(options):len(options)], slackgo.MsgOptionTS(parent))
		if p.Broadcast {
			options = append(options, slackgo.MsgOptionBroadcast())
		}
	}
	send, cancel := w.sending(ctx)
	defer cancel()
	_, ts, err := w.client.api.PostMessageContext(send, p.Channel, options...)
	if parent != "" && errors.Is(kind(err), ErrNoMessage) {
		w.log.WarnContext(ctx, "the thread of a message is gone; posting it in the channel", "run", p.Group, "message", p.Name, "err", err)
		options = outside
		_, ts, err = w.client.api.PostMessageContext(send, p.Channel, options...)
	}
	if errors.Is(kind(err), ErrContent) {
		w.log.ErrorContext(ctx, "Slack refuses a message's blocks; posting its text alone", "run", p.Group, "message", p.Name, "err", err)
		_, ts, err = w.client.api.PostMessageContext(send, p.Channel, append(options, slackgo.MsgOptionBlocks())...)
	}
	if err != nil {
		it.unsure = !definite(err)
		row.TS = ""
		w.setRow(it, row)
		return fmt.Errorf("post %s of %s: %w", p.Name, p.Group, kind(err))
	}
	row.TS, row.Hash = ts, hashOf(p)
	return w.sent(ctx, it, p, row)
}

func (w *Writer) edit(ctx context.Context, it *item, p Post) error {
	row := it.row
	if row.Hash == hashOf(p) && !p.Again {
		return w.save(ctx, it)
	}
	options := content(p.Text, p.Blocks)
	send, cancel := w.sending(ctx)
	defer cancel()
	_, _, _, err := w.client.api.UpdateMessageContext(send, p.Channel, row.TS, options...)
	if errors.Is(kind(err), ErrContent) {
		w.log.ErrorContext(ctx, "Slack refuses a message's blocks; leaving its text alone", "run", p.Group, "message", p.Name, "err", err)
		_, _, _, err = w.client.api.UpdateMessageContext(send, p.Channel, row.TS, append(options, slackgo.MsgOptionBlocks())...)
	}
	if errors.Is(kind(err), ErrNoMessage) {
		// Somebody deleted it, or it is too old to be edited: it is posted anew.
		w.log.InfoContext(ctx, "a message is gone or too old; posting it anew", "run", p.Group, "message", p.Name, "err", err)
		w.setRow(it, ops.Message{Group: p.Group, Name: p.Name, Channel: p.Channel})
		if err := w.ledger.SaveMessage(ctx, it.row); err != nil {
			return err
		}
		return w.post(ctx, it, p)
	}
	if err != nil {
		return fmt.Errorf("edit %s of %s: %w", p.Name, p.Group, kind(err))
	}
	row.Hash = hashOf(p)
	return w.sent(ctx, it, p, row)
}

// sent keeps what Slack took. When the row cannot be written, the post is found
// again by its metadata.
func (w *Writer) sent(ctx context.Context, it *item, p Post, row ops.Message) error {
	it.unsure, it.unsaved = false, true
	w.mu.Lock()
	it.row = row
	delete(w.blocked, p.Channel)
	w.denied = nil
	w.mu.Unlock()
	w.Delivered(ctx, p.Channel)
	return w.save(ctx, it)
}

func (w *Writer) save(ctx context.Context, it *item) error {
	if !it.unsaved {
		return nil
	}
	if err := w.ledger.SaveMessage(ctx, it.row); err != nil {
		return fmt.Errorf("keep where %s of %s stands: %w", it.row.Name, it.row.Group, err)
	}
	it.unsaved = false
	return nil
}
