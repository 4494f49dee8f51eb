package policy

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// JudgeRenewal decides whether a certificate may authenticate a CSR in place of
// a challenge: the certificate itself must be one that the template grants, and
// the CSR must ask for the same names, for a key that the template wants. Chain, validity and window are the
// caller's. Its error is a *refusal.Error.
func (p *Policy) JudgeRenewal(signer *x509.Certificate, csr *x509.CertificateRequest) error {
	if probemark.IsCanary(signer) {
		return unfit("it is a canary's")
	}
	have, err := readCertificate(signer)
	if err != nil {
		return unfit("it cannot be read").Because(err)
	}
	if err := p.judgeSigner(have); err != nil {
		return err
	}
	want, err := p.read(csr)
	if err != nil {
		return err
	}
	if !sameNames(have, want) {
		return refusal.New(refusal.NamesDiffer, "renewal refused: the request does not have the names of the certificate that signs it")
	}
	return p.judgeRenewalKey(signer, csr)
}

// judgeSigner demands the purposes of the template, so that a certificate that
// the same CA made for something else does not count.
func (p *Policy) judgeSigner(c *content) error {
	if c.isCA {
		return unfit("it is a CA certificate")
	}
	if c.sid {
		return unfit("it holds a Microsoft SID")
	}
	usages := p.usagesOf(c.publicKey)
	if err := p.allowUsages(c, usages); err != nil {
		return unfit("its usages are not the template's").Because(err)
	}
	if err := p.demandPurposes(c, usages); err != nil {
		return err
	}
	if err := p.judgeNames(c); err != nil {
		return unfit("its names are not the template's").Because(err)
	}
	return nil
}

func (p *Policy) demandPurposes(c *content, usages []certmanagerv1.KeyUsage) error {
	wanted := purposes(usages)
	if slices.Contains(wanted, certmanagerv1.UsageClientAuth) {
		wanted = []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth}
	}
	has := func(u certmanagerv1.KeyUsage) bool { return slices.Contains(c.usages(), u) }
	if len(wanted) > 0 && !slices.ContainsFunc(wanted, has) {
		return unfit("it lacks the usage " + joinUsages(wanted))
	}
	if len(wanted) == 0 && p.mode == v1alpha1.IssuanceDirect && len(p.purposes) > 0 && len(p.customPurposes(c)) == 0 {
		return unfit("it lacks the usage " + p.purposes[0].String())
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
		return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.oid, b.oid), strings.Compare(a.value, b.value))
	})
	return out
}

// CheckIssued compares what an issuer made with what was asked: the key, the
// subject, no further names, no further usages, no Microsoft SID, and no CA. An
// issuer may leave things out. The usages are those of the grant, extended its
// ExtendedKeyUsages; those that the CSR names were granted with it, so there is no
// need to give them again. Its error is a *refusal.Error.
func CheckIssued(cert *x509.Certificate, csr *x509.CertificateRequest, usages []certmanagerv1.KeyUsage, extended []asn1.ObjectIdentifier) error {
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
	case got.sid:
		return mismatch("a Microsoft SID")
	case !got.usagesWithin(usages) || !got.purposesWithin(want, extended):
		return mismatch("further usages")
	}
	return nil
}

// validitySlack is for issuers that begin a validity before its making.
const validitySlack = 48 * time.Hour

// CheckValidity refuses a certificate that is valid for longer than was asked for; 0
// is any time. An issuer may make it shorter. Its error is a *refusal.Error.
func CheckValidity(cert *x509.Certificate, asked time.Duration) error {
	if asked > 0 && cert.NotAfter.Sub(cert.NotBefore) > asked+validitySlack {
		return mismatch("valid for longer")
	}
	return nil
}

func mismatch(what string) *refusal.Error {
	return refusal.New(refusal.IssuedMismatch, "the issuer made a certificate other than requested: %s", what)
}

func (c *content) usagesWithin(usages []certmanagerv1.KeyUsage) bool {
	return subset(c.usages(), usages)
}

// purposesWithin looks at those without a word of cert-manager's.
func (c *content) purposesWithin(request *content, granted []asn1.ObjectIdentifier) bool {
	return !slices.ContainsFunc(c.extKeyUsages, func(u extKeyUsage) bool {
		isGranted := func(o asn1.ObjectIdentifier) bool { return o.String() == u.oid }
		return u.name == "" && !request.hasPurpose(u.oid) && !slices.ContainsFunc(granted, isGranted)
	})
}

func subset[T comparable](part, whole []T) bool {
	return !slices.ContainsFunc(part, func(one T) bool { return !slices.Contains(whole, one) })
}
