package heroku_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// TestTheRateLimit is a bucket of 4,500 calls that fills with 75 a minute. The
// Data API has none, and asking for what is left is free.
func TestTheRateLimit(t *testing.T) {
	w := openPlain(t)
	left := func() string { return w.send(t, "GET", "/apps/orders", nil, nil).Header.Get("RateLimit-Remaining") }
	if n := left(); n != "4499" {
		t.Errorf("after one call %s are left", n)
	}
	for range 4499 {
		w.send(t, "GET", "/apps/orders", nil, nil)
	}
	var got said
	resp := w.send(t, "GET", "/apps/orders", nil, &got)
	if resp.StatusCode != http.StatusTooManyRequests || got.ID != "rate_limit" || got.URL == "" || resp.Header.Get("RateLimit-Remaining") != "0" || resp.Header.Get("Retry-After") != "" {
		t.Errorf("HTTP %d, %+v, headers %v", resp.StatusCode, got, resp.Header)
	}
	var rest struct{ Remaining int }
	w.get(t, "/account/rate-limits", &rest)
	w.get(t, "/client/v11/databases/postgresql-curved-41822", nil)
	if rest.Remaining != 0 {
		t.Errorf("%d are said to be left", rest.Remaining)
	}
	w.pass(time.Minute)
	if n := left(); n != "74" {
		t.Errorf("a minute later %s are left after one call, want 74", n)
	}
	w.pass(24 * time.Hour)
	if n := left(); n != "4499" {
		t.Errorf("a day later %s are left after one call: it filled over its brim", n)
	}
}

// TestEveryListIsPaged: in pieces of two, each list is the list, in either
// direction, and Content-Range says what came.
func TestEveryListIsPaged(t *testing.T) {
	w := openPlain(t)
	for i := range 4 {
		w.send(t, "PATCH", "/apps/orders/config-vars", map[string]any{"N": fmt.Sprint(i)}, nil)
		w.send(t, "POST", "/addon-attachments", map[string]any{"addon": "postgresql-curved-41822", "app": "orders", "name": fmt.Sprint("N", i)}, nil)
		check(t, w.stand.Stage("deploy", "orders", ""))
		w.pass(time.Minute)
	}
	lists := map[string][]string{
		"/apps": {"id", "name"}, "/apps/orders/formation": {"id"}, "/apps/orders/dynos": {"id"}, "/apps/orders/releases": {"version", "id"}, "/apps/orders/builds": {"started_at", "id"},
		"/apps/orders/features": {"name", "id"}, "/addons": {"id", "name"}, "/apps/orders/addons": {"id", "name"}, "/addon-attachments": {"id"}, "/apps/orders/addon-attachments": {"id", "name"},
		"/addons/postgresql-curved-41822/addon-attachments": {"id"}, "/addon-services/heroku-postgresql/plans": {"id"},
	}
	for path, fields := range lists {
		var whole []map[string]any
		resp := w.send(t, "GET", path, nil, &whole)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Next-Range") != "" || len(whole) == 0 {
			t.Errorf("%s: HTTP %d, %d items", path, resp.StatusCode, len(whole))
		}
		for _, field := range fields {
			if !strings.Contains(resp.Header.Get("Accept-Ranges"), field) {
				t.Errorf("%s: Accept-Ranges %q does not hold %s", path, resp.Header.Get("Accept-Ranges"), field)
			}
			up, down := w.pieces(t, path, field, ""), w.pieces(t, path, field, ", order=desc")
			if len(up) != len(whole) {
				t.Errorf("%s by %s: %d items in pieces, %d at once", path, field, len(up), len(whole))
			}
			if slices.Reverse(down); !slices.Equal(up, down) {
				t.Errorf("%s by %s: %v up and %v down", path, field, up, down)
			}
		}
	}
}

// pieces reads a list two by two and returns the ids.
func (w *world) pieces(t *testing.T, path, field, order string) []string {
	t.Helper()
	var ids []string
	for next := field + " ..; max=2" + order; next != ""; {
		var part []struct{ ID string }
		resp := w.send(t, "GET", path, nil, &part, "Range", next)
		next = resp.Header.Get("Next-Range")
		if want := map[bool]int{true: 206, false: 200}[next != ""]; resp.StatusCode != want || len(part) > 2 || resp.Header.Get("Content-Range") == "" {
			t.Fatalf("%s: HTTP %d, %d items, headers %v", path, resp.StatusCode, len(part), resp.Header)
		}
		for _, x := range part {
			if slices.Contains(ids, x.ID) {
				t.Fatalf("%s: %s came twice", path, x.ID)
			}
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// TestWhoHasItAlready is answered with 304.
func TestWhoHasItAlready(t *testing.T) {
	w := openPlain(t)
	tag := w.send(t, "GET", "/apps/orders", nil, nil).Header.Get("ETag")
	if resp := w.send(t, "GET", "/apps/orders", nil, nil, "If-None-Match", tag); tag == "" || resp.StatusCode != http.StatusNotModified {
		t.Errorf("ETag %q, HTTP %d", tag, resp.StatusCode)
	}
	w.send(t, "PATCH", "/apps/orders", map[string]any{"maintenance": true}, nil)
	if resp := w.send(t, "GET", "/apps/orders", nil, nil, "If-None-Match", tag); resp.StatusCode != http.StatusOK {
		t.Errorf("HTTP %d after a change", resp.StatusCode)
	}
}

// TestCredentialsAndPoolers: each is a config var of its own that leads to the
// same database; a new password changes it with a release; the plain name of an
// attachment may mean several databases.
func TestCredentialsAndPoolers(t *testing.T) {
	const old = "postgresql-curved-41822"
	w := openPlain(t)
	v0 := "/postgres/v0/databases/" + old
	w.send(t, "POST", v0+"/credentials", map[string]any{"name": "reader"}, nil)
	var config []any
	if w.get(t, "/addons/"+old+"/config/credential:nobody", &config); len(config) != 0 {
		t.Errorf("a credential that is not there has the config %v", config)
	}
	w.pass(time.Minute)
	w.send(t, "POST", "/addon-attachments", map[string]any{"addon": map[string]any{"name": old}, "app": map[string]any{"name": "reports"}, "name": "READER", "namespace": "credential:reader"}, nil)
	w.send(t, "POST", "/client/v11/databases/"+old+"/connection-pooling", map[string]any{"app": "orders", "credential": "default"}, nil)
	value := func(app, name string) string {
		var vars map[string]string
		w.get(t, "/apps/"+app+"/config-vars", &vars)
		return vars[name]
	}
	main, reader, pooled := value("orders", "DATABASE_URL"), value("reports", "READER_URL"), value("orders", "DATABASE_CONNECTION_POOL_URL")
	hosts := must[map[string]ops.Endpoint](t)(w.ConfigHosts(t.Context(), "orders"))
	if !strings.HasPrefix(reader, "postgres://reader:") || reader == main || hosts["DATABASE_CONNECTION_POOL_URL"].Host != hosts["DATABASE_URL"].Host || hosts["DATABASE_CONNECTION_POOL_URL"].Port == hosts["DATABASE_URL"].Port {
		t.Errorf("main %s, reader %s, pooled %s", main, reader, pooled)
	}
	if all := must[[]ops.Credential](t)(w.Credentials(t.Context(), old)); len(all) != 2 || all[1].Name != "reader" || all[1].State != "active" {
		t.Errorf("credentials %+v", all)
	}

	release := func(app string) ops.Release {
		return must[[]ops.Release](t)(w.Releases(t.Context(), app, 1))[0]
	}
	before, others := release("reports").Version, release("orders").Version
	w.send(t, "POST", v0+"/credentials/reader/credentials_rotation", map[string]any{}, nil)
	if value("reports", "READER_URL") == reader || release("reports").Version != before+1 || release("orders").Version != others {
		t.Errorf("after the rotation READER_URL is %s, releases %d and %d", value("reports", "READER_URL"), release("reports").Version, release("orders").Version)
	}
	w.send(t, "POST", v0+"/credentials_rotation", map[string]any{"forced": true}, nil)
	w.pass(time.Minute) // the release command
	if value("orders", "DATABASE_URL") == main || value("orders", "DATABASE_CONNECTION_POOL_URL") == pooled || value("orders", "RACK_ENV") == "" {
		t.Error("the rotation of all left a password as it was")
	}
	if o := w.stand.Overview(); o.Apps[0].Database != old {
		t.Errorf("orders uses %q after the rotation", o.Apps[0].Database)
	}
	var refused said
	if w.send(t, "DELETE", v0+"/credentials/reader", nil, &refused); !strings.Contains(refused.Message, "reports") {
		t.Errorf("destroying what is attached: %+v", refused)
	}
	var found []struct{ Name string }
	w.send(t, "POST", "/actions/addons/resolve", map[string]any{"addon": "DATABASE", "app": nil}, &found)
	if len(found) < 2 {
		t.Errorf("DATABASE of any app means %+v", found)
	}
}

// TestAPreparedUpgrade runs by itself in its window when nobody runs it before,
// and takes the followers along.
func TestAPreparedUpgrade(t *testing.T) {
	const old = "postgresql-curved-41822"
	w := openPlain(t)
	must[ops.Addon](t)(w.CreateFollower(t.Context(), ops.FollowerSpec{App: "orders", Plan: "heroku-postgresql:standard-0", Name: "f", Attachment: "F", LeaderName: old}))
	w.pass(time.Minute)
	db := "/client/v11/databases/" + old
	w.send(t, "POST", "/data/maintenances/v1/"+old+"/window", map[string]any{"day_of_week": "wednesday", "time_of_day": "06:00PM"}, nil)
	w.send(t, "POST", db+"/upgrade/prepare", map[string]any{"version": "16"}, nil)
	var early said
	if resp := w.send(t, "POST", db+"/upgrade/run", nil, &early); resp.StatusCode != 400 || early.ID != "bad_request" {
		t.Errorf("run before it is ready: HTTP %d %+v", resp.StatusCode, early)
	}
	w.pass(time.Minute)
	if s := must[ops.Wait](t)(w.UpgradeStatus(t.Context(), old)); s.Waiting || !strings.Contains(s.Message, "2026-11-25 18:00:00 UTC") {
		t.Errorf("status %+v", s)
	}
	w.pass(3 * 24 * time.Hour)
	if s := must[ops.Wait](t)(w.UpgradeStatus(t.Context(), old)); !s.Waiting {
		t.Errorf("in its window: %+v", s)
	}
	w.pass(time.Hour)
	for _, name := range []string{old, "f"} {
		if d := must[ops.Database](t)(w.Database(t.Context(), name)); !strings.HasPrefix(d.Version, "16.") || d.Follower() != (name == "f") {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if slices.ContainsFunc(w.stand.Effects(), func(e string) bool { return strings.HasPrefix(e, "upgrade.run") }) {
		t.Errorf("somebody ran it: %q", w.stand.Effects())
	}
}

// TestStoredState: what the Data API is told, it says again.
func TestStoredState(t *testing.T) {
	const old = "postgresql-curved-41822"
	w := openPlain(t)
	db := "/client/v11/databases/" + old
	for _, tt := range []struct {
		list, create string
		body         map[string]any
		field        string // by which one is deleted
	}{
		{db + "/links", db + "/links", map[string]any{"target": "postgresql-flat-77310", "as": "flat"}, "name"},
		{db + "/transfer-schedules", db + "/transfer-schedules", map[string]any{"hour": "2", "timezone": "UTC", "schedule_name": "DATABASE_URL"}, "uuid"},
		{"/client/v11/apps/orders/transfers", db + "/backups", nil, "uuid"},
	} {
		var made map[string]any
		var all []map[string]any
		if resp := w.send(t, "POST", tt.create, tt.body, &made); resp.StatusCode != 201 {
			t.Errorf("POST %s: HTTP %d", tt.create, resp.StatusCode)
		}
		if w.get(t, tt.list, &all); len(all) != 1 || all[0][tt.field] != made[tt.field] {
			t.Errorf("%s: %v", tt.list, all)
		}
		if resp := w.send(t, "DELETE", tt.list+"/"+fmt.Sprint(made[tt.field]), nil, nil); resp.StatusCode != 200 {
			t.Errorf("DELETE %s: HTTP %d", tt.list, resp.StatusCode)
		}
		all = nil
		if w.get(t, tt.list, &all); len(all) != 0 {
			t.Errorf("%s after the delete: %v", tt.list, all)
		}
	}
	var settings map[string]struct{ Value any }
	w.send(t, "PATCH", "/postgres/v0/databases/"+old+"/config", map[string]any{"log_statement": "all", "log_min_duration_statement": 50}, nil)
	if w.get(t, "/postgres/v0/databases/"+old+"/config", &settings); settings["log_statement"].Value != "all" || settings["log_min_duration_statement"].Value != 50.0 || settings["track_functions"].Value != "none" {
		t.Errorf("settings %v", settings)
	}
	check(t, w.stand.Stage("database maintenance", old, "ready"))
	w.send(t, "POST", "/data/maintenances/v1/"+old+"/schedule", map[string]any{"delay_weeks": "2"}, nil)
	status, _, err := w.Maintenance(t.Context(), old)
	if err != nil || status != "ready" {
		t.Errorf("maintenance %q, %v", status, err)
	}
	w.send(t, "POST", "/data/maintenances/v1/"+old+"/run", nil, nil)
	w.pass(time.Hour)
	var past struct{ Maintenances []struct{ Status string } }
	if w.get(t, "/data/maintenances/v1/"+old+"/history/?limit=5", &past); len(past.Maintenances) != 1 || past.Maintenances[0].Status != "completed" {
		t.Errorf("history %+v", past)
	}
	check(t, w.stand.Stage("fail backups", "orders", ""))
	lost := must[ops.Transfer](t)(w.CaptureBackup(t.Context(), old))
	w.pass(time.Hour)
	if b := must[ops.Transfer](t)(w.Transfer(t.Context(), "orders", lost.ID)); b.FinishedAt.IsZero() || b.Succeeded.Value {
		t.Errorf("failed backup %+v", b)
	}
	// A backup that is cancelled has not succeeded.
	backup := must[ops.Transfer](t)(w.CaptureBackup(t.Context(), old))
	w.send(t, "POST", "/client/v11/apps/orders/transfers/"+backup.ID+"/actions/cancel", nil, nil)
	if b := must[ops.Transfer](t)(w.Transfer(t.Context(), "orders", backup.ID)); b.FinishedAt.IsZero() || b.Succeeded.Value {
		t.Errorf("cancelled backup %+v", b)
	}
}

// TestTheSecondAddress: what can be staged from this program can be staged from
// another.
func TestTheSecondAddress(t *testing.T) {
	w := openPlain(t)
	control := httptest.NewServer(w.stand.Control())
	t.Cleanup(control.Close)
	ask := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, control.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	app := func() error { _, err := w.App(t.Context(), "orders"); return err }
	for _, tt := range []struct {
		method, path, body string
		status             int
		then               error // of a read of an app
	}{
		{"POST", "/fault", `{"fault": "GET /apps/orders: 404 as HTML"}`, 200, ops.ErrNotFound},
		{"DELETE", "/faults", ``, 200, nil},
		{"POST", "/fault", `{"method": "GET", "path": "/apps", "when": "before", "status": 403}`, 200, ops.ErrRefused},
		{"DELETE", "/faults", ``, 200, nil},
		{"POST", "/fault", `{"fault": "GET /apps: explode"}`, 400, nil},
		{"POST", "/stage", `{"what": "revoke key"}`, 200, ops.ErrRefused},
		{"POST", "/stage", `{"what": "restore key"}`, 200, nil},
		{"POST", "/stage", `{"what": "explode", "name": "orders"}`, 422, nil},
		{"POST", "/stage", `{"what": "raise lag", "name": "the follower of orders"}`, 422, nil},
	} {
		if status, said := ask(tt.method, tt.path, tt.body); status != tt.status {
			t.Errorf("%s %s: HTTP %d %s", tt.path, tt.body, status, said)
		}
		if err := app(); !errors.Is(err, tt.then) {
			t.Errorf("after %s: %v, want %v", tt.body, err, tt.then)
		}
	}
	if _, history := ask("GET", "/history", ""); !strings.Contains(history, `"path":"/apps/orders"`) {
		t.Errorf("history %s", history)
	}
}

// TestFaultsInWords: a fault is read as a scenario has it, and what is none is refused.
func TestFaultsInWords(t *testing.T) {
	for text, want := range map[string]herokutest.Fault{
		"POST /upgrade/run: reset, once, after acting": {Method: "POST", Path: "/upgrade/run", When: herokutest.After, Times: 1},
		"anything /: 401":                               {Path: "/", When: herokutest.Before, Status: 401},
		"GET /apps: 503 as text, 3 times":               {Method: "GET", Path: "/apps", When: herokutest.Before, Times: 3, Status: 503, Body: "Service Unavailable\n", Type: "text/plain"},
		"PATCH /apps/orders: no answer, before acting":  {Method: "PATCH", Path: "/apps/orders", When: herokutest.Before, Hang: true},
		"PATCH /apps/orders: 500, always, after acting": {Method: "PATCH", Path: "/apps/orders", When: herokutest.After, Status: 500},
	} {
		if got, err := herokutest.ParseFault(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "reset", "POST /x: explode", "POST /x", "post /x: reset", "POST /x: reset, sometimes"} {
		if f, err := herokutest.ParseFault(text); err == nil {
			t.Errorf("%q is read as %+v", text, f)
		}
	}
}
