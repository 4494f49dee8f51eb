package policy

import (
	"crypto/x509"
	"slices"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// For returns the policy for an issuance mode; that of Compile is for CertificateRequest.
func (p *Policy) For(mode v1alpha1.IssuanceMode) *Policy {
	other := *p
	other.mode = mode
	return &other
}

// copiedByNobody are purposes that cert-manager has words for which templates do not
// have: it compares them with the words of a CertificateRequest, and copies none.
var copiedByNobody = []x509.ExtKeyUsage{
	x509.ExtKeyUsageAny,
	x509.ExtKeyUsageTimeStamping,
	x509.ExtKeyUsageMicrosoftServerGatedCrypto,
	x509.ExtKeyUsageNetscapeServerGatedCrypto,
}

// ModeProblems says what a template asks for that an issuance mode cannot do, each
// with its remedy; nil if nothing.
func ModeProblems(spec v1alpha1.CertificateTemplateSpec, mode v1alpha1.IssuanceMode) []string {
	var problems []string
	if mode == v1alpha1.IssuanceDirect {
		if spec.MaxPerSubject != nil {
			problems = append(problems, "maxPerSubject needs issuance mode CertificateRequest, for Direct keeps no record of certificates: leave it out")
		}
		return problems
	}
	if spec.Backdate != nil {
		problems = append(problems, "backdate needs issuance mode Direct, for other issuers begin the validity themselves: leave it out")
	}
	for _, u := range copiedByNobody {
		if oid := u.OID().String(); slices.Contains(spec.ExtendedKeyUsages, oid) {
			problems = append(problems, "extendedKeyUsages "+oid+" needs issuance mode Direct, for cert-manager does not copy it from a request: take it out")
		}
	}
	return problems
}
