package bot

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

// TestTheReadmeHasEveryCommandAndButton that people can type or press.
func TestTheReadmeHasEveryCommandAndButton(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(b)
	for _, u := range usage {
		if !strings.Contains(readme, "| `/pgupgrade "+u.words+"` |") {
			t.Errorf("the README's table lacks `/pgupgrade %s`", u.words)
		}
	}
	labels := map[string]bool{}
	for _, s := range stories() {
		for _, b := range LegalButtons(s.Run, nil) {
			labels[b.Label] = true
		}
	}
	if len(labels) < 8 {
		t.Fatalf("found only %v", labels)
	}
	for l := range labels {
		if !strings.Contains(readme, "*"+l+"*") {
			t.Errorf("the README's table lacks the button *%s*", l)
		}
	}
}

// TestTheReadmeHasEverySettingOfAnApp, and no other.
func TestTheReadmeHasEverySettingOfAnApp(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "## What can be set for one app")
	section, _, _ = strings.Cut(section, "\n## ")
	var told, are []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(section, -1) {
		told = append(told, m[1])
	}
	for _, k := range ops.SettingKinds() {
		are = append(are, k.Key)
	}
	if strings.Join(told, " ") != strings.Join(are, " ") {
		t.Errorf("the README tells of %v; there are %v", told, are)
	}
}

// TestEveryCommandAndButtonIsPlayed against the built program, in a scenario or in
// a test of the whole.
func TestEveryCommandAndButtonIsPlayed(t *testing.T) {
	var played string
	for _, pattern := range []string{"../cmd/sandbox/scenarios/*.txt", "../cmd/sandbox/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			played += string(b)
		}
	}
	for _, u := range usage {
		if !strings.Contains(played, ": /pgupgrade "+string(u.verb)) {
			t.Errorf("nobody types /pgupgrade %s", u.verb)
		}
	}
	labels := map[string]bool{}
	for _, s := range stories() {
		for _, b := range LegalButtons(s.Run, nil) {
			labels[b.Label] = true
		}
	}
	near := story(ops.StepUpgrade).Run
	near.Outage.Asked = now
	for _, b := range LegalButtons(near, nil) {
		labels[b.Label] = true
	}
	for l := range labels {
		if !strings.Contains(played, "presses "+l) {
			t.Errorf("nobody presses %s", l)
		}
	}
	if len(labels) < 15 {
		t.Errorf("found only %v", labels)
	}
}
