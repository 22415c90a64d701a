package main

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// ran names, for each command in the README that needs no account, what runs it.
var ran = map[string]func(t *testing.T){
	"go run ./cmd/sandbox": func(t *testing.T) {
		// What it opens is TestThePageTellsTheWholeStory; here, that the command
		// itself begins, says where the page is, and ends.
		firstLine(t, "http://", "go", "run", "./cmd/sandbox", "--page", "127.0.0.1:0")
	},
	"go run ./cmd/sandbox --speed 8 --play cmd/sandbox/scenarios/story.txt": func(t *testing.T) {
		// On real clusters, which scripts/setup installs; that no row is missing is one of its lines.
		lines(t, `(?s)The databases are real: .*orders: \d+ rows written, [1-9]\d* acknowledged, 0 missing.*Every line held`, "go", "run", "./cmd/sandbox", "--speed", "8", "--play", "cmd/sandbox/scenarios/story.txt")
	},
	"make test": func(t *testing.T) { lines(t, "scripts/test", "make", "-n", "test") }, // it runs this test
}

// TestEveryCommandInTheReadmeRuns as it is written.
func TestEveryCommandInTheReadmeRuns(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		for command := range strings.Lines(block[1]) {
			command = strings.TrimSpace(command)
			run := ran[command]
			if run == nil {
				t.Errorf("no test runs %q", command)
				continue
			}
			seen++
			t.Run(command, func(t *testing.T) {
				t.Parallel()
				run(t)
			})
		}
	}
	if seen != len(ran) {
		t.Errorf("the README has %d of the %d commands", seen, len(ran))
	}
}

// TestTheReadmeHasEveryFlag of the sandbox.
func TestTheReadmeHasEveryFlag(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var help strings.Builder
	if code := run(t.Context(), []string{"-help"}, io.Discard, &help); code != 0 {
		t.Fatalf("-help ends with %d", code)
	}
	flags := regexp.MustCompile(`(?m)^  -([a-z]+)`).FindAllStringSubmatch(help.String(), -1)
	if len(flags) < 5 {
		t.Fatalf("found only %v", flags)
	}
	for _, f := range flags {
		if !strings.Contains(string(readme), "`--"+f[1]) {
			t.Errorf("the README lacks --%s", f[1])
		}
	}
}

// lines runs a command in the project's directory to its end and looks for a
// pattern in what it prints.
func lines(t *testing.T, pattern string, command ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir = "../.."
	out, err := c.CombinedOutput()
	if err != nil || !regexp.MustCompile(pattern).Match(out) {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// firstLine runs a command until it prints a text, then interrupts it.
func firstLine(t *testing.T, text string, command ...string) {
	t.Helper()
	c := exec.Command(command[0], command[1:]...)
	c.Dir = "../.."
	setGroup(c)
	printed := make(chan struct{})
	var out printer
	out.on(text, func() { close(printed) })
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = syscall.Kill(-c.Process.Pid, syscall.SIGQUIT) // it may have ended; else it says where it is
			_ = c.Wait()
			t.Logf("%s printed:\n%s", strings.Join(command, " "), out.String())
		}
	})
	within(t, printed, "the line with "+text)
	if err := interruptGroup(c); err != nil {
		t.Error(err)
	}
	_ = c.Wait() // go run reports the interrupt
	if !strings.Contains(out.String(), "Ending.") {
		t.Errorf("it did not end in order:\n%s", out.String())
	}
}
