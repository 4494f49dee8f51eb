package main

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep/rfc8894"
)

func TestMapKeys(t *testing.T) {
	const source = `package p
var cases = map[string]func(){"R1-1": f, "A1": func() { _ = map[string]int{"inner": 1} }}
var other = []string{"no", "keys"}
func f() { _ = map[string]int{"local": 1} }
`
	file, err := parser.ParseFile(token.NewFileSet(), "p_test.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if got := mapKeys(file); !slices.Equal(got, []string{"R1-1", "A1"}) {
		t.Errorf("keys %q", got)
	}
}

func TestRequirementsPage(t *testing.T) {
	page := requirementsPage{cases: map[string]string{"R1-1": "internal/scep/rfc8894/section1_test.go"}}
	got := page.format([]rfc8894.Chapter{{Title: "One", Rows: []rfc8894.Requirement{
		{
			ID: "R1-1", Section: "1", Binds: rfc8894.Server, Strength: rfc8894.Must, Text: "Does a|b",
			Where: []string{"handler.go:run", "../ra/judge.go:judge"}, Tests: []string{"internal/ra:TestEnrol"},
		},
		{
			ID: "R1-2", Section: "1", Binds: rfc8894.Client, Strength: rfc8894.Should, Text: "Does c",
			Status: rfc8894.Deviates, Note: "It does d", Where: []string{"client.go:do"},
		},
	}}})
	for _, want := range []string{
		"\n## Deviations\n\n| Id | Strength | Requirement | What is done, and why |\n|---|---|---|---|\n| R1-2 | SHOULD | Does c | It does d |\n",
		"| R1-1 | 1 | server | MUST | Does a\\|b. | [scep/handler.go](../internal/scep/handler.go) `run`, [ra/judge.go](../internal/ra/judge.go) `judge` |" +
			" [its case](../internal/scep/rfc8894/section1_test.go), [ra](../internal/ra) `TestEnrol` |\n",
		"\nOf 2 rows 1 are met, 1 deviate, 0 are not applicable and 0 only documented.\n",
		"| Does c. **Deviates.** *It does d.* |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// Every row with a case links to it.
func TestRequirementCases(t *testing.T) {
	cases, err := requirementCases("../../" + requirementsDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rfc8894.All() {
		if _, ok := cases[r.ID]; !ok && r.Status == rfc8894.Met && len(r.Tests) == 0 {
			t.Errorf("%s has neither a case nor tests", r.ID)
		}
	}
}
