package slacktest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	mostSockets  = 10                // docs.slack.dev/apis/events-api/using-socket-mode
	ticketLife   = 30 * time.Second  // "temporary"; no number is published
	socketLife   = 18_060            // seconds, as in the fixtures of Slack's SDKs
	debugLife    = 360               // with debug_reconnects=true
	warningAhead = 10 * time.Second  // between a warning and the end
	linger       = 100 * time.Second // how long a connection may stay half closed
	writeWithin  = 5 * time.Second
)

// socket is one open connection of the app.
type socket struct {
	conn   *websocket.Conn
	mu     sync.Mutex // one writer at a time
	silent bool       // it is dead without either side having heard of it
}

func (k *socket) send(v any) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.silent {
		return nil // it went into the void
	}
	if err := k.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return k.conn.WriteJSON(v)
}

func (k *socket) sendText(text string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil { // the last one's is over
		return err
	}
	return k.conn.WriteMessage(websocket.TextMessage, []byte(text))
}

func (k *socket) isSilent() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.silent
}

func (k *socket) silence() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.silent = true
}

// open answers apps.connections.open. s.mu is held.
func (s *Server) open() reply {
	ticket := s.next("ticket")
	s.tickets[ticket] = s.cfg.Now()
	return reply{"ok": true, "url": "ws" + strings.TrimPrefix(s.cfg.BaseURL, "http") + "/link/?ticket=" + ticket + "&app_id=" + AppID}
}

// slack-go sends an Origin of Slack's.
var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// admitSocket takes a ticket, which works once and for a short time.
func (s *Server) admitSocket(ticket string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.tickets[ticket]
	delete(s.tickets, ticket)
	return ok && s.cfg.Now().Sub(at) <= ticketLife
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !s.admitSocket(r.URL.Query().Get("ticket")) {
		http.Error(w, "bad ticket", http.StatusForbidden)
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer conn.Close()
	k := &socket{conn: conn}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s.mu.Lock()
	n, storm := len(s.sockets)+1, s.storm
	if n <= mostSockets && storm == "" {
		s.sockets = append(s.sockets, k)
	}
	s.mu.Unlock()
	switch {
	case n > mostSockets:
		s.turnAway(k, "too_many_websockets")
		return
	case storm == "too_many_websockets":
		s.turnAway(k, storm)
		return
	}
	life := socketLife
	if r.URL.Query().Get("debug_reconnects") == "true" {
		life = debugLife
	}
	if k.send(reply{"type": "hello", "num_connections": n, "connection_info": reply{"app_id": AppID}, "debug_info": reply{"host": "stand-in", "build_number": 1, "approximate_connection_time": life}}) != nil {
		s.leave(k)
		return
	}
	if storm != "" {
		s.turnAway(k, storm)
		return
	}
	s.mu.Lock()
	s.change()
	s.mu.Unlock()
	go s.ping(ctx, k)
	go s.expire(ctx, k, time.Duration(life)*time.Second)
	s.read(k)
	if !k.isSilent() { // Slack does not hear that a silent one ended
		s.leave(k)
	}
}

// turnAway ends a connection at once.
func (s *Server) turnAway(k *socket, reason string) {
	if k.send(disconnect(reason)) == nil {
		k.close()
		s.read(k)
	}
}

func (s *Server) leave(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets = slices.DeleteFunc(s.sockets, func(x *socket) bool { return x == k })
	s.change()
}

func (s *Server) ping(ctx context.Context, k *socket) {
	for {
		if !k.isSilent() && k.conn.WriteControl(websocket.PingMessage, []byte("ping"), time.Now().Add(time.Second)) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.cfg.PingEvery):
		}
	}
}

// expire ends a connection when it has lived its time: a warning, and ten
// seconds later the end.
func (s *Server) expire(ctx context.Context, k *socket, life time.Duration) {
	elapsed, stop := s.cfg.After(life - warningAhead)
	defer stop()
	select {
	case <-elapsed:
		s.ending(ctx, k, "warning")
	case <-ctx.Done():
	}
}

func disconnect(reason string) reply {
	return reply{"type": "disconnect", "reason": reason, "debug_info": reply{"host": "stand-in"}}
}

// ending tells the app that a connection ends, and ends it after ten seconds if
// the app has not.
func (s *Server) ending(ctx context.Context, k *socket, reason string) {
	if k.send(disconnect(reason)) != nil {
		return // it has ended
	}
	elapsed, stop := s.cfg.After(warningAhead)
	defer stop()
	select {
	case <-elapsed:
		k.close()
	case <-ctx.Done():
	}
}

// close begins the closing handshake.
func (k *socket) close() {
	_ = k.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second)) // the reader sees its end
	_ = k.conn.SetReadDeadline(time.Now().Add(writeWithin))
}

// read takes what comes on a connection until it ends. The library answers pings
// and the closing handshake.
func (s *Server) read(k *socket) {
	k.conn.SetPingHandler(func(data string) error {
		if k.isSilent() {
			return nil
		}
		_ = k.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second)) // the reader sees a broken connection
		return nil
	})
	answer := k.conn.CloseHandler()
	k.conn.SetCloseHandler(func(code int, text string) error {
		if k.isSilent() {
			return nil
		}
		return answer(code, text)
	})
	for {
		_, raw, err := k.conn.ReadMessage()
		if err != nil {
			s.half(k, err)
			return
		}
		if !k.isSilent() {
			s.acknowledge(k, raw)
		}
	}
}

// half keeps TCP open after the app's close frame, until the app closes it: where
// Slack is to do that, and where the frame never arrived.
func (s *Server) half(k *socket, err error) {
	s.mu.Lock()
	open := s.leaveOpen
	s.mu.Unlock()
	silent := k.isSilent()
	if closed := (*websocket.CloseError)(nil); !open && !silent || !errors.As(err, &closed) || closed.Code == websocket.CloseAbnormalClosure {
		return
	}
	if !silent {
		s.leave(k) // as a websocket it has ended
	}
	raw := k.conn.NetConn()
	_ = raw.SetReadDeadline(time.Now().Add(linger))
	_, _ = io.Copy(io.Discard, raw)
}

// Sockets is how many connections of the app are open, as Slack sees it.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}
