package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// BenchmarkStory plays the story once at its real speed and prints, from that
// one run: the maintenance window over what the stand-in was scripted to take,
// the calls to Heroku by step, and how fast Slack's envelopes are acknowledged.
func BenchmarkStory(b *testing.B) {
	for range b.N {
		benchStory(b)
	}
}

func benchStory(b *testing.B) {
	s, err := open(b.Context(), options{speed: 1, page: "127.0.0.1:0", slack: "127.0.0.1:0", heroku: "127.0.0.1:0", bot: true, program: built, extra: []string{"PGUPGRADE_LOG=debug"}}, os.Stderr)
	if err != nil {
		b.Fatal(err)
	}
	defer s.close()
	lines, err := parseScenario(strings.NewReader(`
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin
		ben presses Approve cutover
		pgupgrade: Downtime
		ana presses App looks good
		pgupgrade: is safe to destroy`))
	if err != nil {
		b.Fatal(err)
	}
	if err := s.play(b.Context(), lines, io.Discard); err != nil {
		b.Fatal(err)
	}
	// More people at once than any upgrade has.
	for i := range 300 {
		if err := s.slack.Command(b.Context(), []string{"U1", "U2", "U3"}[i%3], channelID, "/pgupgrade status"); err != nil {
			b.Fatal(err)
		}
	}
	var runs []ops.Run
	if err := json.Unmarshal([]byte(s.once(b, "status", "orders", "--json", "--state", s.state)), &runs); err != nil {
		b.Fatal(err)
	}
	reportWindow(b, s.heroku.History(), runs[0])
	reportCalls(b, s.bot.log())
	reportAcks(b, s.slack)
}

// reportWindow compares the maintenance window with what Heroku itself was
// scripted to take in it: dynos that stop, the upgrade, and the two runs of the
// release phase at the switch.
func reportWindow(b *testing.B, history []herokutest.Request, run ops.Run) {
	var on, off time.Time
	for _, h := range history {
		switch h.Effect {
		case "maintenance.on":
			on = h.At
		case "maintenance.off":
			off = h.At
		}
	}
	if on.IsZero() || off.IsZero() {
		b.Fatal("no maintenance window in the history")
	}
	times := herokutest.DefaultTimes()
	scripted := times.DynoStop + times.Upgrade + 2*times.Release
	var proof time.Duration
	for _, r := range run.Steps {
		if r.Step == ops.StepCatchUpExact {
			proof = r.Ended.Sub(r.Begun)
		}
	}
	window := off.Sub(on)
	over := window - scripted - proof
	fmt.Printf("\nmaintenance window %.2f s = scripted %.2f s + proof of lag zero %.2f s + %.2f s of our own (%.1f %% of the scripted time)\n",
		window.Seconds(), scripted.Seconds(), proof.Seconds(), over.Seconds(), 100*over.Seconds()/scripted.Seconds())
	fmt.Printf("window / scripted = %.3f; without the proof %.3f; target: our own at most 1 %% + 2 s = %.2f s\n",
		window.Seconds()/scripted.Seconds(), (window-proof).Seconds()/scripted.Seconds(), 0.01*scripted.Seconds()+2)
	b.ReportMetric(window.Seconds()/scripted.Seconds(), "window/scripted")
	b.ReportMetric((window-proof).Seconds()/scripted.Seconds(), "(window-proof)/scripted")
}

var callLine = regexp.MustCompile(`msg=call step=("[^"]*"|\S*) `)

// reportCalls counts the calls to Heroku by the step that made them.
func reportCalls(b *testing.B, log string) {
	count := map[string]int{}
	var order []string
	for _, m := range callLine.FindAllStringSubmatch(log, -1) {
		step := strings.Trim(m[1], `"`)
		if step == "" {
			step = "(outside a run)"
		}
		if count[step] == 0 {
			order = append(order, step)
		}
		count[step]++
	}
	if len(order) == 0 {
		b.Fatal("the log shows no calls")
	}
	fmt.Println("calls to Heroku by step:")
	total := 0
	for _, step := range order {
		fmt.Printf("  %-18s %4d\n", step, count[step])
		total += count[step]
	}
	fmt.Printf("  %-18s %4d\n", "all", total)
	b.ReportMetric(float64(total), "calls")
}

// reportAcks prints how long the bot took to acknowledge envelopes, as seen from Slack.
func reportAcks(b *testing.B, s *slacktest.Server) {
	acks := s.Acks()
	slices.Sort(acks)
	if len(acks) < 100 {
		b.Fatalf("only %d acknowledgements", len(acks))
	}
	p50, p99 := acks[len(acks)/2], acks[len(acks)*99/100]
	fmt.Printf("acknowledged %d envelopes: p50 %.2f ms, p99 %.2f ms, slowest %.2f ms (target p99 under 50 ms); p99/p50 = %.1f\n",
		len(acks), ms(p50), ms(p99), ms(acks[len(acks)-1]), float64(p99)/float64(p50))
	b.ReportMetric(ms(p50), "ack-p50-ms")
	b.ReportMetric(ms(p99), "ack-p99-ms")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
