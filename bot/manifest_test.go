package bot

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	slackgo "github.com/slack-go/slack"
)

// TestManifest: it has no field that Slack does not know, asks for exactly the
// scopes that the program checks for, and keeps Slack's limits.
func TestManifest(t *testing.T) {
	d := json.NewDecoder(bytes.NewReader(Manifest))
	d.DisallowUnknownFields()
	var m slackgo.Manifest
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range RequiredScopes() {
		want = append(want, s.Name)
		if s.Why == "" {
			t.Errorf("%s: what for?", s.Name)
		}
	}
	got, err := manifestScopes()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scopes: -checked +in the manifest\n%s", diff)
	}
	if diff := cmp.Diff(want, m.OAuthConfig.Scopes.Bot); diff != "" {
		t.Error(diff)
	}
	c := m.Features.SlashCommands
	if len(c) != 1 || c[0].Command != "/pgupgrade" || !c[0].ShouldEscape || c[0].Url != "" {
		t.Errorf("slash commands %+v", c)
	}
	if !m.Settings.SocketModeEnabled || m.Settings.Interactivity == nil || !m.Settings.Interactivity.IsEnabled {
		t.Error("socket mode and interactivity must be on")
	}
	if len(m.Display.Name) > 35 || len(m.Display.Description) > 140 {
		t.Error("display information is too long")
	}
}
