package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// Handler takes what people do. Command and Action return at once and work on;
// Submit returns within a second what becomes of the modal, nil to close it.
type Handler interface {
	Command(envelope string, c slackgo.SlashCommand)
	Action(envelope string, cb slackgo.InteractionCallback, a slackgo.BlockAction)
	Submit(envelope string, cb slackgo.InteractionCallback) *slackgo.ViewSubmissionResponse
}

// sockets is how many connections are kept open. With two, one that Slack
// refreshes leaves no gap (slack-go drops the old one before it opens the new).
const sockets = 2

// Listen hands everything that people do to h, each envelope once, until ctx
// ends (nil) or Slack refuses the app-level token (ErrAuth). Whatever else
// happens to the connection, it tries again.
func (k *Client) Listen(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &listener{Client: k, h: h, seen: map[string]time.Time{}, patience: k.patience}
	failed := make(chan error, sockets)
	var wg sync.WaitGroup
	for range sockets {
		// Its own log would print addresses that hold a ticket.
		options := []socketmode.Option{socketmode.OptionLog(log.New(io.Discard, "", 0))}
		if k.silence > 0 {
			options = append(options, socketmode.OptionPingInterval(k.silence))
		}
		socket := socketmode.New(k.api, options...)
		wg.Go(func() { failed <- l.run(ctx, socket) })
	}
	err := <-failed
	cancel()
	wg.Wait()
	return err
}

type listener struct {
	*Client
	h  Handler
	mu sync.Mutex
	// seen is every envelope of the last minutes: Slack may send one again, and
	// through the other socket.
	seen     map[string]time.Time
	patience time.Duration // with slack-go's waits
}

func (l *listener) first(envelope string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if len(l.seen) > 500 {
		for id, at := range l.seen {
			if now.Sub(at) > 15*time.Minute {
				delete(l.seen, id)
			}
		}
	}
	_, again := l.seen[envelope]
	l.seen[envelope] = now
	return !again
}

// run keeps one socket open.
func (l *listener) run(ctx context.Context, socket *socketmode.Client) error {
	var taking sync.WaitGroup
	defer taking.Wait() // nothing is taken, or logged, once it has returned
	ended := make(chan struct{})
	defer close(ended)
	again := make(chan struct{}, 1)
	taking.Go(func() {
		impatient := time.NewTimer(0)
		impatient.Stop()
		for {
			select {
			case e := <-socket.Events:
				l.take(ctx, socket, e)
				if wait := backoff(e); wait > l.patience {
					impatient.Reset(l.patience)
				} else if e.Type == socketmode.EventTypeConnected {
					impatient.Stop()
				}
			case <-impatient.C:
				select {
				case again <- struct{}{}:
				default:
				}
			case <-ended:
				return
			}
		}
	})
	for {
		err, restarted := runUntil(ctx, socket, again)
		if ctx.Err() != nil {
			return nil
		}
		if restarted {
			continue
		}
		if err = kind(refusal(err)); errors.Is(err, ErrAuth) {
			return fmt.Errorf("open a connection to Slack: %w", err)
		}
		l.log.WarnContext(ctx, "the connection to Slack ended; opening another", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(5 * time.Second):
		}
	}
}

// longestWait is how long a socket waits between attempts. slack-go waits up to
// five minutes after an outage of that length, and meanwhile no button would work.
const longestWait = 20 * time.Second

// backoff is how long slack-go is going to wait, 0 when it does not.
func backoff(e socketmode.Event) time.Duration {
	if f, ok := e.Data.(*slackgo.ConnectionErrorEvent); ok && e.Type == socketmode.EventTypeConnectionError {
		return f.Backoff
	}
	return 0
}

// runUntil runs the socket until it ends, or until again.
func runUntil(ctx context.Context, socket *socketmode.Client, again <-chan struct{}) (err error, restarted bool) {
	one, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- socket.RunContext(one) }()
	select {
	case err := <-ended:
		return err, false
	case <-again:
		cancel()
		return <-ended, true
	}
}

// refusal gives the bare error words that socketmode returns their type.
func refusal(err error) error {
	if err != nil && kinds[err.Error()] != nil {
		return slackgo.SlackErrorResponse{Err: err.Error()}
	}
	return err
}

// take handles one event of a socket. It must not wait: a full queue stops the
// socket's pings.
func (l *listener) take(ctx context.Context, socket *socketmode.Client, e socketmode.Event) {
	switch e.Type {
	case socketmode.EventTypeConnected:
		l.log.InfoContext(ctx, "connected to Slack")
	case socketmode.EventTypeConnectionError:
		if f, ok := e.Data.(*slackgo.ConnectionErrorEvent); ok {
			l.log.WarnContext(ctx, "cannot connect to Slack; trying again", "attempt", f.Attempt, "in", f.Backoff, "err", f.ErrorObj)
		}
	case socketmode.EventTypeErrorBadMessage, socketmode.EventTypeErrorWriteFailed, socketmode.EventTypeIncomingError:
		if ctx.Err() == nil {
			l.log.WarnContext(ctx, "trouble on the connection to Slack", "type", e.Type)
		}
	case socketmode.EventTypeSlashCommand:
		c, ok := e.Data.(slackgo.SlashCommand)
		l.ack(ctx, socket, e, nil)
		if ok && l.first(e.Request.EnvelopeID) {
			l.h.Command(e.Request.EnvelopeID, c)
		}
	case socketmode.EventTypeInteractive:
		cb, ok := e.Data.(slackgo.InteractionCallback)
		if !ok {
			l.ack(ctx, socket, e, nil)
			return
		}
		l.interaction(ctx, socket, e, cb)
	default:
		if e.Request != nil && e.Request.EnvelopeID != "" {
			l.ack(ctx, socket, e, nil)
		}
	}
}

func (l *listener) interaction(ctx context.Context, socket *socketmode.Client, e socketmode.Event, cb slackgo.InteractionCallback) {
	id := e.Request.EnvelopeID
	if cb.Type != slackgo.InteractionTypeViewSubmission {
		l.ack(ctx, socket, e, nil)
		if cb.Type == slackgo.InteractionTypeBlockActions && l.first(id) {
			for _, a := range cb.ActionCallback.BlockActions {
				l.h.Action(id, cb, *a)
			}
		}
		return
	}
	if !l.first(id) {
		l.ack(ctx, socket, e, nil)
		return
	}
	go func() { // its answer takes up to a second
		defer func() {
			if r := recover(); r != nil {
				l.log.ErrorContext(ctx, "a handler panicked", "panic", r)
			}
		}()
		if r := l.h.Submit(id, cb); r != nil {
			l.ack(ctx, socket, e, r)
			return
		}
		l.ack(ctx, socket, e, nil)
	}()
}

func (l *listener) ack(ctx context.Context, socket *socketmode.Client, e socketmode.Event, payload any) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := socket.AckCtx(ctx, e.Request.EnvelopeID, payload); err != nil {
		l.log.WarnContext(ctx, "could not acknowledge to Slack", "err", err)
	}
}
