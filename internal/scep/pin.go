package scep

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// fingerprintDigests are the digests of CA fingerprints by their length in bytes.
// RFC 8894, section 2.2, wants SHA-256; administrators have what their tools and
// older profiles show.
var fingerprintDigests = map[int]crypto.Hash{
	16: crypto.MD5,
	20: crypto.SHA1,
	28: crypto.SHA224,
	32: crypto.SHA256,
	48: crypto.SHA384,
	64: crypto.SHA512,
}

// PinCA makes a VerifyCA that wants a certificate with the fingerprint: the
// issuing CA's, or one's above it. The fingerprint is the digest of the DER
// certificate in hexadecimal, in whatever case, with or without colons and
// spaces; the length tells which digest, as it does to Apple's devices.
func PinCA(fingerprint string) (func(*CACertificates) error, error) {
	want, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "", "-", "").Replace(fingerprint))
	if err != nil {
		return nil, fmt.Errorf("scep: fingerprint: %w", err)
	}
	digest, known := fingerprintDigests[len(want)]
	if !known {
		return nil, fmt.Errorf("scep: no fingerprint has %d bytes", len(want))
	}
	pinned := func(c *x509.Certificate) bool {
		h := digest.New()
		h.Write(c.Raw)
		return bytes.Equal(h.Sum(nil), want)
	}
	return func(c *CACertificates) error {
		if slices.ContainsFunc(c.Chain, pinned) {
			return nil
		}
		return &CACertificateError{"another fingerprint than was pinned", c.CA.Subject.String()}
	}, nil
}

// TrustAnyCA is a VerifyCA for where nobody can come between, as in tests.
func TrustAnyCA(*CACertificates) error { return nil }
