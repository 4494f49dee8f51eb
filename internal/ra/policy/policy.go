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
	"errors"
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// Policy is a compiled CertificateTemplate. It is immutable and safe for concurrent use.
type Policy struct {
	spec    v1alpha1.CertificateTemplateSpec
	keys    []keyRule
	subject subjectRule
	sans    sanRules
	rules   []rule
}

// Grant is what a judged request may become.
type Grant struct {
	// Usages of the CertificateRequest: those the CSR names, else those of the template that fit its key.
	Usages []certmanagerv1.KeyUsage
	// Duration of the certificate's validity.
	Duration time.Duration
}

// ErrUsagesUnfit is wrapped by Compile's error if no accepted key can have any of the usages.
var ErrUsagesUnfit = errors.New("no accepted key can have any of the usages")

// defaultValidity is that of the API, for specs that did not pass an API server.
const defaultValidity = 8760 * time.Hour

// Compile checks a template and prepares it. Its error joins everything that is
// wrong: *RuleError for CEL, ErrUsagesUnfit, and plain errors for the rest.
func Compile(spec v1alpha1.CertificateTemplateSpec) (*Policy, error) {
	p := &Policy{spec: *spec.DeepCopy(), keys: compileKeys(spec.Keys), subject: compileSubject(spec.Subject)}
	if p.spec.Validity.Duration == 0 {
		p.spec.Validity.Duration = defaultValidity
	}
	var sanErr, ruleErr error
	p.sans, sanErr = compileSANs(spec.SANs)
	p.rules, ruleErr = compileRules(spec.Rules)
	if err := errors.Join(sanErr, ruleErr, p.checkUsages()); err != nil {
		return nil, err
	}
	return p, nil
}

// checkUsages says whether some accepted key can have some usage.
func (p *Policy) checkUsages() error {
	for _, k := range p.keys {
		if len(p.usagesFor(k.algorithm)) > 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: %s with %s", ErrUsagesUnfit, p.describeKeys(), joinUsages(p.spec.Usages))
}

// Renewal is the template's renewal policy.
func (p *Policy) Renewal() v1alpha1.RenewalPolicy { return p.spec.Renewal }

// Judge decides on a CSR that a challenge let in. Its error is a *refusal.Error.
func (p *Policy) Judge(csr *x509.CertificateRequest, by Challenge) (*Grant, error) {
	c, err := readRequest(csr)
	if err != nil {
		return nil, err
	}
	key, err := p.judgeKey(c.publicKey)
	if err != nil {
		return nil, err
	}
	usages, err := p.judgeUsages(c, key.algorithm)
	if err != nil {
		return nil, err
	}
	if err := p.judgeNames(c); err != nil {
		return nil, err
	}
	if err := p.judgeRules("", c, key, by); err != nil {
		return nil, err
	}
	return &Grant{Usages: usages, Duration: p.spec.Validity.Duration}, nil
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
