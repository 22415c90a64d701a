package bot

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgupgrade/pgupgrade/ops"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want Command
	}{
		{"", Command{Verb: VerbHelp}},
		{"  help ", Command{Verb: VerbHelp}},
		{"start orders", Command{Verb: VerbStart, App: "orders"}},
		{"START Orders", Command{Verb: VerbStart, App: "orders"}},
		{"start orders to 17", Command{Verb: VerbStart, App: "orders", To: 17}},
		{"start orders plan standard-2 to 16 database HEROKU_POSTGRESQL_PINK", Command{Verb: VerbStart, App: "orders", To: 16, Plan: "standard-2", DB: "HEROKU_POSTGRESQL_PINK"}},
		{"start orders database postgresql-curved-12345", Command{Verb: VerbStart, App: "orders", DB: "postgresql-curved-12345"}},
		{"start <http://orders|orders>", Command{Verb: VerbStart, App: "orders"}},
		{"start <http://orders.com|orders>, to 17", Command{Verb: VerbStart, App: "orders", To: 17}},
		{"start <https://orders/>", Command{Verb: VerbStart, App: "orders"}},
		{"start `orders`", Command{Verb: VerbStart, App: "orders"}},
		{"start “orders”,", Command{Verb: VerbStart, App: "orders"}},
		{"check orders to 17", Command{Verb: VerbCheck, App: "orders", To: 17}},
		{"status", Command{Verb: VerbStatus}},
		{"status orders", Command{Verb: VerbStatus, App: "orders"}},
		{"cancel orders", Command{Verb: VerbCancel, App: "orders"}},
		{"retry orders", Command{Verb: VerbRetry, App: "orders"}},
		{"destroy orders", Command{Verb: VerbDestroy, App: "orders"}},
		{"history", Command{Verb: VerbHistory}},
		{"history orders", Command{Verb: VerbHistory, App: "orders"}},
		{"snooze orders 3 waiting for the report", Command{Verb: VerbSnooze, App: "orders", Days: 3, Reason: "waiting for the report"}},
		{"start orders read-only", Command{Verb: VerbStart, App: "orders", ReadOnly: true}},
		{"start orders to 17 ReadOnly at 03:00", Command{Verb: VerbStart, App: "orders", To: 17, ReadOnly: true, At: "03:00"}},
		{"check orders read-only", Command{Verb: VerbCheck, App: "orders", ReadOnly: true}},
		{"start orders at 03:00", Command{Verb: VerbStart, App: "orders", At: "03:00"}},
		{"start orders at 2026-12-01 03:00 to 17", Command{Verb: VerbStart, App: "orders", To: 17, At: "2026-12-01 03:00"}},
		{"start orders to 17 at sunday 3:00", Command{Verb: VerbStart, App: "orders", To: 17, At: "sunday 3:00"}},
		{"set orders", Command{Verb: VerbSet, App: "orders"}},
		{"set orders window Sun 02:00–05:00", Command{Verb: VerbSet, App: "orders", Key: "window", Value: "Sun 02:00–05:00"}},
		{"set orders window “Sun 02:00-05:00”", Command{Verb: VerbSet, App: "orders", Key: "window", Value: "Sun 02:00-05:00"}},
		{"set orders health <https://orders.example.com/up|orders.example.com/up>", Command{Verb: VerbSet, App: "orders", Key: "health", Value: "https://orders.example.com/up"}},
		{"set <http://orders.com|orders> health <https://orders.example.com/>", Command{Verb: VerbSet, App: "orders", Key: "health", Value: "https://orders.example.com/"}},
		{"set orders one-offs stop", Command{Verb: VerbSet, App: "orders", Key: "one-offs", Value: "stop"}},
		{"snooze orders 3 days waiting", Command{Verb: VerbSnooze, App: "orders", Days: 3, Reason: "waiting"}},
	}
	for _, tt := range tests {
		got, err := Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%q): -want +got\n%s", tt.text, diff)
		}
	}
}

// TestParseRefuses: what is not understood gets the nearest word, its usage,
// and nothing is done.
func TestParseRefuses(t *testing.T) {
	tests := []struct {
		text string
		says []string
	}{
		{"stratt orders", []string{"*start*", "start APP [to VERSION]"}},
		{"strat orders", []string{"*start*"}},
		{"upgrade orders", []string{"I do not know “upgrade”", "/pgupgrade help"}},
		{"chek orders", []string{"*check*", "check APP"}},
		{"destory orders", []string{"*destroy*"}},
		{"canel orders", []string{"*cancel*"}},
		{"xyzzy", []string{"/pgupgrade help"}},
		{"start", []string{"Which app?", "start APP"}},
		{"start -a", []string{"not the name of an app"}},
		{"start orders, payments", []string{"I do not understand “payments”"}},
		{"start orders too 17", []string{"did you mean *to*"}},
		{"start orders to", []string{"*to* needs a word"}},
		{"start orders to seventeen", []string{"not a major version"}},
		{"start orders to 17 to 16", []string{"twice"}},
		{"start orders read-only read-only", []string{"*read-only* is there twice"}},
		{"start orders read-onyl", []string{"did you mean *read-only*"}},
		{"dry-run orders read-only", []string{"I do not understand “read-only”"}},
		{"start orders at", []string{"*at* needs a word"}},
		{"set", []string{"Which app?"}},
		{"set orders window", []string{"To what?", "`off`"}},
		{"start orders " + strings.Repeat("x", 10_000), []string{"10,013 characters", "1,000"}},
		{"start orders plan $(rm)", []string{"not the name of a plan"}},
		{"approve orders", []string{"button"}},
		{"dry-run", []string{"Which app?"}},
		{"dryrun orders", []string{"*dry-run*"}},
		{"dry-run orders passed soon", []string{"not a number of seconds"}},
		{"dry-run orders passed -3", []string{"not a number of seconds"}},
		{"dry-run orders passed 3 m 4", []string{"I do not understand"}},
		{"dry-run orders failed", []string{"What does the e-mail say"}},
		{"dry-run orders to x passed 3", []string{"not a major version"}},
		{"snooze orders", []string{"how many days"}},
		{"snooze orders 99 because", []string{"1 to 30"}},
		{"snooze orders 3", []string{"Why?"}},
		{"cancel", []string{"Which app?"}},
		{"cancel orders now", []string{"I do not understand “now”"}},
		{"status <!channel>", []string{"“‹!channel›” is not the name of an app"}},
		{"<@UBOB> orders", []string{"I do not know “‹@UBOB›”"}},
	}
	for _, tt := range tests {
		c, err := Parse(tt.text)
		var user *ops.UserError
		if !errors.As(err, &user) || user.Code == "" {
			t.Errorf("Parse(%q) = %+v, %v; want a refusal", tt.text, c, err)
			continue
		}
		for _, s := range append(tt.says, "Nothing was done.") {
			if !strings.Contains(user.Text, s) {
				t.Errorf("Parse(%q) says %q, without %q", tt.text, user.Text, s)
			}
		}
	}
}

// TestParseDryRun: asked for, or told.
func TestParseDryRun(t *testing.T) {
	for text, want := range map[string]Command{
		"dry-run orders":                            {Verb: VerbDryRun, App: "orders"},
		"dry-run orders to 17 database X":           {Verb: VerbDryRun, App: "orders", To: 17, DB: "X"},
		"dry-run orders passed":                     {Verb: VerbDryRun, App: "orders", Trial: Trial{Told: true, Passed: true}},
		"dry-run orders to 17 passed 241.7":         {Verb: VerbDryRun, App: "orders", To: 17, Trial: Trial{Told: true, Passed: true, Took: 242 * time.Second}},
		"dry-run orders passed 240 seconds":         {Verb: VerbDryRun, App: "orders", Trial: Trial{Told: true, Passed: true, Took: 4 * time.Minute}},
		"dry-run orders failed a column of regproc": {Verb: VerbDryRun, App: "orders", Reason: "a column of regproc", Trial: Trial{Told: true}},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v", text, got, err)
		}
	}
}

// TestCheckButton: what a button's value says is read as it was meant, and
// nothing else is.
func TestCheckButton(t *testing.T) {
	for _, r := range []ops.Request{{}, {To: 17}, {To: 16, Plan: "standard-2", Database: "postgresql-curved-12345"}, {To: 17, ReadOnly: true}} {
		about, ok := parseTarget(checkButton("orders", r, "Details", checkFull).Value)
		app, got, full, err := checkPressed(about)
		if !ok || app != "orders" || got != r || !full || err != nil {
			t.Errorf("%+v came back as %q %+v %v %v", r, app, got, full, err)
		}
	}
	if _, _, _, err := checkPressed(target{Run: "orders", Digest: "read-write"}); err == nil {
		t.Error("a value that nobody wrote is taken")
	}
}

// FuzzParse: whatever is typed, a command is well formed or nothing is done.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"start orders to 17", "snooze a 3 x", "start <http://a|b>", "`", "start <>", "status &lt;!here&gt;", "\x00", "start orders plan p database D"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			var user *ops.UserError
			if !errors.As(err, &user) || user.Text == "" {
				t.Fatalf("Parse(%q): %v is not for people", text, err)
			}
			return
		}
		if c.App != "" && !appName.MatchString(c.App) {
			t.Fatalf("Parse(%q) let the app %q through", text, c.App)
		}
		if c.App == "" && c.Verb != VerbHelp && c.Verb != VerbStatus && c.Verb != VerbHistory {
			t.Fatalf("Parse(%q): %s without an app", text, c.Verb)
		}
		if c.To != 0 && (c.To < 10 || c.To > 99) || c.Verb == VerbSnooze && (c.Days < 1 || c.Days > 30 || c.Reason == "") {
			t.Fatalf("Parse(%q) = %+v", text, c)
		}
	})
}

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		prose("<@U123> said <!channel> & <http://evil|heroku>"): "<@U123> said &lt;!channel&gt; &amp; &lt;http://evil|heroku&gt;",
		code("a`b<"):                            "`a'b&lt;`",
		count(1204):                             "1,204",
		count(7):                                "7",
		count(1234567):                          "1,234,567",
		cut("abcdef", 4):                        "abc…",
		cutLines("ab\ncd\nef", 7):               "ab\n…",
		mentionIDs([]string{"U123", "S9", "x"}): "<@U123> <!subteam^S9>",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
