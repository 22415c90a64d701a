package heroku_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// faulty is a call of the client that a fault strikes.
type faulty struct {
	name string
	path string
	do   func(context.Context, *heroku.Client) error
}

var readsAndActs = map[bool][]faulty{
	false: {
		{"read the platform", "GET /apps/orders", func(ctx context.Context, c *heroku.Client) error { _, err := c.App(ctx, "orders"); return err }},
		{"read a list", "GET /apps/orders/dynos", func(ctx context.Context, c *heroku.Client) error { _, err := c.Dynos(ctx, "orders"); return err }},
		{"read the Data API", "GET /client/v11/databases/postgresql-curved-41822", func(ctx context.Context, c *heroku.Client) error {
			_, err := c.Database(ctx, "postgresql-curved-41822")
			return err
		}},
	},
	true: {
		{"change the platform", "PATCH /apps/orders", func(ctx context.Context, c *heroku.Client) error { return c.SetMaintenance(ctx, "orders", true) }},
		{"create", "POST /apps/orders/addons", func(ctx context.Context, c *heroku.Client) error {
			_, err := c.CreateFollower(ctx, ops.FollowerSpec{App: "orders", Plan: "heroku-postgresql:standard-0", Name: "f", Attachment: "F", LeaderName: "postgresql-curved-41822"})
			return err
		}},
		{"change through the Data API", "POST /client/v11/databases/postgresql-curved-41822/backups", func(ctx context.Context, c *heroku.Client) error {
			_, err := c.CaptureBackup(ctx, "postgresql-curved-41822")
			return err
		}},
	},
}

// TestEveryFault strikes calls of each kind with each fault, before and after
// they act: reads are repeated where that can help, changes are sent once
// whatever happens, and the error says whether one can have taken effect.
func TestEveryFault(t *testing.T) {
	type verdict struct {
		read  error // of a read that always fails so
		sent  int   // how often it is sent then
		once  error // of a read that fails so once
		act   error // of a change; nil: it succeeds
		hangs bool
	}
	unknown, busy, refused := ops.ErrUnknownOutcome, ops.ErrBusy, ops.ErrRefused
	verdicts := map[string]verdict{
		"reset":       {read: unknown, sent: 3, act: unknown},
		"no answer":   {read: unknown, sent: 1, once: unknown, act: unknown, hangs: true}, // its caller gives up
		"slow":        {sent: 1},
		"401":         {read: refused, sent: 1, once: refused, act: refused},
		"403":         {read: refused, sent: 1, once: refused, act: refused},
		"two-factor":  {read: refused, sent: 1, once: refused, act: refused},
		"422":         {read: refused, sent: 1, once: refused, act: refused},
		"429":         {read: busy, sent: 3, act: busy},
		"500":         {read: unknown, sent: 3, act: unknown},
		"503 as text": {read: unknown, sent: 3, act: unknown},
		"404 as HTML": {read: ops.ErrNotFound, sent: 1, once: ops.ErrNotFound, act: ops.ErrNotFound},
		"malformed":   {read: errors.ErrUnsupported, sent: 3, act: unknown},
	}
	for _, kind := range herokutest.FaultKinds() {
		want, ok := verdicts[kind]
		if !ok {
			t.Errorf("nobody says what %q means for a call", kind)
			continue
		}
		for _, act := range []bool{false, true} {
			for _, call := range readsAndActs[act] {
				for _, how := range []string{"always", "once", "once, after acting"} {
					t.Run(kind+"/"+call.name+"/"+how, func(t *testing.T) {
						t.Parallel()
						expect, sent := want.read, want.sent
						switch {
						case act:
							expect, sent = want.act, 1
						case how != "always":
							if expect = want.once; expect == nil && want.read != nil {
								sent = 2
							}
						}
						strike(t, call, kind+", "+how, want.hangs, expect, sent, act && (strings.HasSuffix(how, "after acting") || expect == nil))
					})
				}
			}
		}
	}
}

// strike makes one call under a fault.
func strike(t *testing.T, call faulty, fault string, hangs bool, want error, sent int, acts bool) {
	w := openPlain(t)
	f, err := herokutest.ParseFault(call.path + ": " + fault)
	if err != nil {
		t.Fatal(err)
	}
	f.Delay = min(f.Delay, 10*time.Millisecond)
	w.stand.Fault(f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if hangs { // whoever waits gives up once the request is there
		go func() {
			for len(w.stand.History()) == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
	}
	err = call.do(ctx, w.Client)
	switch {
	case want == errors.ErrUnsupported: // a read whose answer cannot be read: an error of no particular kind
		if err == nil || errors.Is(err, ops.ErrNotFound) || errors.Is(err, ops.ErrRefused) {
			t.Errorf("error %v, want one that is neither a refusal nor an absence", err)
		}
	case !errors.Is(err, want):
		t.Errorf("error %v, want %v", err, want)
	}
	history := w.stand.History()
	if len(history) != sent {
		t.Errorf("sent %d times, want %d", len(history), sent)
	}
	if effects := w.stand.Effects(); (len(effects) > 0) != acts || len(effects) > 1 {
		t.Errorf("it changed %q; a change was due: %v", effects, acts)
	}
	said := fmt.Sprintf("%v %+v", err, err)
	for _, secret := range secrets(t, w) {
		if strings.Contains(said, secret) {
			t.Errorf("the error holds %q: %s", secret, said)
		}
	}
}

// secrets are what no error may hold: the key and every password.
func secrets(t *testing.T, w *world) []string {
	t.Helper()
	w.stand.ClearFaults()
	all := []string{key}
	var vars map[string]string
	w.get(t, "/apps/orders/config-vars", &vars)
	for _, v := range vars {
		if _, rest, ok := strings.Cut(v, "://"); ok {
			user, _, _ := strings.Cut(rest, "@")
			_, password, _ := strings.Cut(user, ":")
			all = append(all, password)
		}
	}
	if len(all) < 2 {
		t.Fatal("no password was found to look for")
	}
	return all
}

// TestSecretsInAnswers: an answer that fails and repeats a connection URL does
// not bring it into the error, whatever else is wrong with it.
func TestSecretsInAnswers(t *testing.T) {
	for _, body := range []string{
		`{"id":"bad","message":"cannot reach postgres://u:pa55word@h:5432/d"}`,
		`postgres://u:pa55word@h:5432/d`,
		`{"resource_url": "postgres://u:pa55word@h:5432/d", "num_bytes": "many"`,
		`{"num_bytes": "postgres://u:pa55word@h:5432/d"}`,
		`["postgres://u:pa55word@h:5432/d"]`,
	} {
		for _, status := range []int{200, 422, 500} {
			w := openPlain(t)
			w.stand.Fault(herokutest.Fault{When: herokutest.After, Status: status, Body: body})
			_, one := w.Database(t.Context(), "postgresql-curved-41822")
			_, two := w.CaptureBackup(t.Context(), "postgresql-curved-41822")
			said := fmt.Sprintf("%v %+v %v %+v", one, one, two, two)
			if strings.Contains(said, "pa55word") {
				t.Errorf("HTTP %d with %s: the error holds the password: %s", status, body, said)
			}
		}
	}
}

// TestWhatIsStaged: what goes wrong at Heroku itself is seen for what it is.
func TestWhatIsStaged(t *testing.T) {
	const old = "postgresql-curved-41822"
	stage := func(t *testing.T, w *world, what, name string) { check(t, w.stand.Stage(what, name, "")) }
	follower := func(t *testing.T, w *world) ops.Addon {
		return must[ops.Addon](t)(w.CreateFollower(t.Context(), ops.FollowerSpec{App: "orders", Plan: "heroku-postgresql:standard-0", Name: "f", Attachment: "F", LeaderName: old}))
	}
	upgrading := func(t *testing.T, w *world, what string) ops.Wait {
		f := follower(t, w)
		w.pass(time.Minute)
		stage(t, w, what, "the follower of orders")
		must[string](t)(w.RunUpgrade(t.Context(), f.ID, "17"))
		w.pass(10 * time.Minute)
		return must[ops.Wait](t)(w.UpgradeStatus(t.Context(), f.ID))
	}
	for name, test := range map[string]func(t *testing.T, w *world){
		"stuck provisioning": func(t *testing.T, w *world) {
			stage(t, w, "stick next", "orders")
			f := follower(t, w)
			w.pass(time.Hour)
			if a := must[ops.Addon](t)(w.Addon(t.Context(), f.ID)); a.State != "provisioning" {
				t.Errorf("state %q", a.State)
			}
			if !must[ops.Wait](t)(w.WaitStatus(t.Context(), f.ID)).Waiting {
				t.Error("it does not wait")
			}
			stage(t, w, "unstick", "f")
			if must[ops.Wait](t)(w.WaitStatus(t.Context(), f.ID)).Waiting {
				t.Error("it waits though nothing holds it any more")
			}
		},
		"the upgrade fails": func(t *testing.T, w *world) {
			if x := upgrading(t, w, "fail upgrade"); !x.Error || x.Waiting || x.Message == "" {
				t.Errorf("status %+v", x)
			}
		},
		"the upgrade stalls": func(t *testing.T, w *world) {
			if x := upgrading(t, w, "stall upgrade"); x.Error || !x.Waiting {
				t.Errorf("status %+v", x)
			}
		},
		"the version stays": func(t *testing.T, w *world) {
			if x := upgrading(t, w, "keep version"); x.Error || x.Waiting {
				t.Errorf("status %+v", x)
			}
			if d := must[ops.Database](t)(w.Database(t.Context(), "f")); d.Follower() || !strings.HasPrefix(d.Version, "15.") {
				t.Errorf("database %+v", d)
			}
		},
		"the lag rises, or is not said": func(t *testing.T, w *world) {
			follower(t, w)
			w.pass(time.Minute)
			stage(t, w, "raise lag", "the follower of orders")
			behind := func() ops.Fact[int] { return must[ops.Database](t)(w.Database(t.Context(), "f")).BehindBy }
			one := behind()
			w.pass(time.Minute)
			if two := behind(); !one.Known || !two.Known || two.Value <= one.Value || one.Value < 200 {
				t.Errorf("lag %+v, then %+v", one, two)
			}
			stage(t, w, "let lag fall", "the follower of orders")
			stage(t, w, "hide lag", "the follower of orders")
			if x := behind(); x.Known {
				t.Errorf("a lag that is not said is %+v", x)
			}
		},
		"a release fails": func(t *testing.T, w *world) {
			stage(t, w, "fail releases", "orders")
			must[ops.Attachment](t)(w.Attach(t.Context(), ops.AttachSpec{App: "orders", AddonID: old, Name: "SPARE"}))
			w.pass(time.Minute)
			releases := must[[]ops.Release](t)(w.Releases(t.Context(), "orders", 2))
			if releases[0].Status != "failed" || releases[0].Current || !releases[1].Current {
				t.Errorf("releases %+v", releases)
			}
		},
		"the key is revoked in the middle": func(t *testing.T, w *world) {
			check(t, w.SetMaintenance(t.Context(), "orders", true))
			stage(t, w, "revoke key", "")
			if err := w.SetMaintenance(t.Context(), "orders", false); !errors.Is(err, ops.ErrRefused) || strings.Contains(err.Error(), key) {
				t.Errorf("error %v", err)
			}
			if _, err := w.Database(t.Context(), old); !errors.Is(err, ops.ErrRefused) {
				t.Errorf("error %v", err)
			}
			stage(t, w, "restore key", "")
			check(t, w.SetMaintenance(t.Context(), "orders", false))
		},
		"the rate limit is used up by others": func(t *testing.T, w *world) {
			stage(t, w, "drain limit", "")
			if err := w.SetMaintenance(t.Context(), "orders", true); !errors.Is(err, ops.ErrBusy) {
				t.Errorf("error %v", err)
			}
			must[ops.Database](t)(w.Database(t.Context(), old)) // the Data API counts apart
			if slices.Contains(w.stand.Effects(), "maintenance.on") {
				t.Error("it acted")
			}
			w.pass(2 * time.Hour)
			check(t, w.SetMaintenance(t.Context(), "orders", true))
		},
		"no right to paid add-ons": func(t *testing.T, w *world) {
			stage(t, w, "forbid paid", "orders")
			if _, err := w.CreateFollower(t.Context(), ops.FollowerSpec{App: "orders", Plan: "heroku-postgresql:standard-0", Name: "f", Attachment: "F", LeaderName: old}); !errors.Is(err, ops.ErrRefused) {
				t.Errorf("error %v", err)
			}
		},
		"a create is answered with 200, 201 or 202": func(t *testing.T, w *world) {
			for i, status := range []string{"200", "201", "202"} {
				stage(t, w, "answer "+status, "")
				must[ops.Attachment](t)(w.Attach(t.Context(), ops.AttachSpec{App: "orders", AddonID: old, Name: fmt.Sprint("SPARE_", i)}))
				must[ops.Transfer](t)(w.CaptureBackup(t.Context(), old))
				history := w.stand.History()
				if got := fmt.Sprint(history[len(history)-1].Status); got != status {
					t.Errorf("answered with %s, want %s", got, status)
				}
			}
		},
		"connections are reset": func(t *testing.T, w *world) {
			w.pass(time.Minute) // the app is connected
			stage(t, w, "open session", old)
			connections := func() int { return must[ops.Database](t)(w.Database(t.Context(), old)).Connections.Value }
			before := connections()
			w.send(t, "POST", "/client/v11/databases/"+old+"/connection_reset", nil, nil)
			if n := connections(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
			w.pass(time.Minute)
			if n := connections(); n != before-1 {
				t.Errorf("%d sessions came back, want the app's own %d", n, before-1)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, openPlain(t)) })
	}
}
