package ra

import (
	"crypto"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/audit/family"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// TestFamilyOfClient goes through HTTP: what the query says, and what the message adds.
func TestFamilyOfClient(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]family.Family{
		"/scep?operation=GetCACert&message=SCEP%20Authority": family.Apple,
		"/scep?operation=GetCACaps&message=default":          family.Windows,
		"/scep?Operation=getcacert&Message=ca":               family.AndroidJscep,
		"/scep?operation=PKIOperation&message=default":       family.Other,
		"/scep?operation=GetCACert&message=%":                family.Other,
		"/scep?operation=GetCACert":                          family.Other,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		var first, opened client
		handler := identifyClient(func() *reload.Snapshot { return nil }, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			first = clientFrom(r.Context())
			refine(r.Context(), scep.Event{Cipher: cms.DESCBC, Digest: crypto.MD5})
			opened = clientFrom(r.Context())
		}))
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if first.family != want {
			t.Errorf("%s is of %s, want %s", target, first.family, want)
		}
		if want == family.Other && opened.family != family.Cisco {
			t.Errorf("%s is of %s after its message with DES and MD5", target, opened.family)
		}
	}
}

func TestClientUnknown(t *testing.T) {
	t.Parallel()
	refine(t.Context(), scep.Event{}) // as in the self-test, which has no client
	if got := clientFrom(t.Context()).family; got != family.Other {
		t.Errorf("nobody is of %s", got)
	}
}
