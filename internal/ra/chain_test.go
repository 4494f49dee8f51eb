package ra_test

import (
	"crypto/x509"
	"slices"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
)

// GetCACert and the answer to an enrolment hold the CA certificates that the
// endpoint's devices want there.
func TestChainsAsDevicesWantThem(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		chain          v1alpha1.CAChain
		reply          v1alpha1.ReplyChain
		shown, replied []string
	}{
		"left out":                {"", "", []string{issuingCA, rootCA}, nil},
		"everything, and alone":   {v1alpha1.CAChainFull, v1alpha1.ReplyChainOmit, []string{issuingCA, rootCA}, nil},
		"the issuer, and alone":   {v1alpha1.CAChainIssuer, v1alpha1.ReplyChainOmit, []string{issuingCA}, nil},
		"everything in the reply": {v1alpha1.CAChainFull, v1alpha1.ReplyChainInclude, []string{issuingCA, rootCA}, []string{issuingCA, rootCA}},
		"the issuer in the reply": {v1alpha1.CAChainIssuer, v1alpha1.ReplyChainInclude, []string{issuingCA}, []string{issuingCA}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := ratest.NewCluster(t)
			files := ratest.NewFiles(t, cluster)
			files.Config.CAChain, files.Config.ReplyChain = tc.chain, tc.reply
			files.WriteConfig()
			server := ratest.NewServer(t, cluster, files)

			ca, err := device(server.URL).GetCACert(limited(t))
			if err != nil {
				t.Fatal(err)
			}
			if got := names(ca.All[2:]); !slices.Equal(got, tc.shown) {
				t.Errorf("GetCACert shows %q after the RA's, want %q", got, tc.shown)
			}
			request := enrolment(t, 1)
			result := enrol(t, server.URL, request)
			wantCertificate(t, result, request.Key)
			if got := names(result.Chain); !slices.Equal(got, tc.replied) {
				t.Errorf("the reply has %q after the certificate, want %q", got, tc.replied)
			}
		})
	}
}

// Common names of the test's CA.
const (
	issuingCA = "Test Issuing CA"
	rootCA    = "Test Root"
)

func names(certificates []*x509.Certificate) []string {
	var names []string
	for _, c := range certificates {
		names = append(names, c.Subject.CommonName)
	}
	return names
}
