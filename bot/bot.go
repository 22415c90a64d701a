package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/bot/slack"
	"github.com/pgupgrade/pgupgrade/ops"
)

// Rows is what the bot needs of the store, beside what the service does.
type Rows interface {
	Run(ctx context.Context, id string) (ops.Run, error)
	ActiveRun(ctx context.Context, app string) (ops.Run, error)
	Runs(ctx context.Context, f ops.RunFilter) ([]ops.Run, error)
	Events(ctx context.Context, run string, after int64) ([]ops.Event, error)
	Decisions(ctx context.Context, run string) ([]ops.Decision, error)
	Audit(ctx context.Context, e ops.Event) error
	// Message returns ops.ErrNotFound when nothing is known of it.
	Message(ctx context.Context, group, name string) (ops.Message, error)
	// FirstTime reports whether no process has seen the envelope before.
	FirstTime(ctx context.Context, envelopeID string) (bool, error)
	// Fire reports whether this firing of a run's reminder is the caller's.
	Fire(ctx context.Context, run string, firing time.Time) (bool, error)
	LastFiring(ctx context.Context, run string) (time.Time, bool, error)
	Acquire(ctx context.Context, name, owner string, ttl time.Duration) (bool, error)
	Release(ctx context.Context, name, owner string) error
}

// Web is what the bot asks of Slack at once, in answer to somebody.
type Web interface {
	// Respond answers one person through an interaction's response_url.
	Respond(ctx context.Context, url string, v View, replace bool) error
	// Ephemeral shows a message to one person in a channel.
	Ephemeral(ctx context.Context, channel, user string, v View) error
	OpenView(ctx context.Context, trigger string, m slackgo.ModalViewRequest) error
	UpdateView(ctx context.Context, viewID string, m slackgo.ModalViewRequest) error
	Permalink(ctx context.Context, channel, ts string) (string, error)
	// DM opens the direct messages with somebody and returns their channel.
	DM(ctx context.Context, user string) (channel string, err error)
	// Identity says who the bot token belongs to.
	Identity(ctx context.Context) (slack.Identity, error)
	// Channel says what a channel is like.
	Channel(ctx context.Context, id string) (slack.Channel, error)
}

// Post is one message that is to stand in a channel, in its newest form. Its
// group and name say which: putting it again edits it.
type Post struct {
	Group, Name string
	Channel     string
	InThread    string // name of the group's message whose thread it belongs to; "" for the channel
	Broadcast   bool   // shown in the channel too
	Again       bool   // send it even when nothing changed
	View        View
}

// Writer delivers posts in the order in which they were first put, keeps the
// newest form while Slack is away, and never posts one twice.
type Writer interface {
	// Run delivers until ctx ends.
	Run(ctx context.Context)
	Put(p Post)
	// Allow lets posts be sent until then: another process may post after it.
	Allow(until time.Time)
	// Forget drops what waits and what is known of delivered posts, because
	// another process posts from now on.
	Forget()
	// Blocked says why a channel does not take posts, nil when it does.
	Blocked(channel string) error
	// Refused says why Slack refuses the bot token, nil when it does not.
	Refused() error
}

// Config is what a Bot is made of. Every field without a default is needed.
type Config struct {
	Service *ops.Service
	Rows    Rows
	// Changed returns the ids of runs that changed after the change numbered
	// after, and the number to pass next; 0 is before all.
	Changed func(ctx context.Context, after int64) (runs []string, last int64, err error)
	// Endings lists the databases on versions that Heroku ends; nil tells nobody.
	Endings   func(ctx context.Context) ([]ops.Ending, error)
	Web       Web
	Writer    Writer
	People    *People
	Channel   string         // id of the channel for upgrades
	Approvers []string       // ids of users and user groups, for mentions
	Remind    string         // cron expression; default "0 10 * * 1-5"
	Timezone  *time.Location // of Remind; default UTC
	Owner     string         // names this process among its peers; default a random one
	Now       func() time.Time
	Log       *slog.Logger

	Poll time.Duration // how often changes are looked for; default 500 ms
}

// Bot is the Slack edge of one process. Commands and buttons are taken by every
// process; messages and reminders by the one that holds the lease.
type Bot struct {
	c        Config
	schedule cron.Schedule
	busy     sync.WaitGroup
	base     context.Context // of the work that goes on after an acknowledgement
	stop     context.CancelFunc

	mu     sync.Mutex
	shared looked            // whether the channel is shared, for a minute
	told   time.Time         // when active runs were last told that Slack refuses the token
	dms    map[string]string // channels of direct messages, by user

	reminding sync.Mutex
}

type looked struct {
	value bool
	until time.Time
}

// New checks the configuration. It asks nothing of anybody yet.
func New(c Config) (*Bot, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timezone == nil {
		c.Timezone = time.UTC
	}
	if c.Poll == 0 {
		c.Poll = 500 * time.Millisecond
	}
	if c.Owner == "" {
		c.Owner = ops.NewRunID("bot")
	}
	schedule, err := ParseSchedule(c.Remind, c.Timezone)
	if err != nil {
		return nil, err
	}
	if c.Service == nil || c.Rows == nil || c.Changed == nil || c.Web == nil || c.Writer == nil || c.People == nil || c.Log == nil || c.Channel == "" {
		return nil, errors.New("make the bot: the configuration is not complete")
	}
	base, stop := context.WithCancel(context.Background())
	return &Bot{c: c, schedule: schedule, base: base, stop: stop, dms: map[string]string{}}, nil
}

// lease is held by the process that posts and reminds.
const (
	lease    = "slack.post"
	leaseFor = 15 * time.Second
	postFor  = leaseFor - time.Second // clocks of machines differ a little
)

// Run keeps what people see up to date and reminds them, until ctx ends. Then it
// waits a moment for answers under way.
func (b *Bot) Run(ctx context.Context) {
	warm := make(chan struct{})
	go func() { defer close(warm); b.c.People.Warm(ctx) }()
	b.keep(ctx)
	<-warm
	b.finish(10 * time.Second)
}

// keep takes the lease, posts while it is held, and gives it back.
func (b *Bot) keep(ctx context.Context) {
	for ctx.Err() == nil {
		asked := time.Now()
		held, err := b.c.Rows.Acquire(ctx, lease, b.c.Owner, leaseFor)
		if err != nil && ctx.Err() == nil {
			b.c.Log.ErrorContext(ctx, "the lease for posting cannot be read; nothing is posted meanwhile", "err", err)
		}
		if held {
			b.hold(ctx, asked)
			continue
		}
		wait(ctx, leaseFor/3)
	}
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := b.c.Rows.Release(release, lease, b.c.Owner); err != nil {
		b.c.Log.WarnContext(ctx, "the lease for posting was not given back; it runs out", "err", err)
	}
}

// hold posts and reminds until the lease is lost or ctx ends. What was put by an
// earlier holder is known from rows, so it begins by putting everything again. It
// was asked for at that time: what the writer may send ends with the lease even if
// this process is stopped, or its database is away.
func (b *Bot) hold(parent context.Context, asked time.Time) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	b.c.Writer.Allow(asked.Add(postFor))
	b.c.Log.InfoContext(ctx, "posting to Slack", "owner", b.c.Owner)
	var wg sync.WaitGroup
	wg.Go(func() { b.c.Writer.Run(ctx) })
	wg.Go(func() { b.showChanges(ctx) })
	wg.Go(func() { b.remindLoop(ctx) })
	last := asked
	for ctx.Err() == nil {
		wait(ctx, leaseFor/3)
		asked := time.Now()
		held, err := b.c.Rows.Acquire(ctx, lease, b.c.Owner, leaseFor)
		switch {
		case held:
			last = asked
			b.c.Writer.Allow(asked.Add(postFor))
		case err == nil || time.Since(last) > leaseFor:
			if ctx.Err() == nil {
				b.c.Log.WarnContext(ctx, "another process posts to Slack now", "err", err)
			}
			cancel()
		}
	}
	wg.Wait()
	b.c.Writer.Forget()
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// work does what follows an acknowledgement. It ends within a minute, whatever
// happens to the connection that asked.
func (b *Bot) work(what string, do func(ctx context.Context)) {
	b.busy.Add(1)
	go func() {
		defer b.busy.Done()
		ctx, cancel := context.WithTimeout(b.base, time.Minute)
		defer cancel()
		defer func() {
			if r := recover(); r != nil {
				b.c.Log.ErrorContext(ctx, "a handler panicked", "what", what, "panic", fmt.Sprint(r))
			}
		}()
		do(ctx)
	}()
}

// finish waits for answers under way, then ends them.
func (b *Bot) finish(within time.Duration) {
	done := make(chan struct{})
	go func() { b.busy.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(within):
	}
	b.stop()
}
