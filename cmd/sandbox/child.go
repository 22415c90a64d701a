package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// build compiles the bot and says what it does meanwhile.
func build(ctx context.Context, into string, out io.Writer) error {
	fmt.Fprintln(out, "Building pgupgrade; the first time this downloads modules and takes a minute or two.")
	begun := time.Now()
	c := exec.CommandContext(ctx, "go", "build", "-v", "-o", into, "github.com/pgupgrade/pgupgrade/cmd/pgupgrade")
	c.Stdout, c.Stderr = out, out
	if err := c.Run(); err != nil {
		return fmt.Errorf("build pgupgrade (run this from the project's directory): %w", err)
	}
	fmt.Fprintf(out, "Built in %s.\n", time.Since(begun).Round(100*time.Millisecond))
	return nil
}

// child runs the bot as a process of its own, and starts it again when it was killed.
type child struct {
	program string
	args    []string
	env     []string
	logPath string
	failed  chan<- error

	mu       sync.Mutex
	cmd      *exec.Cmd
	ended    chan struct{} // closed when cmd ended
	stopping bool
	starts   int
	started  time.Time // last

	forgetful bool // killed is killed: it does not come back
}

func newChild(program string, args, env []string, logPath string, failed chan<- error) *child {
	return &child{program: program, args: args, env: env, logPath: logPath, failed: failed}
}

// start starts the process.
func (c *child) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil
	}
	log, err := os.OpenFile(c.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the bot's log: %w", err)
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(c.program, c.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the bot: %w", err)
	}
	c.cmd, c.ended = cmd, make(chan struct{})
	c.starts++
	c.started = time.Now()
	go c.wait(cmd, c.ended)
	return nil
}

// wait starts the process again when it was killed; when it ended by itself it
// says why.
func (c *child) wait(cmd *exec.Cmd, ended chan struct{}) {
	err := cmd.Wait()
	c.mu.Lock()
	stopping := c.stopping // replace waits for ended before it takes this back
	close(ended)
	c.mu.Unlock()
	if stopping {
		return
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		if c.forgetful {
			return
		}
		time.Sleep(time.Second) // as a dyno manager would take a moment
		err = c.start()
		if err == nil {
			return
		}
	}
	tail, readErr := os.ReadFile(c.logPath)
	if readErr == nil {
		err = fmt.Errorf("the bot ended (%v); the end of its log:\n%s", err, tail[max(0, len(tail)-2000):])
	}
	select {
	case c.failed <- err:
	default:
	}
}

// kill ends the process without a warning. It comes back by itself.
func (c *child) kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return errors.New("the bot does not run")
	}
	return c.cmd.Process.Kill()
}

// freeze stops the process where it is, as a machine that is out of memory or is
// being moved does; thaw lets it go on.
func (c *child) freeze() error { return c.signal(syscall.SIGSTOP) }

func (c *child) thaw() error { return c.signal(syscall.SIGCONT) }

func (c *child) signal(s os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return errors.New("the bot does not run")
	}
	return c.cmd.Process.Signal(s)
}

// running reports whether the process runs, and how often it was started.
func (c *child) running() (bool, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return false, c.starts
	}
	select {
	case <-c.ended:
		return false, c.starts
	default:
		return true, c.starts
	}
}

// replace ends the process with SIGTERM, as a deploy does, and starts another program.
func (c *child) replace(program string) error {
	if err := c.stop(); err != nil {
		return err
	}
	c.mu.Lock()
	c.program, c.stopping = program, false
	c.mu.Unlock()
	return c.start()
}

// stop ends the process with SIGTERM and waits for it.
func (c *child) stop() error {
	c.mu.Lock()
	c.stopping = true
	cmd, ended := c.cmd, c.ended
	c.mu.Unlock()
	if cmd == nil {
		return nil
	}
	// One that is frozen would not hear it.
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Process.Signal(syscall.SIGCONT)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the bot: %w", err)
	}
	select {
	case <-ended:
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the bot did not stop within 30 s of SIGTERM; killed"), cmd.Process.Kill())
	}
}

// log returns what the bot has logged.
func (c *child) log() string {
	b, err := os.ReadFile(c.logPath)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
