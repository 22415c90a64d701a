package bot

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Verb is the first word of a command.
type Verb string

// The commands.
const (
	VerbStart    Verb = "start"
	VerbCheck    Verb = "check"
	VerbStatus   Verb = "status"
	VerbCancel   Verb = "cancel"
	VerbRetry    Verb = "retry"
	VerbDestroy  Verb = "destroy"
	VerbSnooze   Verb = "snooze"
	VerbHistory  Verb = "history"
	VerbExtend   Verb = "extend"
	VerbRollback Verb = "rollback"
	VerbSet      Verb = "set"
	VerbDryRun   Verb = "dry-run"
	VerbHelp     Verb = "help"
)

// Command is what somebody typed after /pgupgrade, understood.
type Command struct {
	Verb   Verb
	App    string // "" where it may be left out
	To     int    // 0: not said
	Plan   string
	DB     string
	Days   int    // of a snooze
	Reason string // of a snooze, or why a dry run failed
	// ReadOnly asks for a cutover in which the database is made read-only instead
	// of keeping users out.
	ReadOnly bool
	At       string // when the cutover may begin, as typed
	Key      string // of a setting; "" to show them
	Value    string // of a setting; "" to show them
	Trial    Trial  // of a dry run
}

// Trial is what somebody says about a dry run: nothing (have it made), or what
// Heroku's e-mail says.
type Trial struct {
	Told   bool
	Passed bool
	Took   time.Duration // 0: not said
}

// Request is the part of a start or check that the service wants.
func (c Command) Request() ops.Request {
	return ops.Request{To: c.To, Plan: c.Plan, Database: c.DB, ReadOnly: c.ReadOnly, At: c.At}
}

// ChangesNothing reports whether the command only looks.
func (c Command) ChangesNothing() bool {
	switch c.Verb {
	case VerbCheck, VerbStatus, VerbHistory, VerbHelp:
		return true
	case VerbSet:
		return c.Value == ""
	}
	return false
}

// usage of each command, and what it does in a few words.
var usage = []struct {
	verb  Verb
	words string
	does  string
}{
	{VerbStart, "start APP [to VERSION] [plan PLAN] [database NAME] [read-only] [at TIME]", "upgrade the app's database with a follower; asks before anything is paid for or stopped. `at sunday 03:00` begins the cutover then. `read-only`: instead of maintenance mode and stopped dynos only the database is made read-only; reads go on; needs SQL"},
	{VerbCheck, "check APP [to VERSION] [plan PLAN] [database NAME] [read-only]", "look at the app and say what would happen; changes nothing"},
	{VerbDryRun, "dry-run APP [to VERSION] [database NAME] [passed SECONDS or failed REASON]", "have Heroku try the upgrade on a copy, which takes a while and changes nothing; afterwards say what its e-mail says"},
	{VerbStatus, "status [APP]", "what is under way"},
	{VerbCancel, "cancel APP", "stop the upgrade and go back"},
	{VerbExtend, "extend APP", "give a cutover that comes near its limit 10 min more"},
	{VerbRollback, "rollback APP", "go back to the old database after the switch, after typing the app's name; says what is lost"},
	{VerbRetry, "retry APP", "look again at a step that asked for help"},
	{VerbDestroy, "destroy APP", "destroy the database that was retired, after typing the app's name"},
	{VerbSnooze, "snooze APP DAYS REASON", "no reminder about the retired database for so many days"},
	{VerbHistory, "history [APP]", "past and present upgrades"},
	{VerbSet, "set APP [KEY VALUE]", "settings of one app: health, one-offs, soak, window, freeze, read-only; without a key, what is set"},
	{VerbHelp, "help", "this list"},
}

func usageOf(v Verb) string {
	for _, u := range usage {
		if u.verb == v {
			return "`/pgupgrade " + u.words + "`"
		}
	}
	return "`/pgupgrade help`"
}

// longest is how much of a command is read.
const longest = 1000

// Parse understands what was typed after the command's name. Its errors are
// ops.UserErrors: they say what was not understood and how it is written, and
// nothing was done.
func Parse(text string) (Command, error) {
	if n := utf8.RuneCountInString(text); n > longest {
		return Command{}, ops.Refuse(ops.RefusedLong, "That is %s characters long; I read at most %s. Nothing was done.", count(n), count(longest))
	}
	words := clean(text)
	if len(words) == 0 {
		return Command{Verb: VerbHelp}, nil
	}
	first := strings.ToLower(words[0])
	if first == "approve" {
		return Command{}, ops.Refuse(ops.RefusedButton, "Approving happens with the button on the upgrade's message, so that what is approved has been read. `/pgupgrade status APP` links to it. Nothing was done.")
	}
	c := Command{Verb: Verb(first)}
	rest := words[1:]
	switch c.Verb {
	case VerbHelp:
		return c, nil
	case VerbStatus, VerbHistory:
		if len(rest) > 1 {
			return Command{}, wrong(ops.RefusedArgument, c.Verb, "I do not understand %s.", quote(rest[1]))
		}
		err := c.takeApp(rest, false)
		return c, err
	case VerbCancel, VerbRetry, VerbDestroy, VerbExtend, VerbRollback:
		if len(rest) > 1 {
			return Command{}, wrong(ops.RefusedArgument, c.Verb, "I do not understand %s.", quote(rest[1]))
		}
		err := c.takeApp(rest, true)
		return c, err
	case VerbSnooze:
		err := c.takeSnooze(rest)
		return c, err
	case VerbSet:
		err := c.takeSetting(rest, text)
		return c, err
	case VerbDryRun:
		err := c.takeTrial(rest)
		return c, err
	case VerbStart, VerbCheck:
		if err := c.takeApp(rest, true); err != nil {
			return Command{}, err
		}
		err := c.takeOptions(rest[1:])
		return c, err
	}
	near := nearest(first, verbs())
	if near == "" {
		return Command{}, ops.Refuse(ops.RefusedWord, "I do not know %s. `/pgupgrade help` shows what I know. Nothing was done.", quote(words[0]))
	}
	return Command{}, ops.Refuse(ops.RefusedWord, "I do not know %s. Did you mean *%s*? %s Nothing was done.", quote(words[0]), near, usageOf(Verb(near)))
}

func verbs() []string {
	var all []string
	for _, u := range usage {
		all = append(all, string(u.verb))
	}
	return all
}

func wrong(code ops.Refusal, v Verb, format string, args ...any) error {
	return ops.Refuse(code, "%s It is written %s. Nothing was done.", fmt.Sprintf(format, args...), usageOf(v))
}

func quote(s string) string { return ops.Quote(s, 60) }

// appName is Heroku's rule for names of apps (devcenter.heroku.com/articles/platform-api-reference#app).
var appName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,28}[a-z0-9]$`)

func (c *Command) takeApp(words []string, needed bool) error {
	if len(words) == 0 {
		if needed {
			return wrong(ops.RefusedMissing, c.Verb, "Which app?")
		}
		return nil
	}
	app := strings.ToLower(words[0])
	if !appName.MatchString(app) {
		return wrong(ops.RefusedName, c.Verb, "%s is not the name of an app.", quote(words[0]))
	}
	c.App = app
	return nil
}

// argument is Heroku's spelling of plans, add-ons and attachments.
var argument = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_:-]{0,255}$`)

// options are the words that may follow the app's name.
var options = map[Verb][]string{
	VerbStart:  {"to", "plan", "database", "read-only", "at"},
	VerbCheck:  {"to", "plan", "database", "read-only", "at"},
	VerbDryRun: {"to", "plan", "database"},
}

func (c *Command) takeOptions(words []string) error {
	seen := map[string]bool{}
	for i := 0; i < len(words); i++ {
		word := strings.ToLower(words[i])
		if word == "readonly" {
			word = "read-only"
		}
		if !slices.Contains(options[c.Verb], word) {
			if near := nearest(word, options[c.Verb]); near != "" {
				return wrong(ops.RefusedArgument, c.Verb, "I do not understand %s; did you mean *%s*?", quote(words[i]), near)
			}
			return wrong(ops.RefusedArgument, c.Verb, "I do not understand %s.", quote(words[i]))
		}
		if seen[word] {
			return wrong(ops.RefusedArgument, c.Verb, "*%s* is there twice.", word)
		}
		seen[word] = true
		if word == "read-only" {
			c.ReadOnly = true
			continue
		}
		if i++; i == len(words) {
			return wrong(ops.RefusedMissing, c.Verb, "*%s* needs a word after it.", word)
		}
		value := words[i]
		switch {
		case word == "at":
			c.At = value
			if !strings.Contains(value, ":") && i+1 < len(words) { // a day, then a time
				i++
				c.At += " " + words[i]
			}
		case word == "to":
			n, err := strconv.Atoi(value)
			if err != nil || n < 10 || n > 99 {
				return wrong(ops.RefusedValue, c.Verb, "%s is not a major version of PostgreSQL, such as 17.", quote(value))
			}
			c.To = n
		case !argument.MatchString(value):
			return wrong(ops.RefusedValue, c.Verb, "%s is not the name of a %s.", quote(value), word)
		case word == "plan":
			c.Plan = strings.ToLower(value)
		default:
			c.DB = value
		}
	}
	return nil
}

// takeTrial reads a dry run's options, and at their end what became of it.
func (c *Command) takeTrial(words []string) error {
	if err := c.takeApp(words, true); err != nil {
		return err
	}
	rest := words[1:]
	end := slices.IndexFunc(rest, func(w string) bool { return strings.EqualFold(w, "passed") || strings.EqualFold(w, "failed") })
	if end < 0 {
		return c.takeOptions(rest)
	}
	c.Trial = Trial{Told: true, Passed: strings.EqualFold(rest[end], "passed")}
	told := rest[end+1:]
	if err := c.takeOptions(rest[:end]); err != nil {
		return err
	}
	if !c.Trial.Passed {
		if c.Reason = strings.Join(told, " "); c.Reason == "" {
			return wrong(ops.RefusedMissing, c.Verb, "What does the e-mail say that went wrong?")
		}
		return nil
	}
	if len(told) > 0 && len(told) <= 2 {
		n, err := strconv.ParseFloat(strings.TrimSuffix(told[0], "s"), 64)
		if err != nil || n <= 0 || n > 7*24*3600 || len(told) == 2 && !strings.HasPrefix(told[1], "s") {
			return wrong(ops.RefusedValue, c.Verb, "%s is not a number of seconds.", quote(strings.Join(told, " ")))
		}
		c.Trial.Took = time.Duration(n * float64(time.Second)).Round(time.Second)
		return nil
	}
	if len(told) > 2 {
		return wrong(ops.RefusedArgument, c.Verb, "I do not understand %s.", quote(strings.Join(told, " ")))
	}
	return nil
}

func (c *Command) takeSnooze(words []string) error {
	if err := c.takeApp(words, true); err != nil {
		return err
	}
	if len(words) < 2 {
		return wrong(ops.RefusedMissing, c.Verb, "For how many days, and why?")
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 1 || n > 30 {
		return wrong(ops.RefusedValue, c.Verb, "%s is not a number of days from 1 to 30.", quote(words[1]))
	}
	rest := words[2:]
	if len(rest) > 0 && (strings.EqualFold(rest[0], "days") || strings.EqualFold(rest[0], "day")) {
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return wrong(ops.RefusedMissing, c.Verb, "Why? Others should know.")
	}
	c.Days, c.Reason = n, strings.Join(rest, " ")
	return nil
}

// takeSetting reads the words after set. Addresses keep their scheme.
func (c *Command) takeSetting(words []string, text string) error {
	if err := c.takeApp(words, true); err != nil {
		return err
	}
	if len(words) > 1 {
		c.Key = strings.ToLower(words[1])
	}
	if len(words) == 2 {
		return wrong(ops.RefusedMissing, c.Verb, "To what? `off` takes %s back.", quote(c.Key))
	}
	if len(words) > 2 {
		c.Value = strings.Join(split(link.ReplaceAllString(text, "$1$2"))[3:], " ")
	}
	return nil
}

// link is how Slack sends what it took for an address: <http://orders|orders>.
var link = regexp.MustCompile(`<([a-z]+://|mailto:)([^|>\s]*)(?:\|([^>]*))?>`)

// clean splits a text into words, without what phones and Slack put around
// them: links, quotes, backquotes, commas.
func clean(text string) []string {
	text = link.ReplaceAllStringFunc(text, func(s string) string {
		m := link.FindStringSubmatch(s)
		if m[3] != "" {
			return m[3]
		}
		return strings.TrimSuffix(m[2], "/")
	})
	return split(text)
}

func split(text string) []string {
	text = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
	var out []string
	for _, w := range strings.Fields(text) {
		if w = strings.Trim(w, "`'\"“”‘’«»*,;"); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// nearest returns the word that was probably meant, or "" when none is near.
func nearest(word string, among []string) string {
	best, least := "", 3
	if len(word) < 4 {
		least = 2
	}
	for _, w := range among {
		if d := distance(cut(word, 20), w); d < least {
			best, least = w, d
		}
	}
	if best == "" && len(word) >= 3 {
		if i := slices.IndexFunc(among, func(w string) bool { return strings.HasPrefix(w, word) }); i >= 0 {
			return among[i]
		}
	}
	return best
}

// distance is how many letters must be put in, left out, changed or swapped
// with their neighbour to make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
