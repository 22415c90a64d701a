package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestNothingIsLeftBehind when the sandbox ends because its terminal was closed, or
// because what reads its output went away, as `head` does.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args  []string
		until string // a line with this
		end   func(c *exec.Cmd, output *os.File) error
	}{
		"the terminal is closed": {[]string{"--page", "127.0.0.1:0"}, "Ctrl-C", func(c *exec.Cmd, _ *os.File) error { return c.Process.Signal(syscall.SIGHUP) }},
		"the reader is gone":     {[]string{"--speed", "8", "--play", "scenarios/story.txt"}, "Looked at", func(_ *exec.Cmd, output *os.File) error { return output.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			c := exec.Command(os.Args[0], append(tt.args, "--postgres", "off")...)
			c.Env = append(os.Environ(), asSandbox+"=1", "TMPDIR="+folder)
			var errs strings.Builder
			c.Stderr = &errs
			output, theirs, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer output.Close()
			c.Stdout = theirs
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			theirs.Close()
			lines := bufio.NewScanner(output)
			for lines.Scan() && !strings.Contains(lines.Text(), tt.until) {
			}
			if !strings.Contains(lines.Text(), tt.until) {
				t.Errorf("it ended before it said %q: %v, %s", tt.until, c.Wait(), errs.String())
			}
			if len(processes(t, folder)) == 0 {
				t.Error("no bot runs, so that none could be left behind")
			}
			if err := tt.end(c, output); err != nil {
				t.Error(err)
			}
			ended := make(chan struct{})
			go func() {
				_ = c.Wait() // how it ended does not matter
				close(ended)
			}()
			within(t, ended, "its end")
			if left := processes(t, folder); len(left) > 0 {
				t.Errorf("processes are left behind: %q", left)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("files are left behind: %v, %v", left, err)
			}
		})
	}
}
