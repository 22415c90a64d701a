package clusters

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// often is how often a database is looked at: what Heroku says of one is a
// sample too.
const often = 150 * time.Millisecond

// sizedEvery is how old a database's size may be. PostgreSQL asks the file system
// about each of its files for it.
const sizedEvery = 2 * time.Second

// watch samples the database until it is dropped.
func (d *data) watch() {
	var own, leader *pgx.Conn
	var sized time.Time
	shut := func(c **pgx.Conn) {
		if *c != nil {
			_ = (*c).Close(context.Background()) // it is given up
			*c = nil
		}
	}
	defer shut(&own)
	defer shut(&leader)
	for {
		ctx, cancel := context.WithTimeout(d.s.ctx, stale)
		if err := d.sample(ctx, &own, &leader, &sized); err != nil {
			shut(&own)
			shut(&leader)
		}
		cancel()
		d.mu.Lock()
		dropped := d.dropped
		d.mu.Unlock()
		if dropped {
			return
		}
		select {
		case <-d.s.ctx.Done():
			return
		case <-time.After(often):
		}
	}
}

// position is how far a database is: its WAL, and the transactions that have
// ended in it.
type position struct {
	lsn   int64
	ended int64
}

// positionSQL reads it, of a leader or of a follower that replays. xmax of a
// snapshot is one more than the newest transaction that has ended; a follower
// counts those whose end it has replayed.
const positionSQL = `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) - '0/0'::pg_lsn,
	pg_snapshot_xmax(pg_current_snapshot())::text::bigint`

func read(ctx context.Context, c *pgx.Conn) (p position, err error) {
	var lsn float64
	err = c.QueryRow(ctx, "SELECT a::float8, b FROM ("+positionSQL+") AS p(a, b)").Scan(&lsn, &p.ended)
	p.lsn = int64(lsn)
	return p, err
}

// behind is how many commits a follower has not replayed: the transactions that
// have ended at the leader and not here. While WAL is missing it is at least 1,
// so 0 means that nothing at all is missing.
func behind(leader, follower position) int {
	if follower.lsn >= leader.lsn {
		return 0
	}
	return max(1, int(leader.ended-follower.ended))
}

func connected(ctx context.Context, c **pgx.Conn, to *data) (err error) {
	if *c == nil || (*c).IsClosed() {
		*c, err = to.cluster.Admin(ctx, to.name)
	}
	return err
}

func (d *data) sample(ctx context.Context, own, leader **pgx.Conn, sized *time.Time) error {
	begun := time.Now()
	follows := d.following()
	var at, here position
	known := false
	if follows != nil { // the leader first: what it commits meanwhile is not missed here
		if connected(ctx, leader, follows) == nil {
			var err error
			at, err = read(ctx, *leader)
			known = err == nil
		}
	}
	if err := connected(ctx, own, d); err != nil {
		return err
	}
	here, err := read(ctx, *own)
	if err != nil {
		return err
	}
	var sessions int
	var bytes *int64
	size := begun.Sub(*sized) >= sizedEvery
	err = (*own).QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND usename <> current_user),
		CASE WHEN $1 THEN pg_database_size(current_database()) END`, size).Scan(&sessions, &bytes)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sampled = begun
	l := &d.look
	l.Sessions, l.Version = sessions, d.cluster.Install().Version
	if bytes != nil {
		l.Bytes, *sized = *bytes, begun
	}
	l.Ready = l.Upgrade.To == "" || l.Upgrade.Ended && l.Upgrade.Failed == ""
	if d.leader != nil && d.leader == follows {
		l.Behind, l.BehindKnown = behind(at, here), known
	}
	return nil
}

var _ herokutest.Storage = (*Storage)(nil)
