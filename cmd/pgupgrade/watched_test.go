package main

import (
	"strings"
	"sync"
)

// watched is a log that calls when a text comes by.
type watched struct {
	mu    sync.Mutex
	b     strings.Builder
	text  string
	found func()
}

func (w *watched) on(text string, found func()) { w.text, w.found = text, found }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.found != nil && strings.Contains(string(p), w.text) {
		w.found()
		w.found = nil
	}
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}
