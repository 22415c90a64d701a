package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

const installed = "SQL: pg_extension, pg_available_extensions"

// gone are the extensions of PostgreSQL's own distribution that a major no
// longer has (its release notes, "Additional Modules"). What Heroku offers
// beyond those is known to Heroku alone: its dry run says it.
var gone = map[string]int{"chkpass": 11, "tsearch2": 10, "timetravel": 12, "adminpack": 17, "old_snapshot": 17}

var (
	// Dropped and made anew around an upgrade elsewhere (Azure, Spilo, Autobase).
	remade = []string{"pg_repack", "hypopg", "pg_stat_kcache"}
	// Refused in place elsewhere (Azure).
	doubtful = []string{"timescaledb", "postgres_fdw", "pg_hint_plan", "plv8", "age", "hll", "pgrouting"}
	spatial  = []string{"postgis", "postgis_raster", "postgis_topology", "postgis_sfcgal", "postgis_tiger_geocoder", "address_standardizer"}
)

// extensionChecks are about what is installed (guardrails E).
var extensionChecks = []Check{
	{Number: "E1", Title: "Extensions that the new version does not have", Level: ops.Block, When: early, Where: installed + ", PostgreSQL's release notes", sql: true,
		Fix: "`DROP EXTENSION` before the upgrade: pg_upgrade fails without their library.", look: extensions(missing)},
	{Number: "E2", Title: "Extensions behind their newest version", Level: ops.Warn, When: early, Where: installed, sql: true,
		Fix: "`ALTER EXTENSION … UPDATE`, one at a time, before the upgrade.", look: extensions(behind)},
	{Number: "E3", Title: "Extensions to make anew around the upgrade", Level: ops.Acknowledge, When: early, Where: installed, sql: true,
		Fix: "`DROP EXTENSION` before the upgrade, `CREATE EXTENSION` after it.", look: extensions(oneOf(remade, ops.Acknowledge))},
	{Number: "E4", Title: "Extensions that others refuse to upgrade in place", Level: ops.Acknowledge, When: early, Where: installed + ", pg_foreign_server", sql: true,
		Fix: "Have Heroku try it first: `/pgupgrade dry-run APP`.", look: inPlace},
	{Number: "E5", Title: "PostGIS", Level: ops.Acknowledge, When: early, Where: installed, sql: true,
		Fix: "`SELECT postgis_extensions_upgrade()` before the upgrade and after it, and have Heroku try it first: `/pgupgrade dry-run APP`.", look: extensions(oneOf(spatial, ops.Acknowledge))},
	{Number: "E6", Title: "Jobs and partitions kept by extensions", Level: ops.Acknowledge, When: both, Where: installed, sql: true,
		Fix: "pg_cron: unschedule its jobs before the cutover, or they may run on both databases. pg_partman: bring it to 5 or newer first. pgaudit: see that its settings are on the new database.", look: extensions(keepers)},
	{Number: "E6", Title: "Objects over the views of extensions", Level: ops.Acknowledge, When: early, Where: "SQL: pg_depend", sql: true,
		Fix: "Drop them before the upgrade and create them anew after it: the extension's columns change between versions.", look: things(ops.StatementsUsers, suspected)},
	{Number: "E7", Title: "Statistics of statements", Level: ops.Inform, When: early, Where: installed, sql: true,
		Fix: "Nothing: the history of pg_stat_statements begins anew at the switch.", look: extensions(statements)},
	{Number: "E8", Title: "Extensions in Heroku's own schema", Level: ops.Warn, When: early, Where: installed, sql: true,
		Fix: "See that the app's search_path names `heroku_ext`: the new database has them in the same schema.", look: extensions(herokuExt)},
	{Number: "E9", Title: "Extensions that want an update now", Level: ops.Warn, When: []Stage{After}, Where: installed, sql: true,
		Fix: "`ALTER EXTENSION … UPDATE`, one at a time: the upgrade keeps the old versions.", look: extensions(behind)},
}

// extensions is a check about installed extensions.
func extensions(say func(Facts, []ops.Extension) (ops.Verdict, []string)) func(Facts) []ops.Finding {
	return fromSQL(func(in ops.Inside) ops.Fact[[]ops.Extension] { return in.Extensions }, func(f Facts, all []ops.Extension) []ops.Finding {
		v, names := say(f, all)
		if len(names) == 0 {
			return says(ops.Pass, "none")
		}
		slices.Sort(names)
		return says(v, strings.Join(slices.Compact(names), ", ")+".")
	})
}

func missing(f Facts, all []ops.Extension) (ops.Verdict, []string) {
	var names []string
	for _, x := range all {
		if major, ok := gone[x.Name]; ok && f.Target >= major {
			names = append(names, fmt.Sprintf("%s %s (not in %d and newer)", x.Name, x.Version, major))
		}
	}
	return ops.Block, names
}

func behind(_ Facts, all []ops.Extension) (ops.Verdict, []string) {
	var names []string
	for _, x := range all {
		if x.Default != "" && x.Default != x.Version {
			names = append(names, fmt.Sprintf("%s %s (%s is there)", x.Name, x.Version, x.Default))
		}
	}
	return ops.Warn, names
}

// oneOf finds extensions of a list. A dry run that passed has shown that they
// can be upgraded.
func oneOf(list []string, v ops.Verdict) func(Facts, []ops.Extension) (ops.Verdict, []string) {
	return func(f Facts, all []ops.Extension) (ops.Verdict, []string) {
		var names []string
		for _, x := range all {
			if slices.Contains(list, x.Name) {
				names = append(names, x.Name+" "+x.Version)
			}
		}
		if tried(f) {
			v = ops.Inform
		}
		return v, names
	}
}

// inPlace adds the foreign servers, which keep leading where they lead.
func inPlace(f Facts) []ops.Finding {
	out := extensions(oneOf(doubtful, ops.Acknowledge))(f)
	if n := f.SQL.Value.Things[ops.ForeignServers]; n.Known && n.Value.Count > 0 && len(out) == 1 && !out[0].Unknown {
		if out[0].Verdict == ops.Pass {
			out[0].Evidence, out[0].Verdict = "", ops.Warn
		}
		out[0].Evidence = strings.TrimSpace(out[0].Evidence + " Foreign servers: " + listed(n.Value) + ".")
	}
	return out
}

func keepers(_ Facts, all []ops.Extension) (ops.Verdict, []string) {
	v, names := ops.Warn, []string(nil)
	for _, x := range all {
		switch {
		case x.Name == "pg_cron": // its jobs write, on both copies
			v = ops.Acknowledge
		case x.Name == "pg_partman" && ops.Major(x.Version) < "5" && len(ops.Major(x.Version)) == 1:
		case x.Name == "pgaudit":
		default:
			continue
		}
		names = append(names, x.Name+" "+x.Version)
	}
	return v, names
}

func statements(_ Facts, all []ops.Extension) (ops.Verdict, []string) {
	for _, x := range all {
		if x.Name == "pg_stat_statements" {
			return ops.Inform, []string{x.Name + " " + x.Version}
		}
	}
	return ops.Pass, nil
}

func herokuExt(_ Facts, all []ops.Extension) (ops.Verdict, []string) {
	var names []string
	for _, x := range all {
		if x.Schema == "heroku_ext" {
			names = append(names, x.Name)
		}
	}
	return ops.Warn, names
}
