package failures

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const root = "../.."

func rows(t *testing.T) []Row {
	t.Helper()
	rows, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRowsAreWhole(t *testing.T) {
	all := rows(t)
	if len(all) != 49 {
		t.Errorf("%d rows, want 49", len(all))
	}
	for i, r := range all {
		if want := fmt.Sprintf("F%02d", i+1); r.ID != want {
			t.Errorf("row %d is %s, want %s", i, r.ID, want)
		}
		if !slices.Contains([]Kind{Fault, Feature, Advice}, r.Kind) || r.Field == "" || r.Does == "" {
			t.Errorf("%s is not whole: %+v", r.ID, r)
		}
	}
}

// TestPromisesAreWhole: what a test is to check must be said, and in bounds.
func TestPromisesAreWhole(t *testing.T) {
	for _, r := range rows(t) {
		if r.Promise == nil {
			continue
		}
		for _, complaint := range complaints(r.Kind, r.Promise) {
			t.Errorf("%s %s", r.ID, complaint)
		}
	}
}

// longest is the most that a fault may take to be detected or healed.
const longest = time.Minute

func complaints(kind Kind, p *Promise) []string {
	var out []string
	need := func(ok bool, complaint string) {
		if !ok {
			out = append(out, complaint)
		}
	}
	if kind == Fault {
		need(p.Injected != "", "does not say how it is injected")
		need(tellsOnce(p), "names not just one of: condition and reason, Event, refusals; with the kind of the object")
		need(p.Detected.Duration > 0 && p.Detected.Duration <= longest, "has no limit of detection, or too long a one")
		need(p.Healed.Duration > 0 && p.Healed.Duration <= longest, "has no limit of healing, or too long a one")
		return out
	}
	need(len(p.Tiers) > 0, "does not say what it is used on")
	return out
}

// tellsOnce: refusals are of no object, conditions and Events are.
func tellsOnce(p *Promise) bool {
	switch {
	case p.Condition != "":
		return p.On != "" && p.Reason != "" && p.Event == "" && len(p.Refusals) == 0
	case p.Event != "":
		return p.On != "" && len(p.Refusals) == 0
	}
	return p.On == "" && len(p.Refusals) > 0
}

// TestEachProofIsATestAndEachTestAProof compares the catalogue with the tests whose
// names begin with a row's.
func TestEachProofIsATestAndEachTestAProof(t *testing.T) {
	var claimed []string
	for _, r := range rows(t) {
		if r.Promise == nil {
			continue
		}
		if _, name, _ := strings.Cut(r.Promise.Test, ":"); !strings.HasPrefix(name, "Test"+r.ID) {
			t.Errorf("%s is proved by %s, whose name does not begin with Test%s", r.ID, r.Promise.Test, r.ID)
		}
		claimed = append(claimed, r.Promise.Test)
	}
	there := rowTests(t)
	for _, test := range claimed {
		if !slices.Contains(there, test) {
			t.Errorf("the catalogue names %s, which does not exist", test)
		}
	}
	for _, test := range there {
		if !slices.Contains(claimed, test) {
			t.Errorf("%s is not in the catalogue", test)
		}
	}
}

var rowTest = regexp.MustCompile(`^TestF\d\d`)

// rowTests lists the tests of rows in test/, in the form of Promise.Test.
func rowTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "test", "*", "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var tests []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && rowTest.MatchString(f.Name.Name) {
				dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), root+"/")
				tests = append(tests, path.Join(dir)+":"+f.Name.Name)
			}
		}
	}
	return tests
}

// TestFiguresKeepTheirPromises: figures are of rows that have a proof, and within its limits.
func TestFiguresKeepTheirPromises(t *testing.T) {
	figures, err := Figures()
	if err != nil {
		t.Fatal(err)
	}
	for id, figure := range figures {
		row, err := Find(id)
		if err != nil {
			t.Error(err)
			continue
		}
		if figure.Detected > seconds(row.Promise.Detected.Duration) || figure.Healed > seconds(row.Promise.Healed.Duration) {
			t.Errorf("%s: %+v is more than is promised", id, figure)
		}
	}
}
