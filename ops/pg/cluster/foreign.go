package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopForeign ends every process that was started for a cluster's folder and is no
// child of ours: pg_upgrade starts servers in sessions of their own and, killed
// itself, leaves them behind, perhaps not even up yet. So it is processes that are
// looked for, and not the files that they write.
func stopForeign(dir string) error {
	for signal, begun := syscall.SIGQUIT, time.Now(); ; time.Sleep(5 * time.Millisecond) {
		left, err := foreign(dir)
		if err != nil {
			return fmt.Errorf("look for processes of a cluster: %w", err)
		}
		if len(left) == 0 {
			return nil
		}
		if time.Since(begun) > 10*time.Second {
			signal = syscall.SIGKILL
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, signal) // gone meanwhile, or seen again
		}
	}
}

// foreign lists the processes whose command line names a folder or what is in it.
func foreign(dir string) ([]int, error) {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var out []int
	if len(found) > 0 {
		for _, file := range found {
			args, err := os.ReadFile(file)
			pid, bad := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil && bad == nil && pid != os.Getpid() && strings.Contains(string(args), dir+"/") { // else it has ended
				out = append(out, pid)
			}
		}
		return out, nil
	}
	list, err := exec.Command("ps", "-axo", "pid=,args=").Output() // no Linux
	for line := range strings.Lines(string(list)) {
		first, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pid, bad := strconv.Atoi(first); bad == nil && pid != os.Getpid() && strings.Contains(args, dir+"/") {
			out = append(out, pid)
		}
	}
	return out, err
}
