package scep

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// CACertificates is an answer to GetCACert.
type CACertificates struct {
	Signing    *x509.Certificate   // signs the answers
	Encryption *x509.Certificate   // requests are encrypted to
	CA         *x509.Certificate   // issues
	All        []*x509.Certificate // in the order they came
}

// ParseCACertificates reads the body of GetCACert, a certificate or a certs-only
// SignedData in DER, and chooses by key usage as Apple's client and jscep do:
// the first certificate of an RA that may sign, the first that may encrypt, and
// the CA certificate that issued it. Without an RA the CA does everything.
func ParseCACertificates(body []byte) (*CACertificates, error) {
	all, err := parseCertificates(body)
	if err != nil {
		return nil, fmt.Errorf("scep: GetCACert: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("scep: GetCACert: no certificate in the answer")
	}
	c := &CACertificates{
		All:        all,
		Signing:    firstRA(all, x509.KeyUsageDigitalSignature),
		Encryption: firstRA(all, x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment),
	}
	c.CA = issuerOf(c.Encryption, all)
	if c.CA == nil {
		return nil, errors.New("scep: GetCACert: no CA certificate in the answer")
	}
	if c.Signing == nil || c.Encryption == nil {
		c.Signing, c.Encryption = c.CA, c.CA
	}
	return c, nil
}

func parseCertificates(body []byte) ([]*x509.Certificate, error) {
	if one, err := cms.ParseCertificate(body); err == nil {
		return []*x509.Certificate{one}, nil
	}
	limits := DefaultLimits.cms()
	der, err := cms.Normalize(body, limits.Nesting)
	if err != nil {
		return nil, err
	}
	return cms.ParseCertificates(der, limits)
}

func firstRA(all []*x509.Certificate, usage x509.KeyUsage) *x509.Certificate {
	i := slices.IndexFunc(all, func(c *x509.Certificate) bool { return !c.IsCA && c.KeyUsage&usage != 0 })
	if i < 0 {
		return nil
	}
	return all[i]
}

// issuerOf is the CA certificate that issued c, else the first one, else, for a
// CA that does not say it is one, the only certificate there is.
func issuerOf(c *x509.Certificate, all []*x509.Certificate) *x509.Certificate {
	issued := func(ca *x509.Certificate) bool {
		return c != nil && ca.IsCA && bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil
	}
	isCA := func(ca *x509.Certificate) bool { return ca.IsCA }
	only := func(*x509.Certificate) bool { return len(all) == 1 }
	for _, wanted := range []func(*x509.Certificate) bool{issued, isCA, only} {
		if i := slices.IndexFunc(all, wanted); i >= 0 {
			return all[i]
		}
	}
	return nil
}
