package cluster

import "syscall"

// attributes make a program end when we do, even when we are killed; SIGQUIT lets
// a server remove its shared memory. Its group is its own, so that Ctrl-C in a
// terminal is for us alone.
func attributes(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}
