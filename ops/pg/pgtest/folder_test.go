package pgtest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingStays of a test process that is killed: no server, no folder, no
// shared memory.
func TestNothingStays(t *testing.T) {
	if os.Getenv("PGTEST_TO_BE_KILLED") != "" {
		Start(t)
		dir, err := root()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(dir)
		select {} // until it is killed
	}
	c := exec.Command(os.Args[0], "-test.run", "^TestNothingStays$")
	c.Env = append(os.Environ(), "PGTEST_TO_BE_KILLED=yes")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	dir, err := bufio.NewReader(out).ReadString('\n')
	if dir = strings.TrimSpace(dir); err != nil || !filepath.IsAbs(dir) {
		t.Fatalf("it started no server: %q, %v", dir, err)
	}
	servers, err := filepath.Glob(filepath.Join(dir, "*", "data", "postmaster.pid"))
	if err != nil || len(servers) != 1 {
		t.Fatalf("%d servers run: %v", len(servers), err)
	}
	text, err := os.ReadFile(servers[0])
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	maps, err := os.ReadFile("/proc/" + pid + "/maps") // none where there is no /proc
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var memory []string
	for _, word := range strings.Fields(string(maps)) {
		if strings.HasPrefix(word, "/dev/shm/") {
			memory = append(memory, word)
		}
	}
	if maps != nil && len(memory) == 0 {
		t.Error("the server has no shared memory under /dev/shm, so none could stay")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed
	for _, path := range append(memory, dir, "/proc/"+pid) {
		Until(t, path+" is gone", func() bool { _, err := os.Stat(path); return errors.Is(err, fs.ErrNotExist) })
	}
}
