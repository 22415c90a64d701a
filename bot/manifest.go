package bot

import (
	_ "embed"
	"encoding/json"
)

// Manifest is the Slack app's manifest, to be pasted where an app is created
// (docs.slack.dev/app-manifests).
//
//go:embed manifest.json
var Manifest []byte

// RequiredScopes are the bot token's scopes, each with what it is for. The
// manifest asks for exactly these.
func RequiredScopes() []Scope {
	return []Scope{
		{"commands", "take /pgupgrade"},
		{"chat:write", "post and edit messages"},
		{"channels:read", "see whether I am in a public channel, and whether it is shared with another organisation"},
		{"groups:read", "the same for a private channel"},
		{"channels:history", "find my own messages again after a crash, so that none is posted twice"},
		{"groups:history", "the same in a private channel"},
		{"im:write", "write to you directly when the channel is gone"},
		{"im:history", "find my own direct messages again after a crash"},
		{"users:read", "see who is a guest, a bot or deactivated"},
		{"usergroups:read", "see who is in a group of approvers"},
	}
}

// Scope is one permission and what it is for.
type Scope struct{ Name, Why string }

func manifestScopes() ([]string, error) {
	var m struct {
		OAuth struct {
			Scopes struct {
				Bot []string `json:"bot"`
			} `json:"scopes"`
		} `json:"oauth_config"`
	}
	err := json.Unmarshal(Manifest, &m)
	return m.OAuth.Scopes.Bot, err
}
