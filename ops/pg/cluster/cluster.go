package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is one PostgreSQL server with its data. Its methods may be called from
// several goroutines: one changes it at a time.
type Cluster struct {
	fleet *Fleet
	dir   string
	port  *port

	mu      sync.Mutex
	install Install

	busy  chan struct{} // held by whoever changes it
	gone  chan struct{} // closed by Drop
	cmd   *exec.Cmd
	ended <-chan error
}

// ErrGone means that the cluster was dropped.
var ErrGone = errors.New("the cluster was dropped")

// New makes a fresh cluster; it does not run yet.
func (f *Fleet) New(i Install) (*Cluster, error) { return f.add(i) }

// Port is where it listens, on 127.0.0.1; it never changes.
func (c *Cluster) Port() int { return c.port.number }

// Install is what runs it.
func (c *Cluster) Install() Install {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.install
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// change makes the caller the only one who changes it, and ends what the caller
// does when the cluster is dropped.
func (c *Cluster) change(ctx context.Context) (context.Context, func(), error) {
	select {
	case <-c.gone:
		return nil, nil, ErrGone
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case c.busy <- struct{}{}:
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-c.gone:
			cancel(ErrGone)
		case <-done:
		}
	}()
	return ctx, func() { close(done); cancel(nil); <-c.busy }, nil
}

// Start fills it, if it is empty, and starts it.
func (c *Cluster) Start(ctx context.Context) error {
	ctx, done, err := c.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	if _, err := os.Stat(c.data()); errors.Is(err, os.ErrNotExist) {
		if err := c.fleet.fresh(ctx, c.Install(), c.data()); err != nil {
			return err
		}
	}
	return c.start(ctx)
}

// errTaken: the port was let go of and is not free yet. A process that is just
// being started elsewhere in this program has a copy of the listener until it
// becomes what it is to be.
var errTaken = errors.New("its port is still taken")

func (c *Cluster) start(ctx context.Context) error {
	var err error
	for range 20 {
		if err = c.startOnce(ctx); !errors.Is(err, errTaken) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
	return err
}

func (c *Cluster) startOnce(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open a cluster's log: %w", err)
	}
	defer log.Close() // the server has its own
	before, err := log.Stat()
	if err != nil {
		return fmt.Errorf("look at a cluster's log: %w", err)
	}
	// The server outlives ctx; Drop ends it.
	cmd := c.fleet.command(context.WithoutCancel(ctx), c.dir, filepath.Join(c.Install().Bin, "postgres"), "-D", c.data(), "-p", strconv.Itoa(c.Port()),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+c.dir)
	cmd.Stdout, cmd.Stderr = log, log
	c.port.release()
	ended, err := c.fleet.spawn(cmd)
	if err != nil {
		return fmt.Errorf("start a cluster: %w", err)
	}
	c.cmd, c.ended = cmd, ended
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := c.Admin(ctx, "postgres")
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case end := <-ended:
			c.cmd = nil
			if b, err := os.ReadFile(log.Name()); err == nil && bytes.Contains(b[before.Size():], []byte("Address already in use")) {
				return fmt.Errorf("start a cluster: %w: %s", errTaken, b[before.Size():])
			}
			return fmt.Errorf("start a cluster: it ended (%v); the end of its log: %s", end, c.tail())
		case <-ctx.Done():
			return fmt.Errorf("start a cluster: %w, the last answer was: %w", context.Cause(ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *Cluster) tail() string {
	b, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-1000):])
}

// stop ends the server and takes its port: SIGINT ends sessions and writes all
// out, SIGQUIT drops everything at once.
func (c *Cluster) stop(how syscall.Signal) error {
	if c.cmd == nil {
		return nil
	}
	if err := c.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop a cluster: %w", err)
	}
	select {
	case <-c.ended:
	case <-time.After(20 * time.Second):
		if err := c.cmd.Process.Kill(); err != nil {
			return fmt.Errorf("kill a cluster that did not stop: %w", err)
		}
		<-c.ended
	}
	c.cmd = nil
	return nil
}

// Admin connects as the superuser, through the socket.
func (c *Cluster) Admin(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s dbname=%s connect_timeout=5", c.dir, c.Port(), Superuser, database))
}

// Do runs SQL as the superuser.
func (c *Cluster) Do(ctx context.Context, database string, statements ...string) error {
	conn, err := c.Admin(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// Drop ends it with everything that it has begun, and removes its folder. A
// second one waits for the first.
func (c *Cluster) Drop() error {
	c.fleet.mu.Lock()
	first := c.fleet.clusters[c]
	delete(c.fleet.clusters, c)
	c.fleet.mu.Unlock()
	if first {
		close(c.gone)
	}
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	err := errors.Join(c.stop(syscall.SIGQUIT), stopForeign(c.dir))
	c.port.release()
	return errors.Join(err, os.RemoveAll(c.dir))
}
