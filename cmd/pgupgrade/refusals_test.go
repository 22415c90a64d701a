package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
	"github.com/pgupgrade/pgupgrade/ops/store"
)

var update = flag.Bool("update", false, "write the README's table of refusals anew")

// people and places of the stand-in workspace.
const (
	ana, ben, cleo, gus, new = "U1", "U2", "U3", "U5", "U6" // gus is a guest; nobody has looked up new yet
	upgrades, general, dm    = "C1", "C2", "DU1"
)

// bench is the built-in program, serving, with both stand-ins.
type bench struct {
	t      *testing.T
	slack  *slacktest.Server
	heroku *herokutest.Server
	env    map[string]string
	state  string
	log    watched
}

// serving runs the program until the test ends. change is made to the stand-ins
// before it starts.
func serving(t *testing.T, change func(*bench)) *bench {
	t.Helper()
	return servingWith(t, herokutest.DefaultTimes(), change)
}

func servingWith(t *testing.T, times herokutest.Times, change func(*bench)) *bench {
	t.Helper()
	b := &bench{t: t, state: t.TempDir()}
	b.slack, b.heroku, b.env = standInsThatTake(t, times)
	b.slack.AddUser(slacktest.User{ID: gus, Name: "gus", Guest: true})
	b.slack.AddUser(slacktest.User{ID: new, Name: "new"})
	b.slack.AddChannel(slacktest.Channel{ID: dm, Member: true, DM: ana})
	b.env["PGUPGRADE_SOAK"] = "1h"
	change(b)
	ctx, cancel := context.WithCancel(t.Context())
	if b.env["DATABASE_URL"] != "" {
		if code, _, errs := call(t, b.env, "migrate"); code != exitOK {
			t.Fatal(errs)
		}
	}
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"serve", "--state", b.state}, func(k string) string { return b.env[k] }, &b.log, &b.log)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK {
			t.Errorf("it ended with %d", code)
		}
		if t.Failed() {
			t.Log(b.log.String())
		}
	})
	b.await("connected", func() bool { return b.slack.Sockets() > 0 })
	return b
}

func (b *bench) await(what string, want func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	if err := b.slack.Await(ctx, want); err != nil {
		b.t.Fatalf("%s did not come: %v", what, err)
	}
}

// poll waits for a state that Slack does not show.
func (b *bench) poll(what string, want func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	for !want() {
		select {
		case <-ctx.Done():
			b.t.Fatalf("%s did not come", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// whispered are the messages of the bot that one person alone sees.
func (b *bench) whispered(who, channel string) []slacktest.Post {
	return slices.DeleteFunc(b.slack.Messages(channel, who), func(p slacktest.Post) bool { return p.Ephemeral != who || p.Typed })
}

// hears does something as a person and returns what that person alone is told.
func (b *bench) hears(who, channel string, do func() error) string {
	b.t.Helper()
	before := len(b.whispered(who, channel))
	if err := do(); err != nil {
		b.t.Fatal(err)
	}
	b.await("an answer to "+who, func() bool { return len(b.whispered(who, channel)) > before })
	for _, p := range b.slack.Messages(channel, "") {
		if text := b.whispered(who, channel)[before].Text; p.Text == text {
			b.t.Errorf("everybody sees %q", text)
		}
	}
	return b.whispered(who, channel)[before].Text
}

func (b *bench) public() int { return len(b.slack.Messages(upgrades, "")) }

func (b *bench) types(who, text string) string {
	b.t.Helper()
	return b.typesIn(who, upgrades, text)
}

func (b *bench) typesIn(who, channel, text string) string {
	b.t.Helper()
	return b.hears(who, channel, func() error { return b.slack.Command(b.t.Context(), who, channel, text) })
}

// pressed is a button as it stood in a message.
type pressed struct{ ts, action, value string }

// button waits for a message in the channel with this label that holds text.
func (b *bench) button(label, text string) (p pressed) {
	b.t.Helper()
	b.await("a button "+label, func() bool {
		for _, m := range b.slack.Messages(upgrades, "") {
			id, ok := m.Button(label)
			if !ok || !strings.Contains(m.Text, text) {
				continue
			}
			value, _ := m.Value(label)
			p = pressed{m.TS, id, value}
			return true
		}
		return false
	})
	return p
}

func (b *bench) presses(who string, p pressed) string {
	b.t.Helper()
	return b.hears(who, upgrades, func() error { return b.slack.Forge(b.t.Context(), who, upgrades, p.ts, p.action, p.value) })
}

// modal waits for a person's modal and sends it in with one text.
func (b *bench) modal(who, text string) string {
	b.t.Helper()
	b.await("a modal", func() bool { return len(b.slack.Views(who)) > 0 })
	v := b.slack.Views(who)[0]
	defer b.slack.CloseView(who, v.ID)
	if err := b.slack.Submit(b.t.Context(), who, v.ID, map[string]map[string]string{"name": {"name": text}}); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range b.slack.Views(who) {
		for _, problem := range v.Errors {
			return problem
		}
	}
	b.t.Fatal("the modal was accepted")
	return ""
}

// told is one refusal as somebody met it.
type told struct{ when, example, says string }

// refusals collects what each row of the table was told.
type refusals struct {
	t    *testing.T
	rows map[string]told // by RefusalRow.When
}

func (r *refusals) row(when, example, says string) {
	r.t.Helper()
	if _, twice := r.rows[when]; twice {
		r.t.Errorf("the row %q is there twice", when)
	}
	if says == "" || strings.Contains(says, "That did not work") {
		r.t.Errorf("%s: %q is no refusal", when, says)
	}
	r.rows[when] = told{when, example, says}
}

// TestEveryRefusal meets every row of ops.Refusals against both stand-ins, and
// holds the README's table against what was said.
func TestEveryRefusal(t *testing.T) {
	r := &refusals{t: t, rows: map[string]told{}}
	t.Run("words, places and apps", func(t *testing.T) { r.t = t; words(t, r) })
	t.Run("upgrades", func(t *testing.T) { r.t = t; upgradesUnderWay(t, r) })
	t.Run("nobody may approve", func(t *testing.T) {
		r.t = t
		b := serving(t, func(b *bench) { b.env["PGUPGRADE_APPROVERS"] = "" })
		r.row("nobody may approve", "/pgupgrade set orders soak 3d", b.types(ana, "/pgupgrade set orders soak 3d"))
		b.recorded(ops.RefusedNobody)
	})
	t.Run("shared", func(t *testing.T) {
		r.t = t
		b := serving(t, func(b *bench) { b.slack.ChangeChannel(upgrades, func(c *slacktest.Channel) { c.ExtShared = true }) })
		r.row("a channel that another organisation can see", "/pgupgrade start orders", b.types(ana, "/pgupgrade start orders"))
		b.nothing()
	})
	t.Run("token", func(t *testing.T) {
		r.t = t
		b := serving(t, func(*bench) {})
		b.types(ana, "/pgupgrade start orders")
		b.button("Approve cutover", "Upgrade orders")
		if err := b.slack.Revoke("bot"); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := call(t, b.env, "approve", "orders", "--state", b.state); code != exitOK {
			t.Fatal(errs)
		}
		b.poll("the token on record", func() bool {
			return slices.ContainsFunc(b.trail().Upgrades[0].Events, func(e ops.Event) bool { return e.Kind == ops.EventHelp && e.Gate == ops.NoteToken })
		})
		if says := b.types(ana, "/pgupgrade status orders"); !strings.Contains(says, "Slack refuses my bot token") || !strings.Contains(says, "PostgreSQL 15 → 17") {
			t.Errorf("status: %q", says)
		}
	})
	t.Run("token at the start", func(t *testing.T) {
		r.t = t
		b := serving(t, func(*bench) {})
		if err := b.slack.Revoke("bot"); err != nil {
			t.Fatal(err)
		}
		r.row("Slack refuses the bot's own token", "/pgupgrade start orders", b.types(ana, "/pgupgrade start orders"))
		b.nothing()
	})
	t.Run("perhaps shared", func(t *testing.T) {
		r.t = t
		b := serving(t, func(b *bench) { b.slack.Fault(slacktest.Fault{Method: "conversations.info", Error: "internal_error"}) })
		r.row("whether the channel is shared cannot be seen", "/pgupgrade start orders", b.types(ana, "/pgupgrade start orders"))
		b.nothing()
	})
	r.t = t
	met := 0
	for _, row := range ops.Refusals() {
		if _, ok := r.rows[row.When]; !ok {
			t.Errorf("nobody meets the row %q (%s)", row.When, row.Code)
			continue
		}
		met++
	}
	if met != len(r.rows) || met != len(ops.Refusals()) {
		t.Errorf("%d rows, %d met, of %d that were tried", len(ops.Refusals()), met, len(r.rows))
	}
	t.Logf("%d refusals, each met", met)
	if !t.Failed() {
		r.readme(t)
	}
}

// words are the refusals of what is typed, where, by whom and about which app.
func words(t *testing.T, r *refusals) {
	times := herokutest.DefaultTimes()
	times.Release = 24 * time.Hour // the one that is under way does not end before the command is read
	b := servingWith(t, times, func(b *bench) {
		b.env["DATABASE_URL"] = pgtest.Start(t)
		own, err := url.Parse(b.env["DATABASE_URL"])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"empty", "locked", "large", "replica", "own", "young", "busy"} {
			b.heroku.AddApp(herokutest.AppSpec{Name: name, Formation: map[string]int{"web": 1}, ReleasePhase: name == "busy"})
		}
		b.heroku.AddApp(herokutest.AppSpec{Name: "hers", Formation: map[string]int{"web": 1}, Owner: "her@acme.example"})
		b.heroku.AddApp(herokutest.AppSpec{Name: "shared", Formation: map[string]int{"web": 1}, Owner: "acme@herokumanager.com", Team: "acme", Permissions: []string{"view", "deploy", "operate"}})
		for _, d := range []herokutest.DatabaseSpec{
			{Name: "postgresql-hers-1", App: "hers", Plan: "standard-0", Version: "15.13"},
			{Name: "postgresql-shared-1", App: "shared", Plan: "standard-0", Version: "15.13"},
			{Name: "postgresql-large-1", App: "large", Plan: "advanced-1", Version: "15.13"},
			{Name: "postgresql-replica-1", App: "replica", Plan: "standard-0", Version: "15.13", Follows: "postgresql-curved-41822"},
			{Name: "postgresql-own-1", App: "own", Plan: "standard-0", Version: "15.13", Host: own.Host},
			{Name: "postgresql-young-1", App: "young", Plan: "standard-0", Version: "15.13", ForkFollow: "Temporarily Unavailable"},
			{Name: "postgresql-busy-1", App: "busy", Plan: "standard-0", Version: "15.13"},
		} {
			d.Bytes = 1e9
			b.heroku.AddDatabase(d)
		}
		b.heroku.Fault(herokutest.Fault{Method: http.MethodGet, Path: "/apps/locked", When: herokutest.Before, Status: http.StatusForbidden})
	})
	for _, x := range [][3]string{
		{"a word that is no command", cleo, "/pgupgrade strat orders"},
		{"an argument that the command does not take", ana, "/pgupgrade start orders too 17"},
		{"something is missing", ana, "/pgupgrade start"},
		{"an app's name with characters that Heroku does not know", ana, "/pgupgrade start <!channel>"},
		{"a value that cannot be read", ben, "/pgupgrade set orders soak soon"},
		{"a time that cannot be read, is past, or does not exist", ana, "/pgupgrade start orders at noon"},
		{"a setting that there is not", ben, "/pgupgrade set orders password x"},
		{"10,000 characters", ana, "/pgupgrade start " + strings.Repeat("x", 10_000)},
		{"a read-only cutover of a database that cannot be reached by SQL", ana, "/pgupgrade start orders read-only"},
		{"an approval without what is approved", ben, "/pgupgrade approve orders"},
		{"a guest, a bot, somebody deactivated or of another workspace", gus, "/pgupgrade start orders"},
		{"an app that does not exist, or that the bot's account cannot see", ana, "/pgupgrade start nowhere"},
		{"an app on which the bot's account has no rights", ana, "/pgupgrade start locked"},
		{"an app without Heroku Postgres", ana, "/pgupgrade start empty"},
		{"a database that the app does not have", ana, "/pgupgrade start orders database REPLICA"},
		{"a version that is not offered", ana, "/pgupgrade start orders to 19"},
		{"the database with the bot's own state", ana, "/pgupgrade start own"},
		{"an Essential plan", ana, "/pgupgrade start tiny"},
		{"an Advanced plan", ana, "/pgupgrade start large"},
		{"a follower", ana, "/pgupgrade start replica"},
		{"the version that it has already", ana, "/pgupgrade start billing to 16"},
		{"a lower version", ana, "/pgupgrade start billing to 15"},
		{"a paid add-on that the bot's account may not create: somebody else's personal app", ana, "/pgupgrade start hers"},
		{"the same in a team, without the permission manage", ana, "/pgupgrade start shared"},
		{"anything else that blocks; `check` lists it all", ana, "/pgupgrade start young"},
		{"a dry run where Heroku would not try the upgrade", ana, "/pgupgrade dry-run tiny"},
		{"an order, and no upgrade is under way", ana, "/pgupgrade cancel orders"},
		{"the state of an app that was never upgraded", ana, "/pgupgrade status orders"},
	} {
		r.row(x[0], x[2], b.types(x[1], x[2]))
	}
	r.row("another channel", "/pgupgrade start orders", b.typesIn(ana, general, "/pgupgrade start orders"))
	r.row("an order in a direct message", "/pgupgrade start orders", b.typesIn(ana, dm, "/pgupgrade start orders"))
	b.types(ben, "/pgupgrade set orders window sun 02:00-05:00")
	r.row("a time outside the app's window, or in its freeze", "/pgupgrade start orders at tomorrow 12:00", b.types(ana, "/pgupgrade start orders at tomorrow 12:00"))
	b.types(ben, "/pgupgrade set orders window off")
	if err := b.heroku.Stage("deploy", "busy", ""); err != nil {
		t.Fatal(err)
	}
	r.row("a release or a build under way", "/pgupgrade start busy", b.types(ana, "/pgupgrade start busy"))
	b.heroku.Fault(herokutest.Fault{Method: http.MethodGet, Path: "/addons/", When: herokutest.Before, Status: http.StatusNotFound, Times: 1})
	r.row("a database that is being destroyed meanwhile", "/pgupgrade start orders", b.types(ana, "/pgupgrade start orders"))
	b.heroku.Fault(herokutest.Fault{Method: http.MethodPost, Path: "/upgrade/dry_run", When: herokutest.Before, Status: http.StatusUnprocessableEntity, Times: 1})
	r.row("a dry run that Heroku itself refuses", "/pgupgrade dry-run orders", b.types(ana, "/pgupgrade dry-run orders"))
	if says := b.types(gus, "/pgupgrade dry-run orders"); !strings.Contains(says, "You cannot ask for a dry run") {
		t.Errorf("a guest asks for a dry run: %q", says)
	}
	b.slack.Fault(slacktest.Fault{Method: "users.info", Error: "internal_error"})
	r.row("Slack does not say who somebody is", "/pgupgrade start orders", b.types(new, "/pgupgrade start orders"))
	b.slack.ClearFaults()
	b.nothing()
	b.recorded(ops.RefusedBarred)
}

// upgradesUnderWay are the refusals of buttons and orders, along one upgrade.
func upgradesUnderWay(t *testing.T, r *refusals) {
	b := serving(t, func(*bench) {})
	if err := b.heroku.Stage("forbid paid", "billing", ""); err != nil {
		t.Fatal(err)
	}
	b.types(ana, "/pgupgrade start billing")
	b.await("the refusal of the create", func() bool { return b.says("Upgrade of billing did not start") })
	r.row("Heroku refuses to create the follower: the thread says so, and the upgrade ends", "/pgupgrade start billing", b.line("Heroku refused to create the follower"))
	if err := b.heroku.Stage("allow paid", "billing", ""); err != nil {
		t.Fatal(err)
	}
	b.types(ana, "/pgupgrade start billing")
	cancelled := b.button("Details", "Upgrade billing")
	if says := b.types(ana, "/pgupgrade dry-run orders"); !strings.Contains(says, "Heroku tries the upgrade") {
		t.Errorf("a dry run: %q", says)
	}
	r.row("a second dry run within a day, while the first has not told", "/pgupgrade dry-run orders", b.types(ben, "/pgupgrade dry-run orders"))
	b.types(ana, "/pgupgrade start orders")
	question := b.button("Approve cutover", "Upgrade orders")
	for _, x := range [][2]string{
		{"an upgrade of that database is under way", "/pgupgrade start orders"},
		{"a rollback where there is nothing to go back from", "/pgupgrade rollback orders"},
		{"a retry, and no help was asked for", "/pgupgrade retry orders"},
		{"more time, and none was asked for", "/pgupgrade extend orders"},
		{"a snooze, and there is no reminder", "/pgupgrade snooze orders 3 <!channel> is away"},
		{"a destroy, and nothing was retired yet", "/pgupgrade destroy orders"},
	} {
		r.row(x[0], x[1], b.types(ben, x[1]))
	}
	r.row("somebody who is not an approver", "*Approve cutover*", b.presses(cleo, question))
	r.row("the requester, where somebody else must approve", "*Approve cutover*", b.presses(ana, question))
	r.row("a button or a window with a value that the bot did not write", "*Approve cutover*", b.presses(ben, pressed{question.ts, question.action, "yes please"}))
	r.row("a button of an upgrade that the bot does not know", "*Approve cutover*", b.presses(ben, pressed{question.ts, question.action, "orders-zzzzz|cutover|0"}))
	if says := b.presses(ben, pressed{question.ts, "obey", question.value}); !strings.Contains(says, "I do not know this button") {
		t.Errorf("an unknown action: %q", says)
	}
	billing := b.button("Approve cutover", "Upgrade billing")
	if says := b.presses(ben, pressed{question.ts, question.action, mixed(question.value, billing.value)}); !strings.Contains(says, "plan has changed") {
		t.Errorf("the digest of another run: %q", says)
	}
	if err := b.heroku.Stage("maintenance on", "orders", ""); err != nil {
		t.Fatal(err)
	}
	b.await("the question anew", func() bool { return b.button("Approve cutover", "Upgrade orders").value != question.value })
	r.row("a button about a plan that has changed since", "*Approve cutover*", b.presses(ben, question))

	b.types(ana, "/pgupgrade cancel billing")
	stop := b.whispered(ana, upgrades)
	last := stop[len(stop)-1]
	value, ok := last.Value("Stop the upgrade")
	if !ok {
		t.Fatalf("no button to stop in %q", last.Text)
	}
	b.hears(ana, upgrades, func() error { return b.slack.Click(t.Context(), ana, upgrades, last.TS, "cancel") })
	b.await("the end of billing", func() bool { return b.says("Upgrade of billing went back") })
	r.row("a button of an upgrade that has ended", "*Cancel*", b.presses(ana, pressed{cancelled.ts, "cancel", value}))

	question = b.button("Approve cutover", "Upgrade orders")
	if err := b.slack.Click(t.Context(), ben, upgrades, question.ts, question.action); err != nil {
		t.Fatal(err)
	}
	// Maintenance was on before, and a yes accepts that.
	b.await("what must be accepted", func() bool { return len(b.slack.Views(ben)) > 0 })
	accept := b.slack.Views(ben)[0]
	if err := b.slack.Submit(t.Context(), ben, accept.ID, nil); err != nil {
		t.Fatal(err)
	}
	b.slack.CloseView(ben, accept.ID)
	b.await("the soak", func() bool { return b.says("App health: good") })
	r.row("a button of a question that is no longer open", "*Approve cutover*", b.presses(ben, question))
	r.row("a cancel where it can no longer undo", "/pgupgrade cancel orders", b.types(ana, "/pgupgrade cancel orders"))
	if err := b.slack.Command(t.Context(), ben, upgrades, "/pgupgrade rollback orders"); err != nil {
		t.Fatal(err)
	}
	r.row("another name typed than the app's", "*Roll back…*, then `<@U2> billing`", b.modal(ben, "<@U2> billing"))
	for _, a := range b.heroku.Overview().Apps {
		if a.Name == "orders" && !a.Maintenance {
			t.Error("maintenance was on before, was accepted, and is not restored")
		}
	}
	r.row("a button, and another upgrade of the same app is under way", "*Snooze…*", b.several())
	for args, says := range map[string]string{
		"history orders": "refused: You asked for this upgrade, so somebody else must approve it",
		"status orders":  "soak since",
	} {
		if code, out, errs := call(t, b.env, append(strings.Fields(args), "--state", b.state)...); code != exitOK || !strings.Contains(out, says) {
			t.Errorf("pgupgrade %s: %d\n%s%s", args, code, out, errs)
		}
	}
	b.recorded(ops.RefusedNotApprover, ops.RefusedOwn, ops.RefusedLapsed, ops.RefusedPast, ops.RefusedCancel, ops.RefusedTyped)
}

// mixed is the value of a button about one run with the digest of another.
func mixed(run, other string) string {
	i := strings.LastIndex(run, "|")
	return run[:i] + other[strings.LastIndex(other, "|"):]
}

// line is the line of a message in the channel that holds text.
func (b *bench) line(text string) string {
	for _, p := range b.slack.Messages(upgrades, "") {
		for line := range strings.Lines(p.Text) {
			if strings.Contains(line, text) {
				return strings.TrimSpace(unmarked(line))
			}
		}
	}
	return ""
}

// unmarked is a line without the emoji that it begins with.
func unmarked(line string) string {
	if _, after, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(line, ":") {
		return after
	}
	return line
}

func (b *bench) says(text string) bool {
	return slices.ContainsFunc(b.slack.Messages(upgrades, ""), func(p slacktest.Post) bool { return strings.Contains(p.Text, text) })
}

// several presses a button of one of two upgrades of the same app. Only another
// database attached as DATABASE in the middle of one could lead there, so the
// second one is a row.
func (b *bench) several() string {
	b.t.Helper()
	rows, err := store.Open(b.t.Context(), store.Config{Path: b.state + "/pgupgrade.db"})
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	first, err := rows.ActiveRun(b.t.Context(), "orders")
	if err != nil {
		b.t.Fatal(err)
	}
	second := first
	second.ID, second.Database, second.CreatedAt = "orders-other", ops.Ref{ID: "other", Name: "other"}, first.CreatedAt.Add(time.Hour)
	if _, err := rows.CreateRun(b.t.Context(), second, nil, nil); err != nil {
		b.t.Fatal(err)
	}
	details := b.button("Details", "Upgrade orders")
	which := first
	if now, err := rows.ActiveRun(b.t.Context(), "orders"); err != nil || now.ID == first.ID {
		which = second
	}
	return b.presses(ben, pressed{details.ts, "snooze", which.ID + "|snooze|" + which.ID})
}

// nothing checks that nothing was created anywhere.
func (b *bench) nothing() {
	b.t.Helper()
	if effects := b.heroku.Effects(); len(effects) != 0 {
		b.t.Errorf("refusals changed something at Heroku: %v", effects)
	}
	if t := b.trail(); len(t.Upgrades) != 0 {
		b.t.Errorf("refusals left %d upgrades", len(t.Upgrades))
	}
	if n := b.public(); n != 0 {
		b.t.Errorf("refusals left %d messages that everybody sees", n)
	}
}

// recorded checks that refusals to people are on record, with who they were.
func (b *bench) recorded(codes ...ops.Refusal) {
	b.t.Helper()
	on := map[ops.Refusal]bool{}
	t := b.trail()
	for _, u := range t.Upgrades {
		t.Apart = append(t.Apart, u.Events...)
	}
	for _, e := range t.Apart {
		if e.Refused != "" && strings.HasPrefix(e.Actor.ID, "U") {
			on[e.Refused] = true
		}
	}
	for _, c := range codes {
		if !on[c] {
			b.t.Errorf("the refusal %q is not on record", c)
		}
	}
}

// trail is what `pgupgrade history --json` prints.
func (b *bench) trail() (trail ops.Trail) {
	b.t.Helper()
	code, out, errs := call(b.t, b.env, "history", "--json", "--state", b.state)
	if err := json.Unmarshal([]byte(out), &trail); code != exitOK || err != nil {
		b.t.Fatalf("history: %d, %v\n%s", code, err, errs)
	}
	return trail
}

var (
	ids    = regexp.MustCompile(`\b(orders|billing)-[a-z2-7]{5}\b`)
	moment = regexp.MustCompile(`\b[A-Z][a-z]{2} \d{4}-\d{2}-\d{2} (\d{2}:\d{2})`)
	since  = regexp.MustCompile(`\b[\d.]+ (s|min) ago`)
	deploy = regexp.MustCompile(`\(Deploy [0-9a-f]{7}\)`)
	begin  = "<!-- refusals: go test ./cmd/pgupgrade -run TestEveryRefusal -update writes this -->\n"
	finish = "<!-- end of refusals -->"
)

// plainly is what was said as the README shows it.
func plainly(says string) string {
	says = html.UnescapeString(strings.Join(strings.Fields(says), " "))
	says = strings.NewReplacer("<@U1>", "@ana", "<@U2>", "@ben", "<#C1>", "#db-upgrades", "|", "\\|").Replace(says)
	says = since.ReplaceAllString(says, "20 min ago")
	says = deploy.ReplaceAllString(says, "(Deploy c1d3709)")
	says = ids.ReplaceAllString(says, "$1-k3f9q")
	return moment.ReplaceAllString(says, "Sun 2026-11-29 $1")
}

// readme holds the README's table of refusals against what was said.
func (r *refusals) readme(t *testing.T) {
	var want strings.Builder
	want.WriteString(begin + "| What | For example | What it says |\n|---|---|---|\n")
	for _, row := range ops.Refusals() {
		x := r.rows[row.When]
		example := x.example
		if strings.HasPrefix(example, "/") {
			if len(example) > 100 {
				example = example[:24] + "…"
			}
			example = "`" + example + "`"
		}
		fmt.Fprintf(&want, "| %s | %s | %s |\n", row.When, example, plainly(x.says))
	}
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	table, tail, closed := strings.Cut(rest, finish)
	if !ok || !closed {
		t.Fatal("the README has no place for the table of refusals")
	}
	if *update {
		if err := os.WriteFile("../../README.md", []byte(head+want.String()+finish+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), begin+table); diff != "" {
		t.Errorf("the README's table differs (-said +README); -update rewrites it\n%s", diff)
	}
}
