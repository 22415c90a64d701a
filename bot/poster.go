package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Names of a run's messages in the writer's ledger.
const (
	rootName = "root"
	lagName  = "lag"
)

func eventName(e ops.Event) string { return fmt.Sprintf("event/%d", e.ID) }

// endedFor is how long after its end a run's messages are still looked after.
const endedFor = 24 * time.Hour

// confirmEvery is how often an approved cutover that has to wait asks Slack
// whether it still takes posts: the cutover begins only where it does.
const confirmEvery = 20 * time.Second

// soon is how long before the time of an approved cutover that begins.
const soon = 2 * time.Minute

// showChanges puts what changed until ctx ends. It begins with every run that is
// active or ended lately, so whatever an earlier process left undone is made up.
func (b *Bot) showChanges(ctx context.Context) {
	cursor, confirmed := int64(0), b.c.Now()
	for ctx.Err() == nil {
		runs, last, err := b.c.Changed(ctx, cursor)
		if err != nil {
			if ctx.Err() == nil {
				b.c.Log.WarnContext(ctx, "what changed cannot be read; trying again", "err", err)
			}
			wait(ctx, 2*time.Second)
			continue
		}
		shown := true
		for _, id := range runs {
			if err := b.show(ctx, id); err != nil && ctx.Err() == nil {
				b.c.Log.WarnContext(ctx, "a run could not be shown; trying again", "run", id, "err", err)
				shown = false
			}
		}
		if shown {
			cursor = last
		}
		b.noteToken(ctx)
		if b.c.Now().Sub(confirmed) >= confirmEvery {
			confirmed = b.c.Now()
			b.confirm(ctx)
		}
		wait(ctx, b.c.Poll)
	}
}

// show puts every message of a run as it should be now.
func (b *Bot) show(ctx context.Context, id string) error {
	run, err := b.c.Rows.Run(ctx, id)
	if err != nil {
		return err
	}
	if !run.Active() && b.c.Now().Sub(run.EndedAt) > endedFor {
		return nil
	}
	story, err := b.story(ctx, run)
	if err != nil {
		return err
	}
	channel := run.Channel
	if channel == "" {
		channel = b.c.Channel
	}
	blocked := b.c.Writer.Blocked(channel) != nil
	b.c.Writer.Put(Post{Group: run.ID, Name: rootName, Channel: channel, View: Root(run, story.Decisions, b.c.Now())})
	lagShown := false
	for _, e := range story.Events {
		if !e.Posted() {
			continue
		}
		if v, ok := LagView(run); ok && !lagShown && e.At.After(run.Lag.Samples[0].At) {
			b.c.Writer.Put(Post{Group: run.ID, Name: lagName, Channel: channel, InThread: rootName, View: v})
			lagShown = true
		}
		v := story.Reply(e)
		b.c.Writer.Put(Post{Group: run.ID, Name: eventName(e), Channel: channel, InThread: rootName, Broadcast: e.Loud(), View: v})
		if blocked && (e.Loud() || e.Kind == ops.EventReport) {
			b.direct(ctx, run, e, v)
		}
	}
	if v, ok := LagView(run); ok && !lagShown {
		b.c.Writer.Put(Post{Group: run.ID, Name: lagName, Channel: channel, InThread: rootName, View: v})
	}
	return nil
}

// direct tells the people of a run what its channel does not take.
func (b *Bot) direct(ctx context.Context, run ops.Run, e ops.Event, v View) {
	people := []string{run.Requester.ID}
	if policy, err := b.c.People.Policy(ctx); err == nil {
		people = append(people, policy.Active()...)
	}
	told := map[string]bool{}
	for _, id := range people {
		if told[id] || !slackUser.MatchString(id) {
			continue
		}
		told[id] = true
		channel, err := b.dm(ctx, id)
		if err != nil {
			b.c.Log.WarnContext(ctx, "somebody cannot be told directly", "run", run.ID, "user", id, "err", err)
			continue
		}
		v.Text = "(The channel for upgrades does not take my posts.) " + v.Text
		b.c.Writer.Put(Post{Group: run.ID, Name: eventName(e) + "/" + id, Channel: channel, View: v})
	}
}

func (b *Bot) dm(ctx context.Context, user string) (string, error) {
	b.mu.Lock()
	channel := b.dms[user]
	b.mu.Unlock()
	if channel != "" {
		return channel, nil
	}
	channel, err := b.c.Web.DM(ctx, user)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dms[user] = channel
	return channel, nil
}

// story reads the rows that a run's messages are drawn from.
func (b *Bot) story(ctx context.Context, run ops.Run) (Story, error) {
	events, err := b.c.Rows.Events(ctx, run.ID, 0)
	if err != nil {
		return Story{}, err
	}
	decisions, err := b.c.Rows.Decisions(ctx, run.ID)
	if err != nil {
		return Story{}, err
	}
	return Story{Run: run, Events: events, Decisions: decisions, Approvers: b.c.Approvers}, nil
}

// confirm puts the root of each run once more whose approved cutover waits, so
// that it is known whether Slack takes posts; and of each run whose channel did
// not, so that it is noticed when it does again.
func (b *Bot) confirm(ctx context.Context) {
	runs, err := b.c.Rows.Runs(ctx, ops.RunFilter{ActiveOnly: true})
	if err != nil {
		b.c.Log.WarnContext(ctx, "the active runs cannot be read", "err", err)
		return
	}
	for _, run := range runs {
		waits := run.Step == ops.StepGateCutover && run.Asked != nil && run.Asked.Blocked != "" && run.Asked.Opens.Sub(b.c.Now()) < soon
		if !waits && b.c.Writer.Blocked(run.Channel) == nil {
			continue
		}
		story, err := b.story(ctx, run)
		if err != nil {
			b.c.Log.WarnContext(ctx, "a run could not be shown; trying again", "run", run.ID, "err", err)
			continue
		}
		b.c.Writer.Put(Post{Group: run.ID, Name: rootName, Channel: run.Channel, Again: true, View: Root(run, story.Decisions, b.c.Now())})
	}
}
