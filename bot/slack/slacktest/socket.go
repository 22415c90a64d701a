package slacktest

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// socket is one open connection of the app.
type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex // one writer at a time
}

func (k *socket) send(v any) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	return k.conn.WriteJSON(v)
}

// delivery is an envelope that waits for its acknowledgement.
type delivery struct {
	sent  time.Time
	acked chan json.RawMessage
}

// open answers apps.connections.open. s.mu is held.
func (s *Server) open(token string) reply {
	switch token {
	case "":
		return fails("not_authed")
	case s.cfg.AppToken:
	case s.cfg.BotToken:
		return fails("not_allowed_token_type")
	default:
		return fails("invalid_auth")
	}
	ticket := s.next("ticket")
	s.tickets[ticket] = true
	return reply{"ok": true, "url": "ws" + strings.TrimPrefix(s.cfg.BaseURL, "http") + "/link/?ticket=" + ticket + "&app_id=" + AppID}
}

// slack-go sends an Origin of Slack's.
var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	ticket := r.URL.Query().Get("ticket")
	fresh := s.tickets[ticket]
	delete(s.tickets, ticket) // works once
	s.mu.Unlock()
	if !fresh {
		http.Error(w, "bad ticket", http.StatusForbidden)
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	k := &socket{conn: conn}
	s.mu.Lock()
	s.sockets = append(s.sockets, k)
	n := len(s.sockets)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.sockets = slices.DeleteFunc(s.sockets, func(x *socket) bool { return x == k })
		s.change()
		s.mu.Unlock()
		conn.Close()
	}()
	if n > 10 {
		_ = k.send(reply{"type": "disconnect", "reason": "too_many_websockets"}) // it is closed anyway
		return
	}
	if k.send(reply{"type": "hello", "num_connections": n, "connection_info": reply{"app_id": AppID}, "debug_info": reply{"host": "stand-in", "build_number": 1, "approximate_connection_time": 18060}}) != nil {
		return
	}
	s.mu.Lock()
	s.change()
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go k.ping(ctx)
	s.read(k)
}

func (k *socket) ping(ctx context.Context) {
	for {
		if k.conn.WriteControl(websocket.PingMessage, []byte("ping"), time.Now().Add(time.Second)) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
	}
}

func (s *Server) read(k *socket) {
	for {
		_, raw, err := k.conn.ReadMessage()
		if err != nil {
			return
		}
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
			Payload    json.RawMessage
		}
		if json.Unmarshal(raw, &ack) != nil || len(raw) >= 20480 {
			continue // dropped in silence, as Slack does
		}
		s.mu.Lock()
		d := s.waiting[ack.EnvelopeID]
		delete(s.waiting, ack.EnvelopeID)
		if d != nil {
			s.acks = append(s.acks, time.Since(d.sent))
		}
		s.mu.Unlock()
		if d != nil {
			d.acked <- ack.Payload
		}
	}
}

// ErrTimeout is what a person sees when the app did not acknowledge in time.
var ErrTimeout = errors.New("operation_timeout: the app did not answer within 3 seconds")

// ErrNobody is what a person sees when no socket of the app is open.
var ErrNobody = errors.New("dispatch_failed: the app is not connected")

// deliver sends an envelope down one socket, any of them, and waits for its
// acknowledgement.
func (s *Server) deliver(ctx context.Context, kind string, payload any, answers bool) (json.RawMessage, error) {
	s.mu.Lock()
	id := s.next("envelope-")
	d := &delivery{sent: time.Now(), acked: make(chan json.RawMessage, 1)}
	s.waiting[id] = d
	sockets := slices.Clone(s.sockets)
	s.mu.Unlock()
	rand.Shuffle(len(sockets), func(i, j int) { sockets[i], sockets[j] = sockets[j], sockets[i] })
	envelope := reply{"type": kind, "envelope_id": id, "payload": payload, "accepts_response_payload": answers}
	for _, k := range sockets {
		if k.send(envelope) != nil {
			continue
		}
		select {
		case p := <-d.acked:
			return p, nil
		case <-time.After(3 * time.Second):
			return nil, ErrTimeout
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, ErrNobody
}

// Sockets is how many connections of the app are open.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}

// Disconnect ends one connection the way Slack does: with a message
// ("warning", "refresh_requested") or, with reason "", by cutting it.
func (s *Server) Disconnect(reason string) {
	s.mu.Lock()
	var k *socket
	if len(s.sockets) > 0 {
		k = s.sockets[0]
	}
	s.mu.Unlock()
	if k == nil {
		return
	}
	if reason == "" {
		k.conn.Close()
		return
	}
	_ = k.send(reply{"type": "disconnect", "reason": reason, "debug_info": reply{"host": "stand-in"}}) // a dead socket needs no telling
}

// Acks is how long the app took to acknowledge, in order.
func (s *Server) Acks() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acks)
}
