package dev

import (
	"errors"
	"fmt"
	"os"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/policy"
)

// DefaultTemplate grants client certificates to whoever has a challenge: any
// subject, any DNS name, e-mail address and IP address, and URIs of common schemes.
func DefaultTemplate() v1alpha1.CertificateTemplateSpec {
	return v1alpha1.CertificateTemplateSpec{
		Usages: []certmanagerv1.KeyUsage{
			certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageClientAuth,
		},
		Subject: &v1alpha1.SubjectPolicy{Allowed: []v1alpha1.SubjectAttribute{
			v1alpha1.CommonName, v1alpha1.Organization, v1alpha1.OrganizationalUnit, v1alpha1.Country,
			v1alpha1.Province, v1alpha1.Locality, v1alpha1.StreetAddress, v1alpha1.PostalCode,
			v1alpha1.SerialNumber, v1alpha1.DomainComponent, v1alpha1.UserID, v1alpha1.EmailAddress,
		}},
		SANs: &v1alpha1.SANPolicy{
			DNS:   &v1alpha1.DNSNamePolicy{AllowedSuffixes: []string{policy.Anything}},
			Email: &v1alpha1.EmailPolicy{AllowedDomains: []string{policy.Anything}},
			URI:   &v1alpha1.URIPolicy{AllowedPrefixes: []string{"http://", "https://", "ldap://", "spiffe://", "tag:", "urn:"}},
			IP:    &v1alpha1.IPPolicy{AllowedCIDRs: []string{"0.0.0.0/0", "::/0"}},
		},
	}
}

var (
	errNotTemplate = errors.New("it is not a CertificateTemplate of " + v1alpha1.GroupVersion.String())
	errNoUsages    = errors.New("spec.usages is empty")
	errValidity    = errors.New("spec.validity is negative")
)

// ReadTemplate reads a CertificateTemplate in YAML. It checks what a server needs;
// the API's own rules on values are an API server's.
func ReadTemplate(path string) (v1alpha1.CertificateTemplateSpec, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return v1alpha1.CertificateTemplateSpec{}, fmt.Errorf("template: %w", err)
	}
	spec, err := parseTemplate(file)
	if err != nil {
		return v1alpha1.CertificateTemplateSpec{}, fmt.Errorf("template %s: %w", path, err)
	}
	return spec, nil
}

func parseTemplate(file []byte) (v1alpha1.CertificateTemplateSpec, error) {
	var t v1alpha1.CertificateTemplate
	if err := yaml.UnmarshalStrict(file, &t); err != nil {
		return t.Spec, fmt.Errorf("read: %w", err)
	}
	switch {
	case t.APIVersion != v1alpha1.GroupVersion.String() || t.Kind != "CertificateTemplate":
		return t.Spec, errNotTemplate
	case len(t.Spec.Usages) == 0:
		return t.Spec, errNoUsages
	case t.Spec.Validity.Duration < 0:
		return t.Spec, errValidity
	}
	_, err := policy.Compile(t.Spec)
	return t.Spec, err
}
