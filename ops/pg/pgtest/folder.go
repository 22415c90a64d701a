package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// janitor ends the servers of a test process and removes their folders once the
// process has ended, however it ended: then its input ends.
const janitor = `cat >/dev/null
for pid in "$1"/*/data/postmaster.pid; do
	[ ! -e "$pid" ] || kill -QUIT "$(head -n 1 "$pid")"
done
until rm -rf "$1"; do sleep 0.1; done`

// root is the folder of all servers of the test process.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pg") // short, since a socket's path may have 107 bytes
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the servers may be another account's
		return "", err
	}
	c := exec.Command("/bin/sh", "-c", janitor, "sh", dir)
	c.Dir = "/"
	if _, err := c.StdinPipe(); err != nil { // never closed by us
		return "", err
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	if err := c.Start(); err != nil {
		return "", fmt.Errorf("start who cleans up: %w", err)
	}
	go func() { _ = c.Wait() }() // it outlives us; this keeps the pipe open until then
	return dir, nil
})

// folder makes the folder of one server.
func folder() (dir string, who *syscall.Credential, err error) {
	all, err := root()
	if err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp(all, ""); err != nil {
		return "", nil, err
	}
	who, err = account(dir)
	return dir, who, err
}
