package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
