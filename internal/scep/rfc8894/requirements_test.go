package rfc8894_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep/rfc8894"
)

// cases holds a case for each row that is proved here, by section of the RFC.
var cases = []map[string]func(*testing.T){
	section2Cases, section3Cases, replyCases, capabilityCases, section4Cases, section7Cases, wireCases, openCases,
}

func caseOf(t *testing.T, id string) func(*testing.T) {
	t.Helper()
	var found func(*testing.T)
	for _, section := range cases {
		c, ok := section[id]
		if ok && found != nil {
			t.Errorf("%s has two cases", id)
		}
		if ok {
			found = c
		}
	}
	return found
}

// Each row is tried.
func TestRequirements(t *testing.T) {
	t.Parallel()
	for _, r := range rfc8894.All() {
		if c := caseOf(t, r.ID); c != nil {
			t.Run(r.ID, func(t *testing.T) {
				t.Parallel()
				c(t)
			})
		}
	}
}

func TestEachCaseHasARow(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{}
	for _, r := range rfc8894.All() {
		rows[r.ID] = true
	}
	for _, section := range cases {
		for id := range section {
			if !rows[id] {
				t.Errorf("%s has a case and no row", id)
			}
		}
	}
}

var rowID = regexp.MustCompile(`^(R[0-9.]+-[0-9]+|W[0-9]+|A[0-9]+)$`)

func TestRowsAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range rfc8894.All() {
		if !rowID.MatchString(r.ID) || seen[r.ID] {
			t.Errorf("%q is no ID, or one that is there already", r.ID)
		}
		seen[r.ID] = true
		if r.Section == "" || r.Binds == "" || r.Strength == "" || r.Text == "" {
			t.Errorf("%s: something is missing", r.ID)
		}
		if section, _, isRequirement := strings.Cut(r.ID[1:], "-"); isRequirement && !strings.HasPrefix(r.Section, section) {
			t.Errorf("%s is said to be of section %s", r.ID, r.Section)
		}
		checkProof(t, r)
	}
}

// checkProof wants a test of what is done, and a reason for what is not.
func checkProof(t *testing.T, r rfc8894.Requirement) {
	t.Helper()
	tested := caseOf(t, r.ID) != nil || len(r.Tests) > 0
	done := r.Status == rfc8894.Met || r.Status == rfc8894.Deviates
	switch {
	case done && !tested:
		t.Errorf("%s: no case and no test", r.ID)
	case !done && tested:
		t.Errorf("%s is %s, and tested all the same", r.ID, r.Status)
	case done && len(r.Where) == 0:
		t.Errorf("%s: where is it done?", r.ID)
	case r.Status != rfc8894.Met && r.Note == "":
		t.Errorf("%s is %q: why?", r.ID, r.Status)
	case r.Strength == rfc8894.Open && r.Note == "":
		t.Errorf("%s: which choice was made?", r.ID)
	}
}

// What the rows point to is there.
func TestPlacesExist(t *testing.T) {
	t.Parallel()
	source := source{}
	for _, r := range rfc8894.All() {
		for _, place := range r.Where {
			file, name, _ := strings.Cut(place, ":")
			if !source.declares(t, filepath.Join("..", file), name) {
				t.Errorf("%s: there is no %s", r.ID, place)
			}
		}
		for _, test := range r.Tests {
			dir, name, _ := strings.Cut(test, ":")
			if !source.declares(t, filepath.Join("../../..", dir, "*_test.go"), name) || !strings.HasPrefix(name, "Test") {
				t.Errorf("%s: there is no test %s", r.ID, test)
			}
		}
	}
}

// source holds the names that Go files declare, by glob.
type source map[string]map[string]bool

// declares says whether one of the files that match has a declaration of that
// name; methods count.
func (s source) declares(t *testing.T, glob, name string) bool {
	t.Helper()
	names, known := s[glob]
	if !known {
		names = declarations(t, glob)
		s[glob] = names
	}
	return names[name]
}

func declarations(t *testing.T, glob string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			addNames(names, d)
		}
	}
	return names
}

func addNames(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		names[d.Name.Name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			addSpec(names, spec)
		}
	}
}

func addSpec(names map[string]bool, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		names[spec.Name.Name] = true
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			names[n.Name] = true
		}
	}
}
