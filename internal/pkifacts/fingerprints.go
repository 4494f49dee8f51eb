package pkifacts

import (
	"crypto/md5" //nolint:gosec // what profiles name certificates by
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Fingerprints are the hashes by which people and profiles name a certificate. RFC 8894,
// section 2.2, advises SHA-256; SHA-1 and MD5 are what older ones know.
func Fingerprints(c *x509.Certificate) v1alpha1.CertificateFingerprints {
	strong, weak, weakest := sha256.Sum256(c.Raw), sha1.Sum(c.Raw), md5.Sum(c.Raw) //nolint:gosec // names, no proof
	return v1alpha1.CertificateFingerprints{
		SHA256: hex.EncodeToString(strong[:]),
		SHA1:   hex.EncodeToString(weak[:]),
		MD5:    hex.EncodeToString(weakest[:]),
	}
}

// rsaBits is the size of a certificate's RSA key; 0 for other keys.
func rsaBits(c *x509.Certificate) int {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok {
		return key.N.BitLen()
	}
	return 0
}
