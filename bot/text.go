package bot

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// View is one message as people see it. Text alone says everything: it is what
// notifications and screen readers use
// (docs.slack.dev/reference/methods/chat.postMessage, "accessibility").
type View struct {
	Text   string
	Blocks []slackgo.Block
}

// Limits of Block Kit (docs.slack.dev/reference/block-kit), with some room for
// escapes, which count.
const (
	maxSection = 2900  // of 3000
	maxText    = 3800  // of 4000, above which an edit is refused
	maxHeader  = 150   //
	maxAll     = 12000 // all blocks together; failures were seen near 13,200
	maxBlocks  = 50
)

var entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape makes text from outside harmless in mrkdwn: no mention, no link.
func escape(s string) string { return entities.Replace(s) }

var escapedMention = regexp.MustCompile(`&lt;@([UW][A-Z0-9]{1,20})&gt;`)

// prose is the text of an event: everything in it is escaped, but people stay
// mentioned. A whole channel cannot be.
func prose(s string) string { return escapedMention.ReplaceAllString(escape(s), "<@$1>") }

// code shows a name from outside in a code span. Backquotes cannot be escaped
// in mrkdwn, so they become quotes.
func code(s string) string { return "`" + escape(strings.ReplaceAll(s, "`", "'")) + "`" }

// mention names an actor: in Slack by id, elsewhere by name.
func mention(a ops.Actor) string {
	switch {
	case slackUser.MatchString(a.ID):
		return "<@" + a.ID + ">"
	case a.ID == ops.TerminalID && a.Name != "":
		return escape(a.Name) + " (at the terminal)"
	case a.Name != "":
		return escape(a.Name)
	}
	return escape(a.ID)
}

var slackUser = regexp.MustCompile(`^[UW][A-Z0-9]{1,20}$`)

// mentionIDs mentions users and user groups by their ids.
func mentionIDs(ids []string) string {
	var out []string
	for _, id := range ids {
		switch {
		case strings.HasPrefix(id, "S"):
			out = append(out, "<!subteam^"+escape(id)+">")
		case slackUser.MatchString(id):
			out = append(out, "<@"+id+">")
		}
	}
	return strings.Join(out, " ")
}

// Formats of date tokens (docs.slack.dev/messaging/formatting-message-text,
// "date formatting"). Each reader sees them in their own time zone.
const (
	dayAndTime = "{date_short_pretty} at {time}"
	timeOnly   = "{time}"
	timeSecs   = "{time_secs}"
	dayOnly    = "{date_short_pretty}"
)

// date is a date token with a fallback in UTC for readers that do not know it.
func date(t time.Time, format string) string {
	if t.IsZero() {
		return "an unknown time"
	}
	fallback := "2006-01-02 15:04 UTC"
	switch format {
	case timeOnly:
		fallback = "15:04 UTC"
	case timeSecs:
		fallback = "15:04:05 UTC"
	case dayOnly:
		fallback = "2006-01-02"
	}
	return fmt.Sprintf("<!date^%d^%s|%s>", t.Unix(), format, t.UTC().Format(fallback))
}

var dateToken = regexp.MustCompile(`<!date\^[0-9]+\^[^|>]*\|([^>]*)>`)

// plain is mrkdwn as it reads where date tokens and emphasis mean nothing, such
// as in a plain_text object or a confirmation. Mentions stay.
func plain(s string) string {
	s = dateToken.ReplaceAllString(s, "$1")
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "*", "").Replace(s)
}

// count prints a number with thousands separated: "1,204".
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// cut shortens s to at most n characters, with an ellipsis.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if runeStart(s, n) == len(s) {
		return s
	}
	return strings.TrimRight(s[:runeStart(s, n-1)], " \n&<") + "…"
}

// runeStart is the byte at which the n-th character of s begins, or its length.
func runeStart(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// cutLines shortens s to at most n characters at the end of a line, so that no
// token or code span is broken, and says that something is missing.
func cutLines(s string, n int) string {
	if len(s) <= n || runeStart(s, n) == len(s) {
		return s
	}
	var kept []string
	size := 2
	for line := range strings.SplitSeq(s[:runeStart(s, n+1)], "\n") {
		size += utf8.RuneCountInString(line) + 1
		if size > n {
			break
		}
		kept = append(kept, line)
	}
	if len(kept) == 0 {
		return cut(s, n)
	}
	return strings.Join(kept, "\n") + "\n…"
}

func mrkdwn(s string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.MarkdownType, cutLines(s, maxSection), false, false)
}

func plainText(s string, n int) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.PlainTextType, cut(s, n), true, false)
}

func header(s string) slackgo.Block { return slackgo.NewHeaderBlock(plainText(s, maxHeader)) }

func section(s string) slackgo.Block { return slackgo.NewSectionBlock(mrkdwn(s), nil, nil) }

// sections packs paragraphs into as few sections as their size allows.
func sections(paragraphs []string) []slackgo.Block {
	var out []slackgo.Block
	var now string
	for _, p := range paragraphs {
		p = cutLines(p, maxSection)
		switch {
		case now == "":
			now = p
		case utf8.RuneCountInString(now)+utf8.RuneCountInString(p)+1 > maxSection:
			out = append(out, section(now))
			now = p
		default:
			now += "\n" + p
		}
	}
	if now != "" {
		out = append(out, section(now))
	}
	return out
}

func small(s string) slackgo.Block { return slackgo.NewContextBlock("", mrkdwn(s)) }

// under is the view with a paragraph on top.
func (v View) under(lead string) View {
	v.Text = unmark(lead) + "\n" + v.Text
	v.Blocks = append([]slackgo.Block{section(lead)}, v.Blocks...)
	return fit(v)
}

// fit keeps a view within Slack's limits: what is too much is left out from the
// end, but never the buttons.
func fit(v View) View {
	v.Text = cutLines(v.Text, maxText)
	size, last := 0, -1
	var kept []slackgo.Block
	for _, b := range v.Blocks {
		_, buttons := b.(*slackgo.ActionBlock)
		n := blockSize(b)
		if !buttons && (size+n > maxAll || len(kept) >= maxBlocks-3) {
			if last < 0 {
				last = len(kept)
				kept = append(kept, small("… The rest does not fit into one message; the *Details* button and the log have it."))
			}
			continue
		}
		size += n
		kept = append(kept, b)
	}
	v.Blocks = kept
	return v
}

func blockSize(b slackgo.Block) int {
	switch b := b.(type) {
	case *slackgo.SectionBlock:
		n := 0
		if b.Text != nil {
			n = utf8.RuneCountInString(b.Text.Text)
		}
		for _, f := range b.Fields {
			n += utf8.RuneCountInString(f.Text)
		}
		return n
	case *slackgo.ContextBlock:
		return 300
	case *slackgo.HeaderBlock:
		return maxHeader
	}
	return 0
}

var escapedChannel = regexp.MustCompile(`&lt;#([CG][A-Z0-9]{1,20})&gt;`)

// withChannels keeps links to channels in text that was escaped.
func withChannels(s string) string { return escapedChannel.ReplaceAllString(s, "<#$1>") }
