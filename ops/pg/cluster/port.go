package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// port is a TCP port of a cluster's own. While the server is not up it is held,
// so that no other program gets it: URLs with it are known already.
type port struct {
	number int

	mu   sync.Mutex
	held net.Listener
}

// reserve takes a free port below those that systems give out by themselves.
func reserve() (*port, error) {
	err := errors.New("none tried")
	for range 200 {
		p := &port{number: 15_000 + rand.IntN(15_000)}
		if err = p.hold(); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}

// hold takes the port; who connects is turned away.
func (p *port) hold() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		return nil
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.number))
	if err != nil {
		return err
	}
	p.held = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // let go of
			}
			_ = c.Close() // there is nobody
		}
	}()
	return nil
}

// release gives it to the server, which takes it at once.
func (p *port) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		_ = p.held.Close() // a listener that is given up
		p.held = nil
	}
}
