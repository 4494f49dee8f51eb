package conformance

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// page is the document that tells what is seen here.
const page = "../../docs/interop.md"

// A part of the page stands between two comments, and is written by "-update".
const (
	partBegin = "<!-- begin %s: what test/conformance saw; its flag -update writes this -->\n"
	partEnd   = "<!-- end %s -->\n"
)

// fill puts the parts, by name, into the page.
func fill(t *testing.T, parts map[string]string) []byte {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, part := range parts {
		before, rest, foundBegin := strings.Cut(text, fmt.Sprintf(partBegin, name))
		_, after, foundEnd := strings.Cut(rest, fmt.Sprintf(partEnd, name))
		if !foundBegin || !foundEnd {
			t.Fatalf("%s has no place for %s", page, name)
		}
		text = before + fmt.Sprintf(partBegin, name) + "\n" + part + "\n" + fmt.Sprintf(partEnd, name) + after
	}
	return []byte(text)
}

// table is one in Markdown.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(header)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

// String lists the algorithms as an endpoint names them.
func (l legacy) String() string {
	if len(l) == 0 {
		return "-"
	}
	words := make([]string, len(l))
	for i, a := range l {
		words[i] = "`" + string(a) + "`"
	}
	return strings.Join(words, ", ")
}
