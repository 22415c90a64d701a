package main

import (
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

func setGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// interruptGroup does what Ctrl-C does in a terminal.
func interruptGroup(c *exec.Cmd) error { return syscall.Kill(-c.Process.Pid, syscall.SIGINT) }

// printer is an output that calls when a text comes by.
type printer struct {
	mu    sync.Mutex
	b     strings.Builder
	text  string
	found func()
}

func (w *printer) on(text string, found func()) { w.text, w.found = text, found }

func (w *printer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.b.Write(p)
	if w.found != nil && strings.Contains(w.b.String(), w.text) {
		w.found()
		w.found = nil
	}
	return n, err
}

func (w *printer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}
