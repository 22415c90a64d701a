package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack"
	"github.com/pgupgrade/pgupgrade/ops"
)

// Typed is a slash command as it arrived.
type Typed struct {
	Envelope    string // "" when Slack gave none
	Text        string
	User        string // id
	UserName    string
	Channel     string
	ResponseURL string
	Trigger     string
}

func (t Typed) actor() ops.Actor { return ops.Actor{ID: t.User, Name: t.UserName} }

// Typed takes a slash command. It returns at once; the answer goes to that
// person alone, through the response_url.
func (b *Bot) Typed(t Typed) {
	b.work("command", func(ctx context.Context) {
		if !b.first(ctx, t.Envelope) {
			return
		}
		c, err := Parse(t.Text)
		if err == nil {
			err = b.place(ctx, c, t.Channel)
		}
		if err != nil {
			b.say(ctx, t, Said(words(err)))
			return
		}
		b.command(ctx, t, c)
	})
}

// first reports whether no process has taken this envelope before. When that
// cannot be seen it is taken: what it asks for is checked again anyway.
func (b *Bot) first(ctx context.Context, envelope string) bool {
	if envelope == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	first, err := b.c.Rows.FirstTime(ctx, envelope)
	if err != nil {
		b.c.Log.WarnContext(ctx, "whether an envelope was taken before cannot be seen", "err", err)
		return true
	}
	return first
}

// place refuses commands that do not belong where they were typed.
func (b *Bot) place(ctx context.Context, c Command, channel string) error {
	if c.Verb == VerbHelp || strings.HasPrefix(channel, "D") && c.ChangesNothing() {
		return nil
	}
	here := "<#" + b.c.Channel + ">"
	if strings.HasPrefix(channel, "D") {
		return ops.Refuse(ops.RefusedDirect, "Upgrades are started and steered in %s, where others see them. Please type it there. Nothing was done.", here)
	}
	if channel != b.c.Channel {
		return ops.Refuse(ops.RefusedChannel, "Upgrades are handled in %s. Please type it there. Nothing was done.", here)
	}
	return b.notShared(ctx, c.ChangesNothing())
}

// notShared refuses to work in a channel that another organisation can see. What
// only looks goes by what was known of the channel when Slack refuses the token.
func (b *Bot) notShared(ctx context.Context, onlyLooks bool) error {
	b.mu.Lock()
	k := b.shared
	b.mu.Unlock()
	if b.c.Now().After(k.until) {
		ch, err := b.c.Web.Channel(ctx, b.c.Channel)
		switch {
		case errors.Is(err, slack.ErrAuth) && onlyLooks && !k.until.IsZero():
			return sharedRefusal(k.value)
		case errors.Is(err, slack.ErrAuth):
			b.c.Log.ErrorContext(ctx, "Slack refuses SLACK_BOT_TOKEN; nothing that is asked for can be done", "err", err)
			return ops.Refuse(ops.RefusedToken, "%s Nothing was done.", tokenWords)
		case err != nil:
			b.c.Log.WarnContext(ctx, "whether the channel is shared cannot be seen", "err", err)
			return ops.Refuse(ops.RefusedUnseen, "I could not see whether this channel is shared with another organisation, so I did nothing. Please try again in a minute.")
		}
		k = looked{ch.Shared, b.c.Now().Add(time.Minute)}
		b.mu.Lock()
		b.shared = k
		b.mu.Unlock()
	}
	return sharedRefusal(k.value)
}

func sharedRefusal(shared bool) error {
	if shared {
		return ops.Refuse(ops.RefusedShared, "This channel is shared with another organisation, so no upgrade is handled here. Move me to a channel of your own: set `PGUPGRADE_CHANNEL` to its id. Nothing was done.")
	}
	return nil
}

func (b *Bot) command(ctx context.Context, t Typed, c Command) {
	s := b.c.Service
	switch c.Verb {
	case VerbHelp:
		b.say(ctx, t, Help())
	case VerbStart:
		started, err := s.Start(ctx, t.actor(), b.c.Channel, c.App, c.Request())
		if err != nil {
			b.fail(ctx, t, err)
			return
		}
		when := ""
		if !started.Opens.IsZero() {
			when = "The cutover is set for " + date(started.Opens, dayAndTime) + "; I ask for the approval before. "
		}
		b.say(ctx, t, Said(fmt.Sprintf(":rocket: The upgrade of %s has begun, as %s in <#%s>. I look at everything first and ask before anything is stopped. %s%s",
			code(started.Run.App.Name), code(started.Run.ID), b.c.Channel, when, prose(started.Told))))
	case VerbCheck:
		b.check(ctx, t, c.App, c.Request(), false, true)
	case VerbDryRun:
		b.dryRun(ctx, t, c)
	case VerbStatus:
		runs, err := s.Status(ctx, c.App)
		if err != nil {
			b.fail(ctx, t, err)
			return
		}
		var set map[string]string
		if c.App != "" {
			if set, err = s.RunSettings(ctx, runs[0]); err != nil {
				b.fail(ctx, t, err)
				return
			}
		}
		v := Status(runs, b.links(ctx, runs), set, b.c.Now())
		if b.c.Writer.Refused() != nil {
			v = v.under(":octagonal_sign: " + tokenWords)
		}
		b.say(ctx, t, v)
	case VerbHistory:
		trail, err := s.History(ctx, c.App)
		if err != nil {
			b.fail(ctx, t, err)
			return
		}
		b.say(ctx, t, History(c.App, trail))
	case VerbCancel:
		p, err := s.Cancel(ctx, t.actor(), c.App, "")
		switch {
		case err != nil:
			b.fail(ctx, t, err)
		case p.Confirm:
			b.say(ctx, t, Confirmation(p))
		default:
			b.say(ctx, t, Said(":leftwards_arrow_with_hook: Stopped. "+prose(p.Text)))
		}
	case VerbExtend:
		run, err := s.Extend(ctx, t.actor(), c.App)
		if err != nil {
			b.fail(ctx, t, err)
			return
		}
		b.say(ctx, t, Said("The cutover of "+code(run.App.Name)+" may take "+ops.FormatDuration(ops.ExtendBy)+" more."))
	case VerbRetry:
		run, err := s.Retry(ctx, t.actor(), c.App)
		if err != nil {
			b.fail(ctx, t, err)
			return
		}
		b.say(ctx, t, Said("Looking again at "+code(run.App.Name)+"."))
	case VerbSnooze:
		run, until, err := s.Snooze(ctx, t.actor(), c.App, c.Days, c.Reason)
		if err != nil {
			b.fail(ctx, t, err)
			return
		}
		b.say(ctx, t, Said("No reminder about "+code(run.Retired().Name)+" before "+date(until, dayAndTime)+"."))
	case VerbSet:
		b.set(ctx, t, c)
	case VerbDestroy:
		b.destroyTyped(ctx, t, c.App)
	case VerbRollback:
		b.rollbackTyped(ctx, t, c.App)
	}
}

// set changes a setting, or shows what is set.
func (b *Bot) set(ctx context.Context, t Typed, c Command) {
	if c.Value != "" {
		if _, err := b.c.Service.Set(ctx, t.actor(), c.App, c.Key, c.Value); err != nil {
			b.fail(ctx, t, err)
			return
		}
	}
	app, kept, err := b.c.Service.AppSettings(ctx, c.App)
	if err != nil {
		b.fail(ctx, t, err)
		return
	}
	b.say(ctx, t, Settings(app.Name, kept, c.Key))
}

// check looks at an app and answers with what was found, in full or not.
// What was typed is answered in place of the first word of an answer; what was
// pressed is answered beside the message that has the button.
func (b *Bot) check(ctx context.Context, t Typed, app string, request ops.Request, full, typed bool) {
	b.say(ctx, t, Said(":mag: Looking at "+code(app)+"; this takes some seconds. Nothing is changed."))
	survey, err := b.c.Service.Check(ctx, t.actor(), app, request)
	switch {
	case err != nil:
		b.fail(ctx, t, err)
	case full:
		b.answer(ctx, t, FindingsInFull(survey, request), typed)
	default:
		b.answer(ctx, t, Findings(survey, request), typed)
	}
}

// destroyTyped opens the modal in which the app's name is typed again.
func (b *Bot) destroyTyped(ctx context.Context, t Typed, app string) {
	run, err := b.c.Rows.ActiveRun(ctx, app)
	if errors.Is(err, ops.ErrNotFound) {
		err = ops.Refuse(ops.RefusedNone, "There is no upgrade of `%s` under way, so there is no retired database of it that I could destroy. `/pgupgrade history %s` shows past ones.", app, app)
	}
	if err != nil {
		b.fail(ctx, t, err)
		return
	}
	digest, open := ops.OpenQuestion(run, ops.GateDestroy)
	if !open {
		b.fail(ctx, t, ops.Refuse(ops.RefusedDestroy, "There is nothing to destroy yet: the upgrade of `%s` is at step %s.", app, run.Step))
		return
	}
	b.ask(ctx, t, run, ops.Answer{Run: run.ID, Gate: ops.GateDestroy, Digest: digest, Yes: true, How: ops.ByCommand})
}

// rollbackTyped opens the modal in which the app's name is typed again.
func (b *Bot) rollbackTyped(ctx context.Context, t Typed, app string) {
	run, err := b.c.Rows.ActiveRun(ctx, app)
	if errors.Is(err, ops.ErrNotFound) {
		err = ops.Refuse(ops.RefusedNone, "There is no upgrade of `%s` under way, so there is nothing to roll back. `/pgupgrade history %s` shows past ones.", app, app)
	}
	if err != nil {
		b.fail(ctx, t, err)
		return
	}
	b.ask(ctx, t, run, ops.Answer{Run: run.ID, Gate: ops.GateRollback, Digest: ops.RollbackDigest(run), Yes: true, How: ops.ByCommand})
}

// ask gives an answer for somebody; where the app's name must be typed, or
// something be acknowledged, it opens the modal for that.
func (b *Bot) ask(ctx context.Context, t Typed, run ops.Run, a ops.Answer) {
	now, err := b.c.Service.Answer(ctx, t.actor(), a)
	switch {
	case errors.Is(err, ops.ErrMustType):
		b.open(ctx, t, run, TypedModal(now, a.Gate, a.Digest))
	case errors.Is(err, ops.ErrMustAccept):
		b.open(ctx, t, run, AcceptModal(now, a.Gate, a.Digest))
	case err != nil:
		b.fail(ctx, t, err)
	}
}

// links leads to the messages of runs, as far as they are known.
func (b *Bot) links(ctx context.Context, runs []ops.Run) map[string]string {
	out := map[string]string{}
	for _, r := range runs {
		if len(out) == 5 {
			break // each is a call
		}
		m, err := b.c.Rows.Message(ctx, r.ID, rootName)
		if err != nil || m.TS == "" {
			continue
		}
		if link, err := b.c.Web.Permalink(ctx, m.Channel, m.TS); err == nil {
			out[r.ID] = link
		}
	}
	return out
}

// words turns an error into what a person reads.
func words(err error) string {
	var user *ops.UserError
	if errors.As(err, &user) {
		return withChannels(prose(user.Text))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "That took too long, so I stopped. `/pgupgrade status` shows what is recorded."
	}
	return "That did not work: " + cutLines(escape(err.Error()), 500) + "\nNothing was recorded as far as I know; `/pgupgrade status` shows what is."
}

func (b *Bot) fail(ctx context.Context, t Typed, err error) {
	var user *ops.UserError
	if !errors.As(err, &user) {
		b.c.Log.ErrorContext(ctx, "could not do what was asked", "text", t.Text, "user", t.User, "err", err)
	}
	b.say(ctx, t, Said(words(err)))
}

func (b *Bot) say(ctx context.Context, t Typed, v View) { b.answer(ctx, t, v, false) }

// answer reaches one person: through the response_url, else as an ephemeral
// message. A lost answer is not lost work: what was recorded shows in the thread.
func (b *Bot) answer(ctx context.Context, t Typed, v View, replace bool) {
	var err error
	if t.ResponseURL != "" {
		if err = b.c.Web.Respond(ctx, t.ResponseURL, v, replace); err == nil {
			return
		}
	}
	if t.Channel != "" {
		if err = b.c.Web.Ephemeral(ctx, t.Channel, t.User, v); err == nil {
			return
		}
	}
	b.c.Log.WarnContext(ctx, "an answer could not be delivered", "user", t.User, "err", err)
}
