package policy

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// JudgeRenewal decides whether a certificate may authenticate a CSR in place of
// a challenge: the certificate itself must be one that the template grants, and
// the CSR must ask for the same names. Chain, validity and window are the
// caller's. Its error is a *refusal.Error.
func (p *Policy) JudgeRenewal(signer *x509.Certificate, csr *x509.CertificateRequest) error {
	have, err := readCertificate(signer)
	if err != nil {
		return unfit("it cannot be read").Because(err)
	}
	if err := p.judgeSigner(have); err != nil {
		return err
	}
	want, err := readRequest(csr)
	if err != nil {
		return err
	}
	if !sameNames(have, want) {
		return refusal.New(refusal.NamesDiffer, "renewal refused: the request does not have the names of the certificate that signs it")
	}
	return nil
}

// judgeSigner demands the purposes of the template, so that a certificate that
// the same CA made for something else does not count.
func (p *Policy) judgeSigner(c *content) error {
	if c.isCA {
		return unfit("it is a CA certificate")
	}
	if err := p.allowUsages(c); err != nil {
		return unfit("its usages are not the template's").Because(err)
	}
	if err := p.demandPurposes(c); err != nil {
		return err
	}
	if err := p.judgeNames(c); err != nil {
		return unfit("its names are not the template's").Because(err)
	}
	return nil
}

func (p *Policy) demandPurposes(c *content) error {
	wanted := purposes(p.spec.Usages)
	if slices.Contains(wanted, certmanagerv1.UsageClientAuth) {
		wanted = []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth}
	}
	has := func(u certmanagerv1.KeyUsage) bool { return slices.Contains(c.usages(), u) }
	if len(wanted) > 0 && !slices.ContainsFunc(wanted, has) {
		return unfit("it lacks the usage " + joinUsages(wanted))
	}
	return nil
}

func unfit(why string) *refusal.Error {
	return refusal.New(refusal.SignerUnfit, "renewal refused: the certificate that signs it does not fit the template: %s", why)
}

// sameNames compares by value: encodings of the same text may differ.
func sameNames(a, b *content) bool {
	return slices.Equal(a.subject, b.subject) && slices.Equal(sortedNames(a.sans), sortedNames(b.sans))
}

func sortedNames(names []generalName) []generalName {
	out := slices.Clone(names)
	for i, n := range out {
		if n.kind == dnsName {
			out[i].value = strings.ToLower(n.value)
		}
	}
	slices.SortFunc(out, func(a, b generalName) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return strings.Compare(a.value, b.value)
	})
	return out
}

// CheckIssued compares what an issuer made with what was asked: the key, the
// subject, no further names, no further usages, and no CA. An issuer may leave
// things out. Its error is a *refusal.Error.
func CheckIssued(cert *x509.Certificate, csr *x509.CertificateRequest, usages []certmanagerv1.KeyUsage) error {
	got, err := readCertificate(cert)
	if err != nil {
		return mismatch("it cannot be read").Because(err)
	}
	want, err := readRequest(csr)
	if err != nil {
		return err
	}
	switch {
	case !bytes.Equal(cert.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo):
		return mismatch("another key")
	case got.isCA:
		return mismatch("a CA certificate")
	case !slices.Equal(got.subject, want.subject):
		return mismatch("another subject")
	case !subset(sortedNames(got.sans), sortedNames(want.sans)):
		return mismatch("further alternative names")
	case !got.usagesWithin(usages):
		return mismatch("further usages")
	}
	return nil
}

func mismatch(what string) *refusal.Error {
	return refusal.New(refusal.IssuedMismatch, "the issuer made a certificate other than requested: %s", what)
}

func (c *content) usagesWithin(usages []certmanagerv1.KeyUsage) bool {
	unknown := slices.ContainsFunc(c.extKeyUsages, func(u extKeyUsage) bool { return u.name == "" })
	return !unknown && subset(c.usages(), usages)
}

func subset[T comparable](part, whole []T) bool {
	return !slices.ContainsFunc(part, func(one T) bool { return !slices.Contains(whole, one) })
}
