package pgtest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy stands between a program and its server, and can be cut.
type Proxy struct {
	// URL leads to the same database, through the proxy.
	URL string

	server string
	mu     sync.Mutex
	state  state
	conns  map[net.Conn]bool
	thawed chan struct{} // closed while bytes may pass
}

type state int

const (
	open   state = iota
	cut          // connections are refused
	frozen       // connections stand, and nothing passes
)

// NewProxy puts a proxy before the server of a database. It ends with the test.
func NewProxy(t testing.TB, database string) *Proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{server: u.Host, conns: map[net.Conn]bool{}, thawed: make(chan struct{})}
	close(p.thawed)
	u.Host = l.Addr().String()
	p.URL = u.String()
	go p.accept(l)
	t.Cleanup(func() {
		l.Close()
		p.Cut()
	})
	return p
}

// Cut ends every connection and refuses new ones.
func (p *Proxy) Cut() { p.set(cut) }

// Freeze keeps every connection and lets nothing pass, as when a network drops
// packets in silence.
func (p *Proxy) Freeze() { p.set(frozen) }

// Heal lets everything pass again.
func (p *Proxy) Heal() { p.set(open) }

func (p *Proxy) set(s state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == frozen && s != frozen {
		close(p.thawed)
	}
	if p.state != frozen && s == frozen {
		p.thawed = make(chan struct{})
	}
	p.state = s
	if s == cut {
		for c := range p.conns {
			c.Close()
		}
		clear(p.conns)
	}
}

func (p *Proxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		go p.serve(c)
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.pass()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.state == cut {
		p.mu.Unlock()
		return
	}
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client) })
	both.Go(func() { p.copy(client, server) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// pass waits while nothing may pass.
func (p *Proxy) pass() {
	p.mu.Lock()
	thawed := p.thawed
	p.mu.Unlock()
	<-thawed
}

// copy passes bytes on until one side ends, then ends the other.
func (p *Proxy) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.pass()
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				err = io.EOF
			}
		}
		if err != nil {
			to.Close()
			from.Close()
			return
		}
	}
}
