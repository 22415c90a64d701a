package ops

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestEverySentenceThatRefusesIsARow reads the program: whatever people in Slack
// can run into is refused with a code, each code has a row in Refusals, and each
// row's code is used. cmd/pgupgrade meets every row and writes the README's table.
func TestEverySentenceThatRefusesIsARow(t *testing.T) {
	rows := map[Refusal]int{}
	whens := map[string]bool{}
	for _, r := range Refusals() {
		rows[r.Code]++
		if whens[r.When] {
			t.Errorf("the row %q is there twice", r.When)
		}
		whens[r.When] = true
	}
	names := map[string]Refusal{} // RefusedWord -> "word"
	used := map[string]bool{}
	program(t, "..", func(path string, files *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Refusal" && len(n.Values) == 1 {
					if lit, ok := n.Values[0].(*ast.BasicLit); ok {
						names[n.Names[0].Name] = Refusal(strings.Trim(lit.Value, `"`))
						return false
					}
				}
			case *ast.Ident:
				if strings.HasPrefix(n.Name, "Refused") && !strings.HasSuffix(path, "refusals.go") {
					used[n.Name] = true
				}
			case *ast.CallExpr:
				if called(n) == "Userf" && !fromTerminal(path) {
					t.Errorf("%s: people in Slack run into this; use Refuse, with a row in ops/refusals.go", files.Position(n.Pos()))
				}
			}
			return true
		})
	})
	if len(names) < 40 {
		t.Fatalf("found only %d codes", len(names))
	}
	for name, code := range names {
		if rows[code] == 0 {
			t.Errorf("%s has no row in Refusals", name)
		}
		byCheck := strings.HasPrefix(string(code), "check ") // used through refusedBy
		if !used[name] && !byCheck {
			t.Errorf("nothing is refused with %s", name)
		}
		if byCheck && refusedBy(strings.TrimPrefix(string(code), "check ")) != code {
			t.Errorf("no check is refused as %s", name)
		}
	}
	if len(rows) != len(names) {
		t.Errorf("%d codes have rows, of %d", len(rows), len(names))
	}
}

// program walks the program's own files, without tests and stand-ins.
func program(t *testing.T, root string, visit func(path string, files *token.FileSet, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") || strings.Contains(path, "sandbox") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err == nil {
			visit(path, files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// fromTerminal: what only a terminal or the start of the program says.
func fromTerminal(path string) bool {
	return strings.Contains(path, "cmd/pgupgrade") || strings.HasSuffix(path, "heroku/platform.go")
}
