package ops

import "time"

// Message is what is known of one message in Slack: the ledger of the writer.
type Message struct {
	Group    string // run id, or another owner of messages
	Name     string // "root", "event/17", "lag"
	Channel  string
	TS       string // "" while only intended
	Hash     string // of what was sent last
	Intended time.Time
}

// Sample is one look at the old database during the soak.
type Sample struct {
	Run         string
	At          time.Time
	Connections Fact[int]
	Attached    []string
}
