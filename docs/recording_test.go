package docs

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/audit/family"
)

var update = flag.Bool("update", false, "write the generated parts of pages anew")

// generated puts a text between the markers of a page, or wants it there.
func generated(t *testing.T, page, part, text string) {
	t.Helper()
	begin, end := "<!-- begin "+part+" -->\n\n", "\n<!-- end "+part+" -->"
	have := read(t, page)
	before, rest, found := strings.Cut(have, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no part %q", page, part)
	}
	want := before + begin + text + end + after
	if have == want {
		return
	}
	if !*update {
		t.Errorf("%s: part %q is not as the code says: run this test with -update", page, part)
		return
	}
	if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEachAuditCodeIsDescribed(t *testing.T) {
	var out strings.Builder
	out.WriteString("| Code | Level | Message | When | NDES event |\n|---|---|---|---|---|\n")
	for _, e := range audit.Events() {
		ndes := "-"
		if e.NDES != 0 {
			ndes = fmt.Sprint(e.NDES)
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", string(e.Code), e.Level, e.Text, e.When, ndes)
	}
	generated(t, "audit.md", "codes", out.String())
}

func TestEachFamilyIsDescribed(t *testing.T) {
	var out strings.Builder
	out.WriteString("| Family | Known by | Source |\n|---|---|---|\n")
	for _, row := range family.Table() {
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", row.Family, row.KnownBy, row.Source)
	}
	generated(t, "audit.md", "families", out.String())
}

var (
	metricName = regexp.MustCompile(`"(scepter_[a-z_]+)"`)
	metricRow  = regexp.MustCompile("(?m)^\\| `(scepter_[a-z_]+)` \\| \\S")
)

// TestEachMetricIsDescribed compares the names in the code with the page, both ways.
func TestEachMetricIsDescribed(t *testing.T) {
	var named []string
	for _, root := range []string{"../internal", "../controllers", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				named = append(named, submatches(metricName, read(t, path))...)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(named)
	described := submatches(metricRow, read(t, "metrics.md"))
	slices.Sort(described)
	if named = slices.Compact(named); !slices.Equal(named, described) || len(named) < 10 {
		t.Errorf("the code has\n  %s\nmetrics.md has\n  %s", strings.Join(named, "\n  "), strings.Join(described, "\n  "))
	}
}
