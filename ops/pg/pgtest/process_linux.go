package pgtest

import (
	"runtime"
	"syscall"
)

// attributes makes the server end when the tests do, even when they are killed.
func attributes(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGKILL}
}

func lockThread() { runtime.LockOSThread() }
