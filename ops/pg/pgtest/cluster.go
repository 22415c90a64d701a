package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Cluster is one real PostgreSQL server with its data. Autovacuum is off, so
// that nothing moves in it but what a test does.
type Cluster struct {
	Major int
	Port  int

	bin, dir string // dir holds data, log and sockets
	who      *syscall.Credential
	stop     func(syscall.Signal)
}

// Majors returns the folders of the programs of every major on the machine,
// oldest first. It fails the test when there are fewer than two: `make setup`
// fetches them.
func Majors(t testing.TB) []string {
	t.Helper()
	cache, _ := os.UserCacheDir() // "" finds nothing
	byMajor := map[int]string{}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/initdb",
		"/var/cache/pgupgrade/postgresql-*/usr/lib/postgresql/*/bin/initdb",
		filepath.Join(cache, "pgupgrade/postgresql-*/usr/lib/postgresql/*/bin/initdb"),
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if _, err := os.Stat(filepath.Join(filepath.Dir(f), "pg_upgrade")); err == nil {
				byMajor[major(f)] = filepath.Dir(f)
			}
		}
	}
	var out []string
	for _, m := range sortedKeys(byMajor) {
		out = append(out, byMajor[m])
	}
	if len(out) < 2 {
		t.Fatalf("two majors of PostgreSQL are needed, found %v; `make setup` fetches them", out)
	}
	return out
}

func sortedKeys(m map[int]string) []int {
	var out []int
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

var (
	sharedMu sync.Mutex
	shared   = map[string]*Cluster{}
)

// Shared returns a running cluster of that major for the whole test process.
// Transaction ids are drawn for a server, not for a database: tests that watch
// them must not share it at the same time.
func Shared(t testing.TB, bin string) *Cluster {
	t.Helper()
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if shared[bin] == nil {
		c := create(t, bin)
		c.start(t)
		shared[bin] = c
	}
	return shared[bin]
}

// StopShared ends the shared clusters and removes their data, for a package's
// TestMain. Without it they go when the process has ended.
func StopShared() {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	for bin, c := range shared {
		c.halt(syscall.SIGQUIT)
		_ = os.RemoveAll(c.dir) // the process ends; there is nobody to tell
		delete(shared, bin)
	}
}

// Primary returns a running cluster of that major for one test.
func Primary(t testing.TB, bin string) *Cluster {
	t.Helper()
	c := create(t, bin)
	c.cleanup(t)
	c.start(t)
	return c
}

func create(t testing.TB, bin string) *Cluster {
	t.Helper()
	c := place(t, bin)
	// Data checksums are the default from 18 on, and pg_upgrade wants both sides alike.
	args := initdb(c.data())
	if c.Major >= 18 {
		args = append(args, "--no-data-checksums")
	}
	c.run(t, "initdb", args...)
	return c
}

func place(t testing.TB, bin string) *Cluster {
	t.Helper()
	dir, who, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{Major: major(filepath.Join(bin, "initdb")), Port: port, bin: bin, dir: dir, who: who}
}

func (c *Cluster) cleanup(t testing.TB) {
	t.Cleanup(func() {
		c.halt(syscall.SIGQUIT)
		_ = os.RemoveAll(c.dir)
	})
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// URL is where a role finds a database of the cluster.
func (c *Cluster) URL(role, database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", url.UserPassword(role, role+"-password"), c.Port, database)
}

// Exec runs statements one by one on a fresh connection of that role.
func (c *Cluster) Exec(t testing.TB, role, database string, statements ...string) {
	t.Helper()
	db := c.Open(t, role, database)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// Open returns one connection's worth of database/sql.
func (c *Cluster) Open(t testing.TB, role, database string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", c.URL(role, database))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// Follower returns a running streaming follower of c.
func (c *Cluster) Follower(t testing.TB) *Cluster {
	t.Helper()
	f := place(t, c.bin)
	f.cleanup(t)
	f.run(t, "pg_basebackup", "-D", f.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync",
		"-d", fmt.Sprintf("host=127.0.0.1 port=%d user=postgres", c.Port))
	f.start(t)
	return f
}

// Promote makes a follower a leader of its own.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	c.run(t, "pg_ctl", "-D", c.data(), "-w", "promote")
}

// Upgrade stops the cluster, puts it through pg_upgrade --link, and returns the
// new one, running.
func (c *Cluster) Upgrade(t testing.TB, bin string) *Cluster {
	t.Helper()
	n := create(t, bin)
	n.cleanup(t)
	c.halt(syscall.SIGINT)
	n.run(t, "pg_upgrade", "--link", "-b", c.bin, "-B", n.bin, "-d", c.data(), "-D", n.data(), "-U", "postgres",
		"-s", n.dir, "-p", strconv.Itoa(c.Port), "-P", strconv.Itoa(n.Port), "--no-sync")
	n.start(t)
	return n
}

// Crash kills the server without a word and starts it again.
func (c *Cluster) Crash(t testing.TB) {
	t.Helper()
	c.halt(syscall.SIGQUIT)
	c.start(t)
}

// Restart stops the server as an administrator does and starts it again.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	c.halt(syscall.SIGINT)
	c.start(t)
}

func (c *Cluster) run(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := command(c.who, filepath.Join(c.bin, program), args...)
	cmd.Dir = c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

// halt ends the server with a signal and waits for it.
func (c *Cluster) halt(s syscall.Signal) {
	if c.stop != nil {
		c.stop(s)
		c.stop = nil
	}
}

func (c *Cluster) start(t testing.TB) {
	t.Helper()
	server := command(c.who, filepath.Join(c.bin, "postgres"), "-D", c.data(), "-p", strconv.Itoa(c.Port), "-h", "127.0.0.1", "-k", "",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off", "-c", "max_prepared_transactions=5",
		"-c", "hot_standby=on", "-c", "wal_level=logical", "-c", "jit=off")
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	server.Stdout, server.Stderr = log, log
	started, ended, leave := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() { // Pdeathsig is sent when the thread that started it ends, so this one waits
		lockThread()
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait() // how it ended is in its log
		}
		close(ended)
		<-leave
	}()
	if err := <-started; err != nil {
		close(leave)
		t.Fatal(err)
	}
	c.stop = func(s syscall.Signal) {
		_ = server.Process.Signal(s) // it may have ended by itself
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = server.Process.Kill()
			<-ended
		}
		close(leave)
	}
	if err := await(fmt.Sprintf("postgres://postgres@127.0.0.1:%d", c.Port)); err != nil {
		text, _ := os.ReadFile(log.Name()) // for the message only
		t.Fatalf("%v\n%s", err, text)
	}
}

// Until asks again and again until the answer is yes.
func Until(t testing.TB, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !yes() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited two minutes for: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
