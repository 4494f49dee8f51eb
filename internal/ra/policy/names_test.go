package policy

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func namedCSR(t *testing.T, template *x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(sceptest.CSR(t, sceptest.RSAKey(t, 1), sceptest.CSROptions{Template: template}))
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestRequestNamesAreThoseThatWereWritten(t *testing.T) {
	t.Parallel()
	csr := namedCSR(t, &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: "d1", Organization: []string{"B", "A"}},
		DNSNames:    []string{"Z.example.com", "a.example.com"},
		IPAddresses: []net.IP{net.ParseIP("2001:db8::1")},
	})
	read, err := RequestNames(csr)
	if err != nil {
		t.Fatal(err)
	}
	written, err := ParseNames(
		[]string{"organization=A", "commonName=d1", "organization=B"},
		[]string{"ip:2001:db8:0::1", "dns:A.example.com", "dns:z.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if !read.Equal(written) || !slices.IsSorted(read.Subject) || !slices.IsSorted(read.AlternativeNames) {
		t.Errorf("read %+v, written %+v", read, written)
	}
	written.Subject = written.Subject[1:]
	if read.Equal(written) {
		t.Error("one attribute less is equal")
	}
}

func TestNamesThatNobodyCanAskFor(t *testing.T) {
	t.Parallel()
	csr := namedCSR(t, &x509.CertificateRequest{Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{1, 2, 3}, Value: "x"}}}})
	read, err := RequestNames(csr)
	if err != nil || !slices.Equal(read.Subject, []string{"1.2.3=x"}) {
		t.Errorf("read %+v (%v)", read, err)
	}
	for want, tc := range map[string]struct{ subject, alternatives []string }{
		`attribute "1.2.3" is not known`:    {[]string{"1.2.3=x"}, nil},
		`attribute "CN" is not known`:       {[]string{"CN=x"}, nil},
		`"commonName" is not of the form`:   {[]string{"commonName"}, nil},
		`"commonName= " is not of the form`: {[]string{"commonName= "}, nil},
		`"4:": it must be of the form`:      {nil, []string{"4:"}},
		`"dns:": it must be of the form`:    {nil, []string{"dns:"}},
		`"x": it must be of the form`:       {nil, []string{"x"}},
		`"ip:x": ParseAddr`:                 {nil, []string{"ip:x"}},
	} {
		if _, err := ParseNames(tc.subject, tc.alternatives); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestNamedRules(t *testing.T) {
	t.Parallel()
	p, err := Compile(v1alpha1.CertificateTemplateSpec{
		Usages: []certmanagerv1.KeyUsage{"client auth", "digital signature"},
		Rules: []v1alpha1.Rule{
			{Name: "kiosk", Expression: "csr.subject.commonName.startsWith('kiosk')", Message: "no kiosk"},
			{Expression: "csr.subject.commonName != 'bad'", Message: "bad"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	laptop, kiosk := namedCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "laptop"}}), namedCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "kiosk1"}})
	if _, err := p.Judge(laptop, Context{}); err != nil {
		t.Errorf("without its name the rule holds: %v", err)
	}
	if err := p.JudgeNamed("kiosk", kiosk, Context{}); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"kiosk": "no kiosk", "gone": `the template's rule "gone" does not exist any more`} {
		var refused *refusal.Error
		if err := p.JudgeNamed(name, laptop, Context{}); !errors.As(err, &refused) || refused.Text != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if names := p.NamedRules(); !slices.Equal(names, []string{"kiosk"}) {
		t.Errorf("names %q", names)
	}
}
