package policy

import (
	"crypto/x509"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

func TestSignatureDigests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		allowed   []v1alpha1.SignatureDigest
		algorithm x509.SignatureAlgorithm
		text      string // "": allowed
	}{
		"by default SHA-256":       {nil, x509.SHA256WithRSA, ""},
		"by default SHA-512, PSS":  {nil, x509.SHA512WithRSAPSS, ""},
		"by default SHA-384, EC":   {nil, x509.ECDSAWithSHA384, ""},
		"by default no SHA-1":      {nil, x509.SHA1WithRSA, "signature by SHA1-RSA refused: allowed is SHA-256, SHA-384, SHA-512"},
		"SHA-1 where it is listed": {[]v1alpha1.SignatureDigest{v1alpha1.DigestSHA1}, x509.ECDSAWithSHA1, ""},
		"SHA-256 where it is not":  {[]v1alpha1.SignatureDigest{v1alpha1.DigestSHA384}, x509.SHA256WithRSA, "signature by SHA256-RSA refused: allowed is SHA-384"},
		"MD5":                      {nil, x509.MD5WithRSA, "signature by MD5-RSA refused: allowed is SHA-256, SHA-384, SHA-512"},
		"no algorithm at all":      {nil, x509.UnknownSignatureAlgorithm, "signature by 0 refused: allowed is SHA-256, SHA-384, SHA-512"},
	} {
		spec := template()
		spec.SignatureDigests = tc.allowed
		csr := allowedWish().csr(t)
		csr.SignatureAlgorithm = tc.algorithm
		_, err := compile(t, spec).Judge(csr, Context{})
		got, refused := refusal.As(err)
		if refused != (tc.text != "") || refused && (got.Reason != refusal.DigestNotAllowed || got.Text != tc.text) {
			t.Errorf("%s: %v, want %q", name, err, tc.text)
		}
	}
}
