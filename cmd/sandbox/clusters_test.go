package main

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

var inARow = flag.Int("soak", 0, "how many plays TestOnClusters plays, one after the other; 0: those that are told in every test of the whole, together")

// fleets are the sandboxes on real clusters at a time: each has five servers and more.
var fleets = make(chan struct{}, 4)

// requireClusters is a change for begin.
func requireClusters(t *testing.T) func(*options) {
	t.Helper()
	fleets <- struct{}{}
	t.Cleanup(func() { <-fleets }) // the last one, after the sandbox was closed
	return func(o *options) { o.postgres = "require" }
}

// tale is a story that is played on real clusters with every writer running.
type tale struct {
	name     string
	tell     func(t *testing.T, s *sandbox, p *player)
	apps     func(*herokutest.Server)         // nil: Acme's
	settings []string                         // of the bot
	times    func(*herokutest.Times, float64) // nil: the stand-in's; else changes them for that speed
	returns  bool                             // it ends on the old database
	// some says that it is told in every test of the whole; the others by `make soak`
	// (the happy one is also what the README plays).
	some bool
}

var tales = append([]tale{
	{name: "happy", tell: func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin
			ben presses Approve cutover
			pgupgrade: Upgraded to PostgreSQL 17
			pgupgrade: Downtime
			heroku: orders · DATABASE orders-pg17 ... maintenance off · formation clock=1 web=2 worker=1
			ana presses App looks good
			ben presses Destroy…
			ben fills in orders
			pgupgrade: Upgrade of orders is done`)
	}},
	{name: "an external client has a copy of the URL", tell: func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			heroku does copy url on orders
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin? ... unless it asks for read-write by itself
			heroku does zero lag on the follower of orders
			ben presses Approve cutover
			pgupgrade: Writers stopped: ... `+"`postgresql-curved-41822`"+` is read-only, and nothing moved in it
			pgupgrade: Nothing is missing: the follower has replayed the old database's log to its end
			pgupgrade: The new database takes writes, and its rows are those of the old one
			pgupgrade: Downtime
			heroku: orders · DATABASE orders-pg17 ... maintenance off`)
	}},
	{name: "a session asks for read-write by itself", returns: true, tell: func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			heroku does session on orders
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin
			ben presses Approve cutover
			pgupgrade: Going back ... somebody still writes to
			heroku: orders · DATABASE postgresql-curved-41822 · maintenance off · formation clock=1 web=2 worker=1
			pgupgrade: Upgrade of orders went back`)
	}},
	{name: "a credential of its own", tell: func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			heroku does credential on postgresql-curved-41822: analyst
			heroku does attach on orders: ANALYST postgresql-curved-41822 credential:analyst
			heroku: orders ... Attach ANALYST (@ref:postgresql-curved-41822) (succeeded)
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin
			ben presses Approve cutover
			pgupgrade: The new database takes writes
			pgupgrade: Downtime
			heroku: orders · DATABASE orders-pg17 ... maintenance off · formation clock=1 web=2 worker=1`)
	}},
	{name: "the upgrade fails", apps: onlyOrders, returns: true, some: true, tell: func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin
			break fail-upgrade
			ben presses Approve cutover
			pgupgrade: Going back ... Your installation contains one of the reg
			heroku: orders · DATABASE postgresql-curved-41822 · maintenance off · formation clock=1 web=2 worker=1
			pgupgrade: Upgrade of orders went back`)
	}},
	{name: "killed in the cutover", apps: onlyOrders, some: true, tell: func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin`)
		holds, lets := make([]<-chan struct{}, len(moments)), make([]func(), len(moments))
		holds[0], lets[0] = s.heroku.Hold(moments[0].method, moments[0].path, moments[0].when)
		s.says(t, p, `ben presses Approve cutover`)
		for i, m := range moments {
			within(t, holds[i], m.name)
			if err := s.bot.kill(); err != nil {
				t.Fatal(err)
			}
			if i+1 < len(moments) {
				holds[i+1], lets[i+1] = s.heroku.Hold(moments[i+1].method, moments[i+1].path, moments[i+1].when)
			}
			lets[i]()
		}
		s.says(t, p, `
			pgupgrade: Downtime
			heroku: orders · DATABASE orders-pg17 ... maintenance off · formation clock=1 web=2 worker=1`)
		if _, starts := s.bot.running(); starts != 1+len(moments) {
			t.Errorf("the program was started %d times, want %d", starts, 1+len(moments))
		}
		effects(t, s)
	}},
}, slices.Concat(topologyTales, fenceTales, meterTales, readOnlyTales)...)

// TestOnClusters plays each tale on real PostgreSQL: no row is lost, and nothing
// is left behind. `make soak` plays twenty in turn.
func TestOnClusters(t *testing.T) {
	t.Parallel()
	for i := range *inARow {
		x := tales[i%len(tales)]
		t.Run(x.name, func(t *testing.T) { onClusters(t, x) })
	}
	if *inARow > 0 {
		return
	}
	for _, x := range tales {
		if x.some {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				onClusters(t, x)
			})
		}
	}
}

func onClusters(t *testing.T, x tale) {
	o := quick()
	o.apps, o.extra, o.times = x.apps, x.settings, x.times
	requireClusters(t)(&o)
	s, err := open(t.Context(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	folders := []string{s.data.fleet.Dir(), s.temporary}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the channel:\n%s\nthe bot's log:\n%s", s.channel(), s.bot.log())
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		for _, folder := range folders {
			if _, err := os.Stat(folder); !os.IsNotExist(err) {
				t.Errorf("a folder is left behind: %s (%v)", folder, err)
			}
			if left := processes(t, folder); len(left) > 0 {
				t.Errorf("processes are left behind: %q", left)
			}
		}
	})
	if len(processes(t, folders[0])) == 0 {
		t.Fatal("no cluster runs, so that none could be left behind")
	}
	p := newPlayer(t, s)
	x.tell(t, s, p)
	nothingLost(t, s, x)
}

func nothingLost(t *testing.T, s *sandbox, x tale) {
	t.Helper()
	for _, r := range s.heroku.Rows() {
		t.Log(r)
		main := r.App == "orders" || r.App == "shop"
		if main && r.Acknowledged == 0 {
			t.Error("nothing was written")
		}
		if r.Missing != 0 || r.Unknown != "" {
			t.Errorf("rows are lost: %s", r)
		}
		if main && !x.returns && (r.Upgrade <= 0 || r.Stop < r.Upgrade) {
			t.Errorf("the write stop does not hold the upgrade: %s", r)
		}
	}
}

// processes lists the command lines that name a folder.
func processes(t *testing.T, folder string) []string {
	t.Helper()
	var all []string
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if b, err := os.ReadFile(f); err == nil { // else it has ended
			all = append(all, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	if len(found) == 0 { // no Linux
		out, err := exec.CommandContext(t.Context(), "ps", "-axo", "args=").Output()
		if err != nil {
			t.Fatal(err)
		}
		all = strings.Split(string(out), "\n")
	}
	var out []string
	for _, line := range all {
		if strings.Contains(line, folder) {
			out = append(out, line)
		}
	}
	return out
}

// TestTheVerifierSeesALostRow: between the last look before the switch and the
// switch, a program that asks for read-write by itself writes to the old database.
// No fence stops it, and its rows are lost, which must be seen.
func TestTheVerifierSeesALostRow(t *testing.T) {
	t.Parallel()
	s := begin(t, requireClusters(t))
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin`)
	reached, release := s.heroku.Hold("POST", "/addon-attachments", herokutest.Before)
	s.says(t, p, `ben presses Approve cutover`)
	within(t, reached, "the switch")
	s.says(t, p, `heroku does session on orders`)
	if err := p.until(t.Context(), func() bool {
		for _, r := range p.count() {
			if r.App == "orders" && r.Stop > 0 {
				return s.heroku.Overview().Databases[0].Connections > 0
			}
		}
		return false
	}); err != nil {
		t.Fatalf("the program did not connect: %v", err)
	}
	release()
	s.says(t, p, `rows: orders ... missing [session`)
	for _, r := range s.heroku.Rows() {
		if t.Log(r); r.App != "orders" && r.Missing != 0 {
			t.Errorf("rows of another app are lost: %s", r)
		}
	}
}

// TestTheDatabaseFence: what scaling does not stop and nobody can see, the real
// database stops, or the run goes back and says that somebody writes. On the model,
// which nothing reaches by SQL, the same writers lose rows (scenarios/a-writer-nobody-sees.txt),
// and so they do on clusters without the bot (herokutest/clusters/byhand_test.go).
func TestTheDatabaseFence(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct{ stage, ends string }{
		"a worker that is not stopped": {"heroku does survive on orders: worker", `
			pgupgrade: Upgraded to PostgreSQL 17
			pgupgrade: Downtime
			heroku: orders · DATABASE orders-pg17 ... maintenance off · formation clock=1 web=2 worker=1`},
		"a copied URL": {"heroku does copy url on orders", `
			pgupgrade: Upgraded to PostgreSQL 17
			pgupgrade: Downtime
			heroku: orders · DATABASE orders-pg17 ... maintenance off · formation clock=1 web=2 worker=1`},
		"a session that asks to write": {"heroku does session on orders", `
			pgupgrade: Going back: somebody still writes to
			heroku: orders · DATABASE postgresql-curved-41822 · maintenance off · formation clock=1 web=2 worker=1
			pgupgrade: Upgrade of orders went back`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, requireClusters(t), func(o *options) { o.apps = onlyOrders })
			p := newPlayer(t, s)
			s.says(t, p, `
				ana: /pgupgrade start orders
				pgupgrade: May the cutover begin
				heroku does zero lag on the follower
				`+x.stage+`
				ben presses Approve cutover`+x.ends)
			for _, r := range s.heroku.Rows() {
				t.Log(r)
				if r.Missing != 0 || r.Unknown != "" {
					t.Errorf("rows are lost: %s", r)
				}
				if r.App == "orders" && r.Written == r.Acknowledged {
					t.Error("no row was refused, so nothing was stopped")
				}
			}
		})
	}
}
