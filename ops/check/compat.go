package check

import (
	"fmt"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Limits of what pg_upgrade carries well. Objects and schemas are Heroku's
// (devcenter.heroku.com/articles/upgrading-heroku-postgres-databases,
// 2025-05-29); large objects are those of Azure's checks.
const (
	ManySchemas      = 1_000
	ManyObjects      = 10_000
	ManyLargeObjects = 100_000
	TooManyLarge     = 5_000_000
)

const inCatalogue = "SQL: system catalogue of every database"

// compatChecks are what pg_upgrade would refuse or stumble over (guardrails S).
// Left out is what cannot be on Heroku's 14 and newer (S6, S10, S21), what only
// a dump into a scratch server shows (S16), and what no server shows (S20: the
// versions of the clients' drivers).
var compatChecks = []Check{
	{Number: "S1", Title: "Prepared transactions", Level: ops.Block, When: both, Where: "SQL: pg_prepared_xacts", sql: true,
		Fix: "Commit or roll back each (`COMMIT PREPARED`, `ROLLBACK PREPARED`): pg_upgrade refuses to run with one.", look: some(ops.PreparedTransactions, ops.Block)},
	{Number: "S2", Title: "Columns of a type that refers to the catalogue", Level: ops.Block, When: early, Where: inCatalogue, sql: true,
		Fix: "Change their type, for example to `text`: pg_upgrade refuses reg* columns other than regclass, regrole and regtype.", look: some(ops.RegColumns, ops.Block)},
	{Number: "S3", Title: "Columns of a system row type", Level: ops.Block, When: early, Where: inCatalogue, sql: true,
		Fix: "Change their type: pg_upgrade refuses columns of a composite type of the system.", look: some(ops.CompositeColumns, ops.Block)},
	{Number: "S4", Title: "aclitem columns", Level: ops.Block, When: early, Where: inCatalogue, sql: true,
		Fix: "Change their type to `text`: the format changed in 16 and pg_upgrade refuses them.", look: towards(16, some(ops.AclitemColumns, ops.Block))},
	{Number: "S5", Title: "NOT NULL is inherited", Level: ops.Block, When: early, Where: inCatalogue, sql: true,
		Fix: "`ALTER TABLE … ALTER COLUMN … SET NOT NULL` on the children: from 18 on the schema cannot be restored otherwise.", look: towards(18, some(ops.NullableChildren, ops.Block))},
	{Number: "S7", Title: "Objects that depend on built-in Unicode tables", Level: ops.Warn, When: early, Where: inCatalogue, sql: true,
		Fix: "`REINDEX` them after the upgrade, and check the constraints: a newer major may have newer Unicode tables.", look: some(ops.UnicodeObjects, ops.Warn)},
	{Number: "S8", Title: "Databases that refuse connections", Level: ops.Block, When: early, Where: "SQL: pg_database", sql: true,
		Fix: "Drop what is invalid, and allow connections to the rest: pg_upgrade must connect to every database.", look: some(ops.ClosedDatabases, ops.Block)},
	{Number: "S9", Title: "Logical replication slots", Level: ops.Acknowledge, When: both, Where: "SQL: pg_replication_slots", sql: true,
		Fix: "Whoever reads from them must begin anew on the new database: a follower does not have them.", look: some(ops.LogicalSlots, ops.Acknowledge)},
	{Number: "S9", Title: "Subscriptions", Level: ops.Block, When: both, Where: "SQL: pg_subscription", sql: true,
		Fix: "Drop the subscription before, and make it anew on the new database: two databases must not follow the same publisher with one slot.", look: some(ops.Subscriptions, ops.Block)},
	{Number: "S11", Title: "Number of objects", Level: ops.Acknowledge, When: early, Where: inCatalogue, sql: true,
		Fix:  "Have Heroku try it first (`/pgupgrade dry-run APP`): above 1,000 schemas or 10,000 objects an upgrade may run out of memory.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.Objects] { return in.Objects }, manyObjects)},
	{Number: "S12", Title: "Large objects", Level: ops.Block, When: early, Where: "SQL: pg_largeobject_metadata", sql: true,
		Fix:  "Move them into tables or into file storage before: pg_upgrade takes each one by itself.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.Objects] { return in.Objects }, largeObjects)},
	{Number: "S13", Title: "Views over system views", Level: ops.Acknowledge, When: early, Where: "SQL: pg_depend, pg_rewrite", sql: true,
		Fix: "Drop them before the upgrade and create them anew after it: a column that is gone stops pg_upgrade in the middle of the cutover.", look: things(ops.SystemViewUsers, suspected)},
	{Number: "S14", Title: "Event triggers", Level: ops.Warn, When: early, Where: "SQL: pg_event_trigger", sql: true,
		Fix: "Drop them before and create them anew after it: they can fire while the schema is restored.", look: some(ops.EventTriggers, ops.Warn)},
	{Number: "S15", Title: "Functions that rely on search_path", Level: ops.Warn, When: early, Where: "SQL: pg_depend, pg_proc", sql: true,
		Fix: "`ALTER FUNCTION … SET search_path = …`: from 17 on ANALYZE and REINDEX run with a safe search_path, and such a function fails there.", look: towards(17, some(ops.PathFunctions, ops.Warn))},
	{Number: "S17", Title: "Data checksums", Level: ops.Inform, When: early, Where: "SQL: data_checksums", sql: true,
		Fix:  "Nothing, if Heroku's dry run passes: pg_upgrade needs both sides alike.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.Setup] { return in.Setup }, checksums)},
	{Number: "S18", Title: "Search indexes under a collation that is not libc's", Level: ops.Warn, When: early, Where: "SQL: pg_database, pg_index", sql: true,
		Fix: "`REINDEX` them after the upgrade.", look: towards(18, searchIndexes)},
	{Number: "S19", Title: "Password encryption", Level: ops.Warn, When: early, Where: "SQL: password_encryption", sql: true,
		Fix:  "See that the clients' drivers know scram-sha-256, and rotate the credentials: md5 is on its way out.",
		look: fromSQL(func(in ops.Inside) ops.Fact[ops.Setup] { return in.Setup }, passwords)},
	{Number: "S22", Title: "Settings on roles and databases", Level: ops.Warn, When: kept, Where: "SQL: pg_db_role_setting", sql: true,
		Fix: "See in the release notes whether they have the same name and meaning in the new version.", look: some(ops.RoleSettings, ops.Warn)},
}

// suspected is what may stop pg_upgrade; a dry run that passed has shown that it
// does not.
func suspected(f Facts, n ops.Names) []ops.Finding {
	if tried(f) {
		return says(ops.Inform, listed(n)+". Heroku's dry run passed with them.")
	}
	return says(ops.Acknowledge, listed(n)+".")
}

func manyObjects(_ Facts, o ops.Objects) []ops.Finding {
	evidence := fmt.Sprintf("%d schemas, %d tables, %d indexes, %d objects in all", o.Schemas, o.Tables, o.Indexes, o.All)
	if o.Schemas > ManySchemas || o.All > ManyObjects {
		return says(ops.Acknowledge, evidence+".")
	}
	return says(ops.Pass, evidence)
}

func largeObjects(_ Facts, o ops.Objects) []ops.Finding {
	switch evidence := counted(o.LargeObjects, "large object", "large objects"); {
	case o.LargeObjects > TooManyLarge:
		return says(ops.Block, "More than "+fmt.Sprint(TooManyLarge)+" large objects.")
	case o.LargeObjects > ManyLargeObjects:
		return says(ops.Acknowledge, evidence+".")
	default:
		return says(ops.Pass, evidence)
	}
}

func checksums(f Facts, s ops.Setup) []ops.Finding {
	if s.Checksums || f.Target < 18 {
		return says(ops.Pass, map[bool]string{true: "on", false: "off; only from 18 on they are on by default"}[s.Checksums])
	}
	return says(ops.Inform, "Off. PostgreSQL 18 has them on by default, and pg_upgrade needs both sides alike.")
}

func passwords(_ Facts, s ops.Setup) []ops.Finding {
	if s.PasswordEncryption == "md5" {
		return says(ops.Warn, "New passwords are kept as md5.")
	}
	return says(ops.Pass, s.PasswordEncryption)
}

func searchIndexes(f Facts) []ops.Finding {
	s, n := f.SQL.Value.Setup, f.SQL.Value.Things[ops.SearchIndexes]
	switch {
	case !s.Known || !n.Known:
		return blind(first(s.Why, n.Why))
	case s.Value.Provider == "libc" || n.Value.Count == 0:
		return says(ops.Pass, "none")
	}
	return says(ops.Warn, fmt.Sprintf("The collations are %s's; %s.", s.Value.Provider, listed(n.Value)))
}
