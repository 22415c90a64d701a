package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/pg/cluster"
)

// built is the production program, built once for all tests here.
var built string

// asSandbox in the environment makes the test's program the sandbox.
const asSandbox = "PGUPGRADE_TEST_SANDBOX"

func TestMain(m *testing.M) {
	if os.Getenv(asSandbox) != "" {
		main()
	}
	dir, err := os.MkdirTemp("", "pgupgrade-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = filepath.Join(dir, "pgupgrade")
	if err := build(context.Background(), built, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if first != nil {
		if err := first.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// first is the fleet whose fresh data directories those of all tests are copies of;
// nil when no test had clusters.
var (
	firstMu sync.Mutex
	first   *cluster.Fleet
)

func anotherFleet(installs ...cluster.Install) (*cluster.Fleet, error) {
	firstMu.Lock()
	defer firstMu.Unlock()
	if first == nil {
		var err error
		if first, err = cluster.Open(installs...); err != nil {
			return nil, err
		}
	}
	return first.Another()
}

// quick are the options of a sandbox that runs the built program, without clusters.
func quick() options {
	return options{speed: 8, page: "127.0.0.1:0", slack: "127.0.0.1:0", heroku: "127.0.0.1:0", bot: true, program: built, postgres: "off", fleet: anotherFleet}
}

// begin opens a sandbox that runs the built program, quietly.
func begin(t *testing.T, change ...func(*options)) *sandbox {
	t.Helper()
	o := quick()
	for _, f := range change {
		f(&o)
	}
	s, err := open(t.Context(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && s.bot != nil {
			t.Logf("the bot's log:\n%s", s.bot.log())
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// says plays lines of a scenario in an open sandbox.
func (s *sandbox) says(t *testing.T, p *player, text string) {
	t.Helper()
	lines, err := parseScenario(stringReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if err := p.line(t.Context(), l); err != nil {
			t.Fatalf("%q: %v", l.text, err)
		}
	}
}

func newPlayer(t *testing.T, s *sandbox) *player {
	t.Helper()
	p := &player{sandbox: s, out: io.Discard, printed: map[string]bool{}}
	if err := p.until(t.Context(), func() bool { return s.slack.Sockets() > 0 }); err != nil {
		t.Fatalf("the bot did not connect: %v", err)
	}
	return p
}

// within ends a wait that hangs; it is no assertion about speed.
func within(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(4 * time.Minute): // all tests at once share two cores, and one of them links the program first
		t.Fatalf("%s did not happen", what)
	}
}

// once runs the built program to its end, in the bot's environment.
func (s *sandbox) once(t testing.TB, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), built, args...)
	c.Env = s.environment()
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("pgupgrade %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}
