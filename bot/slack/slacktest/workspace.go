package slacktest

// User is a person, or a bot, of the workspace or of another one.
type User struct {
	ID, Name, Title string
	Bot, Deleted    bool
	Guest           bool   // is_restricted
	SingleGuest     bool   // is_ultra_restricted
	Team            string // "": this workspace
}

// Channel is a channel or a direct message.
type Channel struct {
	ID, Name  string
	Member    bool // the bot is in it
	Archived  bool
	ExtShared bool
	Private   bool   // one that the bot is not in is not there for it
	DM        string // the person, for a direct message
}

// AddUser adds a person.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = append(s.users, &u)
	s.change()
}

// ChangeUser lets f change a person.
func (s *Server) ChangeUser(id string, f func(*User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.user(id); u != nil {
		f(u)
		s.change()
	}
}

// SetGroup sets who is in a user group.
func (s *Server) SetGroup(id string, members ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[id] = members
}

// AddChannel adds a channel.
func (s *Server) AddChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels = append(s.channels, &c)
}

// ChangeChannel lets f change a channel.
func (s *Server) ChangeChannel(id string, f func(*Channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channel(id); c != nil {
		f(c)
		s.change()
	}
}

// Acme adds the people and the channel of the sandbox.
func (s *Server) Acme() {
	s.AddUser(User{ID: "U1", Name: "ana", Title: "approver"})
	s.AddUser(User{ID: "U2", Name: "ben", Title: "approver"})
	s.AddUser(User{ID: "U3", Name: "cleo", Title: "not an approver"})
	s.AddChannel(Channel{ID: "C1", Name: "db-upgrades", Member: true})
	s.AddChannel(Channel{ID: "C2", Name: "general"})
}

// Users returns everybody.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []User
	for _, u := range s.users {
		out = append(out, *u)
	}
	return out
}

func (s *Server) user(id string) *User {
	for _, u := range s.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

func (s *Server) channel(id string) *Channel {
	for _, c := range s.channels {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (u *User) team() string {
	if u.Team == "" {
		return TeamID
	}
	return u.Team
}
