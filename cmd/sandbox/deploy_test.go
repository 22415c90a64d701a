package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inserted is a step that no release has, put between the look at the app and
// the soak by editing the source as a developer would.
var inserted = []struct{ file, old, new string }{
	{"ops/step.go", "\tStepSoak           Step = \"soak\"\n", "\tStepSoak           Step = \"soak\"\n\tStepRest           Step = \"rest\"\n"},
	{"ops/step.go", "StepVerifyApp, StepSoak,", "StepVerifyApp, StepRest, StepSoak,"},
	{"ops/upgrade/next.go", "\tops.StepSoak:           soak,\n", "\tops.StepSoak:           soak,\n\tops.StepRest:           rest,\n"},
	{"ops/upgrade/step_after.go", `t.to(ops.StepSoak, "%s", map[bool]string`, `t.to(ops.StepRest, "%s", map[bool]string`},
	{"ops/upgrade/step_after.go", "\nfunc soak(t *turn)", "\nfunc rest(t *turn) {\n\tt.say(ops.EventNote, \"Rested, as the new release does.\")\n\tt.to(ops.StepSoak, \"rested\")\n}\n\nfunc soak(t *turn)"},
}

// TestADeployInTheMiddle continues a waiting run with a build of the program
// that has one step more.
func TestADeployInTheMiddle(t *testing.T) {
	t.Parallel()
	newer := buildNewer(t)
	s := begin(t)
	p := newPlayer(t, s)
	s.says(t, p, `
		ana: /pgupgrade start orders
		pgupgrade: May the cutover begin`)
	if err := s.bot.replace(newer); err != nil {
		t.Fatal(err)
	}
	s.says(t, p, `
		ben presses Approve cutover
		pgupgrade: Downtime
		ana presses App looks good
		pgupgrade: Rested, as the new release does.
		pgupgrade: is safe to destroy
		ben presses Destroy…
		ben fills in orders
		pgupgrade: Upgrade of orders is done`)
	effects(t, s)
	posts(t, s)
}

// buildNewer builds the program with the inserted step, from a copy of the
// files that it touches.
func buildNewer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	texts, replace := map[string]string{}, map[string]string{}
	for _, c := range inserted {
		if texts[c.file] == "" {
			b, err := os.ReadFile(filepath.Join(root, c.file))
			if err != nil {
				t.Fatal(err)
			}
			texts[c.file] = string(b)
		}
		if strings.Count(texts[c.file], c.old) != 1 {
			t.Fatalf("%s no longer holds exactly one %q", c.file, c.old)
		}
		texts[c.file] = strings.Replace(texts[c.file], c.old, c.new, 1)
	}
	for file, text := range texts {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, file)] = copied
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "pgupgrade")
	if b, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", path, "-o", out, "github.com/pgupgrade/pgupgrade/cmd/pgupgrade").CombinedOutput(); err != nil {
		t.Fatalf("build the newer program: %v\n%s", err, b)
	}
	return out
}
