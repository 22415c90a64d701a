package slack

import (
	"context"
	"errors"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// failed says how long to wait after a delivery that did not work. w.mu is held.
func (w *Writer) failed(ctx context.Context, it *item, p Post, version int, err error) time.Duration {
	if ctx.Err() != nil {
		return time.Second
	}
	if soon, ok := errors.AsType[tooSoon](err); ok {
		w.pace.until = w.now().Add(soon.left)
		return soon.left
	}
	if d, ok := later(err); ok {
		w.log.WarnContext(ctx, "Slack asked to slow down", "for", d, "message", p.Name, "run", p.Group)
		w.pace.until = w.now().Add(d)
		return d
	}
	switch {
	case errors.Is(err, ErrChannel):
		w.log.ErrorContext(ctx, "a channel does not take posts; trying again in a minute", "channel", p.Channel, "err", err)
		w.blocked[p.Channel] = blocked{err, w.now().Add(time.Minute)}
		return 0
	case errors.Is(err, ErrContent):
		w.log.ErrorContext(ctx, "Slack refuses a message; it is left out", "run", p.Group, "message", p.Name, "err", err)
		w.done(it, version)
		return 0
	case it != nil && unknown(err):
		if it.refused++; it.refused == refusals {
			w.log.ErrorContext(ctx, "Slack refuses a message again and again; it is left out", "run", p.Group, "message", p.Name, "err", err)
			it.refused = 0
			w.done(it, version)
			return 0
		}
	}
	d := w.pace.badly()
	w.pace.until = w.now().Add(d)
	if errors.Is(err, ErrAuth) {
		w.denied = err
		w.log.ErrorContext(ctx, "Slack refuses SLACK_BOT_TOKEN: nothing can be posted until it is a new one; messages are kept", "run", p.Group, "message", p.Name, "in", d, "err", err)
		return d
	}
	w.log.WarnContext(ctx, "could not post to Slack; trying again", "run", p.Group, "message", p.Name, "in", d, "err", err)
	return d
}

// done takes an item off the queue unless it was put anew meanwhile. w.mu is held.
func (w *Writer) done(it *item, version int) {
	if it.version == version {
		w.drop(it)
	}
}

// drop takes an item off the queue. w.mu is held.
func (w *Writer) drop(it *item) {
	it.queued = false
	for i, q := range w.queue {
		if q == it {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			return
		}
	}
}

// pick chooses the next message: the first new one, else the first edit. What
// belongs to a blocked channel is passed over.
func (w *Writer) pick() (*item, Post, int, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if !w.until.IsZero() && !now.Before(w.until) {
		return nil, Post{}, 0, time.Second
	}
	if left := w.pace.until.Sub(now); left > 0 {
		return nil, Post{}, 0, left
	}
	wait := time.Minute
	var edit *item
	for _, it := range w.queue {
		if b, ok := w.blocked[it.post.Channel]; ok && now.Before(b.again) {
			wait = min(wait, b.again.Sub(now))
			continue
		}
		if it.row.TS != "" {
			if edit == nil {
				edit = it
			}
			continue
		}
		if d := w.pace.post.in(now); d > 0 {
			wait = min(wait, d)
			break // the order of new posts is kept
		}
		w.pace.post.take(now)
		return it, it.post, it.version, 0
	}
	if edit == nil {
		return nil, Post{}, 0, wait
	}
	if d := w.pace.edit.in(now); d > 0 {
		return nil, Post{}, 0, min(wait, d)
	}
	w.pace.edit.take(now)
	return edit, edit.post, edit.version, 0
}

// lookUp reads what the ledger knows of messages that this writer has not had
// before, and drops those that stand already as they should.
func (w *Writer) lookUp(ctx context.Context) error {
	for {
		w.mu.Lock()
		var it *item
		for _, q := range w.queue {
			if !q.looked {
				it = q
				break
			}
		}
		var p Post
		if it != nil {
			p = it.post
		}
		w.mu.Unlock()
		if it == nil {
			return nil
		}
		row, err := w.ledger.Message(ctx, p.Group, p.Name)
		if err != nil && !errors.Is(err, ops.ErrNotFound) {
			return err
		}
		w.mu.Lock()
		it.row, it.looked, it.unsure = row, true, row.TS == "" && !row.Intended.IsZero()
		it.foreign = it.unsure
		if row.TS != "" && row.Hash == it.hash && !it.post.Again {
			w.drop(it)
		}
		w.mu.Unlock()
	}
}
