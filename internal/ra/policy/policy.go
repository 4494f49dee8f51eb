// Package policy applies a CertificateTemplate to a certificate request, to the
// certificate that signs a renewal, and to what an issuer made. It refuses
// everything that the template does not allow: issuers copy most of what a
// request asks for.
//
// It knows no Kubernetes but the template's type, so the operator uses Compile to
// validate templates.
package policy

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// Policy is a compiled CertificateTemplate. It is immutable and safe for concurrent use.
type Policy struct {
	spec     v1alpha1.CertificateTemplateSpec
	mode     v1alpha1.IssuanceMode
	keys     []keyRule
	purposes []asn1.ObjectIdentifier
	subject  subjectRule
	sans     sanRules
	rules    []rule
}

// Grant is what a judged request may become.
type Grant struct {
	// Usages of the certificate, key usages and extended ones. A CertificateRequest has
	// those the CSR names, else those of the template that fit its key; in Direct
	// issuance that holds for each of the two kinds by itself.
	Usages []certmanagerv1.KeyUsage
	// ExtendedKeyUsages beside those among Usages, which have no word of cert-manager's.
	// For a CertificateRequest they are those the CSR names, which cert-manager copies.
	ExtendedKeyUsages []asn1.ObjectIdentifier
	// Duration of the certificate's validity, from now on.
	Duration time.Duration
	// Backdate is how long before now the validity begins, beside what clocks need.
	Backdate time.Duration
	// WithoutSID is true where URIs that hold a Microsoft SID are to be left out of the
	// alternative names, see WithoutSID.
	WithoutSID bool
}

// ErrUsagesUnfit is wrapped by Compile's error if no accepted key can have any of the usages.
var ErrUsagesUnfit = errors.New("no accepted key can have any of the usages")

// defaultValidity is that of the API, for specs that did not pass an API server.
const defaultValidity = 8760 * time.Hour

// Compile checks a template and prepares it. Its error joins everything that is
// wrong: *RuleError for CEL, *ValueError for patterns and the like, and ErrUsagesUnfit.
func Compile(spec v1alpha1.CertificateTemplateSpec) (*Policy, error) {
	spec = *spec.DeepCopy()
	if spec.Validity.Duration == 0 {
		spec.Validity.Duration = defaultValidity
	}
	p := &Policy{spec: spec, mode: v1alpha1.IssuanceCertificateRequest, keys: compileKeys(spec.Keys, spec.Usages)}
	var purposeErr, subjectErr, sanErr, ruleErr error
	p.purposes, purposeErr = compilePurposes(spec.ExtendedKeyUsages)
	p.subject, subjectErr = compileSubject("subject", spec.Subject)
	p.sans, sanErr = compileSANs(spec.SANs)
	p.rules, ruleErr = compileRules(spec.Rules)
	if err := errors.Join(purposeErr, subjectErr, sanErr, ruleErr, p.checkUsages()); err != nil {
		return nil, err
	}
	return p, nil
}

// checkUsages says whether some accepted key can have some usage, and whether keys
// with usages of their own can.
func (p *Policy) checkUsages() error {
	possible := false
	for i, k := range p.keys {
		fit := len(fitting(k.usages, k.algorithm)) > 0
		if own := len(p.spec.Keys) > i && len(p.spec.Keys[i].Usages) > 0; own && !fit {
			return fmt.Errorf("%w: keys[%d], %s with %s", ErrUsagesUnfit, i, k.algorithm, joinUsages(k.usages))
		}
		possible = possible || fit
	}
	if !possible {
		return fmt.Errorf("%w: %s with %s", ErrUsagesUnfit, p.describeKeys(), joinUsages(p.spec.Usages))
	}
	return nil
}

// Renewal is the template's renewal policy.
func (p *Policy) Renewal() v1alpha1.RenewalPolicy { return p.spec.Renewal }

// Judge decides on a CSR that a challenge let in. Its error is a *refusal.Error.
func (p *Policy) Judge(csr *x509.CertificateRequest, in Context) (*Grant, error) {
	c, err := p.read(csr)
	if err != nil {
		return nil, err
	}
	key, err := p.judgeKey(c.publicKey)
	if err != nil {
		return nil, err
	}
	if err := p.judgeDigest(csr.SignatureAlgorithm); err != nil {
		return nil, err
	}
	usages, err := p.judgeUsages(c, key)
	if err != nil {
		return nil, err
	}
	if err := p.judgeNames(c); err != nil {
		return nil, err
	}
	if err := p.judgeRules("", c, key, in); err != nil {
		return nil, err
	}
	return p.grant(c, usages), nil
}

// read reads a CSR as the template sees it: without what it ignores.
func (p *Policy) read(csr *x509.CertificateRequest) (*content, error) {
	c, err := readRequest(csr)
	if err != nil {
		return nil, err
	}
	if err := p.judgeSID(c); err != nil {
		return nil, err
	}
	if p.dropsSIDs() {
		c.dropSIDs()
	}
	return c, nil
}

func (p *Policy) grant(c *content, usages granted) *Grant {
	g := &Grant{
		Usages: usages.usages, ExtendedKeyUsages: usages.purposes,
		Duration: p.spec.Validity.Duration, WithoutSID: c.sidDropped,
	}
	if p.spec.Backdate != nil {
		g.Backdate = p.spec.Backdate.Duration
	}
	return g
}

// judgeNames applies the template's rules on subject and alternative names.
func (p *Policy) judgeNames(c *content) error {
	if len(c.subject) == 0 && len(c.sans) == 0 {
		return refusal.New(refusal.SubjectMissing, "request refused: it names neither a subject nor an alternative name")
	}
	if err := p.subject.judge(c.subject); err != nil {
		return err
	}
	return p.sans.judge(c.sans)
}
