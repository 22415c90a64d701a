package pg

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// CompareRows compares the rows of d, the old database, with those of other,
// the new one: small tables whole, of larger ones some rows picked by primary
// key from d: the first, the last and some from anywhere. Both must stand
// still behind their fence, so it belongs before users are let in. Rows are
// hashed where they are; keys travel, and nothing of a row is in the answer.
func (d *Database) CompareRows(ctx context.Context, other *Database, limits ops.CompareLimits) ([]ops.RowsCompared, error) {
	limits.WholeBelow = cmp.Or(limits.WholeBelow, 8<<20)
	limits.Sample = cmp.Or(limits.Sample, 200)
	limits.Tables = cmp.Or(limits.Tables, 200)
	limits.Within = cmp.Or(limits.Within, 20*time.Second)
	within, cancel := context.WithTimeout(ctx, limits.Within)
	defer cancel()

	tables, err := d.comparable(within, limits.Tables)
	if err != nil {
		return nil, err
	}
	var out []ops.RowsCompared
	for _, t := range tables {
		c := ops.RowsCompared{Table: t.Name}
		switch {
		case within.Err() != nil && ctx.Err() == nil:
			c.Skipped = "the time for it was over"
		case !t.Readable:
			c.Skipped = "the credential may not read it"
		default:
			err = d.compareTable(within, other, t, limits, &c)
		}
		if ctx.Err() != nil {
			return out, d.failed("compare rows", ctx.Err())
		}
		if err != nil { // one table that cannot be read does not keep the others from being compared
			c.Skipped, err = err.Error(), nil
		}
		out = append(out, c)
	}
	return out, nil
}

func (d *Database) compareTable(ctx context.Context, other *Database, t comparedTable, limits ops.CompareLimits, c *ops.RowsCompared) error {
	var bytes int64
	err := d.read(ctx, "read size", func(tx pgx.Tx) (err error) {
		bytes, err = scalar[int64](ctx, tx, `SELECT pg_relation_size($1::oid)`, t.OID)
		return err
	})
	switch c.Whole = bytes <= limits.WholeBelow; {
	case err != nil:
		return err
	case c.Whole:
		return compareWhole(ctx, d, other, c)
	case len(t.Keys) == 0:
		c.Skipped = "it is large and has no primary key"
		return nil
	}
	return compareSample(ctx, d, other, t, bytes, limits.Sample, c)
}

type comparedTable struct {
	Name     string
	OID      uint32
	Readable bool
	Keys     []string // quoted columns of the primary key
	Types    []string
}

// comparable lists the ordinary tables with what it takes to compare them,
// smallest first so that a passed time limit leaves the fewest uncompared. Sizes
// are the planner's: the true ones wait for whoever has locked a single table.
// Unlogged tables are empty on every promoted follower, by design.
func (d *Database) comparable(ctx context.Context, most int) ([]comparedTable, error) {
	var out []comparedTable
	err := d.read(ctx, "list tables", func(tx pgx.Tx) error {
		var err error
		out, err = rows[comparedTable](ctx, tx, `
			SELECT name, oid, readable, keys, types FROM (
				SELECT format('%I.%I', n.nspname, c.relname) AS name, c.oid, c.relpages AS size,
				       has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') AS readable,
				       ARRAY(SELECT quote_ident(a.attname) FROM unnest(i.indkey) WITH ORDINALITY k(num, at) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num ORDER BY k.at) AS keys,
				       ARRAY(SELECT format_type(a.atttypid, a.atttypmod) FROM unnest(i.indkey) WITH ORDINALITY k(num, at) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num ORDER BY k.at) AS types
				FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
				WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND `+users+`
				ORDER BY size DESC, name LIMIT $1) t
			ORDER BY size, name`, most)
		return err
	})
	return out, err
}

// The alias of a row: one that no column is called.
const aliased = `"pgupgrade row"`

// hashed is of a row as text. PostgreSQL keeps its hash functions stable across
// versions, since hash partitions are by them.
const hashed = `hashtextextended(` + aliased + `::text COLLATE "C", 0)`

func compareWhole(ctx context.Context, a, b *Database, c *ops.RowsCompared) error {
	sum := func(d *Database) (n int64, s string, err error) {
		err = d.read(ctx, "hash "+c.Table, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*), coalesce(sum(%s::numeric), 0)::text FROM ONLY %s %s`, hashed, c.Table, aliased)).Scan(&n, &s)
		})
		return n, s, err
	}
	n, was, err := sum(a)
	if err != nil {
		return err
	}
	m, is, err := sum(b)
	if err != nil {
		return err
	}
	c.Rows = n
	switch {
	case n != m:
		c.Differs = fmt.Sprintf("%d rows on the old database, %d on the new one", n, m)
	case was != is:
		c.Differs = "as many rows, but not the same"
	}
	return nil
}

type keyed struct {
	Key  []string
	Hash int64
}

func compareSample(ctx context.Context, a, b *Database, t comparedTable, bytes int64, most int, c *ops.RowsCompared) error {
	var texts []string
	for _, k := range t.Keys {
		texts = append(texts, aliased+"."+k+"::text")
	}
	pick := fmt.Sprintf(`SELECT ARRAY[%s], %s FROM ONLY %s %s`, strings.Join(texts, ", "), hashed, t.Name, aliased)
	by, down := strings.Join(t.Keys, ", "), strings.Join(t.Keys, " DESC, ")+" DESC"
	third := max(most/3, 1)
	sample := map[string]keyed{}
	err := a.read(ctx, "pick rows of "+t.Name, func(tx pgx.Tx) error {
		// A share of the pages, so that picking from a large table reads little of it.
		share := min(100, 100*8192*float64(third)/float64(bytes))
		for _, q := range []string{
			fmt.Sprintf("%s ORDER BY %s LIMIT %d", pick, by, third),
			fmt.Sprintf("%s ORDER BY %s LIMIT %d", pick, down, third),
			fmt.Sprintf("%s TABLESAMPLE SYSTEM (%f) LIMIT %d", pick, share, third),
		} {
			found, err := rows[keyed](ctx, tx, q)
			if err != nil {
				return err
			}
			for _, r := range found {
				sample[fmt.Sprintf("%q", r.Key)] = r
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	columns := make([][]string, len(t.Keys))
	for _, r := range sample {
		for i, k := range r.Key {
			columns[i] = append(columns[i], k)
		}
	}
	var args []any
	var unnest, on, names []string
	for i := range t.Keys {
		args = append(args, columns[i])
		unnest = append(unnest, fmt.Sprintf("$%d::text[]", i+1))
		names = append(names, fmt.Sprintf("k%d", i))
		on = append(on, fmt.Sprintf("%s.%s = picked.k%d::%s", aliased, t.Keys[i], i, t.Types[i]))
	}
	var found []keyed
	err = b.read(ctx, "look up rows of "+t.Name, func(tx pgx.Tx) error {
		var err error
		found, err = rows[keyed](ctx, tx, fmt.Sprintf(`SELECT ARRAY[%s], %s FROM unnest(%s) picked(%s) JOIN ONLY %s %s ON %s`,
			strings.Join(names, ", "), hashed, strings.Join(unnest, ", "), strings.Join(names, ", "), t.Name, aliased, strings.Join(on, " AND ")), args...)
		return err
	})
	if err != nil {
		return err
	}
	c.Rows = int64(len(sample))
	changed := 0
	for _, r := range found {
		id := fmt.Sprintf("%q", r.Key)
		if sample[id].Hash != r.Hash {
			changed++
		}
		delete(sample, id)
	}
	if missing := len(sample); missing+changed > 0 {
		c.Differs = fmt.Sprintf("of %d rows picked, %d are missing and %d differ", c.Rows, missing, changed)
	}
	return nil
}
