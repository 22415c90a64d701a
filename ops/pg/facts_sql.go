package pg

import "github.com/pgupgrade/pgupgrade/ops"

// ofUsers leaves out what belongs to PostgreSQL: n is pg_namespace.
const ofUsers = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp|toast_temp)'`

// brought is true of what an extension brought: the alias and catalogue go before it.
func brought(alias, catalogue string) string {
	return `EXISTS (SELECT FROM pg_depend e WHERE e.classid = '` + catalogue + `'::regclass AND e.objid = ` + alias + `.oid AND e.deptype = 'e')`
}

// columnsOf finds the columns whose type is one of base, or is made of one: by a
// domain, an array, a row or a range (pg_upgrade, src/bin/pg_upgrade/check.c,
// walks the same way).
func columnsOf(base string) string {
	return `
	WITH RECURSIVE bad(oid) AS (
		` + base + `
		UNION
		SELECT oid FROM (
			WITH x AS (SELECT oid FROM bad)
			SELECT t.oid FROM pg_type t JOIN x ON t.typbasetype = x.oid WHERE t.typtype = 'd'
			UNION ALL
			SELECT t.oid FROM pg_type t JOIN x ON t.typelem = x.oid WHERE t.typtype = 'b'
			UNION ALL
			SELECT c.reltype FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN x ON a.atttypid = x.oid WHERE c.reltype <> 0
			UNION ALL
			SELECT r.rngtypid FROM pg_range r JOIN x ON r.rngsubtype = x.oid
		) AS more
	)
	SELECT n.nspname || '.' || c.relname || '.' || a.attname
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE a.atttypid IN (SELECT oid FROM bad) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm', 'i') AND ` + ofUsers
}

// ofClients is a session of somebody's, not the bot's. The table is named s.
const ofClients = `s.backend_type = 'client backend' AND s.pid <> pg_backend_pid() AND s.application_name <> '` + AppName + `'`

// bySession names a session without its role: at Heroku a role's name is half of a credential.
const bySession = `'pid ' || s.pid || coalesce(' (' || nullif(s.application_name, '') || ')', '')`

// serverProbes are the same from every database of the server.
var serverProbes = []probe{
	{thing: ops.PreparedTransactions, late: true, sql: `SELECT 'in ' || database FROM pg_prepared_xacts`},
	{thing: ops.ClosedDatabases, sql: `SELECT datname || CASE WHEN datconnlimit = -2 THEN ' (invalid)' ELSE ' (no connections allowed)' END FROM pg_database
		WHERE NOT datallowconn AND datname <> 'template0' OR datconnlimit = -2`},
	{thing: ops.LogicalSlots, late: true, sql: `SELECT slot_name || coalesce(' of ' || database, '') FROM pg_replication_slots WHERE slot_type = 'logical' AND NOT temporary`},
	{thing: ops.Subscriptions, late: true, sql: `SELECT subname::text FROM pg_subscription`},
	{thing: ops.RoleSettings, sql: `SELECT split_part(c, '=', 1) || CASE WHEN s.setrole = 0 THEN ' of a database' WHEN s.setdatabase = 0 THEN ' of a role' ELSE ' of a role in a database' END
		FROM pg_db_role_setting s, unnest(s.setconfig) c`},
	{thing: ops.AdvisoryLocks, late: true, sql: `SELECT DISTINCT ` + bySession + ` FROM pg_locks l JOIN pg_stat_activity s USING (pid) WHERE l.locktype = 'advisory' AND ` + ofClients},
	{thing: ops.Listeners, late: true, sql: `SELECT ` + bySession + ` FROM pg_stat_activity s WHERE s.query ~* '^\s*listen\M' AND ` + ofClients},
	{thing: ops.LongTransactions, late: true, long: true, sql: `SELECT ` + bySession + ` FROM pg_stat_activity s
		WHERE s.xact_start <= clock_timestamp() - make_interval(secs => $1) AND s.state NOT LIKE 'idle in transaction%' AND ` + ofClients},
	{thing: ops.IdleTransactions, late: true, long: true, sql: `SELECT ` + bySession + ` FROM pg_stat_activity s
		WHERE s.state LIKE 'idle in transaction%' AND s.state_change <= clock_timestamp() - make_interval(secs => $1) AND ` + ofClients},
	{thing: ops.LongWork, late: true, sql: `
		SELECT 'pid ' || pid || ' vacuums against the wraparound' FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE '%to prevent wraparound%'
		UNION ALL SELECT 'pid ' || pid || ' builds an index' FROM pg_stat_progress_create_index
		UNION ALL SELECT 'pid ' || pid || ' copies' FROM pg_stat_progress_copy
		UNION ALL SELECT 'pid ' || s.pid || ' dumps' FROM pg_stat_activity s WHERE s.application_name = 'pg_dump' AND ` + ofClients},
	{thing: ops.Clients, sql: `SELECT coalesce(nullif(s.application_name, ''), '(no name)') || ' × ' || count(*) || coalesce(' from ' || string_agg(DISTINCT host(s.client_addr), ' '), '')
		FROM pg_stat_activity s WHERE ` + ofClients + ` GROUP BY nullif(s.application_name, '')`},
	{thing: ops.HiddenConnections, sql: `SELECT 'pid ' || s.pid FROM pg_stat_activity s LEFT JOIN pg_roles r ON r.oid = s.usesysid
		WHERE s.query = '<insufficient privilege>' AND s.usesysid IS NOT NULL AND NOT coalesce(r.rolsuper, false) AND s.pid <> pg_backend_pid()`},
}

// databaseProbes are asked in each database.
var databaseProbes = []probe{
	{thing: ops.RegColumns, sql: columnsOf(`SELECT oid FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname IN
		('regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc', 'regprocedure')`)},
	{thing: ops.CompositeColumns, sql: columnsOf(`SELECT oid FROM pg_type WHERE typtype = 'c' AND (oid < 16384 OR typnamespace = 'information_schema'::regnamespace)`)},
	{thing: ops.AclitemColumns, sql: columnsOf(`SELECT oid FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname = 'aclitem'`)},
	{thing: ops.NullableChildren, sql: `SELECT n.nspname || '.' || c.relname || '.' || ca.attname
		FROM pg_inherits i JOIN pg_attribute pa ON pa.attrelid = i.inhparent AND pa.attnotnull AND pa.attnum > 0 AND NOT pa.attisdropped
		JOIN pg_attribute ca ON ca.attrelid = i.inhrelid AND ca.attname = pa.attname AND ca.attinhcount > 0 AND NOT ca.attnotnull
		JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ` + ofUsers},
	{thing: ops.UnicodeObjects, from: 17, sql: `SELECT n.nspname || '.' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND ` + ofUsers + ` AND EXISTS (
			SELECT FROM pg_collation k WHERE k.oid = ANY (i.indcollation) AND (k.collprovider = 'b'
				OR k.collprovider = 'd' AND (SELECT datlocprovider FROM pg_database WHERE datname = current_database()) = 'b'))`},
	{thing: ops.SystemViewUsers, sql: `SELECT n.nspname || '.' || v.relname FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
		WHERE v.relkind IN ('v', 'm') AND ` + ofUsers + ` AND NOT ` + brought("v", "pg_class") + ` AND EXISTS (
			SELECT FROM regexp_matches(r.ev_action::text, ':relid ([0-9]+)', 'g') m JOIN pg_class c ON c.oid = m[1]::oid AND c.relnamespace = 'pg_catalog'::regnamespace)`},
	{thing: ops.EventTriggers, sql: `SELECT evtname::text FROM pg_event_trigger t WHERE NOT ` + brought("t", "pg_event_trigger")},
	{thing: ops.PathFunctions, sql: `SELECT DISTINCT n.nspname || '.' || p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_namespace n ON n.oid = p.pronamespace
		JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')
		WHERE d.refclassid = 'pg_proc'::regclass AND p.prosqlbody IS NULL AND ` + ofUsers + ` AND NOT ` + brought("p", "pg_proc") + `
		AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%') AND (
			d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class i WHERE i.oid = d.objid AND i.relkind IN ('i', 'I'))
			OR d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef x JOIN pg_attribute a ON a.attrelid = x.adrelid AND a.attnum = x.adnum WHERE x.oid = d.objid AND a.attgenerated <> '')
			OR d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class WHERE r.oid = d.objid AND v.relkind = 'm'))`},
	{thing: ops.SearchIndexes, sql: `SELECT DISTINCT n.nspname || '.' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_opclass o ON o.oid = ANY (i.indclass) WHERE o.opcname IN ('tsvector_ops', 'gin_trgm_ops', 'gist_trgm_ops') AND ` + ofUsers},
	{thing: ops.ForeignServers, sql: `SELECT srvname::text FROM pg_foreign_server`},
	{thing: ops.StatementsUsers, sql: `SELECT DISTINCT n.nspname || '.' || v.relname FROM pg_extension x
		JOIN pg_depend m ON m.refclassid = 'pg_extension'::regclass AND m.refobjid = x.oid AND m.deptype = 'e' AND m.classid = 'pg_class'::regclass
		JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.objid AND d.classid = 'pg_rewrite'::regclass
		JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
		WHERE x.extname IN ('pg_stat_statements', 'pg_cron', 'pgaudit', 'pg_partman') AND NOT ` + brought("v", "pg_class")},
	{thing: ops.UnloggedTables, late: true, sql: `WITH u AS MATERIALIZED (SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm'))
		SELECT name || ' (' || pg_size_pretty(pg_relation_size(oid)) || ')' FROM u WHERE pg_relation_size(oid) > 0`},
	{thing: ops.TemporaryTables, late: true, sql: `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence = 't' AND c.relkind = 'r'`},
	{thing: ops.InvalidIndexes, sql: `SELECT n.nspname || '.' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'i' AND NOT (i.indisvalid AND i.indisready AND i.indislive) AND n.nspname <> 'pg_catalog'`},
	{thing: ops.UnvalidatedConstraints, sql: `SELECT n.nspname || '.' || c.relname || ': ' || x.conname FROM pg_constraint x JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT x.convalidated AND ` + ofUsers},
	// to_jsonb: the column is not there before 15.
	{thing: ops.CollationMismatches, sql: `
		SELECT 'database ' || datname FROM pg_database d WHERE datname = current_database() AND to_jsonb(d)->>'datcollversion' IS NOT NULL
			AND to_jsonb(d)->>'datcollversion' IS DISTINCT FROM pg_database_collation_actual_version(d.oid)
		UNION ALL
		SELECT 'collation ' || k.collname FROM pg_collation k WHERE k.collversion IS NOT NULL AND k.collversion IS DISTINCT FROM pg_collation_actual_version(k.oid)
			AND EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attcollation = k.oid AND c.oid >= 16384)`, from: 15},
	{thing: ops.StatisticsSettings, sql: `
		SELECT n.nspname || '.' || x.stxname FROM pg_statistic_ext x JOIN pg_namespace n ON n.oid = x.stxnamespace
		UNION ALL
		SELECT n.nspname || '.' || c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE a.attstattarget >= 0 AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm') AND ` + ofUsers},
	{thing: ops.StrongLocks, late: true, sql: `SELECT DISTINCT ` + bySession + ` || CASE WHEN l.granted THEN ' holds ' ELSE ' waits for ' END || l.mode || coalesce(' on ' || n.nspname || '.' || c.relname, '')
		FROM pg_locks l JOIN pg_stat_activity s USING (pid) LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE (NOT l.granted OR l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') AND l.locktype = 'relation')
		AND (l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) OR l.database IS NULL) AND ` + ofClients},
}

const replayHoldersSQL = `SELECT ` + bySession + ` FROM pg_stat_activity s
	WHERE s.backend_xmin IS NOT NULL AND s.xact_start <= clock_timestamp() - make_interval(secs => $1) AND ` + ofClients + `
	UNION ALL SELECT 'replay is paused' WHERE CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END`

const extensionsSQL = `SELECT current_database()::text, e.extname::text, e.extversion, coalesce(a.default_version, ''), n.nspname::text
	FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace LEFT JOIN pg_available_extensions a ON a.name = e.extname WHERE e.extname <> 'plpgsql' ORDER BY 2`

const connectionsSQL = `SELECT count(*)::int, current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
	FROM pg_stat_activity s WHERE s.backend_type = 'client backend' AND s.pid <> pg_backend_pid()`

const objectsSQL = `SELECT (SELECT count(*) FROM pg_namespace n WHERE ` + ofUsers + `)::int,
	(count(*) FILTER (WHERE c.relkind IN ('r', 'p')))::int, (count(*) FILTER (WHERE c.relkind IN ('i', 'I')))::int,
	(count(*) + (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ` + ofUsers + `))::int,
	(count(*) FILTER (WHERE c.relkind = 'S'))::int,
	(SELECT count(*) FROM (SELECT FROM pg_largeobject_metadata LIMIT 5000001) x)::int
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind <> 'c' AND ` + ofUsers

// textIndexesSQL are those whose order is a collation's other than C. Pages, not
// files: sizing a file locks its relation.
const textIndexesSQL = `SELECT count(*)::int, coalesce(sum(c.relpages::bigint * current_setting('block_size')::bigint), 0)::bigint
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam
	WHERE m.amname = 'btree' AND c.relkind = 'i' AND ` + ofUsers + ` AND EXISTS (
		SELECT FROM pg_collation k WHERE k.oid = ANY (i.indcollation) AND k.collname NOT IN ('C', 'POSIX')
		AND (k.collprovider <> 'd' OR (SELECT datcollate FROM pg_database WHERE datname = current_database()) NOT IN ('C', 'POSIX')))`

const oldestXID = `SELECT datname::text, (age(datfrozenxid)::bigint * 100 / current_setting('autovacuum_freeze_max_age')::bigint)::int, (age(datfrozenxid)::bigint * 100 / 2000000000)::int
	FROM pg_database ORDER BY age(datfrozenxid) DESC LIMIT 1`

const deadRowsSQL = `SELECT (count(*) FILTER (WHERE over))::int, coalesce(sum(dead), 0)::bigint, coalesce((array_agg(name ORDER BY dead DESC) FILTER (WHERE over))[1], '') FROM (
	SELECT s.schemaname || '.' || s.relname AS name, s.n_dead_tup AS dead,
		s.n_dead_tup > current_setting('autovacuum_vacuum_threshold')::bigint + current_setting('autovacuum_vacuum_scale_factor')::float8 * greatest(c.reltuples, 0) AS over
	FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid) x`

// sequencesSQL makes questions that read some hundred sequences each. A
// sequence's range ends where its column's does.
const sequencesSQL = `SELECT string_agg(format('SELECT %L::text, (last_value::numeric / %s) FROM %I.%I', nspname || '.' || relname, top, nspname, relname), ' UNION ALL ' ORDER BY oid)
	FROM (
		SELECT c.oid, n.nspname, c.relname, row_number() OVER (ORDER BY c.oid) / 200 AS batch,
			least(q.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE q.seqmax END) AS top
		FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
		LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		WHERE q.seqincrement > 0 AND q.seqmax > 0 AND NOT q.seqcycle AND ` + ofUsers + ` AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
	) x GROUP BY batch`

// schemaHashSQL changes when tables, columns, indexes, constraints, triggers or
// functions do. By names, since a rebuilt index has another oid.
const schemaHashSQL = `SELECT coalesce(md5(string_agg(x, E'\n' ORDER BY x COLLATE "C")), '') FROM (
	SELECT concat_ws(' ', 'column', n.nspname, c.relname, c.relkind, a.attname, a.atttypid, a.atttypmod, a.attnotnull) FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND ` + ofUsers + `
	UNION ALL
	SELECT concat_ws(' ', 'index', n.nspname, c.relname, t.relname, i.indkey, i.indisunique, i.indclass, md5(concat(i.indexprs, i.indpred))) FROM pg_index i
		JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ` + ofUsers + `
	UNION ALL
	SELECT concat_ws(' ', 'constraint', n.nspname, c.relname, x.conname, x.contype, x.convalidated, x.conkey, md5(concat(x.conbin))) FROM pg_constraint x
		JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ` + ofUsers + `
	UNION ALL
	SELECT concat_ws(' ', 'trigger', n.nspname, c.relname, t.tgname, t.tgenabled, t.tgtype) FROM pg_trigger t
		JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND ` + ofUsers + `
	UNION ALL
	SELECT concat_ws(' ', 'function', n.nspname, p.proname, p.proargtypes, md5(concat(p.prosrc, p.prosqlbody))) FROM pg_proc p
		JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ` + ofUsers + `
) AS s(x)`
