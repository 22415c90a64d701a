package ops

import (
	"strings"
	"testing"
	"time"
)

// TestParseSetting: what is typed, what is kept, and what that means.
func TestParseSetting(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range []struct{ key, value, kept string }{
		{"health", "https://orders.example.com/up", "https://orders.example.com/up"},
		{"health", "off", ""},
		{"one-offs", "Stop", "stop"},
		{"one-offs", "wait", "wait"},
		{"one-offs", "default", ""},
		{"soak", "3d", "72h0m0s"},
		{"soak", "2w", "336h0m0s"},
		{"soak", "1d 12h", "36h0m0s"},
		{"soak", "90m", "1h30m0s"},
		{"window", "sun 02:00-05:00", "Sun 02:00-05:00"},
		{"window", "off", ""},
		{"freeze", "2026-12-24", "2026-12-24..2026-12-24"},
		{"read-only", "READ_ONLY", "READ_ONLY"},
		{"read-only", "none", ""},
	} {
		seen[tt.key] = true
		kept, err := ParseSetting(tt.key, tt.value)
		if err != nil || kept != tt.kept {
			t.Errorf("%s %q: kept %q, %v; want %q", tt.key, tt.value, kept, err, tt.kept)
			continue
		}
		if _, err := ReadSettings(map[string]string{tt.key: kept}); err != nil {
			t.Errorf("%s %q cannot be read again: %v", tt.key, kept, err)
		}
	}
	for _, k := range SettingKinds() {
		if !seen[k.Key] {
			t.Errorf("no row sets %s", k.Key)
		}
	}
	for _, tt := range []struct{ key, value, says string }{
		{"health", "orders.example.com", "not a web address"},
		{"health", "ftp://orders.example.com", "not a web address"},
		{"health", "javascript:alert(1)", "not a web address"},
		{"health", "https://user:pw@orders.example.com", "password"},
		{"health", "https://orders.example.com/up?token=x", "query"},
		{"health", "https://" + strings.Repeat("x", 600), "not a web address"},
		{"one-offs", "kill", "neither *wait* nor *stop*"},
		{"soak", "soon", "not a time such as 3d"},
		{"soak", "-3d", "not a time such as 3d"},
		{"soak", "3", "not a time such as 3d"},
		{"soak", "1m", "A soak lasts from 1 h to 90 days"},
		{"soak", "99999w99999w99999w", "not a time"},
		{"soak", "99999d", "A soak lasts"},
		{"window", "always", "not a weekday"},
		{"freeze", "always", "not a day"},
		{"read-only", "READ ONLY", "not the name of a config var"},
		{"read-only", "$(reboot)", "not the name of a config var"},
	} {
		got, err := ParseSetting(tt.key, tt.value)
		refused(t, tt.key+" "+tt.value, got, err, RefusedValue, tt.says)
	}
	got, err := ParseSetting("password", "x")
	refused(t, "password", got, err, RefusedSetting, "There are: health, one-offs, soak, window, freeze, read-only")
}

func TestReadSettings(t *testing.T) {
	s, err := ReadSettings(map[string]string{"health": "https://a.example/up", "one-offs": "stop", "soak": "72h0m0s", "window": "Sun 02:00-05:00", "freeze": "2026-12-24..2026-12-26", "read-only": "RO", "newer": "x", "": ""})
	if err != nil || s.HealthURL != "https://a.example/up" || s.OneOffs != OneOffStop || s.Soak != 72*time.Hour || len(s.Windows) != 1 || len(s.Freezes) != 1 || s.ReadOnlyFlag != "RO" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := ReadSettings(map[string]string{"window": "", "soak": ""}); err != nil || len(s.Windows) != 0 || s.Soak != 0 {
		t.Errorf("what was taken back counts: %+v, %v", s, err)
	}
	if _, err := ReadSettings(map[string]string{"window": "nonsense"}); err == nil {
		t.Error("a window that cannot be read is no window")
	}
}

// TestQuote: what people type can be put into any sentence.
func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"waiting for the report":             "“waiting for the report”",
		"<!channel> <@U2> <https://x|y>":     "“‹!channel› ‹@U2› ‹https://x|y›”",
		"a\n:white_check_mark: *Approved*\n": "“a :white_check_mark: ∗Approved∗”",
		"`rm -rf`":                           "“'rm -rf'”",
		strings.Repeat("ä", 20):              "“äääääääää…”",
	} {
		if got := Quote(in, 10); len([]rune(in)) <= 10 || strings.Contains(in, "ä") {
			if got != want {
				t.Errorf("Quote(%q) = %q, want %q", in, got, want)
			}
		} else if got := Quote(in, 100); got != want {
			t.Errorf("Quote(%q) = %q, want %q", in, got, want)
		}
	}
}
