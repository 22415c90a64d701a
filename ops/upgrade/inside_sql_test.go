package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/upgrade"
)

// reach is SQL as the procedure has it: what a config var leads to.
type reach struct {
	w *world
	m *insides
}

var errUnreached = errors.New("the database does not answer")

func (r reach) find(ctx context.Context, at ops.Place) (*inside, error) {
	hosts, err := r.w.runner.Heroku.ConfigHosts(ctx, at.App)
	if err != nil {
		return nil, err
	}
	r.m.mu.Lock()
	d := r.m.on(hosts[at.Var].Host)
	r.m.mu.Unlock()
	if d == nil || d.id != at.AddonID {
		return nil, fmt.Errorf("%s of %s does not lead to %s", at.Var, at.App, at.AddonID)
	}
	return d, nil
}

func (r reach) Open(ctx context.Context, at ops.Place) (upgrade.Database, error) {
	d, err := r.find(ctx, at)
	if err != nil {
		return nil, err
	}
	return insideOf{d, r.w}, nil
}

// Compare compares the rows themselves.
func (r reach) Compare(ctx context.Context, first, second ops.Place, _ ops.CompareLimits) ([]ops.RowsCompared, error) {
	a, err := r.find(ctx, first)
	if err != nil {
		return nil, err
	}
	b, err := r.find(ctx, second)
	if err != nil {
		return nil, err
	}
	has, err := a.Held(ctx)
	if err != nil {
		return nil, err
	}
	got, err := b.Held(ctx)
	if err != nil {
		return nil, err
	}
	c := ops.RowsCompared{Table: "public.rows", Whole: true}
	for writer, rows := range has {
		c.Rows += rows.Count()
		if n := rows.Missing(got[writer]); n > 0 {
			c.Differs = fmt.Sprintf("has %d rows less", n)
		}
	}
	return []ops.RowsCompared{c}, nil
}

// insideOf is one database as the procedure has it.
type insideOf struct {
	d *inside
	w *world
}

// ask reads, or fails where the database is not there or out of reach.
func ask[T any](x insideOf, read func(now time.Time) T) (v T, err error) {
	now := x.d.m.now()
	if away := x.d.m.away; away != nil && away(x.d.id) || !x.d.Look(now).Ready {
		return v, errUnreached
	}
	x.d.m.mu.Lock()
	defer x.d.m.mu.Unlock()
	return read(now), nil
}

func (x insideOf) server(now time.Time) ops.Server {
	l := x.d.Look(now)
	s := ops.Server{Version: l.Version, Follower: x.d.leader != nil, System: x.d.system, Timeline: 1, Owner: true, AllStats: true}
	fmt.Sscan(ops.Major(l.Version), &s.Major)
	return s
}

func (x insideOf) Server(context.Context) (ops.Server, error) { return ask(x, x.server) }

func (x insideOf) Position(context.Context) (ops.Position, error) {
	return ask(x, func(now time.Time) ops.Position {
		d := x.d
		p := ops.Position{At: now, System: d.system, Follower: d.leader != nil}
		if !p.Follower {
			p.End = d.end
			d.m.reached[d.id]++
			return p
		}
		l := d.Look(now)
		p.Replayed = max(1, d.leader.end-ops.LSN(min(int64(d.leader.end)-1, 100*int64(l.Behind))))
		p.Received = p.Replayed
		return p
	})
}

func (x insideOf) activity(now time.Time) ops.Activity {
	d := x.d
	a := ops.Activity{At: now, Major: x.server(now).Major, System: d.system, Follower: d.leader != nil, NextXID: d.xid, Tables: maps.Clone(d.tables), Reset: d.reset}
	for _, c := range d.m.clients {
		if c.at == d {
			a.Sessions = append(a.Sessions, c.seen)
		}
	}
	return a
}

func (x insideOf) Activity(context.Context) (ops.Activity, error) { return ask(x, x.activity) }

func (x insideOf) Reading(context.Context) (ops.Reading, error) {
	return ask(x, func(now time.Time) ops.Reading {
		return ops.Reading{Activity: x.activity(now), Sequences: ops.Known(map[string]ops.Sequence{}), Schema: ops.Known(map[string]string{"table public.rows": "1"})}
	})
}

func (x insideOf) fence(now time.Time) ops.DBFence {
	f := ops.DBFence{At: now, Setting: x.d.set(), Owner: x.d.leader == nil}
	for _, c := range x.d.m.clients {
		if c.at == x.d {
			f.PIDs = append(f.PIDs, c.pid)
		}
	}
	return f
}

func (x insideOf) Fenced(context.Context) (ops.DBFence, error) { return ask(x, x.fence) }

func (x insideOf) Objects(context.Context) (map[string]int64, error) {
	return ask(x, func(time.Time) map[string]int64 { return map[string]int64{"tables": 1} })
}

func (x insideOf) SequencesBehind(context.Context) ([]ops.SequenceBehind, error) { return nil, nil }

func (x insideOf) Busiest(context.Context, int) ([]string, error) {
	return []string{"public.rows"}, nil
}

var errNotModelled = errors.New("what the checks look for inside is not modelled")

func (x insideOf) Inside(context.Context, bool) (ops.Inside, error) {
	return ops.Inside{}, errNotModelled
}
func (x insideOf) Holding(context.Context) (ops.Inside, error) { return ops.Inside{}, errNotModelled }

// acts makes a change, with a moment before and after it.
func acts[T any](x insideOf, ctx context.Context, kind ops.ActKind, do func(now time.Time) (T, error)) (T, error) {
	return call(calls{w: x.w}, ctx, kind, x.d.id, func() (T, error) {
		var failed error
		v, err := ask(x, func(now time.Time) (v T) {
			v, failed = do(now)
			return v
		})
		return v, errors.Join(err, failed)
	})
}

func (x insideOf) change(kind ops.ActKind, ctx context.Context, recorded ops.DBFence, on bool) (ops.DBFence, error) {
	return acts(x, ctx, kind, func(now time.Time) (ops.DBFence, error) {
		f := x.fence(now)
		switch {
		case on && f.On(), !on && f.Same(recorded):
			return f, nil
		case on && !f.Same(recorded), !on && !f.On():
			return f, ops.ErrStale
		case !f.Owner:
			return f, errors.New("it is a follower")
		case on:
			x.d.setting = "on"
			x.d.m.reached[x.d.id] = 0
		default:
			x.d.setting = recorded.Setting
		}
		return x.fence(now), nil
	})
}

func (x insideOf) Fence(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error) {
	return x.change(ops.ActFenceDB, ctx, recorded, true)
}

func (x insideOf) Clear(ctx context.Context, recorded ops.DBFence) (ops.DBFence, error) {
	return x.change(ops.ActClearDB, ctx, recorded, false)
}

// EndSessions leaves those of other credentials to Heroku.
func (x insideOf) EndSessions(ctx context.Context, fence ops.DBFence) (ops.Ended, error) {
	return acts(x, ctx, ops.ActEndSessions, func(now time.Time) (e ops.Ended, _ error) {
		for _, c := range x.d.m.clients {
			if c.at != x.d || len(ops.OlderThanFence(fence, []ops.Session{c.seen})) == 0 {
				continue
			}
			if c.s.Once {
				e.Left = append(e.Left, c.seen)
				continue
			}
			c.end(now)
			e.Ended++
		}
		return e, nil
	})
}

func (x insideOf) Writable(ctx context.Context) (ops.Writable, error) {
	return acts(x, ctx, ops.ActProve, func(now time.Time) (ops.Writable, error) {
		f := x.fence(now)
		return ops.Writable{Server: x.server(now), Fence: f, Wrote: x.d.leader == nil, Default: !f.On()}, nil
	})
}

func (x insideOf) Analyze(ctx context.Context, first []string, _ time.Duration, _ func(int, int, string)) (ops.Analyzed, error) {
	return acts(x, ctx, ops.ActAnalyze, func(time.Time) (ops.Analyzed, error) { return ops.Analyzed{Done: first}, nil })
}
