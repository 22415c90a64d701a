package pgtest

import (
	"runtime"
	"syscall"
)

// attributes makes the server end when the tests do, even when they are killed;
// SIGQUIT lets it remove its shared memory.
func attributes(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGQUIT}
}

func lockThread() { runtime.LockOSThread() }
