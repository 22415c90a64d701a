package slacktest

import (
	"context"
	"slices"
)

// oldest is the connection that trouble befalls, nil when there is none.
func (s *Server) oldest() *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.sockets, func(k *socket) bool { return !k.isSilent() })
	if i < 0 {
		return nil
	}
	return s.sockets[i]
}

// Disconnect ends the oldest connection the way Slack does: with a message
// ("warning", "refresh_requested", "link_disabled"), and ten seconds later the end;
// or, with reason "", by cutting it. It returns at once.
func (s *Server) Disconnect(reason string) {
	k := s.oldest()
	switch {
	case k == nil:
	case reason == "":
		s.cut(k)
	default:
		go s.ending(context.Background(), k, reason)
	}
}

// CutAll cuts every connection without a word.
func (s *Server) CutAll() {
	s.mu.Lock()
	sockets := slices.Clone(s.sockets)
	s.mu.Unlock()
	for _, k := range sockets {
		s.cut(k)
	}
}

// cut ends a connection, of which Slack knows.
func (s *Server) cut(k *socket) {
	s.leave(k)
	k.conn.Close()
}

// Silence makes the oldest connection half open: nothing goes through it any
// more in either direction, and neither side is told. Slack counts it and sends
// into it until Notice.
func (s *Server) Silence() {
	if k := s.oldest(); k != nil {
		k.silence()
	}
}

// Notice lets Slack see that silent connections are dead.
func (s *Server) Notice() {
	s.mu.Lock()
	silent := slices.DeleteFunc(slices.Clone(s.sockets), func(k *socket) bool { return !k.isSilent() })
	s.mu.Unlock()
	for _, k := range silent {
		s.cut(k)
	}
}

// SendText sends a text frame of any kind down the oldest connection.
func (s *Server) SendText(text string) error {
	k := s.oldest()
	if k == nil {
		return ErrNobody
	}
	return k.sendText(text)
}

// Storm ends every new connection at once with this reason ("" ends the storm),
// and those that are open too.
func (s *Server) Storm(reason string) {
	s.mu.Lock()
	s.storm = reason
	sockets := slices.Clone(s.sockets)
	s.mu.Unlock()
	if reason == "" {
		return
	}
	for _, k := range sockets {
		s.leave(k)
		if k.send(disconnect(reason)) == nil {
			k.close()
		}
	}
}

// LeaveOpen makes Slack keep TCP open after the close frames, until the app
// closes it; by default it closes at once.
func (s *Server) LeaveOpen(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveOpen = yes
}
