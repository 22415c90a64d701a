package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The phases of an upgrade, as a caller is told.
const (
	PhasePrepare = 1 // it is promoted and stopped; the new data directory is made
	PhaseUpgrade = 2 // pg_upgrade
	PhaseStart   = 3
)

// Upgrade upgrades it with pg_upgrade --link, promoting it first if it follows,
// and starts it again at the same port. It tells each phase, and waits while told
// blocks. It returns how long pg_upgrade itself took. When pg_upgrade refuses,
// the cluster stays stopped.
func (c *Cluster) Upgrade(ctx context.Context, to Install, tell func(ctx context.Context, phase int) error) (time.Duration, error) {
	ctx, done, err := c.change(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := tell(ctx, PhasePrepare); err != nil {
		return 0, err
	}
	if err := c.promote(ctx); err != nil {
		return 0, err
	}
	if err := c.stop(syscall.SIGINT); err != nil {
		return 0, err
	}
	if err := c.port.hold(); err != nil {
		return 0, fmt.Errorf("keep the port of a cluster that is being upgraded: %w", err)
	}
	next, sockets := filepath.Join(c.dir, "next"), filepath.Join(c.dir, "s")
	if err := c.fleet.fresh(ctx, to, next); err != nil {
		return 0, err
	}
	if err := c.fleet.mkdir(sockets); err != nil {
		return 0, err
	}
	if err := tell(ctx, PhaseUpgrade); err != nil {
		return 0, err
	}
	begun := time.Now()
	out, err := c.fleet.output(ctx, c.dir, filepath.Join(to.Bin, "pg_upgrade"), "-b", c.Install().Bin, "-B", to.Bin, "-d", c.data(), "-D", next,
		"-U", Superuser, "-s", sockets, "--link")
	took := time.Since(begun)
	if err != nil {
		return took, fmt.Errorf("%w", &Refused{Why: refusal(out), Err: err})
	}
	if err := tell(ctx, PhaseStart); err != nil {
		return took, err
	}
	if err := errors.Join(os.RemoveAll(c.data()), os.Rename(next, c.data()), os.RemoveAll(sockets)); err != nil {
		return took, fmt.Errorf("put the upgraded data in place: %w", err)
	}
	c.mu.Lock()
	c.install = to
	c.mu.Unlock()
	return took, c.start(ctx)
}

// Refused is an upgrade that pg_upgrade would not do.
type Refused struct {
	Why string // in pg_upgrade's words, without a full stop
	Err error
}

func (r *Refused) Error() string { return "upgrade failed: " + r.Why }
func (r *Refused) Unwrap() error { return r.Err }

// refusal finds the first line of pg_upgrade's explanation, which follows the check
// that says "fatal" or, since 17, "failed check".
func refusal(out string) string {
	found, lines := false, bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if found && line != "" && !strings.HasSuffix(line, ":") {
			return strings.TrimSuffix(line, ".")
		}
		found = found || strings.HasSuffix(line, "fatal") || strings.Contains(line, "failed check")
	}
	return "pg_upgrade refused"
}
