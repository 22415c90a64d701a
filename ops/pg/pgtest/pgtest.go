// Package pgtest gives tests a real PostgreSQL server.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// start runs one server for the test process. It ends with the process (see janitor).
var start = sync.OnceValues(startServer)

var databases atomic.Int64

// Start returns the URL of a fresh database on a real server. It fails the test
// when there is no PostgreSQL on the machine: `make setup` installs it.
func Start(t testing.TB) string {
	t.Helper()
	base, err := start()
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	admin, err := sql.Open("pgx", base+"/postgres?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database: %v", err)
	}
	return base + "/" + name + "?sslmode=disable"
}

// initdb is what initdb is told. Segments of 16 MB, the default, are mostly zeros
// that each new cluster writes.
func initdb(data string) []string {
	return []string{"-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--wal-segsize=1", "-E", "UTF8", "--locale=C"}
}

func startServer() (base string, err error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	dir, who, err := folder()
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if out, err := command(who, filepath.Join(bin, "initdb"), initdb(data)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	server := command(who, filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-k", "",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_connections=200")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	server.Stdout, server.Stderr = log, log
	started := make(chan error, 1)
	go func() { // Pdeathsig is sent when the thread that started it ends, so this one never does
		lockThread()
		started <- server.Start()
		_ = server.Wait() // it ends with this process
		select {}
	}()
	if err := <-started; err != nil {
		return "", err
	}
	base = fmt.Sprintf("postgres://postgres@127.0.0.1:%d", port)
	return base, await(base)
}

func await(base string) error {
	db, err := sql.Open("pgx", base+"/postgres?sslmode=disable")
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// binaries finds the newest installed server.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return major(a) - major(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New("no PostgreSQL server is installed; `make setup` installs one")
}

func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 sorts first
	return n
}

// account is who runs the server: PostgreSQL refuses to run as root.
func account(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}

func command(who *syscall.Credential, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = "/"
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	c.SysProcAttr = attributes(who)
	return c
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
