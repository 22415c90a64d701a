package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Superuser is the role that made the clusters. It gets in through the socket
// only; nobody gets in as it over the network.
const Superuser = "postgres"

// Fleet is clusters under one folder, which goes with them.
type Fleet struct {
	dir      string
	who      *syscall.Credential // whose the servers are; nil: ours
	installs map[int]Install
	start    chan func()
	done     chan struct{} // closed when nothing is to be started any more

	mu        sync.Mutex
	templates map[int]*template
	clusters  map[*Cluster]bool
	named     int
	closed    bool
}

// template is a fresh data directory, made once by its fleet and copied: initdb takes
// a second.
type template struct {
	fleet *Fleet
	dir   string
	once  sync.Once
	err   error
}

// Open makes the folder. Nothing runs yet. As root the servers run as postgres,
// or as nobody, since PostgreSQL refuses root.
func Open(installs ...Install) (*Fleet, error) {
	f, err := openFleet()
	if err != nil {
		return nil, err
	}
	for _, i := range installs {
		f.installs[i.Major], f.templates[i.Major] = i, &template{fleet: f, dir: filepath.Join(f.dir, "template"+strconv.Itoa(i.Major))}
	}
	return f, nil
}

// Another opens a fleet with the same installs, which begins its clusters from what
// initdb made for f. f is to be closed after it.
func (f *Fleet) Another() (*Fleet, error) {
	other, err := openFleet()
	if err != nil {
		return nil, err
	}
	other.installs, other.templates = f.installs, f.templates
	return other, nil
}

func openFleet() (*Fleet, error) {
	if err := sweep(); err != nil {
		return nil, err
	}
	// Short: a socket's path may have 107 bytes.
	dir, err := os.MkdirTemp("", prefix)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, ownerFile), []byte(strconv.Itoa(os.Getpid())), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("make a folder for clusters: %w", err)
	}
	f := &Fleet{dir: dir, installs: map[int]Install{}, templates: map[int]*template{}, clusters: map[*Cluster]bool{}, start: make(chan func()), done: make(chan struct{})}
	if f.who, err = account(); err == nil && f.who != nil {
		err = os.Chown(dir, int(f.who.Uid), int(f.who.Gid))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("choose who runs the clusters: %w", err), os.RemoveAll(dir))
	}
	// The parent's death is that of the thread that started a program, so one
	// thread starts them all.
	go func() {
		runtime.LockOSThread()
		for {
			select {
			case do := <-f.start:
				do()
			case <-f.done:
				return
			}
		}
	}()
	return f, nil
}

// Dir is the folder.
func (f *Fleet) Dir() string { return f.dir }

// Installs are the majors it was opened with.
func (f *Fleet) Installs() map[int]Install { return f.installs }

// Close drops every cluster and removes the folder.
func (f *Fleet) Close() error {
	f.mu.Lock()
	f.closed = true
	var all []*Cluster
	for c := range f.clusters {
		all = append(all, c)
	}
	f.mu.Unlock()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() { errs[i] = c.Drop() })
	}
	wg.Wait()
	close(f.done)
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}

// add makes the folder of another cluster.
func (f *Fleet) add(i Install) (*Cluster, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errors.New("the clusters are being removed")
	}
	f.named++
	c := &Cluster{fleet: f, install: i, dir: filepath.Join(f.dir, strconv.Itoa(f.named)), busy: make(chan struct{}, 1), gone: make(chan struct{})}
	if err := f.mkdir(c.dir); err != nil {
		return nil, err
	}
	var err error
	if c.port, err = reserve(); err != nil {
		return nil, err
	}
	f.clusters[c] = true
	return c, nil
}

func (f *Fleet) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make a cluster's folder: %w", err)
	}
	if f.who == nil {
		return nil
	}
	if err := os.Chown(dir, int(f.who.Uid), int(f.who.Gid)); err != nil {
		return fmt.Errorf("give a cluster's folder to its account: %w", err)
	}
	return nil
}

// settings of every cluster: small, and no slower than it must be.
const settings = `
fsync = off
shared_buffers = 16MB
max_connections = 60
wal_keep_size = 128MB
max_wal_size = 128MB
min_wal_size = 32MB
jit = off
logging_collector = off
`

// gates let the superuser in through the socket, and roles with a password over
// the network.
const gates = `
local all         all      trust
local replication postgres trust
host  all         postgres 127.0.0.1/32 reject
host  all         all      127.0.0.1/32 scram-sha-256
`

// fresh puts a fresh data directory at dir.
func (f *Fleet) fresh(ctx context.Context, i Install, dir string) error {
	from, err := f.template(ctx, i)
	if err != nil {
		return err
	}
	return f.run(ctx, f.dir, "cp", "-R", "-p", from, dir)
}

// template makes the fresh data directory that others are copies of.
func (f *Fleet) template(ctx context.Context, i Install) (string, error) {
	t := f.templates[i.Major]
	if t == nil {
		return "", fmt.Errorf("PostgreSQL %d is not among the installs of these clusters", i.Major)
	}
	t.once.Do(func() { t.err = t.fleet.initdb(context.WithoutCancel(ctx), i, t.dir) }) // for all, whoever asked first
	return t.dir, t.err
}

func (f *Fleet) initdb(ctx context.Context, i Install, dir string) error {
	// Segments of 16 MB, the default, are mostly zeros that each new cluster writes.
	args := []string{"-D", dir, "-U", Superuser, "-A", "trust", "--no-sync", "--wal-segsize=1", "-E", "UTF8", "--locale=C"}
	if i.Major >= 18 { // which turns them on unless told; pg_upgrade wants the same on both sides
		args = append(args, "--no-data-checksums")
	}
	if err := f.run(ctx, f.dir, filepath.Join(i.Bin, "initdb"), args...); err != nil {
		return err
	}
	conf, err := os.OpenFile(filepath.Join(dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString(settings)
	if err = errors.Join(err, conf.Close()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte(gates), 0o600) // it exists: its owner stays
}

// run runs one of PostgreSQL's programs to its end, as the account of the servers.
func (f *Fleet) run(ctx context.Context, dir, name string, args ...string) error {
	_, err := f.output(ctx, dir, name, args...)
	return err
}

func (f *Fleet) output(ctx context.Context, dir, name string, args ...string) (string, error) {
	c := f.command(ctx, dir, name, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	ended, err := f.spawn(c)
	if err == nil {
		err = <-ended
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}

func (f *Fleet) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + f.dir, "TMPDIR=" + f.dir}
	c.SysProcAttr = attributes(f.who)
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) } // with what it started
	c.WaitDelay = 5 * time.Second                                                    // what it started may hold its output
	return c
}

// spawn starts a program; what is returned receives its end.
func (f *Fleet) spawn(c *exec.Cmd) (<-chan error, error) {
	started := make(chan error, 1)
	select {
	case f.start <- func() { started <- c.Start() }:
	case <-f.done:
		return nil, ErrGone
	}
	if err := <-started; err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	return ended, nil
}

// account is who runs the servers, when we are root.
func account() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
