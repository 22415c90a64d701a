package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// Follower makes an empty follower of a cluster; Fill fills and starts it.
func (c *Cluster) Follower() (*Cluster, error) { return c.fleet.add(c.Install()) }

// Fill takes a base backup of the leader and starts as its streaming standby; it
// streams when Fill returns, so that its link can be cut.
func (c *Cluster) Fill(ctx context.Context, leader *Cluster) error {
	ctx, done, err := c.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = c.fleet.run(ctx, c.dir, filepath.Join(c.Install().Bin, "pg_basebackup"), "-h", leader.dir, "-p", strconv.Itoa(leader.Port()), "-U", Superuser,
		"-D", c.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	if err != nil {
		return err
	}
	if err := c.start(ctx); err != nil {
		return err
	}
	if err := c.await(ctx, streams, true); err != nil {
		return fmt.Errorf("wait for a follower to stream: %w", err)
	}
	// An upgrade copies these. Whoever waits for it should not wait for initdb.
	for major, i := range c.fleet.installs {
		if major > c.Install().Major {
			if _, err := c.fleet.template(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

const streams = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"

// CutLink ends the streaming: nothing is received any more. MendLink resumes it.
func (c *Cluster) CutLink(ctx context.Context) error {
	return c.link(ctx, "ALTER SYSTEM SET primary_conninfo = ''", false)
}

// MendLink resumes the streaming after CutLink.
func (c *Cluster) MendLink(ctx context.Context, leader *Cluster) error {
	return c.link(ctx, fmt.Sprintf("ALTER SYSTEM SET primary_conninfo = 'user=%s host=%s port=%d'", Superuser, leader.dir, leader.Port()), true)
}

func (c *Cluster) link(ctx context.Context, setting string, streaming bool) error {
	if err := c.Do(ctx, "postgres", setting, "SELECT pg_reload_conf()"); err != nil {
		return fmt.Errorf("change a follower's link: %w", err)
	}
	return c.await(ctx, streams, streaming)
}

// HoldReplay keeps what is received from being replayed; Resume lets it.
func (c *Cluster) HoldReplay(ctx context.Context) error {
	if err := c.Do(ctx, "postgres", "SELECT pg_wal_replay_pause()"); err != nil {
		return fmt.Errorf("hold a follower's replay: %w", err)
	}
	return c.await(ctx, "SELECT pg_get_wal_replay_pause_state() = 'paused'", true)
}

// ResumeReplay ends HoldReplay.
func (c *Cluster) ResumeReplay(ctx context.Context) error {
	if err := c.Do(ctx, "postgres", "SELECT pg_wal_replay_resume()"); err != nil {
		return fmt.Errorf("resume a follower's replay: %w", err)
	}
	return nil
}

// Promote ends the following. All that was received is replayed first, also when
// replay was held.
func (c *Cluster) Promote(ctx context.Context) error {
	ctx, done, err := c.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.promote(ctx)
}

func (c *Cluster) promote(ctx context.Context) error {
	if err := c.Do(ctx, "postgres", "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(false) END"); err != nil {
		return fmt.Errorf("promote a follower: %w", err)
	}
	return c.await(ctx, "SELECT NOT pg_is_in_recovery()", true)
}

// await waits until a query answers as wanted.
func (c *Cluster) await(ctx context.Context, query string, want bool) error {
	conn, err := c.Admin(ctx, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		var is bool
		if err := conn.QueryRow(ctx, query).Scan(&is); err != nil {
			return err
		}
		if is == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
