package policy

import (
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// TestSpecimensPassTheirTemplates: what a trial asks for is what the template would grant.
func TestSpecimensPassTheirTemplates(t *testing.T) {
	t.Parallel()
	usages := []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageClientAuth}
	every := []v1alpha1.SubjectAttribute{
		v1alpha1.CommonName, v1alpha1.Organization, v1alpha1.OrganizationalUnit, v1alpha1.Country, v1alpha1.Province, v1alpha1.Locality,
		v1alpha1.StreetAddress, v1alpha1.PostalCode, v1alpha1.SerialNumber, v1alpha1.DomainComponent, v1alpha1.UserID, v1alpha1.EmailAddress,
	}
	for name, spec := range map[string]v1alpha1.CertificateTemplateSpec{
		"nothing but usages": {Usages: usages},
		"an ECDSA key":       {Usages: usages, Keys: []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.ECDSAKey, Curves: []v1alpha1.Curve{v1alpha1.P384}}}},
		"usages of the key":  {Usages: usages, Keys: []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.RSAKey, MinSize: 3072, Usages: usages[:1]}}},
		"every attribute":    {Usages: usages, Subject: &v1alpha1.SubjectPolicy{Required: every}},
		"no common name":     {Usages: usages, Subject: &v1alpha1.SubjectPolicy{Required: every[1:2], Allowed: every[1:2]}},
		"a value":            {Usages: usages, Subject: &v1alpha1.SubjectPolicy{Required: every[:2], Attributes: []v1alpha1.AttributeValues{{Name: every[1], Values: []string{"Corp"}}}}},
		"a DNS name":         {Usages: usages, SANs: &v1alpha1.SANPolicy{DNS: &v1alpha1.DNSNamePolicy{AllowedSuffixes: []string{"devices.example.com"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Compile(spec)
			if err != nil {
				t.Fatal(err)
			}
			csr, asked, err := p.Specimen()
			if err != nil {
				t.Fatal(err)
			}
			grant, err := p.Judge(csr, Context{})
			if err != nil {
				t.Fatalf("%s: %v", csr.Subject, err)
			}
			if joinUsages(grant.Usages) != joinUsages(asked) {
				t.Errorf("usages %v, and the template grants %v", asked, grant.Usages)
			}
		})
	}
}
