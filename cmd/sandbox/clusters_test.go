package main

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var inARow = flag.Int("soak", 0, "how many plays TestOnClusters plays, one after the other; 0: each tale once, together")

// fleets are the sandboxes on real clusters at a time: each has five servers and more.
var fleets = make(chan struct{}, 3)

// requireClusters is a change for begin.
func requireClusters(t *testing.T) func(*options) {
	t.Helper()
	fleets <- struct{}{}
	t.Cleanup(func() { <-fleets }) // the last one, after the sandbox was closed
	return func(o *options) { o.postgres = "require" }
}

// tales are played on real clusters with every writer running.
var tales = []struct {
	name string
	tell func(t *testing.T, s *sandbox, p *player)
}{
	{"happy", func(t *testing.T, s *sandbox, p *player) {
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
	{"the upgrade fails", func(t *testing.T, s *sandbox, p *player) {
		s.says(t, p, `
			ana: /pgupgrade start orders
			pgupgrade: May the cutover begin
			break fail-upgrade
			ben presses Approve cutover
			pgupgrade: Going back ... Your installation contains one of the reg
			heroku: orders · DATABASE postgresql-curved-41822 · maintenance off · formation clock=1 web=2 worker=1
			pgupgrade: Upgrade of orders went back`)
	}},
	{"killed in the cutover", func(t *testing.T, s *sandbox, p *player) {
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
}

// TestOnClusters plays each tale on real PostgreSQL: no row is lost, and nothing
// is left behind. `make soak` plays twenty in turn.
func TestOnClusters(t *testing.T) {
	t.Parallel()
	for i := range *inARow {
		t.Run(tales[i%len(tales)].name, func(t *testing.T) { onClusters(t, i%len(tales)) })
	}
	if *inARow > 0 {
		return
	}
	for i, x := range tales {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			onClusters(t, i)
		})
	}
}

func onClusters(t *testing.T, tale int) {
	o := options{speed: 8, page: "127.0.0.1:0", slack: "127.0.0.1:0", heroku: "127.0.0.1:0", bot: true, program: built}
	requireClusters(t)(&o)
	s, err := open(t.Context(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	folders := []string{s.data.fleet.Dir(), s.temporary}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the bot's log:\n%s", s.bot.log())
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
	tales[tale].tell(t, s, p)
	for _, r := range s.heroku.Rows() {
		t.Log(r)
		if r.App == "orders" && r.Acknowledged == 0 {
			t.Error("nothing was written")
		}
		if r.Missing != 0 || r.Unknown != "" {
			t.Errorf("rows are lost: %s", r)
		}
		if upgraded := tales[tale].name != "the upgrade fails"; r.App == "orders" && upgraded && (r.Upgrade <= 0 || r.Stop < r.Upgrade) {
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
			s := begin(t, requireClusters(t))
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
