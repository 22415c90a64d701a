package bot

import (
	"strconv"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

// A button that checks an app is about no run. Its value names the app, and what
// to check it for as people type it.
const (
	checkShort = "check"
	checkFull  = "check.full"
)

// checkRow is the row with the button that checks an app.
func checkRow(app string, request ops.Request, label string, full bool) slackgo.Block {
	how := checkShort
	if full {
		how = checkFull
	}
	return slackgo.NewActionBlock("", checkButton(app, request, label, how))
}

func checkButton(app string, request ops.Request, label, how string) *slackgo.ButtonBlockElement {
	e := slackgo.NewButtonBlockElement(actCheck, target{Run: app, Gate: ops.Gate(how), Digest: requestWords(request)}.String(), plainText(label, 75))
	e.AccessibilityLabel = cut(label+" ("+app+")", 75)
	return e
}

// requestWords is a request as it is typed: "to 17 plan standard-2".
func requestWords(r ops.Request) string {
	var words []string
	if r.To != 0 {
		words = append(words, "to", strconv.Itoa(r.To))
	}
	if r.Plan != "" {
		words = append(words, "plan", r.Plan)
	}
	if r.Database != "" {
		words = append(words, "database", r.Database)
	}
	if r.ReadOnly {
		words = append(words, "read-only")
	}
	return strings.Join(words, " ")
}

// checkPressed reads such a button's value the way a typed command is read.
func checkPressed(about target) (app string, request ops.Request, full bool, err error) {
	c, err := Parse(strings.TrimSpace("check " + about.Run + " " + about.Digest))
	return c.App, c.Request(), about.Gate == checkFull, err
}
