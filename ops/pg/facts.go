package pg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// LongAfter is how old a transaction is when it counts as long
// (autobase stops an upgrade at the same age).
const LongAfter = 15 * time.Second

// namesShown is how many names of a kind are kept.
const namesShown = 10

// Inside looks inside the database, and into every other database of its server
// that the credential may connect to, one at a time. It reads the system
// catalogue and the statistics views, no rows of tables but the sequences'. The
// error is about reaching the database; a question that fails makes its own
// facts unknown. With late only what may change within a minute is asked.
func (d *Database) Inside(ctx context.Context, late bool) (ops.Inside, error) {
	return d.inside(ctx, late, LongAfter)
}

func (d *Database) inside(ctx context.Context, late bool, long time.Duration) (ops.Inside, error) {
	in := ops.Inside{Things: map[ops.Thing]ops.Fact[ops.Names]{}}
	setup, name, err := d.setup(ctx)
	if err != nil {
		return in, err
	}
	in.Setup, in.Databases = ops.Known(setup), []string{name}
	begun := d.walAt(ctx)
	a := asker{late: late, major: setup.Major, long: long, in: &in}
	a.server(ctx, d)
	a.database(ctx, d, "")
	if !late {
		a.others(ctx, d, name)
		in.WALRate = walRate(begun, d.later(ctx, begun))
	}
	return in, nil
}

// Holding looks on a follower for what holds its replay back.
func (d *Database) Holding(ctx context.Context) (ops.Inside, error) {
	return d.holding(ctx, LongAfter)
}

func (d *Database) holding(ctx context.Context, long time.Duration) (ops.Inside, error) {
	in := ops.Inside{Things: map[ops.Thing]ops.Fact[ops.Names]{}}
	setup, name, err := d.setup(ctx)
	if err != nil {
		return in, err
	}
	in.Setup, in.Databases = ops.Known(setup), []string{name}
	in.Things[ops.ReplayHolders] = d.names(ctx, probe{thing: ops.ReplayHolders, sql: replayHoldersSQL, long: true}, long)
	return in, nil
}

// asker puts the questions that fit the server and the moment.
type asker struct {
	late  bool
	major int
	long  time.Duration
	in    *ops.Inside
}

// probe is one question whose answer is names. Its sql returns one text column.
type probe struct {
	thing ops.Thing
	sql   string
	from  int  // major that first has it; before that there is none
	late  bool // asked again right before the fence
	long  bool // $1 is the age in seconds of what is long
}

// server asks what is the same from every database of the server.
func (a asker) server(ctx context.Context, d *Database) {
	for _, p := range serverProbes {
		if p.late || !a.late {
			a.put(p.thing, a.ask(ctx, d, p), "")
		}
	}
	a.in.Connections = factFrom(ctx, d, "count the connections", connectionsSQL, func(r pgx.CollectableRow) (s ops.Sessions, err error) {
		return s, r.Scan(&s.Now, &s.Limit)
	})
	if !a.late {
		a.in.Age = factFrom(ctx, d, "read the age of the transaction ids", oldestXID, func(r pgx.CollectableRow) (x ops.Age, err error) {
			return x, r.Scan(&x.Oldest, &x.Percent, &x.Limit)
		})
	}
}

// database asks what each database has of its own. prefix names it when it is
// not the connection's.
func (a asker) database(ctx context.Context, d *Database, prefix string) {
	for _, p := range databaseProbes {
		if p.late || !a.late {
			a.put(p.thing, a.ask(ctx, d, p), prefix)
		}
	}
	more := factOf(rowsOf(ctx, d, "list the extensions", extensionsSQL, func(r pgx.CollectableRow) (x ops.Extension, err error) {
		return x, r.Scan(&x.Database, &x.Name, &x.Version, &x.Default, &x.Schema)
	}))
	a.in.Extensions = joinFacts(a.in.Extensions, more, prefix == "", func(x, y []ops.Extension) []ops.Extension { return append(x, y...) })
	if prefix == "" {
		a.in.SchemaHash = factFrom(ctx, d, "read the schema", schemaHashSQL, pgx.RowTo[string])
	}
	if a.late {
		return
	}
	a.put(ops.FullSequences, d.fullSequences(ctx), prefix)
	objects := factFrom(ctx, d, "count the objects", objectsSQL, func(r pgx.CollectableRow) (x ops.Objects, err error) {
		return x, r.Scan(&x.Schemas, &x.Tables, &x.Indexes, &x.All, &x.Sequences, &x.LargeObjects)
	})
	a.in.Objects = joinFacts(a.in.Objects, objects, prefix == "", func(x, y ops.Objects) ops.Objects {
		return ops.Objects{Schemas: x.Schemas + y.Schemas, Tables: x.Tables + y.Tables, Indexes: x.Indexes + y.Indexes, All: x.All + y.All,
			Sequences: x.Sequences + y.Sequences, LargeObjects: x.LargeObjects + y.LargeObjects}
	})
	text := factFrom(ctx, d, "size the text indexes", textIndexesSQL, func(r pgx.CollectableRow) (x ops.Sized, err error) {
		return x, r.Scan(&x.Count, &x.Bytes)
	})
	a.in.TextIndexes = joinFacts(a.in.TextIndexes, text, prefix == "", func(x, y ops.Sized) ops.Sized {
		return ops.Sized{Count: x.Count + y.Count, Bytes: x.Bytes + y.Bytes}
	})
	dead := factFrom(ctx, d, "count the dead rows", deadRowsSQL, func(r pgx.CollectableRow) (x ops.DeadRows, err error) {
		return x, r.Scan(&x.Tables, &x.Rows, &x.Largest)
	})
	a.in.DeadRows = joinFacts(a.in.DeadRows, dead, prefix == "", func(x, y ops.DeadRows) ops.DeadRows {
		if x.Largest == "" {
			x.Largest = y.Largest
		}
		return ops.DeadRows{Tables: x.Tables + y.Tables, Rows: x.Rows + y.Rows, Largest: x.Largest}
	})
}

// others looks into the other databases of the server, each over one connection
// that is closed before the next.
func (a asker) others(ctx context.Context, d *Database, own string) {
	names, err := rowsOf(ctx, d, "list the databases", `SELECT datname::text FROM pg_database
		WHERE datallowconn AND datconnlimit <> -2 AND NOT datistemplate AND datname <> current_database() AND has_database_privilege(oid, 'CONNECT') ORDER BY 1`, pgx.RowTo[string])
	if err != nil {
		a.in.Closed = append(a.in.Closed, "the list of databases: "+err.Error())
		return
	}
	for _, name := range names {
		if err := a.other(ctx, d, name); err != nil {
			a.in.Closed = append(a.in.Closed, name+": "+err.Error())
			continue
		}
		a.in.Databases = append(a.in.Databases, name)
	}
}

func (a asker) other(ctx context.Context, d *Database, name string) error {
	u, err := url.Parse(d.url.Reveal())
	if err != nil {
		return errors.New("the config var's connection URL cannot be used")
	}
	u.Path, u.RawPath = "/"+name, ""
	x, err := Open(ops.NewSecret(u.String()))
	if err != nil {
		return err
	}
	defer x.Close()
	x.atEnd = d.atEnd
	if err := x.read(ctx, "open "+name, func(tx pgx.Tx) error { return tx.QueryRow(ctx, "SELECT 1").Scan(new(int)) }); err != nil {
		return err
	}
	a.database(ctx, x, name)
	return nil
}

// ask puts one question. What the server's version cannot have, it has not.
func (a asker) ask(ctx context.Context, d *Database, p probe) ops.Fact[ops.Names] {
	if a.major < p.from {
		return ops.Known(ops.Names{})
	}
	return d.names(ctx, p, a.long)
}

// put adds the names that one more database has.
func (a asker) put(t ops.Thing, n ops.Fact[ops.Names], prefix string) {
	if prefix != "" {
		for i, name := range n.Value.First {
			n.Value.First[i] = prefix + ": " + name
		}
	}
	_, again := a.in.Things[t]
	a.in.Things[t] = joinFacts(a.in.Things[t], n, !again, func(x, y ops.Names) ops.Names {
		x.Count += y.Count
		x.First = append(x.First, y.First...)
		x.First = x.First[:min(len(x.First), namesShown)]
		return x
	})
}

// joinFacts adds what one more database has. One that is unknown makes all unknown.
func joinFacts[T any](x, y ops.Fact[T], first bool, add func(x, y T) T) ops.Fact[T] {
	switch {
	case first || !y.Known && x.Known:
		return y
	case !x.Known:
		return x
	}
	return ops.Known(add(x.Value, y.Value))
}

// names asks for names: how many there are, and the first of them.
func (d *Database) names(ctx context.Context, p probe, long time.Duration) ops.Fact[ops.Names] {
	args := []any{}
	if p.long {
		args = append(args, long.Seconds())
	}
	query := fmt.Sprintf(`SELECT count(*), coalesce((array_agg(name ORDER BY name COLLATE "C"))[1:%d], '{}') FROM (%s) AS x(name)`, namesShown, p.sql)
	return factOf(onlyRow(rowsOf(ctx, d, "look for "+string(p.thing), query, func(r pgx.CollectableRow) (n ops.Names, err error) {
		return n, r.Scan(&n.Count, &n.First)
	}, args...)))
}

// setup reads how the server is set up, and the database's name.
func (d *Database) setup(ctx context.Context) (s ops.Setup, name string, err error) {
	err = d.read(ctx, "look at the server", func(tx pgx.Tx) error {
		var provider *string
		// to_jsonb: the column is not there before 15, where every one is libc's.
		err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int / 10000, pg_is_in_recovery(), current_setting('data_checksums')::bool,
			current_setting('password_encryption'), to_jsonb(d)->>'datlocprovider', datname::text FROM pg_database d WHERE datname = current_database()`).
			Scan(&s.Major, &s.Follower, &s.Checksums, &s.PasswordEncryption, &provider, &name)
		s.Provider = "libc"
		if err == nil && provider != nil {
			s.Provider = map[string]string{"c": "libc", "i": "icu", "b": "builtin"}[*provider]
		}
		return err
	})
	return s, name, err
}

// fullPercent is the percentage of its range at which a sequence is worth a word.
const fullPercent = 75

// fullSequences reads the sequences themselves, some hundred in one question: the
// view pg_sequences would lock them as a write does.
func (d *Database) fullSequences(ctx context.Context) ops.Fact[ops.Names] {
	questions, err := rowsOf(ctx, d, "list the sequences", sequencesSQL, pgx.RowTo[string])
	var names []string
	for _, q := range questions {
		var more []string
		if more, err = rowsOf(ctx, d, "read the sequences", fmt.Sprintf(`SELECT name || ' (' || (used * 100)::int || ' %%)' FROM (%s) AS x(name, used) WHERE used * 100 >= %d`, q, fullPercent), pgx.RowTo[string]); err != nil {
			break
		}
		names = append(names, more...)
	}
	if err != nil {
		return ops.Unknown[ops.Names](err.Error())
	}
	slices.Sort(names)
	return ops.Known(ops.Names{Count: len(names), First: names[:min(len(names), namesShown)]})
}

// walReading is a place in the log and the server's time.
type walReading struct {
	lsn ops.LSN
	at  time.Time
}

func (d *Database) walAt(ctx context.Context) ops.Fact[walReading] {
	return factFrom(ctx, d, "read the position of the log", "SELECT pg_current_wal_lsn()::text, clock_timestamp()", func(r pgx.CollectableRow) (w walReading, err error) {
		var s string
		if err = r.Scan(&s, &w.at); err == nil {
			w.lsn, err = ops.ParseLSN(s)
		}
		return w, err
	})
}

// shortest is the least time between two readings that says anything.
const shortest = 50 * time.Millisecond

// later reads the position again, once enough time has passed: a small database
// nearby is looked at faster than that.
func (d *Database) later(ctx context.Context, begun ops.Fact[walReading]) ops.Fact[walReading] {
	for {
		w := d.walAt(ctx)
		if !begun.Known || !w.Known || w.Value.at.Sub(begun.Value.at) >= shortest {
			return w
		}
		select {
		case <-ctx.Done():
			return ops.Unknown[walReading](ctx.Err().Error())
		case <-time.After(shortest - w.Value.at.Sub(begun.Value.at)):
		}
	}
}

// walRate is how much was written between two readings. Less than the shortest
// time says nothing.
func walRate(a, b ops.Fact[walReading]) ops.Fact[int64] {
	took := b.Value.at.Sub(a.Value.at)
	switch {
	case !a.Known || !b.Known:
		return ops.Unknown[int64](strings.TrimSpace(a.Why + " " + b.Why))
	case took < shortest || b.Value.lsn < a.Value.lsn:
		return ops.Unknown[int64]("it was looked at for " + strconv.FormatInt(took.Milliseconds(), 10) + " ms only")
	}
	return ops.Known(int64(float64(b.Value.lsn-a.Value.lsn) / took.Seconds()))
}

// rowsOf asks one question in a transaction of its own.
func rowsOf[T any](ctx context.Context, d *Database, what, query string, scan pgx.RowToFunc[T], args ...any) (out []T, err error) {
	err = d.read(ctx, what, func(tx pgx.Tx) error {
		r, err := tx.Query(ctx, query, args...)
		if err == nil {
			out, err = pgx.CollectRows(r, scan)
		}
		return err
	})
	return out, err
}

// onlyRow returns the only row.
func onlyRow[T any](all []T, err error) (T, error) {
	var none T
	switch {
	case err != nil:
		return none, err
	case len(all) != 1:
		return none, fmt.Errorf("%d rows instead of one", len(all))
	}
	return all[0], nil
}

func factFrom[T any](ctx context.Context, d *Database, what, query string, scan pgx.RowToFunc[T]) ops.Fact[T] {
	return factOf(onlyRow(rowsOf(ctx, d, what, query, scan)))
}

func factOf[T any](v T, err error) ops.Fact[T] { return ops.FactOf(v, err) }
