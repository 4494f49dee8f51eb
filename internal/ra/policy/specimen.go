package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// SpecimenName stands in a specimen for what a template leaves open.
const SpecimenName = "scepter-trial"

// specimenCountry is one that ISO 3166 leaves to its users.
const specimenCountry = "XX"

// Specimen makes a request like those that the template grants, for a key that nobody
// keeps, and the usages to ask an issuer for. What a pattern or a rule demands of names
// cannot be made up: so the template itself may refuse it.
func (p *Policy) Specimen() (*x509.CertificateRequest, []certmanagerv1.KeyUsage, error) {
	key, err := p.keys[0].make()
	if err != nil {
		return nil, nil, fmt.Errorf("key of a trial: %w", err)
	}
	template := &x509.CertificateRequest{}
	commonName := SpecimenName
	if sans := p.spec.SANs; sans != nil && sans.DNS != nil {
		commonName += "." + sans.DNS.AllowedSuffixes[0]
		template.DNSNames = []string{commonName}
	}
	if template.Subject, err = p.specimenSubject(commonName); err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, nil, fmt.Errorf("request of a trial: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, fmt.Errorf("request of a trial: %w", err)
	}
	return csr, fitting(p.usagesOf(csr.PublicKey), p.keys[0].algorithm), nil
}

var curves = map[v1alpha1.Curve]elliptic.Curve{v1alpha1.P256: elliptic.P256(), v1alpha1.P384: elliptic.P384(), v1alpha1.P521: elliptic.P521()}

// make makes a key that the rule accepts.
func (r keyRule) make() (crypto.Signer, error) {
	if r.algorithm == v1alpha1.RSAKey {
		return rsa.GenerateKey(rand.Reader, r.minSize) //nolint:wrapcheck // the caller says whose key it is
	}
	return ecdsa.GenerateKey(curves[r.curves[0]], rand.Reader) //nolint:wrapcheck // the caller says whose key it is
}

// specimenSubject has the attributes that are required, and a common name if that is allowed.
func (p *Policy) specimenSubject(commonName string) (pkix.Name, error) {
	wanted := slices.Clone(p.subject.required)
	if !slices.Contains(wanted, v1alpha1.CommonName) && slices.Contains(p.subject.allowed, v1alpha1.CommonName) {
		wanted = append(wanted, v1alpha1.CommonName)
	}
	var name pkix.Name
	for _, a := range wanted {
		oid, err := attributeOID(string(a))
		if err != nil {
			return pkix.Name{}, err
		}
		parsed, err := parseObjectIdentifier(oid)
		if err != nil {
			return pkix.Name{}, err
		}
		name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{Type: parsed, Value: p.specimenValue(a, commonName)})
	}
	return name, nil
}

// specimenValue is a string, or for types that have one a value of their own ASN.1 type.
func (p *Policy) specimenValue(a v1alpha1.SubjectAttribute, commonName string) any {
	if allowed := p.allowedValue(a); allowed != "" {
		return allowed
	}
	switch a {
	case v1alpha1.CommonName:
		return commonName
	case v1alpha1.Country:
		return specimenCountry
	case v1alpha1.EmailAddress, v1alpha1.DomainComponent:
		return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(SpecimenName)}
	}
	return SpecimenName
}

// allowedValue is the first of those that an attribute is limited to; "" where it is not.
func (p *Policy) allowedValue(a v1alpha1.SubjectAttribute) string {
	if p.spec.Subject == nil {
		return ""
	}
	for _, limited := range p.spec.Subject.Attributes {
		if limited.Name == a && len(limited.Values) > 0 {
			return limited.Values[0]
		}
	}
	return ""
}
