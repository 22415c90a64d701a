package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
}

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
		return w.failed(ctx, nil, Post{}, err)
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
		if it.version == version {
			w.drop(it)
		}
		return 0
	}
	return w.failed(ctx, it, p, err)
}

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
	options := content(p.Text, p.Blocks)
	options = append(options, mark(p)) // lets a post be found again whose answer was lost
	if parent != "" {
		options = append(options, slackgo.MsgOptionTS(parent))
		if p.Broadcast {
			options = append(options, slackgo.MsgOptionBroadcast())
		}
	}
	send, cancel := w.sending(ctx)
	defer cancel()
	_, ts, err := w.client.api.PostMessageContext(send, p.Channel, options...)
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
