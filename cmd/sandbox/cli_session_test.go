package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// session returns what run is, with one process of the CLI for all commands: the CLI's
// own code, started once. Starting it takes a second, most of it to load what counts
// its use. It ends with the test, so a command that asks what nobody answers never ends,
// and it remembers each add-on that it looked up. With -walk it is run itself.
func (c *cli) session() func(args ...string) outcome {
	c.t.Helper()
	if *walk {
		return c.run
	}
	bin, err := filepath.EvalSymlinks(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	commands, write, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	defer commands.Close() // the process has its own
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(filepath.Dir(c.path), "node"), "--no-deprecation", "testdata/heroku.mjs", bin)
	cmd.Env, cmd.ExtraFiles = c.env(), []*os.File{commands}
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		write.Close()
		_ = cmd.Wait() // the test's context has ended it
	})
	said := bufio.NewReader(out)
	return func(args ...string) outcome {
		c.t.Helper()
		if err := json.NewEncoder(write).Encode(args); err != nil {
			c.t.Fatalf("heroku %s: %v", strings.Join(args, " "), err)
		}
		var all strings.Builder
		for {
			line, err := said.ReadString('\n')
			if err != nil {
				c.t.Fatalf("heroku %s: %v; it said: %s%s", strings.Join(args, " "), err, &all, line)
			}
			if code, ended := strings.CutPrefix(line, "\x00"); ended {
				r := outcome{args: strings.Join(args, " "), said: words(all.String())}
				if r.code, err = strconv.Atoi(strings.TrimSpace(code)); err != nil {
					c.t.Fatalf("heroku %s: %v", r.args, err)
				}
				return r
			}
			all.WriteString(line)
		}
	}
}
