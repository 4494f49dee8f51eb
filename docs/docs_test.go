// Package docs holds the pages; its tests keep them true.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var (
	requirement   = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)
	dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| \\S")
)

func TestEachDirectDependencyHasALine(t *testing.T) {
	direct := submatches(requirement, read(t, "../go.mod"))
	listed := submatches(dependencyRow, read(t, "dependencies.md"))
	slices.Sort(direct)
	if !slices.Equal(direct, listed) {
		t.Errorf("go.mod requires directly\n  %s\ndependencies.md lists\n  %s", strings.Join(direct, "\n  "), strings.Join(listed, "\n  "))
	}
}

func submatches(pattern *regexp.Regexp, text string) []string {
	var found []string
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, target := range submatches(link, read(t, page)) {
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
			}
		}
	}
}

func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, glob := range []string{"../*.md", "*.md", "*/*.md"} {
		matches, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, matches...)
	}
	if len(found) < 6 {
		t.Fatalf("only %d pages", len(found))
	}
	return found
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestExamplesAreOfTheAPI decodes the YAML on the pages of the kinds; a field
// that does not exist is an error.
func TestExamplesAreOfTheAPI(t *testing.T) {
	kinds := map[string]func() any{
		"scependpoint":        func() any { return &v1alpha1.ScepEndpoint{} },
		"certificatetemplate": func() any { return &v1alpha1.CertificateTemplate{} },
		"racredential":        func() any { return &v1alpha1.RACredential{} },
	}
	for kind, object := range kinds {
		examples := submatches(yamlBlock, read(t, filepath.Join("crds", kind+".md")))
		if len(examples) == 0 {
			t.Errorf("the page of %s has no example", kind)
		}
		for _, example := range examples {
			if err := yaml.UnmarshalStrict([]byte(example), object()); err != nil {
				t.Errorf("%s: %v\n%s", kind, err, example)
			}
		}
	}
}

// TestConditionsAreDescribed looks for each condition that a kind's page names in conditions.md.
func TestConditionsAreDescribed(t *testing.T) {
	described := read(t, "conditions.md")
	row := regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|")
	for _, kind := range []string{"scependpoint", "certificatetemplate", "racredential"} {
		_, conditions, found := strings.Cut(read(t, filepath.Join("crds", kind+".md")), "\n## Conditions\n")
		if !found {
			t.Errorf("the page of %s has no conditions", kind)
		}
		for _, name := range submatches(row, conditions) {
			if !strings.Contains(described, "| `"+name+"` |") {
				t.Errorf("%s: %s is not in conditions.md", kind, name)
			}
		}
	}
}
