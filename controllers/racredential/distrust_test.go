package racredential

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func TestDistrustOf(t *testing.T) {
	print := func(i int) string { return fmt.Sprintf("%064x", i) }
	prints := func(n int) []string {
		var out []string
		for i := range n {
			out = append(out, print(i))
		}
		return out
	}
	colons := "AB:" + strings.Repeat("CD:", 30) + "EF"
	for name, tc := range map[string]struct {
		before     []string
		annotation string
		recorded   []string
		effective  int
		says       string
	}{
		"nothing":              {nil, "", nil, 0, ""},
		"two":                  {nil, print(1) + ", " + print(2), []string{print(1), print(2)}, 2, ""},
		"one again":            {[]string{print(1)}, print(1), []string{print(1)}, 1, ""},
		"the annotation went":  {[]string{print(1)}, "", []string{print(1)}, 1, ""},
		"as OpenSSL prints it": {nil, colons, []string{"ab" + strings.Repeat("cd", 30) + "ef"}, 1, ""},
		"a SHA-1":              {nil, strings.Repeat("ab", 20) + "," + print(1), []string{print(1)}, 1, "is no SHA-256 fingerprint"},
		"no hexadecimal":       {nil, "the old one", nil, 0, `"the old one" is no SHA-256 fingerprint`},
		"the last that fits":   {prints(63), print(63), prints(64), 64, ""},
		"one too many":         {prints(64), print(64), prints(64), 65, "is full with 64 fingerprints"},
	} {
		t.Run(name, func(t *testing.T) {
			rc := credential()
			rc.Annotations = map[string]string{v1alpha1.AnnotationDistrust: tc.annotation}
			rc.Status.Distrusted = tc.before
			got := distrustOf(rc)
			if diff := cmp.Diff(tc.recorded, got.recorded); diff != "" {
				t.Errorf("recorded: %s", diff)
			}
			if len(got.effective) != tc.effective {
				t.Errorf("%d are distrusted: %v", len(got.effective), got.effective)
			}
			if !strings.Contains(got.problem, tc.says) || (tc.says == "") != (got.problem == "") {
				t.Errorf("problem: %q", got.problem)
			}
		})
	}
}
