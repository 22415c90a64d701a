package clusters

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// client is a program with a real session.
type client struct {
	s    *Storage
	url  string
	how  herokutest.Session
	j    *herokutest.Journal
	due  chan int
	stop context.CancelFunc
}

// Connect begins a program. It connects by the URL alone, and again whenever its
// session ended, as a connection pool does.
func (s *Storage) Connect(url string, how herokutest.Session, j *herokutest.Journal) herokutest.Client {
	ctx, stop := context.WithCancel(s.ctx)
	c := &client{s: s, url: url, how: how, j: j, due: make(chan int, 4), stop: stop}
	s.wg.Go(func() { c.run(ctx) })
	return c
}

// Write asks for rows. Nobody waits for a program that does not get through.
func (c *client) Write(n int, _ time.Time) {
	select {
	case c.due <- n:
	default:
	}
}

// Close ends the program as a kill does.
func (c *client) Close() { c.stop() }

// looksUp is how often a program that has nothing to write notices that its
// session was ended.
const looksUp = 300 * time.Millisecond

func (c *client) run(ctx context.Context) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background()) // its server may be gone
		}
	}()
	for {
		if conn != nil && conn.IsClosed() && c.how.Once {
			return
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = c.connect(ctx); err != nil {
				conn = nil
				select {
				case <-ctx.Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case n := <-c.due:
			for range n {
				c.insert(ctx, conn)
			}
		case <-time.After(looksUp):
			_ = conn.Ping(ctx) // a session that was ended is closed by it
		}
	}
}

func (c *client) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url)
	if err != nil || !c.how.ReadWrite {
		return conn, err
	}
	if _, err := conn.Exec(ctx, "SET default_transaction_read_only = off"); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// insert tries one row. What it was told counts: a row whose answer was lost may
// be there, and is not in the journal.
func (c *client) insert(ctx context.Context, conn *pgx.Conn) {
	id := c.j.Take(1)
	if _, err := conn.Exec(ctx, "INSERT INTO written (writer, id) VALUES ($1, $2)", c.j.Writer(), id); err == nil {
		c.j.Ack(id, id, time.Now())
	}
}
