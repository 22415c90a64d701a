package main

import (
	"flag"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

func stringReader(s string) io.Reader { return strings.NewReader(s) }

// Each scenario holds on either, unless it says that it needs the model.
var scenariosOn = flag.String("postgres", "off", "what holds the databases in TestScenarios: off, or require for real clusters")

// TestScenarios plays every scenario that is shipped.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			lines, err := readScenario(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := begin(t, func(o *options) { o.play, o.postgres = file, *scenariosOn }).play(t.Context(), lines, &out); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}

// TestScenariosCanFail: a line that does not come fails the play, and a line
// that is none is refused before anything starts.
func TestScenariosCanFail(t *testing.T) {
	for name, text := range map[string]string{
		"unknown form":   "dave: /pgupgrade start orders",
		"not a sentence": "orders is upgraded",
		"nothing":        "# only words\n",
	} {
		if _, err := parseScenario(strings.NewReader(text)); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"Writers stopped: no dyno runs", "Writers ... no dyno", true},
		{"Writers stopped: no dyno runs", "no dyno ... Writers", false},
		{"abc", "abcd", false},
	} {
		if got := holds(c.text, c.pattern); got != c.want {
			t.Errorf("holds(%q, %q) = %v", c.text, c.pattern, got)
		}
	}
}
