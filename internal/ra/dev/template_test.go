package dev

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func TestDefaultTemplateIsPermissive(t *testing.T) {
	t.Parallel()
	p, err := policy.Compile(DefaultTemplate())
	if err != nil {
		t.Fatal(err)
	}
	mustParse := func(raw string) *url.URL {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, request := range map[string]*x509.CertificateRequest{
		"one label":      {Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"laptop"}},
		"a full name":    {DNSNames: []string{"Laptop.Example.COM"}},
		"e-mail":         {EmailAddresses: []string{"someone@example.com"}},
		"addresses":      {IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1), net.ParseIP("fd00::1")}},
		"URIs":           {URIs: []*url.URL{mustParse("spiffe://example.com/laptop"), mustParse("urn:uuid:1")}},
		"a long subject": {Subject: pkix.Name{Country: []string{"US"}, Organization: []string{"x"}, Locality: []string{"y"}, SerialNumber: "1"}},
	} {
		if _, err := p.Judge(requestOf(t, request), policy.Context{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, request := range map[string]*x509.CertificateRequest{
		"a wildcard":        {DNSNames: []string{"*.example.com"}},
		"no domain":         {EmailAddresses: []string{"someone@"}},
		"two domains":       {EmailAddresses: []string{"a@b@example.com"}},
		"a script":          {URIs: []*url.URL{mustParse("javascript:alert")}},
		"nothing":           {},
		"a name with blank": {DNSNames: []string{"a b"}},
	} {
		if _, err := p.Judge(requestOf(t, request), policy.Context{}); err == nil {
			t.Errorf("%s: it is allowed", name)
		}
	}
}

func requestOf(t *testing.T, template *x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(sceptest.CSR(t, sceptest.RSAKey(t, 1), sceptest.CSROptions{Template: template}))
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

const templateFile = `
apiVersion: scepter.dev/v1alpha1
kind: CertificateTemplate
metadata: {name: device}
spec:
  usages: [digital signature, client auth]
  validity: 48h
`

func TestReadTemplate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(templateFile), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := ReadTemplate(path)
	if err != nil || spec.Validity.Duration != 48*time.Hour || len(spec.Usages) != 2 {
		t.Errorf("read %+v (%v)", spec, err)
	}
	if _, err := ReadTemplate(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ from, to, want string }{
		"another kind":     {"CertificateTemplate", "ScepEndpoint", "not a CertificateTemplate"},
		"another version":  {"v1alpha1", "v9", "not a CertificateTemplate"},
		"an unknown field": {"validity", "valid", "valid"},
		"no usages":        {"[digital signature, client auth]", "[]", "usages"},
		"an unfit usage":   {"[digital signature, client auth]", "[key encipherment]\n  keys: [{algorithm: ECDSA}]", "usages"},
		"below zero":       {"48h", "-1h", "negative"},
		"no duration":      {"48h", "two days", "duration"},
		"a rule":           {"validity: 48h", "rules: [{expression: 'csr.', message: x}]", "rules[0]"},
		"a range":          {"validity: 48h", "sans: {ip: {allowedCIDRs: [x]}}", "allowedCIDRs"},
		"no YAML":          {"spec:", "\t{", "yaml"},
	} {
		_, err := parseTemplate([]byte(strings.Replace(templateFile, tc.from, tc.to, 1)))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tc.want)
		}
	}
}
