package pg

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Reading reads everything that tells that something was written: the counters
// with transaction id and sessions, every sequence, and a fingerprint of every
// definition. A part that cannot be read is unknown in the answer; only when the
// counters cannot be read is there none.
func (d *Database) Reading(ctx context.Context) (ops.Reading, error) {
	var r ops.Reading
	err := d.read(ctx, "read counters", func(tx pgx.Tx) error {
		cut, err := scalar[string](ctx, tx, `SELECT pg_snapshot_xmin(pg_current_snapshot())::text`)
		if err != nil {
			return err
		}
		if r.Cut, err = xid(cut); err != nil {
			return err
		}
		r.Activity, err = activity(ctx, tx)
		return err
	})
	if err != nil {
		return ops.Reading{}, err
	}
	r.Sequences = ops.FactOf(d.sequences(ctx))
	r.Schema = ops.FactOf(d.schema(ctx))
	return r, nil
}

// sequences reads every sequence itself: the view pg_sequences shows neither
// one that was never used nor a setval that says so.
func (d *Database) sequences(ctx context.Context) (map[string]ops.Sequence, error) {
	out := map[string]ops.Sequence{}
	err := d.read(ctx, "read sequences", func(tx pgx.Tx) error {
		type row struct {
			Name     string
			Readable bool
		}
		all, err := rows[row](ctx, tx, `
			SELECT format('%I.%I', n.nspname, c.relname), has_sequence_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND `+users+` ORDER BY 1`)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(all, 200) {
			var parts []string
			for _, s := range chunk {
				if !s.Readable {
					return fmt.Errorf("the credential may not read the sequence %s", s.Name)
				}
				parts = append(parts, fmt.Sprintf("(SELECT %d, last_value, is_called FROM %s)", len(parts), s.Name))
			}
			type state struct {
				At     int32
				Last   int64
				Called bool
			}
			states, err := rows[state](ctx, tx, strings.Join(parts, " UNION ALL "))
			if err != nil {
				return err
			}
			for _, s := range states {
				out[chunk[s.At].Name] = ops.Sequence{Last: s.Last, Called: s.Called}
			}
		}
		return nil
	})
	return out, err
}

// schema fingerprints every definition that is not the server's or an
// extension's own. Statements are one for each kind, so that each has the
// statement limit to itself.
func (d *Database) schema(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	err := d.read(ctx, "read schema", func(tx pgx.Tx) error {
		type row struct{ Object, Fingerprint string }
		for _, query := range definitions {
			found, err := rows[row](ctx, tx, `SELECT object, to_hex(hashtextextended(concat_ws(E'\n', variadic definition) COLLATE "C", 0)) FROM (`+query+`) q(object, definition)`)
			if err != nil {
				return err
			}
			for _, f := range found {
				out[f.Object] += f.Fingerprint // two of one name are told apart by both
			}
		}
		return nil
	})
	return fold(out, mostObjects), err
}

// mostObjects is how many definitions are kept one by one, since a reading is
// kept in a row. Of more it is only told which kinds changed.
const mostObjects = 5000

func fold(objects map[string]string, most int) map[string]string {
	if len(objects) <= most {
		return objects
	}
	kinds := map[string]hash.Hash{}
	for _, object := range slices.Sorted(maps.Keys(objects)) {
		kind, _, _ := strings.Cut(object, " ")
		if kinds[kind] == nil {
			kinds[kind] = sha256.New()
		}
		fmt.Fprintf(kinds[kind], "%q %s\n", object, objects[object])
	}
	out := map[string]string{}
	for kind, h := range kinds {
		out["some "+kind] = fmt.Sprintf("%x", h.Sum(nil)[:8])
	}
	return out
}

// own is the condition that an object belongs to no extension.
func own(catalog, oid string) string {
	return fmt.Sprintf("NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '%s'::regclass AND e.objid = %s AND e.deptype = 'e')", catalog, oid)
}

// definitions are queries of (object, text[]): what it is called, and all that
// changes when its definition does. Values of sequences and sizes are not in it.
var definitions = []string{
	// Relations with their columns. Column numbers stay out: they change with nothing else.
	`SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'type' END
	        || ' ' || format('%I.%I', n.nspname, c.relname),
	        ARRAY[c.relkind::text, c.relpersistence::text, c.relowner::text, c.relacl::text, c.reloptions::text, c.relrowsecurity::text, c.relforcerowsecurity::text,
	              c.relreplident::text, pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
	              CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
	              (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
	              (SELECT concat_ws(' ', s.seqtypid, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle) FROM pg_sequence s WHERE s.seqrelid = c.oid),
	              (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attcollation, a.attacl, pg_get_expr(f.adbin, f.adrelid)), E'\n' ORDER BY a.attnum)
	               FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
	               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)]
	 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND c.relpersistence <> 't' AND ` + users + ` AND ` + own("pg_class", "c.oid"),
	`SELECT 'index ' || format('%I.%I', n.nspname, x.relname), ARRAY[pg_get_indexdef(i.indexrelid), i.indisvalid::text, i.indisready::text, i.indisclustered::text, i.indisreplident::text]
	 FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	 WHERE c.relpersistence <> 't' AND ` + users + ` AND ` + own("pg_class", "c.oid"),
	`SELECT 'constraint ' || quote_ident(k.conname) || ' on ' || coalesce(format('%I.%I', n.nspname, c.relname), format_type(k.contypid, NULL)),
	        ARRAY[pg_get_constraintdef(k.oid), k.convalidated::text, k.condeferrable::text, k.condeferred::text]
	 FROM pg_constraint k LEFT JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = k.connamespace
	 WHERE coalesce(c.relpersistence, 'p') <> 't' AND ` + users + ` AND ` + own("pg_class", "k.conrelid"),
	`SELECT 'trigger ' || quote_ident(g.tgname) || ' on ' || format('%I.%I', n.nspname, c.relname), ARRAY[pg_get_triggerdef(g.oid), g.tgenabled::text]
	 FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	 WHERE NOT g.tgisinternal AND c.relpersistence <> 't' AND ` + users,
	`SELECT 'rule ' || quote_ident(w.rulename) || ' on ' || format('%I.%I', n.nspname, c.relname), ARRAY[pg_get_ruledef(w.oid), w.ev_enabled::text]
	 FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
	 WHERE w.rulename <> '_RETURN' AND ` + users,
	`SELECT 'policy ' || quote_ident(p.polname) || ' on ' || format('%I.%I', n.nspname, c.relname),
	        ARRAY[p.polcmd::text, p.polpermissive::text, p.polroles::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)]
	 FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	 WHERE ` + users,
	`SELECT 'function ' || format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
	        ARRAY[CASE WHEN p.prokind = 'a' THEN concat_ws(' ', p.prosrc, g.aggtransfn, g.aggfinalfn, g.agginitval, p.prorettype) ELSE pg_get_functiondef(p.oid) END, p.proowner::text, p.proacl::text]
	 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
	 WHERE ` + users + ` AND ` + own("pg_proc", "p.oid"),
	`SELECT 'type ' || format('%I.%I', n.nspname, t.typname),
	        ARRAY[t.typtype::text, t.typowner::text, t.typacl::text, t.typnotnull::text, t.typdefault, format_type(t.typbasetype, t.typtypmod),
	              (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
	              (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid)]
	 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
	 WHERE t.typtype IN ('e', 'd', 'r') AND ` + users + ` AND ` + own("pg_type", "t.oid"),
	`SELECT 'statistics ' || format('%I.%I', n.nspname, s.stxname), ARRAY[pg_get_statisticsobjdef(s.oid)]
	 FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE ` + users,
	`SELECT 'schema ' || quote_ident(n.nspname), ARRAY[n.nspowner::text, n.nspacl::text] FROM pg_namespace n WHERE ` + users + ` AND ` + own("pg_namespace", "n.oid"),
	`SELECT 'extension ' || quote_ident(x.extname), ARRAY[x.extversion, n.nspname::text] FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace`,
	`SELECT 'event trigger ' || quote_ident(v.evtname), ARRAY[v.evtevent::text, v.evtfoid::text, v.evtenabled::text, v.evttags::text] FROM pg_event_trigger v`,
	`SELECT 'publication ' || quote_ident(p.pubname),
	        ARRAY[p.puballtables::text, p.pubinsert::text, p.pubupdate::text, p.pubdelete::text, (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY 1) FROM pg_publication_rel r WHERE r.prpubid = p.oid)]
	 FROM pg_publication p`,
	`SELECT 'default privileges of ' || pg_get_userbyid(a.defaclrole) || ' on ' || a.defaclobjtype::text || coalesce(' in ' || quote_ident(n.nspname), ''), ARRAY[a.defaclacl::text]
	 FROM pg_default_acl a LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace`,
}
