package heroku_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// world is the stand-in behind a validator of its answers, and a client.
type world struct {
	*heroku.Client
	stand *herokutest.Server
	valid *validator
	url   string
	mu    sync.Mutex
	now   time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

const key = "HRKU-very-secret"

func open(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)}
	w.stand = herokutest.New(herokutest.Config{Token: key, Now: w.clock})
	w.valid = newValidator(t, w.stand.API())
	return w.serve(t, w.valid)
}

// openPlain is open without the validator, which takes its time.
func openPlain(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)}
	w.stand = herokutest.New(herokutest.Config{Token: key, Now: w.clock})
	return w.serve(t, w.stand.API())
}

func (w *world) serve(t *testing.T, h http.Handler) *world {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.stand.SetBaseURL(server.URL)
	w.stand.Acme()
	w.Client = w.client(key)
	return w
}

func (w *world) client(key string) *heroku.Client {
	return heroku.Open(heroku.Config{Token: ops.NewSecret(key), APIURL: w.url, DataURL: w.url, Now: w.clock, Log: slog.New(slog.DiscardHandler)})
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestEveryCall makes each call of the client in the order of an upgrade, and
// every answer of the platform is checked against Heroku's published schema.
func TestEveryCall(t *testing.T) {
	w, ctx := open(t), t.Context()
	account := must[ops.Account](t)(w.Account(ctx))
	app := must[ops.App](t)(w.App(ctx, "orders"))
	if account.Email == "" || app.Name != "orders" || app.ID == "" || app.WebURL == "" {
		t.Errorf("%+v %+v", account, app)
	}
	formation := must[[]ops.Process](t)(w.Formation(ctx, app.ID))
	if len(formation) != 4 { // with the release phase
		t.Errorf("formation %+v", formation)
	}
	if dynos := must[[]ops.Dyno](t)(w.Dynos(ctx, app.ID)); len(dynos) != 4 {
		t.Errorf("dynos %+v", dynos)
	}
	must[map[string]bool](t)(w.Features(ctx, app.ID))
	must[[]ops.Build](t)(w.Builds(ctx, app.ID))
	attachments := must[[]ops.Attachment](t)(w.Attachments(ctx, app.ID))
	if len(attachments) != 1 || attachments[0].Name != "DATABASE" || attachments[0].Addon.Name != "postgresql-curved-41822" {
		t.Fatalf("attachments %+v", attachments)
	}
	old := must[ops.Addon](t)(w.Addon(ctx, attachments[0].Addon.ID))
	if old.Plan != "heroku-postgresql:standard-0" || old.App.Name != "orders" || old.CentsPerMonth != 5000 {
		t.Errorf("add-on %+v", old)
	}
	hosts := must[map[string]ops.Endpoint](t)(w.ConfigHosts(ctx, app.ID))
	leader := must[ops.Database](t)(w.Database(ctx, old.ID))
	if hosts["DATABASE_URL"].Host == "" || hosts["DATABASE_URL"].Host != leader.Endpoint.Host || leader.Follower() || !strings.HasPrefix(leader.Version, "15") {
		t.Errorf("hosts %+v, database %+v", hosts, leader)
	}
	if leader.BytesLimit != 64_000_000_000 {
		t.Errorf("the plan holds %d bytes", leader.BytesLimit)
	}
	if names := must[[]string](t)(w.ConfigNames(ctx, app.ID)); !slices.Contains(names, "DATABASE_URL") || !slices.IsSorted(names) {
		t.Errorf("config vars %v", names)
	}
	if own := must[[]ops.Addon](t)(w.AppAddons(ctx, app.ID)); len(own) != 1 || own[0].ID != old.ID || own[0].Service != "heroku-postgresql" {
		t.Errorf("add-ons of the app %+v", own)
	}
	if all := must[[]ops.Addon](t)(w.Databases(ctx)); len(all) < 3 || !slices.ContainsFunc(all, func(a ops.Addon) bool { return a.ID == old.ID }) {
		t.Errorf("databases %+v", all)
	}
	if said := must[string](t)(w.DryRun(ctx, old.ID, "17")); !strings.Contains(said, "e-mail") {
		t.Errorf("dry run: %q", said)
	}
	if plans := must[[]ops.Plan](t)(w.Plans(ctx)); len(plans) < 5 {
		t.Errorf("plans %+v", plans)
	}
	must[[]ops.Credential](t)(w.Credentials(ctx, old.ID))
	if _, _, err := w.Maintenance(ctx, old.ID); err != nil {
		t.Error(err)
	}

	backup := must[ops.Transfer](t)(w.CaptureBackup(ctx, old.ID))
	follower := must[ops.Addon](t)(w.CreateFollower(ctx, ops.FollowerSpec{App: "orders", Plan: "heroku-postgresql:standard-0", Name: "orders-pg17-abcde", Attachment: "PGUPGRADE_17", LeaderID: old.ID, LeaderName: old.Name}))
	if !must[ops.Wait](t)(w.WaitStatus(ctx, follower.ID)).Waiting {
		t.Error("a new follower does not wait")
	}
	if _, err := w.CreateFollower(ctx, ops.FollowerSpec{App: "orders", Plan: "heroku-postgresql:standard-0", Name: "orders-pg17-abcde", Attachment: "PGUPGRADE_17", LeaderID: old.ID, LeaderName: old.Name}); !errors.Is(err, ops.ErrRefused) {
		t.Errorf("a second one of the same name: %v, want ErrRefused", err)
	}
	if _, err := w.RunUpgrade(ctx, follower.ID, "17"); !errors.Is(err, ops.ErrRefused) {
		t.Errorf("an upgrade of what is not provisioned: %v, want ErrRefused", err)
	}
	w.pass(time.Minute)
	if b := must[ops.Transfer](t)(w.Transfer(ctx, "orders", backup.ID)); !b.Succeeded.Value {
		t.Errorf("backup %+v", b)
	}
	must[[]ops.Transfer](t)(w.Transfers(ctx, "orders"))
	copied := must[ops.Database](t)(w.Database(ctx, follower.ID))
	if !copied.Follower() || !copied.BehindBy.Known || copied.Following.Host != leader.Endpoint.Host {
		t.Errorf("follower %+v", copied)
	}
	must[ops.Attachment](t)(w.Attach(ctx, ops.AttachSpec{App: "orders", AddonID: old.ID, Name: "OLD"}))
	spare := must[ops.Attachment](t)(w.Attach(ctx, ops.AttachSpec{App: "billing", AddonID: old.ID, Name: "SPARE"}))
	check(t, w.Detach(ctx, spare.ID))
	if all := must[[]ops.Attachment](t)(w.AddonAttachments(ctx, old.ID)); len(all) != 2 {
		t.Errorf("attachments of the old one %+v", all)
	}
	releases := must[[]ops.Release](t)(w.Releases(ctx, "orders", 5))
	if len(releases) == 0 || releases[0].Version < 43 {
		t.Errorf("releases %+v", releases)
	}
	must[map[string]ops.Endpoint](t)(w.ReleaseHosts(ctx, "orders", releases[0].ID))

	w.pass(time.Minute)
	check(t, w.SetMaintenance(ctx, "orders", true))
	check(t, w.Scale(ctx, "orders", []ops.Process{{Type: "web", Quantity: 0}, {Type: "worker", Quantity: 0}, {Type: "clock", Quantity: 0}}))
	w.pass(time.Minute)
	if dynos := must[[]ops.Dyno](t)(w.Dynos(ctx, app.ID)); len(dynos) != 0 {
		t.Errorf("dynos after the scale %+v", dynos)
	}
	check(t, w.stand.Stage("one-off", "orders", ""))
	dynos := must[[]ops.Dyno](t)(w.Dynos(ctx, app.ID))
	check(t, w.StopDyno(ctx, "orders", dynos[0].Name))
	if _, err := w.RunUpgrade(ctx, follower.ID, "17"); err != nil {
		t.Fatal(err)
	}
	if x := must[ops.Wait](t)(w.UpgradeStatus(ctx, follower.ID)); !x.Waiting || x.Step == "" {
		t.Errorf("upgrade status %+v", x)
	}
	w.pass(time.Minute)
	if d := must[ops.Database](t)(w.Database(ctx, follower.ID)); d.Follower() || !strings.HasPrefix(d.Version, "17") {
		t.Errorf("after the upgrade %+v", d)
	}
	must[ops.Attachment](t)(w.Attach(ctx, ops.AttachSpec{App: "orders", AddonID: follower.ID, Name: "DATABASE"}))
	w.pass(time.Minute)
	if h := must[map[string]ops.Endpoint](t)(w.ConfigHosts(ctx, "orders"))["DATABASE_URL"]; h.Host != copied.Endpoint.Host {
		t.Errorf("DATABASE_URL leads to %+v", h)
	}
	check(t, w.SetMaintenance(ctx, "orders", false))
	check(t, w.Scale(ctx, "orders", []ops.Process{{Type: "web", Quantity: 2}}))
	if _, err := w.DestroyAddon(ctx, "orders", old.ID); err != nil {
		t.Errorf("destroy: %v", err)
	}
	w.pass(time.Minute)
	if _, err := w.Addon(ctx, old.ID); !errors.Is(err, ops.ErrNotFound) {
		t.Errorf("the destroyed one: %v, want ErrNotFound", err)
	}
	w.valid.report(t, 27)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestWhatAnErrorMeans: whether a call that changes something can have taken
// effect, and that it was sent once.
func TestWhatAnErrorMeans(t *testing.T) {
	change := func(ctx context.Context, c *heroku.Client) error { return c.SetMaintenance(ctx, "orders", true) }
	look := func(ctx context.Context, c *heroku.Client) error { _, err := c.App(ctx, "orders"); return err }
	tests := []struct {
		name  string
		fault herokutest.Fault
		call  func(context.Context, *heroku.Client) error
		want  error
		sent  int
	}{
		{"429", herokutest.Fault{Status: 429, When: herokutest.Before}, change, ops.ErrBusy, 1},
		{"422", herokutest.Fault{Status: 422, When: herokutest.Before}, change, ops.ErrRefused, 1},
		{"404 as HTML under a JSON type", herokutest.Fault{Status: 404, Body: "<html>", When: herokutest.Before}, change, ops.ErrNotFound, 1},
		{"500", herokutest.Fault{Status: 500, When: herokutest.Before}, change, ops.ErrUnknownOutcome, 1},
		{"503 as text", herokutest.Fault{Status: 503, Body: "no", When: herokutest.Before}, change, ops.ErrUnknownOutcome, 1},
		{"reset after it acted", herokutest.Fault{When: herokutest.After}, change, ops.ErrUnknownOutcome, 1},
		{"malformed answer", herokutest.Fault{Status: 200, Body: "{", When: herokutest.After}, change, ops.ErrUnknownOutcome, 1},
		{"401", herokutest.Fault{Status: 401, When: herokutest.Before}, look, ops.ErrRefused, 1},
		{"a read that fails once", herokutest.Fault{Status: 500, When: herokutest.Before, Times: 1}, look, nil, 2},
		{"a read that always fails", herokutest.Fault{Status: 502, When: herokutest.Before}, look, ops.ErrUnknownOutcome, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := open(t)
			w.stand.Fault(tt.fault)
			err := tt.call(t.Context(), w.Client)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if n := len(w.stand.History()); n != tt.sent {
				t.Errorf("sent %d times, want %d", n, tt.sent)
			}
		})
	}
}

// TestNoAnswerAtAll: nobody listens, so nothing can have happened.
func TestNoAnswerAtAll(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := heroku.Open(heroku.Config{Token: ops.NewSecret(key), APIURL: server.URL, DataURL: server.URL, Log: slog.New(slog.DiscardHandler)})
	if err := c.SetMaintenance(t.Context(), "orders", true); !errors.Is(err, ops.ErrBusy) {
		t.Errorf("error %v, want ErrBusy", err)
	}
}

// TestNothingPrintsTheKey in whatever way a client or its errors are printed.
func TestNothingPrintsTheKey(t *testing.T) {
	w := open(t)
	var log bytes.Buffer
	c := heroku.Open(heroku.Config{Token: ops.NewSecret(key), APIURL: w.url, DataURL: w.url, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	w.stand.Fault(herokutest.Fault{Status: 422, When: herokutest.Before, Times: 1, Body: `{"id":"invalid","message":"postgres://u:pa55word@h/db is taken"}`})
	err := c.SetMaintenance(t.Context(), "orders", true)
	if _, e := c.ConfigHosts(t.Context(), "orders"); e != nil {
		t.Fatal(e)
	}
	all := fmt.Sprintf("%v %+v %#v %s %v %+v", c, c, c, c, err, err) + log.String()
	for _, secret := range []string{key, "pa55word"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is printed in %s", secret, all)
		}
	}
	if err == nil || log.Len() == 0 {
		t.Errorf("nothing was printed: %v, %d bytes of log", err, log.Len())
	}
}

// TestStrangeNames do not change the address of a call.
func TestStrangeNames(t *testing.T) {
	w := open(t)
	for _, name := range []string{"", "../account", "a/b", "a?b", "a b", "%2e%2e", "ä"} {
		if _, err := w.App(t.Context(), name); !errors.Is(err, ops.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", name, err)
		}
		if err := w.SetMaintenance(t.Context(), name, true); !errors.Is(err, ops.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", name, err)
		}
	}
	if n := len(w.stand.History()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// TestCheckKey says what to do about a key that is refused.
func TestCheckKey(t *testing.T) {
	w := open(t)
	_, err := w.client("wrong").CheckKey(t.Context())
	var user *ops.UserError
	if !errors.As(err, &user) || !strings.Contains(user.Text, "heroku authorizations:create") {
		t.Errorf("error %v", err)
	}
}

func TestHosts(t *testing.T) {
	for _, tt := range []struct{ host, data, api, want, err string }{
		{"", "", "https://api.heroku.com", "https://api.data.heroku.com", ""},
		{"herokudev.com", "", "https://api.herokudev.com", "https://api.data.herokudev.com", ""},
		{"http://127.0.0.1:5000", "", "http://127.0.0.1:5000", "http://127.0.0.1:5000", ""},
		{"http://127.0.0.1:5000", "localhost", "http://127.0.0.1:5000", "http://localhost:5000", ""},
		{"", "localhost", "https://api.heroku.com", "https://localhost", ""},
		{"127.0.0.1:5000", "", "", "", "scheme"},
		{"", "localhost:1", "", "", "bare host name"},
		{"http://u:p@h", "", "", "", "must not hold"},
	} {
		api, data, err := heroku.Hosts(tt.host, tt.data)
		if api != tt.api || data != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("Hosts(%q, %q) = %q, %q, %v", tt.host, tt.data, api, data, err)
		}
	}
}
