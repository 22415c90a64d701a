package pg

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// newer is the condition that a row was written by transaction $1 or a later
// one, fewer than $2 away. A row holds the lower 32 bits of its transaction id
// only, so that is a distance on a circle; it is right while fewer than 2^31
// were drawn (transam.c, TransactionIdPrecedes).
const newer = `mod(` + aliased + `.xmin::text::bigint - $1::bigint + 4294967296, 4294967296) < $2::bigint`

// horizon returns what newer is asked with, and what keeps the answer from
// being exact: the first makes it impossible, the second makes it too long.
func horizon(base, now ops.Reading) (from, span int64, never, note string) {
	switch {
	case base.System != now.System:
		return 0, 0, "this is not the server that was read before users were let in", ""
	case now.NextXID < base.Cut || now.NextXID-base.Cut >= 1<<31:
		return 0, 0, "more than two billion transactions lie in between, so new rows cannot be told from old ones", ""
	case now.NextXID >= 1<<32:
		// Frozen rows keep the id that they were written with, which a whole
		// round later is given to another transaction.
		note = "transaction ids have gone round on this server: some of the rows may be old ones"
	}
	return int64(base.Cut & 0xFFFFFFFF), int64(now.NextXID - base.Cut), "", note
}

// WriteTimes adds to each table of a loss when the first and the last of its
// rows that are newer than base were committed. That is knowable only where
// track_commit_timestamp is on; elsewhere the loss comes back as it was. Deletes
// leave no row to ask.
func (d *Database) WriteTimes(ctx context.Context, base ops.Reading, loss ops.Loss) (ops.Loss, error) {
	now, err := d.Reading(ctx)
	if err != nil {
		return loss, err
	}
	from, span, never, _ := horizon(base, now)
	if never != "" {
		return loss, nil
	}
	tables := append([]ops.TableChange(nil), loss.Tables...)
	for i, t := range tables {
		if _, there := now.Tables[t.Table]; !there || span == 0 {
			continue
		}
		// A table that is too large for the limit stays without times.
		err := d.read(ctx, "read write times of "+t.Table, func(tx pgx.Tx) error {
			if on, err := scalar[bool](ctx, tx, `SELECT current_setting('track_commit_timestamp')::bool`); err != nil || !on {
				return err
			}
			var first, last *time.Time
			err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT min(pg_xact_commit_timestamp(xmin)), max(pg_xact_commit_timestamp(xmin)) FROM ONLY %s %s WHERE %s`, t.Table, aliased, newer), from, span).Scan(&first, &last)
			if err == nil && first != nil {
				tables[i].First, tables[i].Last = *first, *last
			}
			return err
		})
		if ctx.Err() != nil {
			return loss, err
		}
	}
	loss.Tables = tables
	return loss, nil
}

// Export writes the rows that were inserted or updated since base, one JSON
// object a line: {"table": ..., "row": {...}}, and at the end the notes that the
// answer holds too. Only tables in which loss counted something are read, each
// once from end to end. It writes the customer's data: w must be a place for it.
func (d *Database) Export(ctx context.Context, w io.Writer, base ops.Reading, loss ops.Loss, limits ops.ExportLimits) (ops.Export, error) {
	var e ops.Export
	now, err := d.Reading(ctx)
	if err != nil {
		return e, err
	}
	from, span, never, note := horizon(base, now)
	if never != "" {
		return e, fmt.Errorf("export rows: %s", never)
	}
	if note != "" {
		e.Notes = append(e.Notes, note)
	}
	for _, u := range loss.Unknown {
		e.Notes = append(e.Notes, "it is not known whether this is all: "+u)
	}
	out := bufio.NewWriter(w)
	for _, t := range loss.Tables {
		_, there := now.Tables[t.Table]
		if t.Deleted > 0 {
			e.Notes = append(e.Notes, fmt.Sprintf("%s: up to %d deletes; what was deleted cannot be listed", t.Table, t.Deleted))
		}
		switch {
		case t.Table == "pg_catalog.pg_largeobject" || t.Table == "pg_catalog.pg_largeobject_metadata":
			e.Notes = append(e.Notes, "large objects changed; they are not in it")
			continue
		case !there:
			e.Notes = append(e.Notes, t.Table+" was dropped; its rows cannot be listed")
			continue
		case t.Note != "":
			e.Notes = append(e.Notes, fmt.Sprintf("%s was %s: rows that are gone cannot be listed, and where it was rewritten old rows look new", t.Table, t.Note))
		}
		x, err := d.exportTable(ctx, out, t.Table, from, span, limits, &e.Bytes)
		if err != nil {
			return e, errors.Join(err, out.Flush())
		}
		e.Tables = append(e.Tables, x)
	}
	if err := json.NewEncoder(out).Encode(map[string][]string{"notes": e.Notes}); err != nil {
		return e, err
	}
	return e, out.Flush()
}

// exportTable writes one table's rows. A table that cannot be read is cut; only
// a failure of w is an error.
func (d *Database) exportTable(ctx context.Context, w io.Writer, table string, from, span int64, limits ops.ExportLimits, written *int64) (ops.ExportedTable, error) {
	x := ops.ExportedTable{Table: table}
	name, err := json.Marshal(table)
	if err != nil {
		return x, err
	}
	var broken error
	err = d.readWithin(ctx, "read rows of "+table, cmp.Or(limits.PerTable, time.Minute), func(tx pgx.Tx) error {
		query := fmt.Sprintf(`SELECT row_to_json(%[2]s)::text FROM ONLY %[1]s %[2]s WHERE %[3]s`, table, aliased, newer)
		if limits.RowsPerTable > 0 {
			query += fmt.Sprintf(" LIMIT %d", limits.RowsPerTable+1) // one more tells that there are more
		}
		found, err := tx.Query(ctx, query, from, span)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var row string
			if err := found.Scan(&row); err != nil {
				return err
			}
			line := bytes.NewBufferString(`{"table":` + string(name) + `,"row":`)
			if err := json.Compact(line, []byte(row)); err != nil { // a json column keeps its line breaks
				return err
			}
			line.WriteString("}\n")
			switch {
			case limits.RowsPerTable > 0 && x.Rows == limits.RowsPerTable:
				x.Cut = fmt.Sprintf("after %d rows", x.Rows)
			case limits.Bytes > 0 && *written+int64(line.Len()) > limits.Bytes:
				x.Cut = "the export has reached " + ops.FormatBytes(limits.Bytes)
			}
			if x.Cut != "" {
				return nil // the rest is left on the server when the transaction ends
			}
			*written += int64(line.Len())
			if _, broken = line.WriteTo(w); broken != nil {
				return broken
			}
			x.Rows++
		}
		return found.Err()
	})
	switch {
	case broken != nil:
		return x, fmt.Errorf("write export: %w", broken)
	case ctx.Err() != nil:
		return x, d.failed("export rows", ctx.Err())
	case err != nil:
		x.Cut = err.Error()
	}
	return x, nil
}
