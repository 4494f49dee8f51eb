package racredential

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// maxDistrusted is how many fingerprints the status has room for.
const maxDistrusted = 64

// distrust is what is never used again.
type distrust struct {
	// effective is all of it: what was recorded, and what the annotation lists.
	effective []string
	// recorded is what goes into the status: nothing that was there ever leaves it.
	recorded []string
	// problem says what could not be recorded and what to do; "" for nothing.
	problem string
}

// distrustOf reads the annotation. What the status has no room for is obeyed all the
// same, for as long as the annotation lists it.
func distrustOf(rc *v1alpha1.RACredential) distrust {
	d := distrust{effective: slices.Clone(rc.Status.Distrusted), recorded: slices.Clone(rc.Status.Distrusted)}
	for _, entry := range strings.FieldsFunc(rc.Annotations[v1alpha1.AnnotationDistrust], func(r rune) bool { return r == ',' }) {
		print, ok := fingerprint(entry)
		switch {
		case !ok:
			d.problem = fmt.Sprintf("annotation %s: %.80q is no SHA-256 fingerprint (64 hexadecimal digits) and distrusts nothing: correct it",
				v1alpha1.AnnotationDistrust, strings.TrimSpace(entry))
		case slices.Contains(d.effective, print):
		case len(d.recorded) < maxDistrusted:
			d.effective, d.recorded = append(d.effective, print), append(d.recorded, print)
		default:
			d.effective = append(d.effective, print)
			d.problem = fmt.Sprintf("status.distrusted is full with %d fingerprints: what annotation %s lists beyond them is obeyed only while it is there, so leave it there, and make another RACredential in place of this one",
				maxDistrusted, v1alpha1.AnnotationDistrust)
		}
	}
	return d
}

// fingerprint brings a fingerprint, as tools write it, into the form of the status.
func fingerprint(in string) (string, bool) {
	out := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(in), ":", ""))
	raw, err := hex.DecodeString(out)
	return out, err == nil && len(raw) == 32
}
