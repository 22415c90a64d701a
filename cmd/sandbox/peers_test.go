package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// peer is one more process of the bot on the same rows.
func (s *sandbox) peer(t *testing.T, dyno string) *child {
	t.Helper()
	env := append(s.environment(), "DYNO="+dyno)
	log, err := os.CreateTemp(s.temporary, dyno+"-*.log") // several may have the name, one after the other
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	c := newChild(built, []string{"serve", "--state", filepath.Join(s.state, dyno)}, env, log.Name(), s.failed)
	c.forgetful = true
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of %s:\n%s", dyno, c.log())
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// sharing starts n processes on one PostgreSQL.
func sharing(t *testing.T, n int) (*sandbox, map[string]*child) {
	t.Helper()
	s := begin(t, func(o *options) { o.bot, o.databaseURL = false, pgtest.Start(t) })
	s.once(t, "migrate")
	peers := map[string]*child{}
	for i := range n {
		name := fmt.Sprintf("worker.%d", i+1)
		peers[name] = s.peer(t, name)
	}
	return s, peers
}

// carrying is the process that has made such an act, and the others.
func carrying(t *testing.T, peers map[string]*child, act ops.ActKind) (carrier *child, others []*child) {
	t.Helper()
	for _, c := range peers {
		if carrier == nil && strings.Contains(c.log(), "kind="+string(act)) {
			carrier = c
		} else {
			others = append(others, c)
		}
	}
	if carrier == nil {
		t.Fatalf("nobody has made the act %s", act)
	}
	return carrier, others
}

func takenOver(t *testing.T, p *player, others []*child, since time.Time, what string) {
	t.Helper()
	err := p.until(t.Context(), func() bool {
		return slices.ContainsFunc(others, func(c *child) bool { return strings.Contains(c.log(), "took over a run") })
	})
	if err != nil {
		t.Fatalf("nobody took over: %v", err)
	}
	fmt.Printf("a peer of %d took the run over %.1f s after its process was %s\n", len(others)+1, time.Since(since).Seconds(), what)
}

// unchanged checks that the app is as it was before.
func unchanged(t *testing.T, s *sandbox, before herokutest.AppView) {
	t.Helper()
	after := orders(s)
	if before.Maintenance != after.Maintenance || fmt.Sprint(before.Formation) != fmt.Sprint(after.Formation) {
		t.Errorf("maintenance and formation were %v %v, are %v %v", before.Maintenance, before.Formation, after.Maintenance, after.Formation)
	}
}

const opened = `
	pgupgrade: Upgraded to PostgreSQL 17
	pgupgrade: Promoted
	pgupgrade: Downtime
	heroku: orders · ... maintenance off · formation clock=1 web=2 worker=1`

// TestAPeerTakesOverInTheCutover: several processes on one PostgreSQL; the one that
// carries the run is killed for good while users are locked out.
func TestAPeerTakesOverInTheCutover(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s, peers := sharing(t, n)
			before := orders(s)
			p := newPlayer(t, s)
			s.says(t, p, `
				ana: /pgupgrade start orders
				pgupgrade: May the cutover begin`)
			reached, let := s.heroku.Hold("POST", "/upgrade/run", herokutest.After)
			s.says(t, p, `ben presses Approve cutover`)
			within(t, reached, "the upgrade")
			carrier, others := carrying(t, peers, ops.ActScale)
			killed := time.Now()
			if err := carrier.kill(); err != nil {
				t.Fatal(err)
			}
			let()
			takenOver(t, p, others, killed, "killed")
			s.says(t, p, opened)
			unchanged(t, s, before)
			effects(t, s)
			posts(t, s)
		})
	}
}

// TestAStoppedProcessMayNotAct: the process that carries the run is stopped between
// the look after which it would scale the app down and that act. When it goes on,
// the cutover is over, and the app must stay up.
func TestAStoppedProcessMayNotAct(t *testing.T) {
	t.Parallel()
	s, peers := sharing(t, 2)
	before := orders(s)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin`)
	fenced, letFence := s.heroku.Hold("PATCH", "/apps/", herokutest.After)
	s.says(t, p, `ben presses Approve cutover`)
	within(t, fenced, "the maintenance")
	looked, letLook := s.heroku.Hold("GET", "/formation", herokutest.After)
	letFence()
	within(t, looked, "the look before the scale")
	zombie, others := carrying(t, peers, ops.ActMaintenance)
	stopped, said := time.Now(), len(zombie.log())
	if err := zombie.freeze(); err != nil {
		t.Fatal(err)
	}
	letLook()
	takenOver(t, p, others, stopped, "stopped")
	s.says(t, p, opened)
	effected := len(s.heroku.Effects())
	if err := zombie.thaw(); err != nil {
		t.Fatal(err)
	}
	if err := p.until(t.Context(), func() bool { return strings.Contains(zombie.log()[said:], "has begun anew") }); err != nil {
		t.Fatalf("the process that was stopped did not begin anew: %v", err)
	}
	if log := zombie.log()[said:]; strings.Contains(log, "msg=act ") {
		t.Errorf("the process that was stopped acted:\n%s", log)
	}
	if n := len(s.heroku.Effects()); n != effected {
		t.Errorf("when it went on, %d more acts took effect: %v", n-effected, s.heroku.Effects()[effected:])
	}
	s.says(t, p, `
		ana presses App looks good
		pgupgrade: is safe to destroy`)
	unchanged(t, s, before)
	effects(t, s)
	posts(t, s)
}

// TestARollingDeploy: both processes are replaced while the upgrade's call is under
// way. Each new one starts while the old one of its name is still there, and waits.
func TestARollingDeploy(t *testing.T) {
	t.Parallel()
	s, old := sharing(t, 2)
	before := orders(s)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin`)
	reached, let := s.heroku.Hold("POST", "/upgrade/run", herokutest.Before)
	s.says(t, p, `ben presses Approve cutover`)
	within(t, reached, "the upgrade")
	carrier, _ := carrying(t, old, ops.ActScale)
	newer := []*child{s.peer(t, "worker.1"), s.peer(t, "worker.2")}
	ended := make(chan error, len(old))
	stopped := time.Now()
	for _, c := range old {
		go func() { ended <- c.stop() }()
	}
	if err := p.until(t.Context(), func() bool { return strings.Contains(carrier.log(), "stopping: no new turns") }); err != nil {
		t.Fatal(err)
	}
	let()
	for range old {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("two processes ended %.1f s after SIGTERM in the middle of a call\n", time.Since(stopped).Seconds())
	s.says(t, p, opened)
	s.says(t, p, `
		ana presses App looks good
		pgupgrade: is safe to destroy`)
	reminded(t, s, p)
	s.says(t, p, `
		ben presses Destroy…
		ben fills in orders
		pgupgrade: Upgrade of orders is done`)
	for _, c := range newer {
		if log := c.log(); strings.Contains(log, "takes no turns") {
			t.Errorf("a new process had to begin anew:\n%s", log)
		}
	}
	unchanged(t, s, before)
	effects(t, s)
	posts(t, s)
}

// reminded waits for two reminders, and checks that each firing made one.
func reminded(t *testing.T, s *sandbox, p *player) {
	t.Helper()
	rows := database(t, s.o.databaseURL)
	count := func(query string) (n int) {
		if err := rows.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var firings, reminders int
	err := p.until(t.Context(), func() bool {
		reminders = count("SELECT count(*) FROM pgupgrade.events WHERE doc->>'kind' = 'reminder'")
		firings = count("SELECT count(*) FROM pgupgrade.firings")
		return reminders >= 2
	})
	if err != nil {
		t.Fatal(err)
	}
	if reminders > firings {
		t.Errorf("%d reminders of %d firings", reminders, firings)
	}
}

func database(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestThreeBeginOnAnEmptyDatabase, at once and without a migrate before: none
// dies, and together they hold few connections.
func TestThreeBeginOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	s := begin(t, func(o *options) { o.bot, o.databaseURL = false, pgtest.Start(t) })
	rows := database(t, s.o.databaseURL)
	most := 0
	sample := func() {
		var n int
		if err := rows.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgupgrade%'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	const processes = 3
	var peers []*child
	for i := range processes {
		peers = append(peers, s.peer(t, fmt.Sprintf("worker.%d", i+1)))
	}
	p := newPlayer(t, s)
	for _, c := range peers {
		if err := p.until(t.Context(), func() bool { sample(); return strings.Contains(c.log(), "msg=ready") }); err != nil {
			t.Fatal(err)
		}
	}
	for _, app := range []string{"orders", "billing"} {
		s.says(t, p, "ana: /pgupgrade start "+app)
	}
	asked := 0
	err := p.until(t.Context(), func() bool {
		sample()
		asked = 0
		for _, m := range s.slack.Messages(channelID, "") {
			if m.ThreadTS != "" && strings.Contains(m.Text, "May the cutover begin") {
				asked++
			}
		}
		return asked == 2
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d processes held at most %d connections to PostgreSQL\n", processes, most)
	if most > processes*10 {
		t.Errorf("%d processes held %d connections, want at most 10 each", processes, most)
	}
	posts(t, s)
}
