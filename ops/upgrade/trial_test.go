package upgrade_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

func (w *world) tries(what string) int {
	n := 0
	for _, e := range w.heroku.Effects() {
		if strings.HasPrefix(e, what) {
			n++
		}
	}
	return n
}

// TestDryRun: asked for once, refused where Heroku would refuse, told by people,
// and then in checks and forecast.
func TestDryRun(t *testing.T) {
	w, ctx, ana, ben := newWorld(t), t.Context(), ops.Actor{ID: "U1"}, ops.Actor{ID: "U2"}
	refused := func(err error, says string) {
		t.Helper()
		var user *ops.UserError
		if !errors.As(err, &user) || !strings.Contains(user.Text, says) {
			t.Errorf("%v, want a refusal that says %q", err, says)
		}
	}
	_, _, err := w.service.AskDryRun(ctx, ana, "tiny", ops.Request{})
	refused(err, "essential-0")
	_, _, err = w.service.AskDryRun(ctx, ana, "orders", ops.Request{To: 15})
	refused(err, "15.13 already")
	if n := w.tries("upgrade.dry_run"); n != 0 {
		t.Fatalf("%d dry runs were begun", n)
	}

	// Heroku refuses: nothing is remembered, so that it can be asked for again.
	w.heroku.Fault(herokutest.Fault{Path: "/upgrade/dry_run", When: herokutest.Before, Status: 422, Times: 1})
	_, _, err = w.service.AskDryRun(ctx, ana, "orders", ops.Request{})
	refused(err, "Heroku refused")
	r, message, err := w.service.AskDryRun(ctx, ana, "orders", ops.Request{})
	if err != nil || r.Version != "17" || !strings.Contains(message, "e-mail") || w.tries("upgrade.dry_run") != 1 {
		t.Fatalf("%+v %q %v, %d begun", r, message, err, w.tries("upgrade.dry_run"))
	}
	_, _, err = w.service.AskDryRun(ctx, ben, "orders", ops.Request{})
	refused(err, "<@U1> asked for a dry run")
	if n := w.tries("upgrade.dry_run"); n != 1 {
		t.Errorf("it was begun %d times", n)
	}
	finding := func() ops.Finding {
		t.Helper()
		s, err := w.service.Check(ctx, ana, "orders", ops.Request{})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(s.Findings, func(f ops.Finding) bool { return f.Check == "H5" && f.Title != "Version can be upgraded" })
		if s.Plan == nil || i < 0 {
			t.Fatalf("%+v", s)
		}
		if x := s.Findings[i]; x.Verdict == ops.Pass && s.Plan.Forecast.Upgrade != 4*time.Minute {
			t.Errorf("the forecast of the upgrade is %s", s.Plan.Forecast.Upgrade)
		}
		return s.Findings[i]
	}
	if f := finding(); f.Verdict != ops.Inform || !strings.Contains(f.Evidence, "asked for") {
		t.Errorf("%+v", f)
	}
	if _, err := w.service.TellDryRun(ctx, ben, "orders", ops.Request{}, false, 0, "regproc columns"); err != nil {
		t.Fatal(err)
	}
	if f := finding(); f.Verdict != ops.Block || !strings.Contains(f.Evidence, "regproc columns") {
		t.Errorf("%+v", f)
	}
	if _, err := w.service.TellDryRun(ctx, ben, "orders", ops.Request{}, true, 4*time.Minute, ""); err != nil {
		t.Fatal(err)
	}
	if f := finding(); f.Verdict != ops.Pass || !strings.Contains(f.Evidence, "<@U2>") {
		t.Errorf("%+v", f)
	}
}

// TestWhatMustBeAccepted: a yes without having seen it is no yes; one that saw
// it counts for that list alone.
func TestWhatMustBeAccepted(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	if err := w.heroku.Stage("maintenance on", "orders", ""); err != nil {
		t.Fatal(err)
	}
	id := w.start("orders").ID
	run := w.until(id, "asking for the follower", asked(ops.GateCreate))
	if need := ops.ToAccept(run, ops.GateCreate); len(need) != 1 || need[0].Check != "H27" {
		t.Fatalf("to accept: %+v", need)
	}
	yes := ops.Answer{Run: id, Gate: ops.GateCreate, Digest: run.Asked.Digest, Yes: true, How: ops.ByButton}
	if _, err := w.service.Answer(ctx, ops.Actor{ID: "U2"}, yes); !errors.Is(err, ops.ErrMustAccept) {
		t.Fatalf("a yes without having seen it: %v", err)
	}
	if all, err := w.store.Decisions(ctx, id); err != nil || len(all) != 0 {
		t.Fatalf("it was kept: %v %v", all, err)
	}
	no := yes
	no.Yes = false
	stranger := yes
	stranger.Accepted, stranger.Digest = true, "of another list"
	var user *ops.UserError
	if _, err := w.service.Answer(ctx, ops.Actor{ID: "U2"}, stranger); !errors.As(err, &user) {
		t.Errorf("a yes to another list: %v", err)
	}
	yes.Accepted = true
	if _, err := w.service.Answer(ctx, ops.Actor{ID: "U2"}, yes); err != nil {
		t.Fatal(err)
	}
	run = w.until(id, "asking for the cutover", asked(ops.GateCutover))
	before := run.Asked.Digest
	if err := w.heroku.Stage("maintenance off", "orders", ""); err != nil {
		t.Fatal(err)
	}
	w.until(id, "asking anew", func(r ops.Run) bool { return r.Asked != nil && r.Asked.Digest != before })
}
