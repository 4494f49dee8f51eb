package policy

import (
	"crypto/x509"
	"slices"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
)

func TestAnything(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		allows func(name, entry string) bool
		name   string
		entry  string
		want   bool
	}{
		{allowsDNS, "laptop", Anything, true},
		{allowsDNS, "Laptop.Example.com", Anything, true},
		{allowsDNS, "*.example.com", Anything, false},
		{allowsDNS, "a b", Anything, false},
		{allowsDNS, "", Anything, false},
		{allowsEmail, "me@example.com", Anything, true},
		{allowsEmail, "me@Example.com", "example.com", true},
		{allowsEmail, "me@example.org", "example.com", false},
		{allowsEmail, "me", Anything, false},
		{allowsEmail, "me@", Anything, false},
		{allowsEmail, "@example.com", Anything, false},
		{allowsEmail, "me@you@example.com", Anything, false},
		{allowsDomain, "me@example.com", Anything, false},
		{allowsURI, "urn:uuid:1", Anything, false},
		{allowsURI, "urn:uuid:1", "", false},
	} {
		if got := tc.allows(tc.name, tc.entry); got != tc.want {
			t.Errorf("%q by %q: %v, want %v", tc.name, tc.entry, got, tc.want)
		}
	}
}

// Every usage that a template can name comes out as the bit or purpose that is read as it.
func TestX509Usages(t *testing.T) {
	t.Parallel()
	for i, name := range keyUsageNames {
		bits, extended := X509Usages([]certmanagerv1.KeyUsage{name})
		if bits != 1<<i || len(extended) > 0 {
			t.Errorf("%s: %b and %v", name, bits, extended)
		}
	}
	for _, p := range knownPurposes {
		bits, extended := X509Usages([]certmanagerv1.KeyUsage{p.name})
		if bits != 0 || !slices.Equal(extended, []x509.ExtKeyUsage{p.x509}) || newExtKeyUsage(extended[0].OID().String()).name != p.name {
			t.Errorf("%s: %b and %v", p.name, bits, extended)
		}
	}
	if bits, extended := X509Usages([]certmanagerv1.KeyUsage{certmanagerv1.UsageOCSPSigning, "nonsense"}); bits != 0 || extended != nil {
		t.Errorf("unknown words: %b and %v", bits, extended)
	}
}
