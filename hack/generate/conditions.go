package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

const conditionsSource = "api/v1alpha1/conditions.go"

const conditionsIntro = `# Conditions and their reasons

Made from ` + conditionsSource + ` by "make generate": change the comments there.

Condition types and reasons are API: scripts and alerts may rely on them. A
condition's *message* is for people, names cause and remedy, and may change.
`

// conditionGroup is one const block: a heading and its constants.
type conditionGroup struct {
	heading string
	rows    []conditionRow
}

// conditionRow is one constant: its value and what its comment says of it.
type conditionRow struct{ value, meaning string }

// writeConditions writes docs/conditions.md from the constants' comments.
func writeConditions(root string) error {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, conditionsSource), nil, parser.ParseComments)
	if err != nil {
		return err
	}
	groups, err := conditionGroups(file)
	if err != nil {
		return fmt.Errorf("%s: %w", conditionsSource, err)
	}
	return writeFile(filepath.Join(root, "docs/conditions.md"), []byte(formatConditions(groups)))
}

func conditionGroups(file *ast.File) ([]conditionGroup, error) {
	var groups []conditionGroup
	for _, decl := range file.Decls {
		block, ok := decl.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		group := conditionGroup{heading: strings.TrimSuffix(oneLine(block.Doc.Text()), ".")}
		for _, spec := range block.Specs {
			row, err := newConditionRow(spec.(*ast.ValueSpec))
			if err != nil {
				return nil, err
			}
			group.rows = append(group.rows, row)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// newConditionRow takes the constant's name off its comment: "ReasonX surfaces
// when …" becomes "Surfaces when …".
func newConditionRow(spec *ast.ValueSpec) (conditionRow, error) {
	name := spec.Names[0].Name
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		return conditionRow{}, fmt.Errorf("%s is not a string literal", name)
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return conditionRow{}, fmt.Errorf("%s: %w", name, err)
	}
	meaning, found := strings.CutPrefix(oneLine(spec.Doc.Text()), name+" ")
	if !found || meaning == "" {
		return conditionRow{}, fmt.Errorf("the comment of %s must begin with its name and say when it surfaces", name)
	}
	return conditionRow{value: value, meaning: strings.ToUpper(meaning[:1]) + meaning[1:]}, nil
}

func formatConditions(groups []conditionGroup) string {
	var out strings.Builder
	out.WriteString(conditionsIntro)
	for _, group := range groups {
		fmt.Fprintf(&out, "\n## %s\n\n| Value | Meaning |\n|---|---|\n", group.heading)
		for _, row := range group.rows {
			fmt.Fprintf(&out, "| `%s` | %s |\n", row.value, cell(row.meaning))
		}
	}
	return out.String()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
