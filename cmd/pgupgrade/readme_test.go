package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheReadmeHasEverySetting that the program reads, and no other.
func TestTheReadmeHasEverySetting(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var reads []string
	for _, file := range []string{"config.go", "main.go", "serve.go", "terminal.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`getenv\("([A-Z_]+)"\)`).FindAllStringSubmatch(string(source), -1) {
			reads = append(reads, m[1])
		}
	}
	if len(reads) < 10 {
		t.Fatalf("found only %v", reads)
	}
	_, settings, _ := strings.Cut(string(readme), "## Settings")
	settings, _, _ = strings.Cut(settings, "\n## ")
	var told []string
	for line := range strings.Lines(settings) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([A-Z_]+)`").FindAllStringSubmatch(first, -1) {
			told = append(told, m[1])
		}
	}
	for _, name := range reads {
		if !slices.Contains(told, name) {
			t.Errorf("the README's table of settings lacks %s", name)
		}
	}
	for _, name := range told {
		if !slices.Contains(reads, name) {
			t.Errorf("the README tells of %s, which the program does not read", name)
		}
	}
}

// TestTheReadmeHasEveryCommand of the terminal, as the usage writes it.
func TestTheReadmeHasEveryCommand(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(usage) {
		words, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if words, ok := strings.CutPrefix(words, "pgupgrade "); ok && !strings.Contains(words, "upgrades") {
			n++
			if !strings.Contains(string(readme), "`pgupgrade "+words+"`") {
				t.Errorf("the README lacks `pgupgrade %s`", words)
			}
		}
	}
	if n != 9 {
		t.Errorf("found %d commands in the usage, want 9", n)
	}
}

// cannotBeWrong are the settings that any value suits, with what a test shows of
// them instead.
var cannotBeWrong = map[string]string{
	"SLACK_API_URL": "every test of the program points it at the stand-in",
	"PGUPGRADE_LOG": "anything but debug is info",
}

// TestEverySettingIsRefusedWhenItIsWrong: each row of the README's table of settings
// has a row in TestRefusals, or can hold anything.
func TestEverySettingIsRefusedWhenItIsWrong(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, tt := range wrong {
		for name := range tt.change {
			tried[name] = true
		}
	}
	_, settings, _ := strings.Cut(string(readme), "## Settings")
	settings, _, _ = strings.Cut(settings, "\n## ")
	n := 0
	for line := range strings.Lines(settings) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([A-Z_]+)`").FindAllStringSubmatch(first, -1) {
			n++
			if !tried[m[1]] && cannotBeWrong[m[1]] == "" {
				t.Errorf("no test gives %s a wrong value", m[1])
			}
		}
	}
	if n < 15 {
		t.Errorf("found %d settings", n)
	}
}
