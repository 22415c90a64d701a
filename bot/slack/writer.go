package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Post is one message that is to stand in a channel, in its newest form. Group
// and Name say which: putting it again edits it.
type Post struct {
	Group, Name string
	Channel     string
	InThread    string // name of the group's message whose thread it belongs to; "" for the channel
	Broadcast   bool   // a reply that is shown in the channel too
	Text        string // says everything: notifications and screen readers use it
	Blocks      []slackgo.Block
	// Again sends it even when nothing changed, to see that Slack still takes it.
	Again bool
}

// Ledger remembers which message stands where. Errors of both kinds of write
// stop the delivery: it is tried again.
type Ledger interface {
	// Message returns ops.ErrNotFound when nothing is known of it.
	Message(ctx context.Context, group, name string) (ops.Message, error)
	// IntendMessage notes, before a first post, that it will be made.
	IntendMessage(ctx context.Context, m ops.Message) error
	SaveMessage(ctx context.Context, m ops.Message) error
}

// Writer delivers posts: new ones in the order in which they were first put,
// edits after them, each message in its newest form only. It keeps everything
// while Slack is away, posts nothing twice, and finds posts again whose answer
// was lost. One goroutine runs it; the other methods are safe for concurrent use.
type Writer struct {
	client *Client
	ledger Ledger
	log    *slog.Logger
	now    func() time.Time

	// Delivered is called whenever Slack took a post or an edit in a channel.
	Delivered func(ctx context.Context, channel string)

	mu      sync.Mutex
	until   time.Time // nothing is sent from then on; zero: no limit
	items   map[key]*item
	queue   []*item // not delivered in their newest form, in the order of being put
	blocked map[string]blocked
	denied  error // why Slack refuses the token, since the last attempt
	ring    chan struct{}
	pace    pace
}

type key struct{ group, name string }

type item struct {
	post    Post
	hash    string
	row     ops.Message // as the ledger has it
	looked  bool        // row was read
	foreign bool        // its intent is another process's, whose request may be under way
	unsure  bool        // a post may stand without our knowing its ts
	unsaved bool        // row is newer than the ledger's
	version int         // raised by every Put
	queued  bool
	refused int // how often in a row Slack said no with a word that is not known
}

// refusals is how often Slack may refuse one message with an unknown word before
// it is left out: those behind it must not wait for it for ever.
const refusals = 5

type blocked struct {
	err   error
	again time.Time
}

// NewWriter makes a writer. Run delivers.
func NewWriter(c *Client, ledger Ledger, log *slog.Logger) *Writer {
	return &Writer{
		client: c, ledger: ledger, log: log, now: time.Now, items: map[key]*item{}, blocked: map[string]blocked{}, ring: make(chan struct{}, 1),
		Delivered: func(context.Context, string) {}, pace: newPace(),
	}
}

// Allow lets posts and edits be sent until then, and no request last longer:
// another process may post after it.
func (w *Writer) Allow(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = until
	select {
	case w.ring <- struct{}{}:
	default:
	}
}

// sendFor ends a post or an edit, and is how long a successor waits for one whose
// outcome it does not know before it looks for it.
const sendFor = 10 * time.Second

// sending limits one request to the time in which this process may post.
func (w *Writer) sending(ctx context.Context) (context.Context, context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	limit := sendFor
	if !w.until.IsZero() {
		limit = min(limit, w.until.Sub(w.now()))
	}
	return context.WithTimeout(ctx, limit)
}

// Put makes a message stand as p says, as soon as Slack takes it.
func (w *Writer) Put(p Post) {
	hash := hashOf(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	k := key{p.Group, p.Name}
	it := w.items[k]
	if it == nil {
		it = &item{}
		w.items[k] = it
	}
	if it.hash == hash && !p.Again {
		return
	}
	it.post, it.hash = p, hash
	it.version++
	if !it.queued {
		it.queued = true
		w.queue = append(w.queue, it)
	}
	select {
	case w.ring <- struct{}{}:
	default:
	}
}

// Forget drops what is waiting and what is known of delivered messages: another
// process may change them from now on. The ledger knows them.
func (w *Writer) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items, w.queue = map[key]*item{}, nil
}

// Blocked says why a channel does not take posts, nil when it does.
func (w *Writer) Blocked(channel string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blocked[channel].err
}

// Refused says why Slack refuses the bot token itself, nil when it does not, as
// far as the last attempt showed. Messages are kept meanwhile.
func (w *Writer) Refused() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.denied
}

// Waiting is how many messages are not delivered in their newest form.
func (w *Writer) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

func hashOf(p Post) string {
	blocks, err := json.Marshal(p.Blocks)
	if err != nil {
		blocks = []byte(err.Error()) // Slack will refuse it, and then the text goes alone
	}
	sum := sha256.Sum256([]byte(p.Channel + "\x00" + p.Text + "\x00" + string(blocks)))
	return hex.EncodeToString(sum[:12])
}

// Run delivers until ctx ends, then spends at most a second on what is left.
func (w *Writer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := w.step(ctx)
		if wait <= 0 {
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-w.ring:
			// Something new may be deliverable, but not before what Slack asked for.
			if wait > time.Second {
				select {
				case <-ctx.Done():
				case <-time.After(min(wait, time.Second)):
				}
			}
		}
		t.Stop()
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for last.Err() == nil && w.step(last) <= 0 {
	}
}

// step delivers one message and returns how long to wait for the next; 0: at once.
func (w *Writer) step(ctx context.Context) time.Duration {
	if err := w.lookUp(ctx); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.failed(ctx, nil, Post{}, 0, err)
	}
	it, p, version, wait := w.pick()
	if it == nil {
		return wait
	}
	err := w.deliver(ctx, it, p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.pace.well()
		it.refused = 0
		w.done(it, version)
		return 0
	}
	return w.failed(ctx, it, p, version, err)
}

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
