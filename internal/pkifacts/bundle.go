package pkifacts

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// MaxBundle is how many certificates of a bundle are looked at. The public CAs of an
// operating system are about 150.
const MaxBundle = 500

// FindingKind says what is odd about a bundle of CA certificates.
type FindingKind string

// The kinds of finding. None of them keeps what is good of a bundle from use.
const (
	// FindingIntermediate: a CA certificate that another one signed stands where trusted
	// roots are expected. It is used to build chains.
	FindingIntermediate FindingKind = "Intermediate"
	// FindingRootless: the root above an intermediate is not in the bundle, so that the
	// intermediate itself is where trust begins.
	FindingRootless FindingKind = "Rootless"
	// FindingNotCA: a certificate that may not sign others. It is left out, unless it is
	// signed by itself.
	FindingNotCA FindingKind = "NotCA"
	// FindingDuplicate: a certificate stands there more than once.
	FindingDuplicate FindingKind = "Duplicate"
	// FindingExpired: a certificate is of no use any more.
	FindingExpired FindingKind = "Expired"
	// FindingNotYetValid: a certificate is of no use yet.
	FindingNotYetValid FindingKind = "NotYetValid"
	// FindingPrivateKey: a private key stands among the certificates.
	FindingPrivateKey FindingKind = "PrivateKey"
	// FindingUnreadable: something begins like a certificate and is none.
	FindingUnreadable FindingKind = "Unreadable"
	// FindingTooMany: what comes after MaxBundle certificates is left out.
	FindingTooMany FindingKind = "TooMany"
)

// remedies are what a finding says after the name of the certificate.
var remedies = map[FindingKind]string{
	FindingIntermediate: "is an intermediate CA certificate among trusted roots: it is used as an intermediate; leave it out, or put it where intermediates go",
	FindingRootless:     "is an intermediate CA certificate whose root is missing: it is trusted by itself; add its root",
	FindingNotCA:        "is no CA certificate: put that of its CA in its place",
	FindingDuplicate:    "is there more than once: once is enough",
	FindingExpired:      "has expired: replace it, or leave it out",
	FindingNotYetValid:  "is not valid yet",
	FindingPrivateKey:   "a private key stands among the certificates: take it away, and replace it if others could read it",
	FindingUnreadable:   "a part begins like a certificate in PEM and cannot be read: write it anew",
	FindingTooMany:      "there are too many certificates: those at the end are left out",
}

// Finding is something odd about a bundle.
type Finding struct {
	Kind FindingKind
	// Certificate it is about; nil where it is about something else.
	Certificate *x509.Certificate
}

// String is a sentence for a person, with the remedy.
func (f Finding) String() string {
	if f.Certificate == nil {
		return remedies[f.Kind]
	}
	return SubjectOf(f.Certificate) + " " + remedies[f.Kind]
}

// Bundle is a file of CA certificates, told apart.
type Bundle struct {
	// Roots are signed by themselves.
	Roots []*x509.Certificate
	// Intermediates are CA certificates that others signed.
	Intermediates []*x509.Certificate
	// Findings in the order of the file, those about the file itself first.
	Findings []Finding
}

// ReadBundle reads CA certificates in PEM in any order, and leaves out what is none.
// Text between them is no finding (RFC 7468, section 5.2).
func ReadBundle(in []byte) *Bundle {
	certificates, findings := parseBundle(in)
	roots, intermediates, odd := SortBundle(certificates)
	return &Bundle{Roots: roots, Intermediates: intermediates, Findings: slices.Concat(findings, odd)}
}

// FindingsAt are Findings, and what is not valid at a time, without some kinds: an
// intermediate, say, is no finding where intermediates belong.
func (b *Bundle) FindingsAt(now time.Time, without ...FindingKind) []Finding {
	findings := slices.Clone(b.Findings)
	for _, c := range b.All() {
		if kind, ok := outsideValidity(c, now); ok {
			findings = append(findings, Finding{kind, c})
		}
	}
	return slices.DeleteFunc(findings, func(f Finding) bool { return slices.Contains(without, f.Kind) })
}

func outsideValidity(c *x509.Certificate, now time.Time) (FindingKind, bool) {
	switch err := CheckValidity(c, now); {
	case errors.Is(err, ErrExpired):
		return FindingExpired, true
	case errors.Is(err, ErrNotYetValid):
		return FindingNotYetValid, true
	}
	return "", false
}

// Empty says whether there is no CA certificate in the bundle.
func (b *Bundle) Empty() bool { return len(b.Roots) == 0 && len(b.Intermediates) == 0 }

// All lists the bundle's certificates, the roots last.
func (b *Bundle) All() []*x509.Certificate { return slices.Concat(b.Intermediates, b.Roots) }

// Anchors are where trust begins: the roots, and intermediates whose root is missing.
func (b *Bundle) Anchors() []*x509.Certificate {
	anchors := slices.Clone(b.Roots)
	for _, c := range b.Intermediates {
		if isRootless(c, b.All()) {
			anchors = append(anchors, c)
		}
	}
	return anchors
}

// Pool is for verifiers that take nothing but roots, such as a TLS client: an
// intermediate among them adds no trust to what its root gives, and helps with
// servers that do not send it.
func (b *Bundle) Pool() *x509.CertPool { return PoolOf(b.All()) }

// PoolOf makes a pool of certificates.
func PoolOf(certificates []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certificates {
		pool.AddCert(c)
	}
	return pool
}

// parseBundle reads every certificate, and finds what begins like one and is none.
func parseBundle(in []byte) ([]*x509.Certificate, []Finding) {
	var certificates []*x509.Certificate
	var findings []Finding
	blocks := 0
	for block, rest := pem.Decode(in); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		switch c, err := x509.ParseCertificate(block.Bytes); {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			findings = append(findings, Finding{Kind: FindingPrivateKey})
		case !isCertificateBlock(block.Type):
		case err != nil:
			findings = append(findings, Finding{Kind: FindingUnreadable})
		case len(certificates) == MaxBundle:
			return certificates, append(findings, Finding{Kind: FindingTooMany})
		default:
			certificates = append(certificates, c)
		}
	}
	if bytes.Count(in, []byte("-----BEGIN ")) > blocks {
		findings = append(findings, Finding{Kind: FindingUnreadable})
	}
	return certificates, findings
}

// isCertificateBlock knows the labels of RFC 7468, section 5.1, and of OpenSSL.
func isCertificateBlock(label string) bool {
	return label == "CERTIFICATE" || label == "X509 CERTIFICATE" || label == "TRUSTED CERTIFICATE"
}

// SortBundle tells roots from intermediates: a root is signed by itself, and its
// signature bears that out. What is neither is left out. Each certificate comes once,
// in the order of the bundle; the findings say what does not belong among roots.
func SortBundle(certificates []*x509.Certificate) (roots, intermediates []*x509.Certificate, findings []Finding) {
	seen := map[string]bool{}
	for _, c := range certificates {
		switch {
		case seen[string(c.Raw)]:
			findings = append(findings, Finding{FindingDuplicate, c})
			continue
		case IsSelfSigned(c):
			roots = append(roots, c)
		case c.IsCA:
			intermediates = append(intermediates, c)
		}
		if !c.IsCA {
			findings = append(findings, Finding{FindingNotCA, c})
		}
		seen[string(c.Raw)] = true
	}
	all := slices.Concat(intermediates, roots)
	for _, c := range intermediates {
		kind := FindingIntermediate
		if isRootless(c, all) {
			kind = FindingRootless
		}
		findings = append(findings, Finding{kind, c})
	}
	return roots, intermediates, findings
}

// isRootless says whether no chain leads from a certificate to a root among others.
func isRootless(c *x509.Certificate, all []*x509.Certificate) bool {
	chain := OrderChain(c, all)
	return len(chain) == 0 || !IsSelfSigned(chain[len(chain)-1])
}

// maxVerifiedBits bounds the RSA keys with which signatures of a bundle are verified:
// greater ones take a processor very long.
const maxVerifiedBits = 16384

// IsSelfSigned says whether a certificate is signed with its own key (RFC 5280, section 3.2).
func IsSelfSigned(c *x509.Certificate) bool {
	return isSelfIssued(c) && rsaBits(c) <= maxVerifiedBits &&
		c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// maxSubject bounds the names in messages, in bytes.
const maxSubject = 200

// SubjectOf is a certificate's subject in the form of RFC 2253, cut where it is very
// long, or its serial number if the subject is empty.
func SubjectOf(c *x509.Certificate) string {
	subject := c.Subject.String()
	if subject == "" {
		return fmt.Sprintf("serial number %x", c.SerialNumber)
	}
	if len(subject) > maxSubject {
		return strings.ToValidUTF8(subject[:maxSubject], "") + "…"
	}
	return subject
}

// RoleInChain is the role of a CA's certificate that is above i others in the chain from the
// issuing CA up.
func RoleInChain(i int, c *x509.Certificate) v1alpha1.CACertificateRole {
	switch {
	case i == 0:
		return v1alpha1.CARoleIssuing
	case IsSelfSigned(c):
		return v1alpha1.CARoleRoot
	}
	return v1alpha1.CARoleIntermediate
}

// LowestFirst puts CA certificates in order: one that issued none of the others first,
// then the chain above it, then the rest as they come.
func LowestFirst(certificates []*x509.Certificate) []*x509.Certificate {
	if len(certificates) == 0 {
		return nil
	}
	first := certificates[0]
	for _, c := range certificates {
		if !issuedAny(c, certificates) {
			first = c
			break
		}
	}
	out := append([]*x509.Certificate{first}, OrderChain(first, certificates)...)
	for _, c := range certificates {
		if !slices.ContainsFunc(out, c.Equal) {
			out = append(out, c)
		}
	}
	return out
}

func issuedAny(ca *x509.Certificate, certificates []*x509.Certificate) bool {
	return slices.ContainsFunc(certificates, func(c *x509.Certificate) bool {
		return !c.Equal(ca) && bytes.Equal(c.RawIssuer, ca.RawSubject) && c.CheckSignatureFrom(ca) == nil
	})
}
