package check

import (
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

func addons(services ...string) func(*Facts) {
	return func(f *Facts) {
		for _, s := range services {
			f.AppAddons.Value = append(f.AppAddons.Value, ops.Addon{Ref: ops.Ref{Name: s + "-1"}, Service: s})
		}
	}
}

func trial(r ops.DryRun) func(*Facts) { return func(f *Facts) { f.DryRun = ops.Known(r) } }

func TestPlatform(t *testing.T) {
	table(t, []row{
		{"OWN", func(f *Facts) { f.OwnDatabase.Host = "h" }, ops.Block, "the bot's own state"},
		{"OWN", func(f *Facts) { f.OwnDatabase.Host = "other" }, "", ""},
		{"H1", func(f *Facts) { f.Addon.Value.Plan = "heroku-postgresql:essential-0" }, ops.Block, "essential-0"},
		{"H1", func(f *Facts) { f.Addon.Value.Plan = "heroku-postgresql:advanced-1" }, ops.Block, "Advanced"},
		{"H2", database(func(d *ops.Database) { d.Following.Host = "leader" }), ops.Block, "leader"},
		{"H3", database(func(d *ops.Database) { d.Status = "Unavailable" }), ops.Block, "Unavailable"},
		{"H3", func(f *Facts) { f.Wait.Value = ops.Wait{Waiting: true, Message: "preparing"} }, ops.Block, "preparing"},
		{"H4", database(func(d *ops.Database) { d.ForkFollow = "Temporarily Unavailable" }), ops.Block, "Temporarily"},
		{"H5", to(15), ops.Block, "15.13 already"},
		{"H5", to(18), ops.Block, "not among the versions"},
		{"H6", nil, ops.Warn, "ended, or ends, in the 3rd quarter of 2026"},
		{"H6", database(func(d *ops.Database) { d.Version = "16.9" }), ops.Pass, "until the 3rd quarter of 2027"},
		{"H6", database(func(d *ops.Database) { d.Version = "18.1" }), "", "not in the table"},
		{"H7", nil, ops.Pass, "owns"},
		{"H7", func(f *Facts) { f.App.Value.Owner = "somebody@example.com" }, ops.Block, "lets only the owner"},
		{"H7", func(f *Facts) { f.Account = ops.Unknown[ops.Account]("503") }, ops.Warn, "503"},
		{"H7", func(f *Facts) { f.App.Value.Team = "acme" }, ops.Inform, "team acme"},
		{"H7", func(f *Facts) {
			f.App.Value.Team, f.Access = "acme", ops.Known(ops.Access{Permissions: []string{"view", "deploy", "operate"}})
		}, ops.Block, "view, deploy, operate"},
		{"H7", func(f *Facts) {
			f.App.Value.Team, f.Access = "acme", ops.Known(ops.Access{Permissions: []string{"view", "manage"}})
		}, ops.Pass, "may view, manage"},
		{"H8", func(f *Facts) { f.NewPlan = "heroku-postgresql:mini" }, ops.Block, "smaller"},
		{"H9", database(func(d *ops.Database) { d.Bytes = 52_000_000_000 }), ops.Acknowledge, "81 %"},
		{"H9", database(func(d *ops.Database) { d.Bytes = 51_000_000_000 }), ops.Inform, "80 %"},
		{"H9", database(func(d *ops.Database) { d.BytesLimit = 0 }), ops.Inform, "8.0 GB"},
		{"H10", func(f *Facts) { f.Maintenance.Value.Status = "running" }, ops.Block, "running"},
		{"H11", func(f *Facts) { f.Upgrade.Value = ops.Wait{Waiting: true, Message: "upgrading"} }, ops.Block, "upgrading"},
		{"H35", func(f *Facts) { f.Server = ops.Unknown[ops.Server]("") }, "", "not asked for"},
		{"H35", func(f *Facts) { f.ReadOnly, f.Server = true, ops.Unknown[ops.Server]("the host is not known") }, ops.Block, "the host is not known"},
		{"H35", func(f *Facts) { f.ReadOnly, f.Server = true, ops.Known(ops.Server{}) }, ops.Block, "does not own"},
		{"H35", func(f *Facts) { f.ReadOnly, f.Server = true, ops.Known(ops.Server{Owner: true}) }, ops.Inform, "run on and read"},
		{"H12 Apps", func(f *Facts) { f.Others = []AppFacts{other("stats")} }, ops.Warn, "Also attached to stats"},
		{"H12 Apps", func(f *Facts) {
			x := other("stats")
			x.OnApp = ops.Unknown[[]ops.Attachment]("403")
			f.Others = []AppFacts{x}
		}, ops.Block, "`stats` uses the database too and cannot be looked at (403)"},
		{"H12 Apps", func(f *Facts) { f.OnDatabase = ops.Unknown[[]ops.Attachment]("503") }, ops.Block, "503"},
		{"H13", func(f *Facts) { credential(f, "analyst", "STATS") }, ops.Inform, "`analyst` (STATS on orders) moves along"},
		{"H13", func(f *Facts) { credential(f, "analyst", "") }, ops.Warn, "No attachment uses the credential `analyst`"},
		{"H13", func(f *Facts) { credential(f, "analyst", "STATS"); f.Cutover = true }, ops.Block, "unknown"},
		{"H13", func(f *Facts) {
			credential(f, "analyst", "STATS")
			f.Cutover, f.NewCredentials = true, ops.Known([]ops.Credential{{Name: "default", State: "active"}, {Name: "analyst", State: "provisioning"}})
		}, ops.Block, "no active credential `analyst`"},
		{"H13", func(f *Facts) {
			credential(f, "analyst", "STATS")
			f.Cutover, f.NewCredentials = true, ops.Known([]ops.Credential{{Name: "analyst", State: "active"}})
		}, ops.Pass, "has `analyst`"},
		{"H13", func(f *Facts) {
			credential(f, "analyst", "STATS")
			f.Credentials = ops.Unknown[[]ops.Credential]("503")
		}, ops.Block, "503"},
		{"H14", func(f *Facts) {
			f.OnDatabase.Value = append(f.OnDatabase.Value, ops.Attachment{Name: "POOL", App: ops.Ref{ID: "a", Name: "orders"}, Namespace: "connection-pooling:default"})
		}, ops.Inform, "POOL on orders moves along"},
		{"H15 No copied database URL", func(f *Facts) { f.Hosts.Value["REPORTING_URL"] = ops.Endpoint{Host: "h"} }, ops.Block, "REPORTING_URL"},
		{"H15 No copied database URL on other apps", func(f *Facts) { f.Elsewhere = ops.Known([]Copy{{App: "billing", Var: "REPORT_URL"}}) }, ops.Block, "REPORT_URL on billing"},
		{"H15 No copied database URL on other apps", func(f *Facts) { f.Elsewhere = ops.Unknown[[]Copy]("the account sees 400 other apps") }, ops.Warn, "400 other apps"},
		{"H16", database(func(d *ops.Database) { d.Followers = []ops.Endpoint{{Host: "f"}} }), ops.Acknowledge, "1 already"},
		{"H17 Forks", database(func(d *ops.Database) { d.Forks = []ops.Endpoint{{Host: "f"}} }), ops.Inform, "1;"},
		{"H17 Add-ons", addons("herokuconnect"), ops.Acknowledge, "herokuconnect (`herokuconnect-1`)"},
		{"H20", database(func(d *ops.Database) { d.HA = "Available" }), ops.Inform, "standby"},
		{"H20", database(func(d *ops.Database) { d.HA = "Temporarily Unavailable" }), ops.Warn, "Temporarily"},
		{"H20", database(func(d *ops.Database) { d.EncryptionKey = "arn:aws:kms" }), ops.Acknowledge, "Customer Encryption Key"},
		{"H20", database(func(d *ops.Database) { d.MutualTLS = "Off" }), ops.Pass, "nothing special"},
		{"H23", func(f *Facts) { f.Features.Value["preboot"] = true }, ops.Acknowledge, "on"},
		{"H24", addons("judoscale"), ops.Acknowledge, "judoscale"},
		{"H25 Jobs", addons("scheduler", "crontogo"), ops.Warn, "crontogo"},
		{"H25 One-off", func(f *Facts) { f.Dynos.Value = append(f.Dynos.Value, ops.Dyno{Name: "run.1", Type: "run"}) }, ops.Warn, "run.1"},
		{"H27", func(f *Facts) { f.App.Value.Maintenance = true }, ops.Acknowledge, "on already"},
		{"H30", nil, ops.Inform, "$50 a month"},
		{"H31", func(f *Facts) { f.SQL = ops.Fact[ops.Inside]{} }, ops.Warn, "unknown: cannot reach the database by SQL. "},
		{"H31", func(f *Facts) { f.SQL = ops.Unknown[ops.Inside]("refused") }, ops.Warn, "by SQL (refused)."},
		{"H31", func(f *Facts) { f.SQL, f.Cutover = ops.Unknown[ops.Inside]("refused"), true }, ops.Block, "when the plan was made"},
		{"H31", func(f *Facts) { f.SQL, f.SQLBefore, f.Cutover = ops.Fact[ops.Inside]{}, ops.Fact[ops.Inside]{}, true }, ops.Warn, "cannot reach"},
		{"H31", func(f *Facts) { f.SQL.Value.Closed = []string{"x: refused"} }, ops.Warn, "x: refused"},
		{"H33", database(func(d *ops.Database) { d.AddonID, d.Status = "", "" }), ops.Block, "a status, the add-on's id"},
		{"H34", func(f *Facts) { f.Vars.Value = nil }, ops.Inform, "plain page"},
	})
}

// TestDryRun is what is said about Heroku's trial of the version.
func TestDryRun(t *testing.T) {
	asked := ops.DryRun{Version: "17", At: now.Add(-2 * time.Hour), By: ops.Actor{ID: "UALICE"}}
	ended := func(f func(*ops.DryRun)) ops.DryRun { r := asked; r.Ended = ops.Known(now); f(&r); return r }
	for _, tt := range []struct {
		name    string
		see     func(*Facts)
		verdict ops.Verdict
		says    string
	}{
		{"none", func(*Facts) {}, ops.Inform, "No dry run was made"},
		{"not known", func(f *Facts) { f.DryRun = ops.Fact[ops.DryRun]{} }, ops.Inform, "No dry run was made"},
		{"asked for", trial(asked), ops.Inform, "asked for 2 h ago"},
		{"passed", trial(ended(func(r *ops.DryRun) { r.Passed, r.Took, r.Told.ID = true, 4*time.Minute, "UBOB" })), ops.Pass, "passed on 2026-11-23, as <@UBOB> read in Heroku's e-mail; it took 4 min"},
		{"failed", trial(ended(func(r *ops.DryRun) { r.Why = "regproc columns" })), ops.Block, "regproc columns"},
		{"of another version", and(to(16), trial(ended(func(r *ops.DryRun) { r.Passed = true }))), ops.Inform, "No dry run was made"},
	} {
		f := good()
		tt.see(&f)
		got := theCheck(t, "H5").Look(f)
		if len(got) != 2 || got[1].Verdict != tt.verdict || !strings.Contains(got[1].Evidence, tt.says) {
			t.Errorf("%s: %+v, want %s with %q", tt.name, got, tt.verdict, tt.says)
		}
	}
}

func TestDeadlines(t *testing.T) {
	all, err := ParseDeadlines("15=2026-12-31, 18=2029-Q4", Deadlines())
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := DeadlineOf(all, "15.13"); !ok || d.When() != "2026-12-31" || d.Said(now) != "as set in PGUPGRADE_DEADLINES" {
		t.Errorf("15: %+v", d)
	}
	if d, ok := DeadlineOf(all, "18"); !ok || d.When() != "the 4th quarter of 2029" {
		t.Errorf("18: %+v", d)
	}
	if d, _ := DeadlineOf(all, "17.2"); !strings.Contains(d.Said(now), "25 months ago") {
		t.Errorf("17: %s", d.Said(now))
	}
	for _, wrong := range []string{"15", "x=2026-01-01", "15=soon", "15=2026-Q5", "5=2026-01-01"} {
		if _, err := ParseDeadlines(wrong, nil); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	near := EndingSoon([]Standing{
		{App: "b", Version: "15.1"}, {App: "a", Version: "15.2"}, {App: "c", Version: "14.3"}, {App: "d", Version: "17.1"}, {App: "e", Version: "unheard of"},
	}, all, now)
	var names []string
	for _, s := range near {
		names = append(names, s.App+" "+s.Deadline.When())
	}
	if got := strings.Join(names, ", "); got != "c 2025-11-28, a 2026-12-31, b 2026-12-31" {
		t.Error(got)
	}
	if n := EndingSoon([]Standing{{Version: "15.1"}}, all, date(2026, 12, 31).Add(-Near-time.Second)); n != nil {
		t.Errorf("a second too early: %v", n)
	}
}

// other is another app on which the database is attached.
func other(name string) AppFacts {
	g := good()
	return AppFacts{Ref: ops.Ref{ID: name, Name: name}, App: g.App, OnApp: g.OnApp, Hosts: g.Hosts, Formation: g.Formation, Dynos: g.Dynos, Releases: g.Releases, Builds: g.Builds, Features: g.Features}
}

// credential gives the database a credential, and an attachment that uses it.
func credential(f *Facts, name, attachment string) {
	f.Credentials.Value = append(f.Credentials.Value, ops.Credential{Name: name, State: "active"})
	if attachment != "" {
		f.OnDatabase.Value = append(f.OnDatabase.Value, ops.Attachment{Name: attachment, App: f.App.Value.Ref, Namespace: "credential:" + name})
	}
}

// TestPerApp: what is checked of the app is checked of every app.
func TestPerApp(t *testing.T) {
	f := good()
	x := other("stats")
	x.App.Value.Maintenance = true
	f.Others = []AppFacts{x}
	for _, finding := range Findings(f) {
		if finding.Check == "H27" && finding.Verdict == ops.Acknowledge && strings.HasPrefix(finding.Evidence, "stats: Maintenance mode is on") {
			return
		}
	}
	t.Errorf("the other app's maintenance mode was not seen: %+v", Findings(f))
}
