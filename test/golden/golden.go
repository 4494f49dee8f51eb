// Package golden compares what a test made with a file that is kept beside it.
//
//	golden.Compare(t, "testdata/minimal.out.yaml", got)
//
// The flag -update writes the files anew; then look at the diff.
package golden

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Updating says whether the files are to be written anew.
func Updating() bool { return *update }

// Compare fails the test unless got is what the file holds. The path is
// relative to the test's package.
func Compare(t testing.TB, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (-update writes it)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("not as in %s (-update writes it anew; then look at the diff). Got:\n%s", file, got)
	}
}
