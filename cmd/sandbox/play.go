package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// A scenario reads like the thread. Each line is one of
//
//	# a comment
//	ana: /pgupgrade start orders         somebody types
//	ben presses Approve cutover          waits for the button, then presses it
//	ben fills in orders                  waits for the modal, types into it and sends it in
//	ben sees Type orders                 waits for a modal that holds this
//	pgupgrade: Writers stopped           waits for a reply of the bot in a thread, after the last one that was waited for
//	pgupgrade to ana: You asked          waits for a message that ana alone sees
//	channel: Upgrade orders ... done     waits until a message in the channel holds this now
//	once: Writers stopped                waits until one message of the bot, here or in a thread, holds this, and no other does
//	heroku: orders maintenance off       waits until Heroku's side holds this
//	rows: orders ... 0 missing           waits until the count of acknowledged rows says this
//	heroku does deploy on orders         somebody does something at Heroku, or it will go wrong there; ": " and more may follow (herokutest.Server.Stage)
//	heroku does survive on orders: web   the same, with an argument
//	heroku does hide lag on the follower the same, to the newest database that follows another ("the follower of orders": the app's)
//	heroku breaks POST /upgrade/run: reset, once, after acting     calls fail (herokutest.ParseFault)
//	heroku works again                   no call fails any more
//	slack does fail chat.update with 503 once   something happens at Slack (slacktest.Stages has the forms)
//	setting PGUPGRADE_DOWNTIME_LIMIT=20s the bot is started with this setting
//	databases: a model                   played on the model in memory, whatever --postgres says: nothing is reached by SQL, and times are scripted
//	break kill                           presses the button of that name in the page's strip
//
// "..." stands for anything in between.
type line struct {
	n    int
	text string
	who  string // a person's id
	kind string
	arg  string
}

var persons = map[string]string{"ana": "U1", "ben": "U2", "cleo": "U3"}

var forms = []struct {
	kind string
	re   *regexp.Regexp
}{
	{"types", regexp.MustCompile(`^(ana|ben|cleo): (/.+)$`)},
	{"presses", regexp.MustCompile(`^(ana|ben|cleo) presses (.+)$`)},
	{"fills in", regexp.MustCompile(`^(ana|ben|cleo) fills in (.+)$`)},
	{"sees", regexp.MustCompile(`^(ana|ben|cleo) sees (.+)$`)},
	{"whisper", regexp.MustCompile(`^pgupgrade to (ana|ben|cleo): (.+)$`)},
	{"reply", regexp.MustCompile(`^(pgupgrade): (.+)$`)},
	{"once", regexp.MustCompile(`^(once): (.+)$`)},
	{"channel", regexp.MustCompile(`^(channel): (.+)$`)},
	{"stage", regexp.MustCompile(`^(heroku) does (.+)$`)},
	{"slack", regexp.MustCompile(`^(slack) does (.+)$`)},
	{"fault", regexp.MustCompile(`^(heroku) breaks (.+)$`)},
	{"mend", regexp.MustCompile(`^(heroku) works (again)$`)},
	{"rows", regexp.MustCompile(`^(rows): (.+)$`)},
	{"heroku", regexp.MustCompile(`^(heroku): (.+)$`)},
	{"model", regexp.MustCompile(`^(databases): (a model)$`)},
	{"setting", regexp.MustCompile(`^(setting) ([A-Z_]+=.+)$`)},
	{"break", regexp.MustCompile(`^(break) (.+)$`)},
}

// readScenario reads and checks a file whole, before anything is started.
func readScenario(path string) ([]line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the scenario: %w", err)
	}
	defer f.Close()
	return parseScenario(f)
}

func parseScenario(r io.Reader) ([]line, error) {
	var out []line
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		l := line{n: n, text: text}
		for _, f := range forms {
			if m := f.re.FindStringSubmatch(text); m != nil {
				l.kind, l.who, l.arg = f.kind, persons[m[1]], strings.TrimSpace(m[2])
				break
			}
		}
		if l.kind == "fault" { // a mistake in it is found before anything starts
			if _, err := herokutest.ParseFault(l.arg); err != nil {
				return nil, fmt.Errorf("line %d of the scenario: %w", n, err)
			}
		}
		if l.kind == "" {
			return nil, fmt.Errorf("line %d of the scenario is none that I know: %q (cmd/sandbox/play.go lists them)", n, text)
		}
		if l.kind == "slack" {
			if err := slacktest.CheckStage(l.arg); err != nil {
				return nil, fmt.Errorf("line %d of the scenario: %w", n, err)
			}
		}
		out = append(out, l)
	}
	if len(out) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("the scenario has no line that does or expects anything")
	}
	return out, lines.Err()
}

// holds reports whether text holds the parts of pattern between "..." in order.
func holds(text, pattern string) bool {
	for part := range strings.SplitSeq(pattern, "...") {
		part = strings.TrimSpace(part)
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// patience is how long a line waits for what it expects.
const patience = 3 * time.Minute

// player plays one scenario.
type player struct {
	*sandbox
	out     io.Writer
	printed map[string]bool
	reply   string // ts of the last reply that was waited for
}

// play plays the lines and prints the channel meanwhile. The error names the
// first line whose expectation did not come.
func (s *sandbox) play(ctx context.Context, lines []line, out io.Writer) error {
	p := &player{sandbox: s, out: out, printed: map[string]bool{}}
	if err := p.until(ctx, func() bool { return s.slack.Sockets() > 0 }); err != nil {
		return fmt.Errorf("the bot did not connect: %w", err)
	}
	begun := time.Now()
	for _, l := range lines {
		if err := p.line(ctx, l); err != nil {
			return fmt.Errorf("line %d, %q: %w", l.n, l.text, err)
		}
	}
	p.print()
	s.report(out)
	fmt.Fprintf(out, "\nEvery line held, in %s.\n", time.Since(begun).Round(time.Second))
	return nil
}

func (p *player) line(ctx context.Context, l line) error {
	if l.kind == "types" || l.kind == "presses" || l.kind == "fills in" { // a person would try again
		if err := p.until(ctx, func() bool { return p.slack.Sockets() > 0 }); err != nil {
			return fmt.Errorf("the bot is not connected: %w", err)
		}
	}
	switch l.kind {
	case "types":
		return p.slack.Command(ctx, l.who, channelID, l.arg)
	case "presses":
		var post slacktest.Post
		var action string
		if err := p.until(ctx, func() (ok bool) { post, action, ok = p.button(l.who, l.arg); return ok }); err != nil {
			return fmt.Errorf("no message has that button: %w", err)
		}
		return p.slack.Click(ctx, l.who, channelID, post.TS, action)
	case "fills in":
		if err := p.until(ctx, func() bool { return len(p.slack.Views(l.who)) > 0 }); err != nil {
			return fmt.Errorf("no modal opened: %w", err)
		}
		return p.fill(ctx, l)
	case "slack":
		return p.slack.Stage(l.arg)
	case "stage":
		what, name := l.arg, ""
		if i := strings.LastIndex(what, " on "); i >= 0 {
			what, name = what[:i], what[i+len(" on "):]
		}
		name, arg, _ := strings.Cut(name, ": ")
		return p.stage(what, name, arg)
	case "fault":
		f, err := herokutest.ParseFault(l.arg)
		if err != nil {
			return err
		}
		p.heroku.Fault(f)
		return nil
	case "mend":
		p.heroku.ClearFaults()
		return nil
	case "setting", "model": // it was started so
		return nil
	case "break":
		return p.doBreak(l.arg)
	}
	if err := p.until(ctx, func() bool { return p.holds(l) }); err != nil {
		return fmt.Errorf("this did not come: %w", err)
	}
	return nil
}

// stage makes something happen at Heroku.
func (s *sandbox) stage(what, name, arg string) error {
	if name == "the follower" {
		if name = s.follower(); name == "" {
			return errors.New("there is no follower")
		}
	}
	return s.heroku.Stage(what, name, arg)
}

// scenarioSettings are the bot's, so they are there before it starts.
func scenarioSettings(lines []line) (out []string) {
	for _, l := range lines {
		if l.kind == "setting" {
			out = append(out, l.arg)
		}
	}
	return out
}

// needsModel reports whether a scenario is about what happens without SQL.
func needsModel(lines []line) bool {
	return slices.ContainsFunc(lines, func(l line) bool { return l.kind == "model" })
}

// holds reports whether what a line expects is there.
func (p *player) holds(l line) bool {
	switch l.kind {
	case "sees":
		for _, v := range p.slack.Views(l.who) {
			if holds(string(v.Raw), l.arg) || holds(fmt.Sprint(v.Errors), l.arg) {
				return true
			}
		}
	case "rows":
		for _, r := range p.count() {
			if holds(r.String(), l.arg) {
				return true
			}
		}
	case "heroku":
		for _, c := range cards(p.heroku.Overview()) {
			if holds(c.text(), l.arg) {
				return true
			}
		}
	case "once":
		n := 0
		for _, m := range p.slack.Messages(channelID, "") {
			if m.User == slacktest.BotUID && holds(m.Text, l.arg) {
				n++
			}
		}
		return n == 1
	default:
		for _, m := range p.slack.Messages(channelID, l.who) {
			if m.User != slacktest.BotUID || !holds(m.Text, l.arg) {
				continue
			}
			switch {
			case l.kind == "whisper" && m.Ephemeral == l.who, l.kind == "channel" && m.ThreadTS == "" && m.Ephemeral == "":
				return true
			case l.kind == "reply" && m.ThreadTS != "" && m.TS > p.reply:
				p.reply = m.TS
				return true
			}
		}
	}
	return false
}

// button finds the newest message that has a button with this label.
func (p *player) button(who, label string) (slacktest.Post, string, bool) {
	all := p.slack.Messages(channelID, who)
	for i := len(all) - 1; i >= 0; i-- {
		if id, ok := all[i].Button(label); ok {
			return all[i], id, true
		}
	}
	return slacktest.Post{}, "", false
}

// fill types into the inputs of the topmost modal, in their order, separated by
// " | ", and sends it in.
func (p *player) fill(ctx context.Context, l line) error {
	views := p.slack.Views(l.who)
	v := views[len(views)-1]
	var m struct {
		Blocks []struct {
			Type    string `json:"type"`
			BlockID string `json:"block_id"`
			Element struct {
				ActionID string `json:"action_id"`
			} `json:"element"`
		} `json:"blocks"`
	}
	if err := json.Unmarshal(v.Raw, &m); err != nil {
		return err
	}
	texts := strings.Split(l.arg, " | ")
	values := map[string]map[string]string{}
	for _, b := range m.Blocks {
		if b.Type == "input" && len(texts) > 0 {
			values[b.BlockID] = map[string]string{b.Element.ActionID: texts[0]}
			texts = texts[1:]
		}
	}
	return p.slack.Submit(ctx, l.who, v.ID, values)
}

// until waits for a state, looking again whenever Slack changed and a few times
// a second for Heroku's side.
func (p *player) until(ctx context.Context, want func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		changed := p.slack.Changed()
		p.print()
		if want() {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(200 * time.Millisecond):
		case err := <-p.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("waited %s: %w", patience, ctx.Err())
		}
	}
}

// print prints what is new in the channel.
func (p *player) print() {
	names := map[string]string{}
	for _, u := range p.slack.Users() {
		names[u.ID] = u.Name
	}
	for _, as := range []string{"", "U1", "U2", "U3"} {
		for _, m := range p.slack.Messages(channelID, as) {
			if p.printed[m.TS] || as != "" && m.Ephemeral != as {
				continue
			}
			p.printed[m.TS] = true
			head := names[m.User]
			switch {
			case m.Ephemeral != "" && !m.Typed:
				head += " to " + names[m.Ephemeral]
			case m.ThreadTS != "":
				head = "  ↳ " + head
			}
			text := strings.ReplaceAll(readable(m.Text, names), "\n", "\n      ")
			fmt.Fprintf(p.out, "%s: %s\n", head, text)
		}
	}
}

var (
	tokenDate = regexp.MustCompile(`<!date\^\d+\^[^|>]*\|([^>]*)>`)
	tokenUser = regexp.MustCompile(`<@(U[A-Z0-9]+)>`)
)

// readable turns Slack's tokens into what a person would read.
func readable(s string, names map[string]string) string {
	s = tokenDate.ReplaceAllString(s, "$1")
	s = tokenUser.ReplaceAllStringFunc(s, func(t string) string {
		if n := names[t[2:len(t)-1]]; n != "" {
			return "@" + n
		}
		return t
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}
