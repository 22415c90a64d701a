package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Writable tries to write, in a transaction that is rolled back, on a table of
// its own, and asks what a session that asks for nothing is given. What keeps
// it from writing is an answer, not an error.
func (d *Database) Writable(ctx context.Context) (ops.Writable, error) {
	var w ops.Writable
	err := d.act(ctx, "try to write", func(c *pgx.Conn) error {
		var err error
		if w.Server, err = server(ctx, c); err != nil {
			return err
		}
		err = write(ctx, c, "pgupgrade_probe")
		var pe *pgconn.PgError
		if errors.As(err, &pe) && pe.Code == "42501" {
			// Who may not create a schema may create a temporary table, which
			// writes to the catalogue as well.
			err = write(ctx, c, "pg_temp")
		}
		if errors.As(err, &pe) {
			w.Why = d.clean(why(err))
			return nil
		}
		w.Wrote = err == nil
		return err
	})
	if err != nil {
		return w, err
	}
	if w.Fence, err = d.Fenced(ctx); err != nil {
		return w, err
	}
	w.Default, err = d.writableByDefault(ctx)
	if w.Why == "" && !w.Default && err == nil {
		w.Why = "a session that asks for nothing is read-only"
	}
	return w, err
}

// write leaves nothing but a transaction id: the table's counters go with it.
func write(ctx context.Context, c *pgx.Conn, schema string) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	rollback := func(err error) error { return errors.Join(err, tx.Rollback(ctx)) }
	if schema != "pg_temp" {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
			return rollback(err)
		}
	}
	table := schema + ".probe"
	if _, err := tx.Exec(ctx, "CREATE TABLE "+table+" (id int PRIMARY KEY)"); err != nil {
		return rollback(err)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO "+table+" VALUES (1)"); err != nil {
		return rollback(err)
	}
	var n int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		return rollback(err)
	}
	if n != 1 {
		return rollback(fmt.Errorf("wrote one row and read %d", n))
	}
	return tx.Rollback(ctx)
}

// writableByDefault asks on a connection that asks for nothing, as the app's will.
func (d *Database) writableByDefault(ctx context.Context) (writable bool, err error) {
	d.acts.Lock()
	defer d.acts.Unlock()
	conf := d.conf.Copy()
	delete(conf.RuntimeParams, "default_transaction_read_only")
	c, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return false, d.failed("connect as the app does", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // the answer is there already
	err = c.QueryRow(ctx, `SELECT current_setting('transaction_read_only') = 'off'`).Scan(&writable)
	return writable, d.failed("connect as the app does", err)
}

// Objects counts what the database holds by kind: relations, constraints,
// functions and so on, and the grants on them. The server's own and extensions'
// are left out, since those may differ between versions.
func (d *Database) Objects(ctx context.Context) (map[string]int64, error) {
	type row struct {
		Kind string
		N    int64
	}
	var found []row
	err := d.read(ctx, "count objects", func(tx pgx.Tx) error {
		var err error
		found, err = rows[row](ctx, tx, `
			SELECT CASE c.relkind WHEN 'r' THEN 'tables' WHEN 'p' THEN 'partitioned tables' WHEN 'i' THEN 'indexes' WHEN 'I' THEN 'partitioned indexes' WHEN 'v' THEN 'views'
			                      WHEN 'm' THEN 'materialized views' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'foreign tables' ELSE 'composite types' END, count(*)
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind <> 't' AND c.relpersistence <> 't' AND `+users+` AND `+own("pg_class", "c.oid")+` GROUP BY 1
			UNION ALL
			SELECT 'grants on relations', coalesce(sum(cardinality(c.relacl)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relpersistence <> 't' AND `+users+` AND `+own("pg_class", "c.oid")+`
			UNION ALL
			SELECT CASE k.contype WHEN 'f' THEN 'foreign keys' WHEN 'p' THEN 'primary keys' WHEN 'u' THEN 'unique constraints' WHEN 'c' THEN 'check constraints' ELSE 'other constraints' END, count(*)
			FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
			WHERE k.contype <> 'n' AND `+users+` AND `+own("pg_class", "k.conrelid")+` GROUP BY 1
			UNION ALL
			SELECT 'functions', count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE `+users+` AND `+own("pg_proc", "p.oid")+`
			UNION ALL
			SELECT 'triggers', count(*) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT g.tgisinternal AND `+users+`
			UNION ALL
			SELECT 'policies', count(*) FROM pg_policy
			UNION ALL
			SELECT 'enums, domains and ranges', count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') AND `+users+` AND `+own("pg_type", "t.oid")+`
			UNION ALL
			SELECT 'extended statistics', count(*) FROM pg_statistic_ext
			UNION ALL
			SELECT 'schemas', count(*) FROM pg_namespace n WHERE `+users+`
			UNION ALL
			SELECT 'extensions', count(*) FROM pg_extension`)
		return err
	})
	out := map[string]int64{}
	for _, f := range found {
		out[f.Kind] = f.N
	}
	return out, err
}

// SequencesBehind names the sequences whose next number is in their column
// already, so that the next insert fails. Only columns that lead an index are
// asked for their maximum; the others are listed as skipped.
func (d *Database) SequencesBehind(ctx context.Context) ([]ops.SequenceBehind, error) {
	type row struct {
		Sequence, Table, Column string
		Increment               int64
		Indexed, Readable       bool
	}
	var out []ops.SequenceBehind
	err := d.read(ctx, "compare sequences with columns", func(tx pgx.Tx) error {
		all, err := rows[row](ctx, tx, `
			SELECT format('%I.%I', sn.nspname, s.relname), format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), q.seqincrement,
			       EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
			               WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'),
			       has_sequence_privilege(s.oid, 'SELECT') AND has_column_privilege(c.oid, a.attnum, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(sn.oid, 'USAGE')
			FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
			     JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
			     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
			WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
			  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND s.relpersistence <> 't' AND `+users+`
			ORDER BY 1`)
		if err != nil {
			return err
		}
		for _, s := range all {
			b := ops.SequenceBehind{Sequence: s.Sequence, Column: s.Table + "." + s.Column}
			switch {
			case !s.Readable:
				b.Skipped = "the credential may not read it"
			case !s.Indexed:
				b.Skipped = "no index leads to its largest value"
			}
			if b.Skipped != "" {
				out = append(out, b)
				continue
			}
			end := "max"
			if s.Increment < 0 {
				end = "min"
			}
			var used *int64 // null when the table is empty
			var called bool
			if err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT last_value, is_called, (SELECT %s(%s)::bigint FROM %s) FROM %s`, end, s.Column, s.Table, s.Sequence)).Scan(&b.Last, &called, &used); err != nil {
				return err
			}
			next := b.Last
			if called {
				next += s.Increment
			}
			if used != nil && (s.Increment > 0 && *used >= next || s.Increment < 0 && *used <= next) {
				b.Max = *used
				out = append(out, b)
			}
		}
		return nil
	})
	return out, err
}
