package cluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func open(t *testing.T) *Fleet {
	t.Helper()
	older, newer, err := Pair(Find())
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(older, newer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(f.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is left: %v", err)
		}
	})
	return f
}

func started(t *testing.T, f *Fleet) *Cluster {
	t.Helper()
	older, _, err := Pair(Find())
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.New(older)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAnother: what initdb made for a fleet serves those after it, whichever ends first.
func TestAnother(t *testing.T) {
	f := open(t)
	for range 2 {
		other, err := f.Another()
		if err != nil {
			t.Fatal(err)
		}
		started(t, other)
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(other.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is left: %v", err)
		}
	}
	made, err := filepath.Glob(filepath.Join(f.Dir(), "template*", "PG_VERSION"))
	if err != nil || len(made) != 1 {
		t.Errorf("the first fleet has %q (%v), want what was made once", made, err)
	}
	started(t, f)
}

// TestDropInTheMiddleOfAnUpgrade: pg_upgrade starts servers of its own, which
// would outlive it.
func TestDropInTheMiddleOfAnUpgrade(t *testing.T) {
	f := open(t)
	c := started(t, f)
	_, newer, err := Pair(Find())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Upgrade(context.Background(), newer, func(context.Context, int) error { return nil })
		ended <- err
	}()
	// Once pg_upgrade has started the old server, there is a file for it in its folder.
	for {
		if found, err := filepath.Glob(filepath.Join(c.dir, "next", "pg_upgrade_output.d", "*", "log", "pg_upgrade_server.log")); err == nil && len(found) > 0 {
			if _, err := os.Stat(filepath.Join(c.data(), "postmaster.pid")); err == nil {
				break
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("the upgrade ended first: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	if left, err := foreign(c.dir); err != nil || len(left) == 0 {
		t.Fatalf("nothing of pg_upgrade runs that could be left behind (%v)", err)
	}
	if err := c.Drop(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the upgrade of a dropped cluster succeeded")
	}
	if left, err := foreign(c.dir); err != nil || len(left) > 0 {
		t.Errorf("what pg_upgrade started still runs: %v (%v)", left, err)
	}
	if _, err := os.Stat(c.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is left: %v", err)
	}
}

// TestSweep: what a killed process left is removed when the next one begins, and
// what belongs to a living one stays.
func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := func(name string, owner int) string {
		dir := filepath.Join(os.TempDir(), prefix+name)
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "1", "data"), 0o700), os.WriteFile(filepath.Join(dir, ownerFile), []byte(strconv.Itoa(owner)), 0o600)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	gone, living := left("gone", dead.Process.Pid), left("living", os.Getpid())
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a dead process left is there: %v", err)
	}
	if _, err := os.Stat(living); err != nil {
		t.Errorf("what belongs to a living process is gone: %v", err)
	}
}
