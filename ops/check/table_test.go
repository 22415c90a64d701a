package check

import (
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

var now = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// row is one case of a check: its number with as much of its title as tells it
// apart, what is seen, and what it must say.
type row struct {
	check   string
	see     func(*Facts)
	verdict ops.Verdict // "" for nothing
	says    string
}

// table runs cases over facts in which everything is known and nothing is wrong.
func table(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		f := good()
		if r.see != nil {
			r.see(&f)
		}
		c := theCheck(t, r.check)
		got := c.Look(f)
		if r.verdict == "" {
			if len(got) != 0 {
				t.Errorf("%s (%s): %+v, want nothing", r.check, r.says, got)
			}
			continue
		}
		if len(got) == 0 || got[0].Verdict != r.verdict || !strings.Contains(got[0].Evidence, r.says) {
			t.Errorf("%s: %+v, want %s with %q", r.check, got, r.verdict, r.says)
			continue
		}
		order := map[ops.Verdict]int{ops.Block: 4, ops.Acknowledge: 3, ops.Warn: 2, ops.Inform: 1}
		for _, x := range got {
			if order[x.Verdict] > order[c.Level] || c.Early != "" && !f.Cutover && !f.After && order[x.Verdict] > order[c.Early] {
				t.Errorf("%s says %s, worse than the catalogue's %s (%s)", r.check, x.Verdict, c.Level, c.Early)
			}
			if x.Check != c.Number {
				t.Errorf("%s calls itself %s", r.check, x.Check)
			}
		}
	}
}

func theCheck(t *testing.T, name string) Check {
	t.Helper()
	for _, c := range Catalogue() {
		if strings.HasPrefix(c.Number+" "+c.Title, name) {
			return c
		}
	}
	t.Fatalf("there is no check %q", name)
	return Check{}
}

// good is an app and a database about which every check has nothing to say.
func good() Facts {
	app, old := ops.Ref{ID: "app-1", Name: "orders"}, ops.Ref{ID: "old-1", Name: "postgresql-curved-12345"}
	things := map[ops.Thing]ops.Fact[ops.Names]{}
	for _, t := range []ops.Thing{
		ops.PreparedTransactions, ops.RegColumns, ops.CompositeColumns, ops.AclitemColumns, ops.NullableChildren, ops.UnicodeObjects, ops.ClosedDatabases, ops.LogicalSlots, ops.Subscriptions,
		ops.SystemViewUsers, ops.EventTriggers, ops.PathFunctions, ops.SearchIndexes, ops.RoleSettings, ops.ForeignServers, ops.StatementsUsers, ops.UnloggedTables, ops.TemporaryTables, ops.AdvisoryLocks,
		ops.Listeners, ops.FullSequences, ops.InvalidIndexes, ops.UnvalidatedConstraints, ops.CollationMismatches, ops.StatisticsSettings,
		ops.LongTransactions, ops.IdleTransactions, ops.StrongLocks, ops.LongWork, ops.ReplayHolders, ops.Clients, ops.HiddenConnections,
	} {
		things[t] = ops.Known(ops.Names{})
	}
	inside := ops.Inside{
		Setup: ops.Known(ops.Setup{Major: 15, Checksums: true, PasswordEncryption: "scram-sha-256", Provider: "libc"}), Databases: []string{"d1"}, Things: things,
		Objects: ops.Known(ops.Objects{Schemas: 1, Tables: 10, Indexes: 12, All: 30}), Extensions: ops.Known([]ops.Extension{}), TextIndexes: ops.Known(ops.Sized{}),
		Age: ops.Known(ops.Age{Percent: 10, Limit: 1, Oldest: "d1"}), DeadRows: ops.Known(ops.DeadRows{}), SchemaHash: ops.Known("a"),
		Connections: ops.Known(ops.Sessions{Now: 10, Limit: 100}), WALRate: ops.Known(int64(1000)),
	}
	return Facts{
		At: now, Target: 17, Offered: []int{15, 16, 17}, NewPlan: "heroku-postgresql:standard-0", Deadlines: Deadlines(),
		Account: ops.Known(ops.Account{Email: "ops@example.com"}), App: ops.Known(ops.App{Ref: app, Owner: "ops@example.com"}), Billing: app,
		Addon: ops.Known(ops.Addon{Ref: old, App: app, Service: "heroku-postgresql", Plan: "heroku-postgresql:standard-0"}),
		Database: ops.Known(ops.Database{AddonID: old.ID, Name: old.Name, Endpoint: ops.Endpoint{Host: "h"}, Version: "15.13", Status: "Available", ForkFollow: "Available", Bytes: 8_000_000_000, BytesLimit: 64_000_000_000,
			ContinuousProtection: "On", Rollback: "earliest from 2026-11-19 03:00 UTC"}),
		Wait: ops.Known(ops.Wait{}), Upgrade: ops.Known(ops.Wait{}),
		Elsewhere:  ops.Known([]Copy{}),
		OnDatabase: ops.Known([]ops.Attachment{{Name: "DATABASE", App: app, Addon: old}}), OnApp: ops.Known([]ops.Attachment{{Name: "DATABASE", App: app, Addon: old}}),
		Credentials: ops.Known([]ops.Credential{{Name: "default"}}), Hosts: ops.Known(map[string]ops.Endpoint{"DATABASE_URL": {Host: "h"}}),
		Formation: ops.Known([]ops.Process{{Type: "web", Quantity: 1}}), Dynos: ops.Known([]ops.Dyno{{Name: "web.1", Type: "web"}}), Releases: ops.Known([]ops.Release{}), Builds: ops.Known([]ops.Build{}),
		Features: ops.Known(map[string]bool{}), Maintenance: ops.Known(Window{Status: "none"}),
		Plans:     ops.Known([]ops.Plan{{Name: "heroku-postgresql:standard-0", CentsPerMonth: 5000}, {Name: "heroku-postgresql:mini", CentsPerMonth: 500}}),
		AppAddons: ops.Known([]ops.Addon{{Service: "heroku-postgresql"}}), Vars: ops.Known([]string{"DATABASE_URL", "MAINTENANCE_PAGE_URL"}), DryRun: ops.Known(ops.DryRun{}),
		SQL: ops.Known(inside), SQLBefore: ops.Known(inside), SQLFollower: ops.Known(inside),
	}
}

// has puts names into what was seen inside.
func has(t ops.Thing, names ...string) func(*Facts) {
	return func(f *Facts) { f.SQL.Value.Things[t] = ops.Known(ops.Names{Count: len(names), First: names}) }
}

func and(a, b func(*Facts)) func(*Facts) { return func(f *Facts) { a(f); b(f) } }

func atCutover(f *Facts) { f.Cutover = true }

func to(major int) func(*Facts) { return func(f *Facts) { f.Target = major } }

func database(change func(*ops.Database)) func(*Facts) {
	return func(f *Facts) { change(&f.Database.Value) }
}

// TestGood: about a good app and database nothing is said but passes and what
// people should know anyway.
func TestGood(t *testing.T) {
	for _, cut := range []bool{false, true} {
		f := good()
		f.Cutover, f.Deadlines = cut, nil // 15 has ended by now
		for _, x := range Findings(f) {
			if x.Unknown || x.Verdict != ops.Pass && x.Verdict != ops.Inform || x.Fix != "" && x.Verdict == ops.Pass {
				t.Errorf("cutover %v: %+v", cut, x)
			}
			if x.Check == "" || x.Title == "" || x.Evidence == "" {
				t.Errorf("cutover %v: not whole: %+v", cut, x)
			}
		}
	}
	f := good()
	f.After = true
	for _, x := range Findings(f) {
		if x.Verdict != ops.Pass {
			t.Errorf("after the switch: %+v", x)
		}
	}
}
