package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stateWrites are the methods that change rows; each one's last result is an error.
var stateWrites = []string{
	"CreateRun", "Save", "BeginAct", "EndAct", "Decide", "Audit", "AddSample", "SetSetting", "IntendMessage", "SaveMessage", "FirstTime", "Fire", "Beat",
	"Acquire", "Release",
}

// TestNoErrorOfAStateWriteIsDropped looks at every call of the product, tests aside.
func TestNoErrorOfAStateWriteIsDropped(t *testing.T) {
	calls := 0
	for _, dir := range []string{"../../ops", "../../bot", "."} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok && isStateWrite(c) {
					calls++
				}
				if dropped(n) {
					t.Errorf("%s: the error of a state write is dropped", files.Position(n.Pos()))
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if calls < 20 {
		t.Errorf("found only %d state writes; this test looks at the wrong names", calls)
	}
}

func isStateWrite(e ast.Expr) bool {
	c, ok := e.(*ast.CallExpr)
	if !ok || len(c.Args) == 0 {
		return false
	}
	s, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains(stateWrites, s.Sel.Name) {
		return false
	}
	first, ok := c.Args[0].(*ast.Ident) // a context, unlike that of a connection's Release
	return ok && first.Name != ""
}

// dropped reports whether a statement throws the error of a state write away.
func dropped(n ast.Node) bool {
	switch s := n.(type) {
	case *ast.ExprStmt:
		return isStateWrite(s.X)
	case *ast.DeferStmt:
		return isStateWrite(s.Call)
	case *ast.GoStmt:
		return isStateWrite(s.Call)
	case *ast.AssignStmt:
		if len(s.Rhs) != 1 || !isStateWrite(s.Rhs[0]) {
			return false
		}
		last, ok := s.Lhs[len(s.Lhs)-1].(*ast.Ident)
		return ok && last.Name == "_"
	}
	return false
}

// TestADroppedErrorIsSeen: the look finds what it looks for.
func TestADroppedErrorIsSeen(t *testing.T) {
	for source, want := range map[string]bool{
		"rows.Save(ctx, r, nil)": true, "_, _ = rows.Save(ctx, r, nil)": true, "defer rows.Release(ctx, a, b)": true, "go rows.Beat(ctx, a, b)": true,
		"_, err := rows.Save(ctx, r, nil)": false, "return rows.EndAct(ctx, a)": false, "conn.Release()": false, "rows.Run(ctx, id)": false,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() error {\n"+source+"\n}", 0)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		ast.Inspect(f, func(n ast.Node) bool { got = got || dropped(n); return true })
		if got != want {
			t.Errorf("%s: %v, want %v", source, got, want)
		}
	}
}
