package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	prefix    = "pgup"
	ownerFile = "owner" // the id of the process whose folder it is
)

// sweep removes what a process left that was killed before it could: its servers
// ended with it, but for those that pg_upgrade had started.
func sweep() error {
	owners, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*", ownerFile))
	if err != nil {
		return fmt.Errorf("look for clusters that were left behind: %w", err)
	}
	for _, owner := range owners {
		b, err := os.ReadFile(owner)
		if err != nil {
			continue // another user's, or just removed
		}
		pid, err := strconv.Atoi(string(b))
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue // it lives
		}
		dir := filepath.Dir(owner)
		if err := stopForeign(dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove clusters that were left behind: %w", err)
		}
	}
	return nil
}
