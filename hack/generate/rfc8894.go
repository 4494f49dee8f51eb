package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/scepter-pki/scepter/internal/scep/rfc8894"
)

const requirementsDir = "internal/scep/rfc8894"

const requirementsIntro = `# RFC 8894, row by row

Made from ` + requirementsDir + ` by "make generate": change the rows there.

What RFC 8894 demands of a registration authority and of a client, in few words
of our own; where they differ from the RFC it is the RFC that is right. *Client*
is the one in ` + "`internal/scep`" + `, which probes and tests use. A strength of *fact* is
a plain statement that an implementation has to match, *lower case* a must,
should or may in small letters.

Every row that there is something to do about is tried by "go test": by a case of
its own, or by the tests it names.
`

// writeRequirements writes docs/rfc8894.md from the table in package rfc8894.
func writeRequirements(root string) error {
	cases, err := requirementCases(filepath.Join(root, requirementsDir))
	if err != nil {
		return err
	}
	page := requirementsPage{cases: cases}
	return writeFile(filepath.Join(root, "docs/rfc8894.md"), []byte(page.format(rfc8894.Chapters())))
}

// requirementCases finds the test file that has the case of each row: the cases
// are maps, by ID.
func requirementCases(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	cases := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, id := range mapKeys(parsed) {
			cases[id] = path.Join(requirementsDir, filepath.Base(file))
		}
	}
	return cases, nil
}

// mapKeys are the keys of the maps with string keys that a file declares.
func mapKeys(file *ast.File) []string {
	var keys []string
	for _, declaration := range file.Decls {
		block, ok := declaration.(*ast.GenDecl)
		if !ok || block.Tok != token.VAR {
			continue
		}
		for _, spec := range block.Specs {
			for _, value := range spec.(*ast.ValueSpec).Values {
				keys = append(keys, literalKeys(value)...)
			}
		}
	}
	return keys
}

func literalKeys(value ast.Expr) []string {
	literal, ok := value.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var keys []string
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := pair.Key.(*ast.BasicLit); ok && key.Kind == token.STRING {
			if unquoted, err := strconv.Unquote(key.Value); err == nil {
				keys = append(keys, unquoted)
			}
		}
	}
	return keys
}

type requirementsPage struct {
	cases map[string]string // the test file of each row's case
}

func (p requirementsPage) format(chapters []rfc8894.Chapter) string {
	var out strings.Builder
	out.WriteString(requirementsIntro)
	out.WriteString(summary(chapters))
	out.WriteString(deviations(chapters))
	for _, chapter := range chapters {
		fmt.Fprintf(&out, "\n## %s\n\n", chapter.Title)
		out.WriteString("| Id | Section | Binds | Strength | Requirement | Done in | Tried by |\n|---|---|---|---|---|---|---|\n")
		for i := range chapter.Rows {
			out.WriteString(p.row(&chapter.Rows[i]))
		}
	}
	return out.String()
}

// summary counts the rows by what became of them.
func summary(chapters []rfc8894.Chapter) string {
	rows, became := 0, map[rfc8894.Status]int{}
	for _, chapter := range chapters {
		for _, r := range chapter.Rows {
			rows++
			became[r.Status]++
		}
	}
	return fmt.Sprintf("\nOf %d rows %d are met, %d deviate, %d are not applicable and %d only documented.\n",
		rows, became[rfc8894.Met], became[rfc8894.Deviates], became[rfc8894.NotApplicable], became[rfc8894.DocumentedOnly])
}

// deviations lists what is done otherwise, with the reasons.
func deviations(chapters []rfc8894.Chapter) string {
	var out strings.Builder
	out.WriteString("\n## Deviations\n\n| Id | Strength | Requirement | What is done, and why |\n|---|---|---|---|\n")
	for _, chapter := range chapters {
		for _, r := range chapter.Rows {
			if r.Status == rfc8894.Deviates {
				fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", r.ID, r.Strength, cell(r.Text), cell(r.Note))
			}
		}
	}
	return out.String()
}

func (p requirementsPage) row(r *rfc8894.Requirement) string {
	text := sentence(r.Text)
	if r.Status != rfc8894.Met {
		text += " **" + strings.ToUpper(string(r.Status[:1])) + string(r.Status[1:]) + ".**"
	}
	if r.Note != "" {
		text += " *" + sentence(r.Note) + "*"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n",
		r.ID, r.Section, r.Binds, r.Strength, text, p.places(r.Where), p.proof(r))
}

// places links to the files, which are named from internal/scep.
func (p requirementsPage) places(where []string) string {
	links := make([]string, len(where))
	for i, place := range where {
		file, name, _ := strings.Cut(place, ":")
		file = path.Join("internal/scep", file)
		links[i] = fmt.Sprintf("[%s](../%s) `%s`", strings.TrimPrefix(file, "internal/"), file, name)
	}
	return strings.Join(links, ", ")
}

// proof names the tests of a row.
func (p requirementsPage) proof(r *rfc8894.Requirement) string {
	var tests []string
	if file, ok := p.cases[r.ID]; ok {
		tests = append(tests, fmt.Sprintf("[its case](../%s)", file))
	}
	for _, test := range r.Tests {
		dir, name, _ := strings.Cut(test, ":")
		tests = append(tests, fmt.Sprintf("[%s](../%s) `%s`", strings.TrimPrefix(dir, "internal/"), dir, name))
	}
	return strings.Join(tests, ", ")
}

// sentence is cell with a full stop, unless it is a question.
func sentence(text string) string {
	if strings.HasSuffix(text, "?") {
		return cell(text)
	}
	return cell(text) + "."
}

// cell is text for a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
