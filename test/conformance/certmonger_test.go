package conformance

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// certmonger's helper shows what it makes of the two operations that come first.
func TestScepSubmitReadsCapabilitiesAndCertificates(t *testing.T) {
	mustInstall(t)
	s := newScene(t, sceptest.Options{})
	ask := func(mode string) string {
		out, err := local(t.Context(), "/usr/lib/certmonger/scep-submit", "-u", s.tap.URL, mode).CombinedOutput()
		if err != nil {
			t.Fatalf("scep-submit %s: %v\n%s", mode, err, out)
		}
		return string(out)
	}
	if capabilities := ask("-c"); !strings.Contains(capabilities, "AES\n") || !strings.Contains(capabilities, "SHA-512") {
		t.Errorf("capabilities: %s", capabilities)
	}
	// It prints the RA's certificate, the CA's, and the others.
	var got []*x509.Certificate
	for block, rest := pem.Decode([]byte(ask("-C"))); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	if len(got) < 2 || got[0].IsCA || !got[1].Equal(s.CA.Root) && !got[1].Equal(s.CA.Certificate) {
		t.Errorf("got %d certificates, not an RA and a CA first", len(got))
	}
}
