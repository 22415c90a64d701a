package pg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Busiest names the tables with the most reads and writes since the counters
// began, busiest first. Asked of the old database, since the new one's counters
// are empty.
func (d *Database) Busiest(ctx context.Context, most int) ([]string, error) {
	type row struct{ Name string }
	var found []row
	err := d.read(ctx, "read busiest tables", func(tx pgx.Tx) error {
		var err error
		found, err = rows[row](ctx, tx, `
			SELECT format('%I.%I', n.nspname, c.relname)
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
			     LATERAL (SELECT pg_stat_get_numscans(c.oid) + pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
			                     + coalesce((SELECT sum(pg_stat_get_numscans(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid), 0) AS n) use
			WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND use.n > 0 AND `+users+`
			ORDER BY use.n DESC, 1 LIMIT $1`, most)
		return err
	})
	var out []string
	for _, f := range found {
		out = append(out, f.Name)
	}
	return out, err
}

// unanalyzed are the tables without statistics. pg_upgrade carries none over
// before PostgreSQL 18, and never the time of the last ANALYZE.
const unanalyzed = `
	SELECT format('%I.%I', n.nspname, c.relname), pg_has_role(c.relowner, 'USAGE')
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND ` + users + `
	  AND pg_stat_get_last_analyze_time(c.oid) IS NULL AND pg_stat_get_last_autoanalyze_time(c.oid) IS NULL
	  AND NOT EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
	ORDER BY 1`

// sizes are those of the tables and, for a partitioned one, of all its parts.
// Reading them waits for whoever has locked a table.
const sizes = `
	SELECT format('%I.%I', n.nspname, c.relname),
	       CASE c.relkind WHEN 'p' THEN (SELECT coalesce(sum(pg_relation_size(t.relid)), 0)::bigint FROM pg_partition_tree(c.oid) t WHERE t.isleaf) ELSE pg_relation_size(c.oid) END
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND ` + users

// Analyze makes statistics for the tables that have rows and none: first those
// named, in that order, then the largest. It ends when the time is over, which
// is no error, and tells progress before each table. It keeps the database's one
// connection for acts until it ends: end ctx to act otherwise.
func (d *Database) Analyze(ctx context.Context, first []string, within time.Duration, progress func(done, all int, table string)) (ops.Analyzed, error) {
	begun := time.Now()
	a := ops.Analyzed{Failed: map[string]string{}}
	type row struct {
		Name string
		May  bool
	}
	var all []row
	err := d.read(ctx, "list tables without statistics", func(tx pgx.Tx) error {
		var err error
		all, err = rows[row](ctx, tx, unanalyzed)
		return err
	})
	if err != nil {
		return a, err
	}
	if size, err := d.sizes(ctx); err == nil { // without sizes they come by name, the empty ones too
		all = slices.DeleteFunc(all, func(t row) bool { return size[t.Name] == 0 })
		slices.SortStableFunc(all, func(x, y row) int { return cmp.Compare(size[y.Name], size[x.Name]) })
	}
	rank := map[string]int{}
	for i, name := range first {
		rank[name] = i - len(first)
	}
	slices.SortStableFunc(all, func(x, y row) int { return cmp.Compare(rank[x.Name], rank[y.Name]) })
	err = d.act(ctx, "analyze", func(c *pgx.Conn) error {
		for i, t := range all {
			left := within - time.Since(begun)
			switch {
			case left < time.Millisecond:
				a.Left = append(a.Left, t.Name)
				continue
			case !t.May:
				a.Failed[t.Name] = "it belongs to another role"
				continue
			}
			if progress != nil {
				progress(i, len(all), t.Name)
			}
			if _, err := c.Exec(ctx, fmt.Sprintf("SET statement_timeout = %d", left.Milliseconds())); err != nil {
				return err
			}
			_, err := c.Exec(ctx, "ANALYZE "+t.Name)
			var pe *pgconn.PgError
			switch {
			case err == nil:
				a.Done = append(a.Done, t.Name)
			case !errors.As(err, &pe) || c.IsClosed():
				return err
			case pe.Code == "57014": // the rest of the time was spent on it
				a.Left = append(a.Left, t.Name)
			default:
				a.Failed[t.Name] = d.clean(why(err))
			}
		}
		return nil
	})
	a.Elapsed = time.Since(begun)
	return a, err
}

func (d *Database) sizes(ctx context.Context) (map[string]int64, error) {
	type row struct {
		Name  string
		Bytes int64
	}
	out := map[string]int64{}
	err := d.read(ctx, "read sizes", func(tx pgx.Tx) error {
		all, err := rows[row](ctx, tx, sizes)
		for _, t := range all {
			out[t.Name] = t.Bytes
		}
		return err
	})
	return out, err
}
