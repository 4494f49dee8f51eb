package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestStaleFiles(t *testing.T) {
	before := map[string][]byte{"same": []byte("1"), "changed": []byte("1"), "gone": []byte("1")}
	after := map[string][]byte{"same": []byte("1"), "changed": []byte("2"), "new": []byte("1")}
	if got, want := staleFiles(before, after), []string{"changed", "gone", "new"}; !reflect.DeepEqual(got, want) {
		t.Errorf("stale files are %v, want %v", got, want)
	}
}

func TestCompareNamesTheStaleFile(t *testing.T) {
	have, want := t.TempDir(), t.TempDir()
	for dir, content := range map[string]string{have: "old\n", want: "new\n"} {
		if err := writeFile(filepath.Join(dir, "docs/conditions.md"), []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	err := compare(have, want)
	if err == nil || !strings.Contains(err.Error(), "docs/conditions.md") || !strings.Contains(err.Error(), "make generate") {
		t.Errorf("error does not name file and remedy: %v", err)
	}
	if err := compare(want, want); err != nil {
		t.Errorf("a tree differs from itself: %v", err)
	}
}

func TestCopyTreeLeavesOutTheRepository(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{".git/config", "api/types.go"} {
		if err := writeFile(filepath.Join(from, name), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(to, "api/types.go")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(to, ".git")); err == nil {
		t.Error(".git was copied")
	}
}

func TestSplitDocuments(t *testing.T) {
	got := splitDocuments([]byte("---\na: 1\n---\nb: 2\n---\n"))
	if want := [][]byte{[]byte("a: 1\n"), []byte("b: 2\n")}; !reflect.DeepEqual(got, want) {
		t.Errorf("documents are %q, want %q", got, want)
	}
}

func TestObjectFile(t *testing.T) {
	name, err := objectFile([]byte("kind: ClusterRole\nmetadata: {name: scepter-ra}\n"))
	if err != nil || name != "clusterrole.scepter-ra.yaml" {
		t.Errorf("got %q, %v", name, err)
	}
	if _, err := objectFile([]byte("kind: ClusterRole\n")); err == nil {
		t.Error("an object without name has a file name")
	}
}

func TestClusterRules(t *testing.T) {
	got := clusterRules([]rbacv1.PolicyRule{
		{APIGroups: []string{"cert-manager.io"}, Resources: []string{"clusterissuers", "issuers"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}},
	})
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{"cert-manager.io"}, Resources: []string{"clusterissuers"}, Verbs: []string{"get"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("rules are %v, want %v", got, want)
	}
}

func TestConditionGroups(t *testing.T) {
	tests := map[string]struct{ source, want, err string }{
		"a block": {
			source: "package p\n// Reasons of a thing.\nconst (\n// ReasonX surfaces\n// when | breaks.\nReasonX = \"X\"\n)\n",
			want:   "\n## Reasons of a thing\n\n| Value | Meaning |\n|---|---|\n| `X` | Surfaces when \\| breaks. |\n",
		},
		"no comment":        {source: "package p\nconst (\nReasonX = \"X\"\n)\n", err: "comment of ReasonX"},
		"not a string":      {source: "package p\nconst (\n// ReasonX is.\nReasonX = f\n)\n", err: "not a string literal"},
		"other name in doc": {source: "package p\nconst (\n// ReasonY is.\nReasonX = \"X\"\n)\n", err: "comment of ReasonX"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file, err := parser.ParseFile(token.NewFileSet(), "p.go", test.source, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			groups, err := conditionGroups(file)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error is %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := formatConditions(groups); got != conditionsIntro+test.want {
				t.Errorf("got %q, want %q", got, conditionsIntro+test.want)
			}
		})
	}
}

func TestFormatFields(t *testing.T) {
	const crd = `
spec:
  names: {kind: Thing, singular: thing}
  versions:
  - schema:
      openAPIV3Schema:
        properties:
          spec:
            required: [parts]
            properties:
              mode: {type: string, enum: [A, B], default: A, description: "A | B."}
              empty: {type: object, default: {}, description: Nothing.}
              parts:
                type: array
                description: |-
                  Parts
                  of it.
                items: {type: object, properties: {size: {type: integer, description: In bytes.}}}
              labels: {type: object, description: Labels., additionalProperties: {type: string}}
              resources: {type: object, description: Processor., properties: {limits: {type: object}}}
          status:
            properties:
              ready: {type: boolean, description: Whether it is.}
`
	var object apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal([]byte(crd), &object); err != nil {
		t.Fatal(err)
	}
	const head = "\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n"
	want := fmt.Sprintf(fieldsIntro, "Thing", "thing.md", "thing") + "\n## spec" + head +
		"| `empty` | object |  | Nothing. |\n" +
		"| `labels{}` | string |  | Labels. |\n" +
		"| `mode` | `A`, `B` | `A` | A \\| B. |\n" +
		"| `parts[]` | object | required | Parts of it. |\n" +
		"| `parts[].size` | integer |  | In bytes. |\n" +
		"| `resources` | object |  | Processor. |\n" +
		"\n## status" + head + "| `ready` | boolean |  | Whether it is. |\n"
	if got := formatFields(&object); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
