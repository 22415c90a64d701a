package bot

import (
	"os"
	"strings"
	"testing"
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
