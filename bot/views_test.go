package bot

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	slackgo "github.com/slack-go/slack"

	"github.com/pgupgrade/pgupgrade/ops"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden draws every view in every situation: as text that people can read
// in a review, and as the JSON that Slack gets.
func TestGolden(t *testing.T) {
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			var read strings.Builder
			views := map[string]View{"root": Root(s.Run, s.Decisions, now), "details": Details(s), "status": Status([]ops.Run{s.Run}, map[string]string{s.Run.ID: "https://example.slack.com/archives/C1/p1"}, nil, now)}
			read.WriteString("=== the message in the channel\n" + readable(views["root"]))
			for _, e := range s.Events {
				key := fmt.Sprintf("event-%02d-%s", e.ID, e.Kind)
				views[key] = s.Reply(e)
				loud := ""
				if e.Loud() {
					loud = ", shown in the channel too"
				}
				read.WriteString("\n--- in the thread: " + string(e.Kind) + loud + "\n" + readable(views[key]))
			}
			if lag, ok := LagView(s.Run); ok {
				views["lag"] = lag
				read.WriteString("\n--- in the thread, edited in place: lag\n" + readable(lag))
			}
			read.WriteString("\n=== /pgupgrade status orders\n" + readable(views["status"]))
			read.WriteString("\n=== Details\n" + readable(views["details"]))
			for key, v := range views {
				checkView(t, key, v)
			}
			golden(t, name+".txt", []byte(read.String()))
			last := s.Events[len(s.Events)-1]
			key := fmt.Sprintf("event-%02d-%s", last.ID, last.Kind)
			golden(t, name+".json", asJSON(t, map[string]View{"root": views["root"], key: views[key]}))
		})
	}
}

func TestGoldenAnswers(t *testing.T) {
	s := story(ops.StepGateCutover).Run
	survey := ops.Survey{App: s.App, Database: s.Database, Plan: plan(), Findings: findings()}
	blocked := survey
	blocked.Findings = blockedStory().Run.Findings
	many := survey // as a database with a long history has it
	many.Findings = manyFindings()
	views := map[string]View{
		"help": Help(), "check": Findings(survey, ops.Request{To: 17}), "check-blocked": Findings(blocked, ops.Request{}), "check-full": FindingsInFull(survey, ops.Request{To: 17}), "check-many": Findings(many, ops.Request{}),
		"status-none": Status(nil, nil, nil, now), "status-two": Status([]ops.Run{s, helpStory().Run}, nil, nil, now),
		"status-set": Status([]ops.Run{timedStory().Run}, nil, kept(), now), "settings": Settings("orders", kept(), "window"), "settings-none": Settings("orders", nil, ""),
		"history": History("", trail(story(ops.StepGateCutover), returnedStory(), story(ops.StepEnd))), "history-app": History("orders", refusedTrail()), "history-none": History("orders", ops.Trail{}),
		"endings": Endings(endings()), "cancel": Confirmation(ops.PlanCancel(s)), "cancel-in-cutover": Confirmation(ops.PlanCancel(story(ops.StepUpgrade).Run)),
	}
	var read strings.Builder
	for _, key := range []string{"help", "check", "check-full", "check-blocked", "check-many", "status-none", "status-two", "status-set", "settings", "settings-none", "history", "history-app", "history-none", "endings", "cancel", "cancel-in-cutover"} {
		checkView(t, key, views[key])
		read.WriteString("=== " + key + "\n" + readable(views[key]) + "\n")
	}
	golden(t, "answers.txt", []byte(read.String()))
	golden(t, "answers.json", asJSON(t, views))
}

func TestGoldenModals(t *testing.T) {
	var read strings.Builder
	modals := map[string]slackgo.ModalViewRequest{
		"approve":         TypedModal(story(ops.StepGateCutover).Run, ops.GateCutover, "d-cutover"),
		"destroy":         TypedModal(story(ops.StepGateDestroy).Run, ops.GateDestroy, "destroy:x"),
		"early":           TypedModal(story(ops.StepSoak).Run, ops.GateDestroy, "destroy:x"),
		"rollback":        TypedModal(story(ops.StepSoak).Run, ops.GateRollback, "rollback:x"),
		"rollback-fenced": TypedModal(helpStory().Run, ops.GateRollback, "rollback:x"),
		"destroy-new":     TypedModal(rollbackStory(ops.StepGateDestroy).Run, ops.GateDestroy, "destroy:x"),
		"accept":          AcceptModal(story(ops.StepGateCutover).Run, ops.GateCutover, "d-cutover"),
		"snooze":          SnoozeModal(story(ops.StepGateDestroy).Run),
		"notice":          Notice("Nothing was done", "This question is no longer open."),
	}
	for _, key := range []string{"approve", "destroy", "early", "rollback", "rollback-fenced", "destroy-new", "accept", "snooze", "notice"} {
		m := modals[key]
		checkModal(t, key, m)
		fmt.Fprintf(&read, "=== %s: %s\n%s", key, m.Title.Text, readable(View{Blocks: m.Blocks.BlockSet}))
		if m.Submit != nil {
			fmt.Fprintf(&read, "[%s] ", m.Submit.Text)
		}
		fmt.Fprintf(&read, "[%s]\n\n", m.Close.Text)
	}
	golden(t, "modals.txt", []byte(read.String()))
	golden(t, "modals.json", asJSON(t, modals))
}

// TestViewsFit: whatever comes from outside, Slack takes the message.
func TestViewsFit(t *testing.T) {
	for _, long := range []string{strings.Repeat("x", 5000), strings.Repeat("word & <tag> ", 400), strings.Repeat("line\n", 1000), "<!channel> `*_~"} {
		for _, step := range []ops.Step{ops.StepGateCutover, ops.StepPromote, ops.StepGateDestroy, ops.StepEnd} {
			s := story(step)
			r := &s.Run
			r.Next, r.Why, r.Help, r.Soak.SnoozeReason = long, long, long, long
			r.Leftovers, r.Soak.Attached = []string{long, long}, []string{long}
			for range 30 {
				r.Findings = append(r.Findings, ops.Finding{Check: "X", Title: cut(long, 200), Verdict: ops.Warn, Evidence: long, Fix: long})
			}
			for i := range s.Events {
				s.Events[i].Text = long
			}
			checkView(t, "root", Root(s.Run, s.Decisions, now))
			checkView(t, "details", Details(s))
			checkView(t, "status", Status([]ops.Run{s.Run, s.Run, s.Run}, nil, map[string]string{"health": long, "window": long}, now))
			checkView(t, "history", History("orders", trail(s, s, s)))
			checkView(t, "settings", Settings(long, map[string]string{"health": long, "window": long}, ""))
			checkView(t, "check", Findings(ops.Survey{App: r.App, Plan: plan(), Findings: r.Findings}, ops.Request{}))
			checkView(t, "check in full", FindingsInFull(ops.Survey{App: r.App, Plan: plan(), Findings: r.Findings}, ops.Request{}))
			for _, e := range s.Events {
				checkView(t, string(e.Kind), s.Reply(e))
			}
			checkModal(t, "typed", TypedModal(s.Run, ops.GateCutover, "x"))
			for i := range r.Findings {
				r.Findings[i].Verdict = ops.Acknowledge
			}
			checkModal(t, "accept", AcceptModal(s.Run, ops.GateCutover, "x"))
			checkModal(t, "typed, much to accept", TypedModal(s.Run, ops.GateCutover, "x"))
			checkModal(t, "destroy", TypedModal(s.Run, ops.GateDestroy, "x"))
		}
	}
}

// TestNothingFromOutsideMentions: words from Heroku or from people cannot call
// a whole channel or hide a link.
func TestNothingFromOutsideMentions(t *testing.T) {
	evil := "<!channel> <!here> <https://evil.example|heroku> <!subteam^S1>"
	for _, step := range ops.Steps() {
		s := story(step)
		s.Run.Next, s.Run.Why, s.Run.Help, s.Run.Soak.SnoozeReason, s.Run.Progress = evil, evil, evil, evil, evil
		s.Run.Soak.Snoozed = now.Add(1000)
		s.Run.Leftovers = []string{evil}
		s.Run.Findings = append(s.Run.Findings, ops.Finding{Check: evil, Title: evil, Verdict: ops.Block, Evidence: evil, Fix: evil})
		for i := range s.Events {
			s.Events[i].Text = evil
		}
		s.Approvers = nil
		views := []View{Root(s.Run, s.Decisions, now), Details(s), Status([]ops.Run{s.Run}, nil, map[string]string{"window": evil}, now), History("orders", trail(s)), Settings(evil, map[string]string{"health": evil}, "")}
		for _, e := range s.Events {
			views = append(views, s.Reply(e))
		}
		for _, v := range views {
			all := v.Text + string(asJSON(t, v.Blocks))
			for _, bad := range []string{"<!channel>", "<!here>", "<https://evil", "<!subteam"} {
				if strings.Contains(all, bad) {
					t.Fatalf("step %s: %s got through in:\n%s", step, bad, v.Text)
				}
			}
		}
	}
}

// checkView holds a message against Slack's limits.
func checkView(t *testing.T, name string, v View) {
	t.Helper()
	if v.Text == "" || utf8.RuneCountInString(v.Text) > 4000 {
		t.Errorf("%s: text has %d characters", name, utf8.RuneCountInString(v.Text))
	}
	if n := len(v.Blocks); n == 0 || n > 50 {
		t.Errorf("%s: %d blocks", name, n)
	}
	checkBlocks(t, name, v.Blocks)
}

func checkModal(t *testing.T, name string, m slackgo.ModalViewRequest) {
	t.Helper()
	if len(m.Blocks.BlockSet) > 100 || len(m.PrivateMetadata) > 3000 || utf8.RuneCountInString(m.Title.Text) > 24 {
		t.Errorf("%s: over the limits of a modal", name)
	}
	checkBlocks(t, name, m.Blocks.BlockSet)
}

func checkBlocks(t *testing.T, name string, blocks []slackgo.Block) {
	t.Helper()
	text := func(what string, o *slackgo.TextBlockObject, limit int) {
		if n := utf8.RuneCountInString(o.Text); n == 0 || n > limit {
			t.Errorf("%s: %s has %d characters, limit %d", name, what, n, limit)
		}
	}
	for _, b := range blocks {
		switch b := b.(type) {
		case *slackgo.HeaderBlock:
			text("header", b.Text, 150)
		case *slackgo.SectionBlock:
			text("section", b.Text, 3000)
		case *slackgo.ContextBlock:
			if n := len(b.ContextElements.Elements); n == 0 || n > 10 {
				t.Errorf("%s: %d elements in a context", name, n)
			}
		case *slackgo.ActionBlock:
			seen := map[string]bool{}
			for _, e := range b.Elements.ElementSet {
				button := e.(*slackgo.ButtonBlockElement)
				text("button", button.Text, 75)
				if seen[button.ActionID] || len(button.Value) > 2000 || len(button.AccessibilityLabel) > 75 {
					t.Errorf("%s: button %s", name, button.ActionID)
				}
				seen[button.ActionID] = true
				if _, ok := parseTarget(button.Value); !ok {
					t.Errorf("%s: the value %q of button %s cannot be read back", name, button.Value, button.ActionID)
				}
				if c := button.Confirm; c != nil {
					text("confirm title", c.Title, 100)
					text("confirm text", c.Text, 300)
					text("confirm", c.Confirm, 30)
					text("deny", c.Deny, 30)
				}
			}
		}
	}
}

// readable draws blocks as text.
func readable(v View) string {
	var b strings.Builder
	for _, x := range v.Blocks {
		switch x := x.(type) {
		case *slackgo.HeaderBlock:
			fmt.Fprintf(&b, "# %s\n", x.Text.Text)
		case *slackgo.SectionBlock:
			fmt.Fprintln(&b, x.Text.Text)
		case *slackgo.ContextBlock:
			for _, e := range x.ContextElements.Elements {
				fmt.Fprintf(&b, "> %s\n", e.(*slackgo.TextBlockObject).Text)
			}
		case *slackgo.DividerBlock:
			fmt.Fprintln(&b, "----")
		case *slackgo.InputBlock:
			fmt.Fprintf(&b, "%s: [________]\n", x.Label.Text)
		case *slackgo.ActionBlock:
			asks := ""
			for _, e := range x.Elements.ElementSet {
				button := e.(*slackgo.ButtonBlockElement)
				fmt.Fprintf(&b, "[%s] ", button.Text.Text)
				if button.Confirm != nil {
					asks += fmt.Sprintf("   (%s asks: %s)\n", button.Text.Text, button.Confirm.Text.Text)
				}
			}
			b.WriteString("\n" + asks)
		default:
			fmt.Fprintf(&b, "?? %T\n", x)
		}
	}
	if v.Text != "" {
		fmt.Fprintf(&b, "text: %s\n", strings.ReplaceAll(v.Text, "\n", "\n      "))
	}
	return b.String()
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // slack-go escapes some of its own objects all the same
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "views", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./bot -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-golden +now); go test ./bot -update rewrites it\n%s", name, diff)
	}
}
