package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest/clusters"
	"github.com/pgupgrade/pgupgrade/ops/pg/cluster"
)

// realData is real PostgreSQL clusters behind Heroku's side.
type realData struct {
	older, newer cluster.Install
	fleet        *cluster.Fleet
	storage      *clusters.Storage

	end   context.CancelFunc
	ended chan struct{}
}

// openData decides what holds the databases, and says so; nil is a model.
func openData(o options, out io.Writer) (*realData, error) {
	if o.postgres == "" || o.postgres == "off" {
		return nil, nil
	}
	if o.fleet == nil {
		o.fleet = cluster.Open
	}
	d := &realData{}
	var err error
	if d.older, d.newer, err = cluster.Pair(cluster.Find()); err == nil {
		d.fleet, err = o.fleet(d.older, d.newer)
	}
	switch {
	case err != nil && o.postgres == "require":
		return nil, fmt.Errorf("--postgres=require: %w", err)
	case err != nil:
		fmt.Fprintf(out, "The databases are a model in memory: %v.\n", err)
		return nil, nil
	}
	fmt.Fprintf(out, "The databases are real: PostgreSQL %s, to be upgraded to %s by pg_upgrade.\n", d.older.Version, d.newer.Version)
	d.storage = clusters.New(d.fleet, slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelError})))
	return d, nil
}

// live waits until the databases run and lets the apps write to them.
func (d *realData) live(ctx context.Context, h *herokutest.Server) error {
	if err := h.Ready(ctx); err != nil {
		return err
	}
	ctx, d.end = context.WithCancel(context.WithoutCancel(ctx))
	d.ended = make(chan struct{})
	go func() {
		defer close(d.ended)
		h.Live(ctx)
	}()
	return nil
}

func (d *realData) versions() string { return fmt.Sprintf("%d,%d", d.older.Major, d.newer.Major) }

func (d *realData) close() error {
	if d.end != nil {
		d.end()
		<-d.ended
	}
	return d.storage.Close()
}

// report prints what became of the rows that were acknowledged.
func (s *sandbox) report(out io.Writer) {
	fmt.Fprintln(out)
	for _, r := range s.heroku.Rows() {
		if r.Acknowledged > 0 {
			fmt.Fprintln(out, r)
		}
	}
}
