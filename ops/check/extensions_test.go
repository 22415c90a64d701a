package check

import (
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

func with(all ...ops.Extension) func(*Facts) {
	return func(f *Facts) { f.SQL.Value.Extensions = ops.Known(all) }
}

func TestExtensions(t *testing.T) {
	x := func(name, version string) ops.Extension {
		return ops.Extension{Name: name, Version: version, Default: version, Schema: "public"}
	}
	old := ops.Extension{Name: "pg_trgm", Version: "1.3", Default: "1.6", Schema: "public"}
	table(t, []row{
		{"E1", with(x("adminpack", "2.1")), ops.Block, "adminpack 2.1 (not in 17 and newer)"},
		{"E1", and(to(16), with(x("adminpack", "2.1"))), ops.Pass, "none"},
		{"E2", with(old), ops.Warn, "pg_trgm 1.3 (1.6 is there)"},
		{"E2", with(ops.Extension{Name: "own", Version: "1"}), ops.Pass, "none"},
		{"E9", and(with(old), func(f *Facts) { f.After = true }), ops.Warn, "pg_trgm 1.3"},
		{"E3", with(x("pg_repack", "1.4.7")), ops.Acknowledge, "pg_repack 1.4.7"},
		{"E3", and(passed, with(x("pg_repack", "1.4.7"))), ops.Inform, "pg_repack"},
		{"E4", with(x("timescaledb", "2"), x("hll", "1")), ops.Acknowledge, "hll 1, timescaledb 2"},
		{"E4", has(ops.ForeignServers, "s"), ops.Warn, "Foreign servers: 1: s"},
		{"E4", and(with(x("postgres_fdw", "1.1")), has(ops.ForeignServers, "s")), ops.Acknowledge, "postgres_fdw 1.1. Foreign servers: 1: s"},
		{"E5", with(x("postgis", "3.3.2"), x("postgis_topology", "3.3.2")), ops.Acknowledge, "postgis_topology"},
		{"E6 Jobs", with(x("pg_partman", "4.7.2")), ops.Warn, "pg_partman 4.7.2"},
		{"E6 Jobs", with(x("pg_partman", "5.1.0")), ops.Pass, "none"},
		{"E6 Jobs", with(x("pgaudit", "1.7"), x("pg_cron", "1.6")), ops.Acknowledge, "pg_cron 1.6, pgaudit 1.7"},
		{"E6 Objects", has(ops.StatementsUsers, "public.slow"), ops.Acknowledge, "public.slow"},
		{"E6 Objects", and(passed, has(ops.StatementsUsers, "public.slow")), ops.Inform, "public.slow"},
		{"E7", with(x("pg_stat_statements", "1.10")), ops.Inform, "pg_stat_statements"},
		{"E8", with(ops.Extension{Name: "hstore", Version: "1", Default: "1", Schema: "heroku_ext"}), ops.Warn, "hstore"},
	})
}
