package policy

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

var defaultDigests = []v1alpha1.SignatureDigest{v1alpha1.DigestSHA256, v1alpha1.DigestSHA384, v1alpha1.DigestSHA512}

// signatureDigests are the digests of signature algorithms that a template can allow.
var signatureDigests = map[x509.SignatureAlgorithm]v1alpha1.SignatureDigest{
	x509.SHA1WithRSA:      v1alpha1.DigestSHA1,
	x509.SHA256WithRSA:    v1alpha1.DigestSHA256,
	x509.SHA384WithRSA:    v1alpha1.DigestSHA384,
	x509.SHA512WithRSA:    v1alpha1.DigestSHA512,
	x509.SHA256WithRSAPSS: v1alpha1.DigestSHA256,
	x509.SHA384WithRSAPSS: v1alpha1.DigestSHA384,
	x509.SHA512WithRSAPSS: v1alpha1.DigestSHA512,
	x509.ECDSAWithSHA1:    v1alpha1.DigestSHA1,
	x509.ECDSAWithSHA256:  v1alpha1.DigestSHA256,
	x509.ECDSAWithSHA384:  v1alpha1.DigestSHA384,
	x509.ECDSAWithSHA512:  v1alpha1.DigestSHA512,
}

// judgeDigest decides on the digest of the request's own signature.
func (p *Policy) judgeDigest(algorithm x509.SignatureAlgorithm) error {
	allowed := p.spec.SignatureDigests
	if len(allowed) == 0 {
		allowed = defaultDigests
	}
	if digest, known := signatureDigests[algorithm]; known && slices.Contains(allowed, digest) {
		return nil
	}
	list := make([]string, len(allowed))
	for i, d := range allowed {
		list[i] = string(d)
	}
	return refusal.New(refusal.DigestNotAllowed, "signature by %s refused: allowed is %s", algorithm, strings.Join(list, ", "))
}
