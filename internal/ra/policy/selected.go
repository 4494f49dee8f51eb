package policy

import (
	"bytes"
	"crypto/x509"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// What a template says beside the content of requests.

// Context says to whom the certificates belong; "" where the template does not say it.
func (p *Policy) Context() v1alpha1.CertificateContext { return p.spec.Context }

// MaxPerSubject is how many valid certificates a subject may have; 0 is any number.
func (p *Policy) MaxPerSubject() int {
	if p.spec.MaxPerSubject == nil {
		return 0
	}
	return int(*p.spec.MaxPerSubject)
}

// judgeRenewalKey compares the key of a renewal with that of the certificate that signs it.
func (p *Policy) judgeRenewalKey(signer *x509.Certificate, csr *x509.CertificateRequest) error {
	same := bytes.Equal(signer.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo)
	switch wanted := p.spec.Renewal.Key; {
	case wanted == v1alpha1.RenewalKeyNew && same:
		return refusal.New(refusal.RenewalKeyNotAllowed, "renewal refused: it must be for a new key")
	case wanted == v1alpha1.RenewalKeySame && !same:
		return refusal.New(refusal.RenewalKeyNotAllowed, "renewal refused: it must be for the key of the certificate that signs it")
	default:
		return nil
	}
}
