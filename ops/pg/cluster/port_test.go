package cluster

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPortIsFreeLate: somebody else has a copy of the listener for a moment, as a
// process has that is forked and not yet what it is to be.
func TestPortIsFreeLate(t *testing.T) {
	f := open(t)
	older, _, err := Pair(Find())
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.New(older)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := c.port.held.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	refused := func() bool {
		b, err := os.ReadFile(filepath.Join(c.dir, "log"))
		return err == nil && bytes.Contains(b, []byte("Address already in use"))
	}
	go func() {
		defer copied.Close()
		for !refused() && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !refused() {
		t.Error("the port was free at once, so nothing was tested")
	}
}
