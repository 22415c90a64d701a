package upgrade_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// topology stages four apps on one database: under DATABASE and other names,
// with a credential of its own, and through the pooler under two names.
func topology(w *world, releasePhase string) map[string]map[string]int {
	w.t.Helper()
	const db = "postgresql-shared-90210"
	formations := map[string]map[string]int{"shop": {"web": 2, "worker": 1}, "admin": {"web": 1}, "stats": {"worker": 2}, "feed": {"web": 1, "clock": 1}}
	for _, app := range []string{"shop", "admin", "stats", "feed"} {
		w.heroku.AddApp(herokutest.AppSpec{Name: app, Formation: formations[app], ReleasePhase: app == releasePhase, Maintenance: app == "admin"})
	}
	w.heroku.AddDatabase(herokutest.DatabaseSpec{Name: db, App: "shop", Plan: "standard-0", Version: "15.13", Bytes: 4_000_000_000})
	for _, s := range [][3]string{
		{"attach", "shop", "HEROKU_POSTGRESQL_NAVY " + db},
		{"attach", "shop", "DATABASE_CONNECTION_POOL " + db + " connection-pooling:default"},
		{"attach", "admin", "DATABASE " + db},
		{"attach", "stats", "DATABASE " + db + " credential:analyst"},
		{"attach", "feed", "DATABASE " + db},
		{"attach", "feed", "FEED_POOL " + db + " connection-pooling:default"},
		{"credential", db, "analyst"},
	} {
		if err := w.heroku.Stage(s[0], s[1], s[2]); err != nil {
			w.t.Fatal(err)
		}
	}
	return formations
}

// leads checks that every name of every app leads to a database whose name
// begins so, but for the spare names.
func (w *world) leads(apps map[string]map[string]int, to string) {
	w.t.Helper()
	for app := range apps {
		for _, a := range w.app(app).Attachments {
			name, db, _ := strings.Cut(a, " ")
			if !strings.HasPrefix(name, "PG1") && !strings.HasPrefix(db, to) {
				w.t.Errorf("%s of %s leads to %s, not to %s", name, app, db, to)
			}
		}
	}
}

func (w *world) allWell(id string, apps map[string]map[string]int) {
	w.t.Helper()
	for app, formation := range apps {
		a := w.app(app)
		if a.Maintenance != (app == "admin") || fmt.Sprint(a.Formation) != fmt.Sprint(formation) {
			w.t.Errorf("%s: maintenance %v, formation %v; recorded was %v, %v", app, a.Maintenance, a.Formation, app == "admin", formation)
		}
	}
	for _, r := range w.heroku.Rows() {
		if r.Missing != 0 {
			w.t.Errorf("%d of %d acknowledged rows of %s are missing: %s", r.Missing, r.Acknowledged, r.App, w.tell(id))
		}
	}
}

// approve answers both questions on the way to the cutover: maintenance of one
// app is on already, which must be acknowledged.
func (w *world) approve(app string) ops.Run {
	w.t.Helper()
	r := w.start(app)
	w.until(r.ID, "asking for the follower", asked(ops.GateCreate))
	w.answer(r.ID, "U2", ops.GateCreate, "")
	w.until(r.ID, "asking for the cutover", asked(ops.GateCutover))
	return w.run(r.ID)
}

func TestEveryAppAndEveryName(t *testing.T) {
	w := newWorld(t)
	apps := topology(w, "")
	// A copied URL blocks before anything is created.
	if err := w.heroku.Stage("copy var", "billing", "REPORT_URL shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.Start(t.Context(), ops.Actor{ID: "U1"}, "C1", "shop", ops.Request{}); err == nil || !strings.Contains(err.Error(), "REPORT_URL on billing") {
		t.Fatalf("a copied URL did not block: %v", err)
	}
	if err := w.heroku.Stage("unset var", "billing", "REPORT_URL"); err != nil {
		t.Fatal(err)
	}

	r := w.approve("shop")
	if got := r.Plan.AppNames(); got != "`shop`, `admin`, `feed`, `stats`" {
		t.Errorf("apps of the plan: %s", got)
	}
	w.answer(r.ID, "U2", ops.GateCutover, "")
	r = w.until(r.ID, "asking to destroy", asked(ops.GateDestroy))
	if !r.Active() {
		t.Fatal(w.tell(r.ID))
	}
	w.leads(apps, "shop-pg17")
	w.answer(r.ID, "U1", ops.GateDestroy, "shop")
	if r = w.until(r.ID, "ended", ended); r.Outcome != ops.Succeeded {
		t.Fatal(w.tell(r.ID))
	}
	w.leads(apps, "shop-pg17")
	w.allWell(r.ID, apps)
	w.never.once(map[string]int{"attachment.replace": 7, "maintenance.on": 3, "maintenance.off": 3, "formation.scale": 8})
}

// TestSwitchFailsOnTheThirdApp: Heroku refuses the switch of the third app; no
// app has a release phase, so all are brought back by themselves.
func TestSwitchFailsOnTheThirdApp(t *testing.T) {
	w := newWorld(t)
	apps := topology(w, "")
	// The old database's spare name, three names of shop and one of admin pass.
	w.heroku.Fault(herokutest.Fault{Method: "POST", Path: "/addon-attachments", When: herokutest.Before, Skip: 5, Times: 1, Status: 422})
	r := w.approve("shop")
	w.answer(r.ID, "U2", ops.GateCutover, "")
	r = w.until(r.ID, "ended", ended)
	if r.Outcome != ops.Returned {
		t.Fatal(w.tell(r.ID))
	}
	if !strings.Contains(w.tell(r.ID), "return.attach") {
		t.Errorf("nothing had to be attached again: %s", w.tell(r.ID))
	}
	w.leads(apps, "postgresql-shared-90210")
	w.allWell(r.ID, apps)
}

// TestCredentialIsMissing: without the credential on the new database nobody is
// locked out.
func TestCredentialIsMissing(t *testing.T) {
	w := newWorld(t)
	topology(w, "")
	r := w.start("shop")
	w.until(r.ID, "asking for the follower", asked(ops.GateCreate))
	w.answer(r.ID, "U2", ops.GateCreate, "")
	r = w.until(r.ID, "created", func(r ops.Run) bool { return r.Follower.ID != "" })
	if err := w.heroku.Stage("drop credential", r.Follower.Name, "analyst"); err != nil {
		t.Fatal(err)
	}
	r = w.until(r.ID, "blocked", func(r ops.Run) bool { return strings.Contains(r.Next, "no active credential `analyst`") })
	if r.Asked != nil || r.Baseline != nil {
		t.Error(w.tell(r.ID))
	}
}
