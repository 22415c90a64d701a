package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgupgrade/pgupgrade/bot"
	"github.com/pgupgrade/pgupgrade/bot/slack"
	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/engine"
	"github.com/pgupgrade/pgupgrade/ops/health"
	"github.com/pgupgrade/pgupgrade/ops/heroku"
	"github.com/pgupgrade/pgupgrade/ops/pg"
	"github.com/pgupgrade/pgupgrade/ops/store"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// Heroku kills a process 30 seconds after SIGTERM
// (devcenter.heroku.com/articles/dynos#shutdown). These add up to less than 25.
const (
	ticksEnd = 18 * time.Second // an act has 15
	slackEnd = 5 * time.Second  // the last posts and answers
)

const (
	preflightFor = 10 * time.Second
	// How long serve waits for a database that is away before it ends. A program
	// that ends again and again is started later each time
	// (devcenter.heroku.com/changelog-items/344), and users may be locked out
	// meanwhile.
	awaitDatabase = 10 * time.Minute
)

// connections to PostgreSQL that the rows take; the carrier has five more. Small
// Heroku plans allow 20 for all processes, and a deploy runs two at a time.
const connections = 4

// serve runs the bot until ctx ends.
func (p *program) serve(ctx context.Context) error {
	c, err := load(p.getenv, p.state, needs{slack: true, heroku: true})
	if err != nil {
		return err
	}
	rows, err := p.awaitRows(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		if err := rows.Close(); err != nil {
			p.log.Warn("the rows did not close cleanly", "err", err)
		}
	}()
	client := slack.Open(slack.Config{AppToken: c.SlackAppToken, BotToken: c.SlackBotToken, APIURL: c.SlackAPIURL, Log: p.log})
	edge := bot.NewEdge(client, rows, p.log, p.delivered(rows, c.Channel))
	hc := p.heroku(c)
	hc.Urgent = func(ctx context.Context) bool { return upgrade.StepOf(ctx).Cutover() }
	hc.Observe = func(ctx context.Context, call heroku.Call) {
		p.log.DebugContext(ctx, "call", "step", upgrade.StepOf(ctx), "method", call.Method, "path", call.Path, "status", call.Status, "took", call.Took)
	}
	h := heroku.Open(hc)
	if err := p.preflight(ctx, c, edge, h, rows); err != nil {
		return err
	}
	runner := p.runner(c, rows, h)
	carrier, err := engine.Open(ctx, p.carrier(c), func(ctx context.Context, run string) (engine.Turn, error) {
		done, in, err := runner.Tick(ctx, run)
		return engine.Turn{Done: done, In: in}, err
	})
	if errors.Is(err, engine.ErrTaken) {
		return ops.Userf("%v. Stop the other one first.", err)
	}
	if err != nil {
		return err
	}
	people := bot.NewPeople(edge, c.Approvers, c.Approval, time.Now, p.log)
	service := &ops.Service{Rows: rows, Surveyor: runner, Carrier: carrier, People: people, Trials: rows, Trier: runner, Now: time.Now, Zone: c.Timezone, Log: p.log}
	b, err := bot.New(bot.Config{
		Service: service, Rows: rows, Changed: changed(rows), Endings: runner.Endings, Web: edge, Writer: edge, People: people,
		Channel: c.Channel, Approvers: c.Approvers, Remind: c.Remind, Timezone: c.Timezone, Log: p.log,
	})
	if err == nil {
		err = p.work(ctx, client, b, carrier, rows)
	}
	return errors.Join(err, p.end(carrier))
}

// work runs everything until ctx ends or Slack refuses the app-level token. The
// ticks under way end before the last posts are made.
func (p *program) work(ctx context.Context, client *slack.Client, b *bot.Bot, carrier *engine.Durable, rows *store.Store) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	posting, stopPosting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPosting()
	var wg sync.WaitGroup
	var listenErr error
	wg.Go(func() {
		if listenErr = client.Listen(ctx, bot.Events{Bot: b}); listenErr != nil {
			p.log.Error("Slack refuses the app-level token; going on only while an upgrade is in its cutover", "err", listenErr)
			for ctx.Err() == nil && p.inCutover(ctx, rows) {
				sleep(ctx, 2*time.Second)
			}
			cancel()
		}
	})
	wg.Go(func() { p.sweep(ctx, carrier, rows) })
	wg.Go(func() { p.wake(ctx, carrier, rows) })
	posted := make(chan struct{})
	go func() { defer close(posted); b.Run(posting) }()
	p.log.Info("ready")
	<-ctx.Done()
	p.log.Info("stopping: no new turns; acts under way are finished")
	err := p.end(carrier)
	wg.Wait()
	stopPosting()
	select {
	case <-posted:
	case <-time.After(slackEnd):
		p.log.Warn("some posts are left; the next process makes them")
	}
	if listenErr != nil {
		return errors.Join(ops.Userf("Slack refuses SLACK_APP_TOKEN (%v). Make a new app-level token with connections:write in the Slack app's Basic Information, and set it.", listenErr), err)
	}
	return err
}

func (p *program) end(carrier *engine.Durable) error {
	ctx, cancel := context.WithTimeout(context.Background(), ticksEnd)
	defer cancel()
	if err := carrier.Close(ctx); err != nil {
		return fmt.Errorf("stop the carrier: %w", err)
	}
	return nil
}

// sweep starts every active run that is not carried: one whose start was
// recorded and whose process died before the carrier took it.
func (p *program) sweep(ctx context.Context, carrier *engine.Durable, rows *store.Store) {
	for ctx.Err() == nil {
		runs, err := rows.Runs(ctx, ops.RunFilter{ActiveOnly: true})
		for _, r := range runs {
			if err = carrier.Start(ctx, r.ID); err != nil {
				break
			}
		}
		if err != nil && ctx.Err() == nil {
			p.log.Warn("the sweep for runs that nobody carries failed; trying again", "err", err)
		}
		sleep(ctx, 30*time.Second)
	}
}

// wake wakes runs about which something was decided elsewhere: at a terminal, or
// by a process that died before it rang.
func (p *program) wake(ctx context.Context, carrier *engine.Durable, rows *store.Store) {
	known := map[string]int64{}
	for ctx.Err() == nil {
		runs, err := rows.Runs(ctx, ops.RunFilter{ActiveOnly: true})
		for _, r := range runs {
			var all []ops.Decision
			if all, err = rows.Decisions(ctx, r.ID); err != nil {
				break
			}
			newest := int64(0)
			if len(all) > 0 {
				newest = all[len(all)-1].ID
			}
			if was, ok := known[r.ID]; ok && was == newest {
				continue
			}
			if err = carrier.Wake(ctx, r.ID); err != nil {
				break
			}
			known[r.ID] = newest
		}
		if err != nil && ctx.Err() == nil {
			p.log.Warn("new decisions cannot be looked for; trying again", "err", err)
		}
		sleep(ctx, 2*time.Second)
	}
}

// preflight asks Slack and Heroku whether the bot can work. What does not pass
// by itself ends the program, unless users are locked out by a run: then that
// run is brought to its end first.
func (p *program) preflight(ctx context.Context, c Config, edge *bot.Edge, h *heroku.Client, rows *store.Store) error {
	// A run that was killed in its cutover must not wait for Slack or Heroku.
	ctx, cancel := context.WithTimeout(ctx, preflightFor)
	defer cancel()
	who, problems, err := bot.Preflight(ctx, edge, c.Channel)
	switch {
	case errors.Is(err, slack.ErrAuth):
		problems = append(problems, bot.Problem{Fatal: true, Text: fmt.Sprintf("Slack refuses SLACK_BOT_TOKEN (%v). Copy the Bot User OAuth Token from the Slack app's OAuth & Permissions.", err)})
	case err != nil:
		p.log.Warn("Slack cannot be asked yet; going on", "err", err)
	default:
		p.log.Info("Slack answers", "team", who.Team)
	}
	account, err := h.CheckKey(ctx)
	var user *ops.UserError
	switch {
	case errors.As(err, &user):
		problems = append(problems, bot.Problem{Fatal: true, Text: user.Text})
	case err != nil:
		p.log.Warn("Heroku cannot be asked yet; going on", "err", err)
	default:
		p.log.Info("Heroku answers", "account", account.Email)
	}
	if len(c.Approvers) == 0 {
		p.log.Warn("PGUPGRADE_APPROVERS is not set: nobody can approve anything yet")
	}
	var fatal error
	for _, x := range problems {
		if !x.Fatal {
			p.log.Error(x.Text)
			continue
		}
		fatal = errors.Join(fatal, &ops.UserError{Text: x.Text})
	}
	if fatal == nil {
		return nil
	}
	if p.inCutover(ctx, rows) {
		p.log.Error("going on only because an upgrade is in its cutover", "err", fatal)
		return nil
	}
	return fatal
}

// inCutover reports whether users are kept out by a run, or may be: the rows
// could not be read.
func (p *program) inCutover(ctx context.Context, rows *store.Store) bool {
	runs, err := rows.Runs(ctx, ops.RunFilter{ActiveOnly: true})
	if err != nil {
		p.log.Error("whether an upgrade is in its cutover cannot be read", "err", err)
		return true
	}
	return slices.ContainsFunc(runs, func(r ops.Run) bool { return r.Step.Cutover() })
}

// delivered notes, at most every five seconds, that Slack takes posts in the
// channel for upgrades.
func (p *program) delivered(rows *store.Store, channel string) func(context.Context, string) {
	var last atomic.Int64
	return func(ctx context.Context, where string) {
		now := time.Now()
		if where != channel || now.Unix()-last.Load() < 5 {
			return
		}
		if err := rows.Beat(ctx, upgrade.SlackDelivered, now); err != nil {
			p.log.Warn("could not note that Slack took a post", "err", err)
			return
		}
		last.Store(now.Unix())
	}
}

func changed(rows *store.Store) func(ctx context.Context, after int64) ([]string, int64, error) {
	return func(ctx context.Context, after int64) ([]string, int64, error) {
		runs, next, err := rows.Changed(ctx, store.Cursor(after))
		return runs, int64(next), err
	}
}

// heroku says whom to speak to, and as whom.
func (p *program) heroku(c Config) heroku.Config {
	return heroku.Config{Token: c.HerokuKey, APIURL: c.HerokuAPI, DataURL: c.HerokuData, Log: p.log}
}

func (p *program) runner(c Config, rows upgrade.Rows, h *heroku.Client) *upgrade.Runner {
	r := &upgrade.Runner{
		Rows: rows, Heroku: h, Health: health.Probe{}, SQL: reached{&pg.Places{URL: h.ConnectionURL, Now: time.Now}}, Now: time.Now, Log: p.log,
		Versions: c.Versions, Soak: c.Soak, DowntimeLimit: c.DowntimeLimit, Zone: c.Timezone, OwnDatabase: c.ownDatabase(), Sleep: sleep, Deadlines: c.Deadlines,
	}
	if m, ok := rows.(upgrade.Memory); ok { // a check at the terminal has no rows
		r.Memory = m
	}
	return r
}

// reached gives the procedure databases as it wants them. Connections are closed
// when they were idle for a while, and with the program.
type reached struct{ *pg.Places }

func (r reached) Open(ctx context.Context, at ops.Place) (upgrade.Database, error) {
	d, err := r.Places.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (p *program) carrier(c Config) engine.Config {
	return engine.Config{DatabaseURL: c.DatabaseURL.Reveal(), Path: filepath.Join(c.StateDir, "carrier.db"), Executor: c.executor(), Log: p.log}
}

// awaitRows opens the store for serve. A file is brought up to date, and an empty
// database is prepared; tables that are older are for the release phase.
func (p *program) awaitRows(ctx context.Context, c Config) (*store.Store, error) {
	tables := ifEmpty
	if c.DatabaseURL.Empty() {
		tables = always
	}
	for begun := time.Now(); ; {
		rows, err := p.openRows(ctx, c, tables)
		if !errors.Is(err, store.ErrAway) || ctx.Err() != nil || time.Since(begun) > awaitDatabase {
			return rows, err
		}
		p.log.Error("the bot's database cannot be reached; trying again", "err", err)
		sleep(ctx, time.Second)
	}
}

// migrating says when openRows brings the tables up to date.
type migrating int

const (
	never migrating = iota
	ifEmpty
	always
)

// openRows opens the store.
func (p *program) openRows(ctx context.Context, c Config, when migrating) (*store.Store, error) {
	rows, err := store.Open(ctx, store.Config{DatabaseURL: c.DatabaseURL, Path: filepath.Join(c.StateDir, "pgupgrade.db"), Pool: connections, Log: p.log})
	if errors.Is(err, store.ErrSchema) {
		if when == always || when == ifEmpty && errors.Is(err, store.ErrEmpty) {
			if _, err = rows.Migrate(ctx); err == nil {
				return rows, nil
			}
		}
		return nil, errors.Join(&ops.UserError{Text: err.Error()}, rows.Close())
	}
	return rows, err
}

// migrate prepares both sets of tables.
func (p *program) migrate(ctx context.Context) error {
	c, err := load(p.getenv, p.state, needs{})
	if err != nil {
		return err
	}
	rows, err := p.openRows(ctx, c, always)
	if err != nil {
		return err
	}
	if err := engine.Migrate(ctx, p.carrier(c)); err != nil {
		return errors.Join(err, rows.Close())
	}
	fmt.Fprintln(p.out, "The bot's tables are up to date.")
	return rows.Close()
}

// signals ends ctx on SIGTERM and on an interrupt.
func signals() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}
