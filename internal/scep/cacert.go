package scep

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// CACertificates is an answer to GetCACert, its certificates told apart.
type CACertificates struct {
	Signing    *x509.Certificate   // signs the answers
	Encryption *x509.Certificate   // requests are encrypted to; RSA
	CA         *x509.Certificate   // issues
	Chain      []*x509.Certificate // the CA and what is above it, each signed by the next
	All        []*x509.Certificate // in the order they came
}

// CACertificateError says why the certificates of a GetCACert cannot be used.
type CACertificateError struct {
	Reason  string
	Subject string // of the certificate it is about; "" if it is about none or all
}

// Error gives the reason and the certificate.
func (e *CACertificateError) Error() string {
	if e.Subject == "" {
		return "scep: GetCACert: " + e.Reason
	}
	return fmt.Sprintf("scep: GetCACert: %s: %s", e.Subject, e.Reason)
}

// ParseCACertificates reads the body of GetCACert, a certificate or a certs-only
// SignedData in DER or BER, and chooses by key usage as Apple's client and jscep
// do: a signing and an encryption certificate of an RA if there are two, else one
// that may do both; the CA takes the parts no RA has. All have to chain to the
// same CA, by signatures. Times are not looked at (CheckValidity does), and
// nothing says that the CA is the right one. Errors are *CACertificateError, or
// wrap cms.ErrEncoding.
func ParseCACertificates(body []byte) (*CACertificates, error) {
	all, err := parseCertificates(body)
	if err != nil {
		return nil, fmt.Errorf("scep: GetCACert: %w", err)
	}
	if len(all) == 0 {
		return nil, &CACertificateError{Reason: "no certificate in the answer"}
	}
	if err := checkKeySizes(all); err != nil {
		return nil, err
	}
	c := &CACertificates{All: all}
	if len(all) > 1 {
		c.chooseRA()
	}
	if err := c.chooseCA(); err != nil {
		return nil, err
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

// checkKeySizes refuses keys that a server could keep its clients busy with, before
// anything says whose server it is.
func checkKeySizes(all []*x509.Certificate) error {
	for _, c := range all {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > cms.MaxRSABits {
			return &CACertificateError{fmt.Sprintf("RSA key of %d bits", key.N.BitLen()), c.Subject.String()}
		}
	}
	return nil
}

// maySign and mayEncrypt take a certificate without key usage for one that may do
// everything (RFC 5280, section 4.2.1.3).
func maySign(c *x509.Certificate) bool {
	return c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageDigitalSignature != 0
}

func mayEncrypt(c *x509.Certificate) bool {
	return isRSA(c) && (c.KeyUsage == 0 || c.KeyUsage&(x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment) != 0)
}

func isRSA(c *x509.Certificate) bool {
	_, ok := c.PublicKey.(*rsa.PublicKey)
	return ok
}

// chooseRA sets Signing and Encryption, each nil if no RA certificate fits.
func (c *CACertificates) chooseRA() {
	first := func(signs, encrypts bool) *x509.Certificate {
		return find(c.All, func(cert *x509.Certificate) bool {
			return !cert.IsCA && maySign(cert) == signs && mayEncrypt(cert) == encrypts
		})
	}
	c.Signing, c.Encryption = first(true, false), first(false, true)
	both := first(true, true)
	if both != nil && (c.Signing == nil || c.Encryption == nil) {
		c.Signing, c.Encryption = both, both
	}
}

// chooseCA finds the CA, and lets it do what no RA does.
func (c *CACertificates) chooseCA() error {
	var tops []*x509.Certificate
	for _, ra := range []*x509.Certificate{c.Encryption, c.Signing} {
		if ra == nil {
			continue
		}
		chain := issuers(ra, c.All)
		if len(chain) == 0 {
			return &CACertificateError{"no CA certificate in the answer issued it", ra.Subject.String()}
		}
		if c.CA == nil {
			c.CA, c.Chain = chain[0], chain
		}
		tops = append(tops, chain[len(chain)-1])
	}
	if len(tops) == 2 && !tops[0].Equal(tops[1]) {
		return &CACertificateError{"the RA's certificates are not of the same CA", c.Signing.Subject.String()}
	}
	if c.CA == nil {
		if c.CA = lowestCA(c.All); c.CA == nil {
			return &CACertificateError{Reason: "no CA certificate in the answer"}
		}
		c.Chain = append([]*x509.Certificate{c.CA}, issuers(c.CA, c.All)...)
	}
	return c.fillFromCA()
}

// fillFromCA does not ask the CA's key usage: many CAs that are their own RA
// announce less than they do (RFC 8894, section 3.5.2).
func (c *CACertificates) fillFromCA() error {
	if c.Signing == nil {
		c.Signing = c.CA
	}
	if c.Encryption == nil {
		c.Encryption = c.CA
	}
	if !isRSA(c.Encryption) {
		return &CACertificateError{"requests cannot be encrypted to it, its key is not RSA", c.Encryption.Subject.String()}
	}
	return nil
}

func find(all []*x509.Certificate, is func(*x509.Certificate) bool) *x509.Certificate {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i]
	}
	return nil
}

// issuers is the chain above c, as far as all has it and signatures bear it out.
func issuers(c *x509.Certificate, all []*x509.Certificate) []*x509.Certificate {
	var chain []*x509.Certificate
	for len(chain) < len(all) && !bytes.Equal(c.RawSubject, c.RawIssuer) {
		issuer := find(all, func(ca *x509.Certificate) bool { return issued(ca, c) })
		if issuer == nil {
			break
		}
		chain = append(chain, issuer)
		c = issuer
	}
	return chain
}

func issued(ca, c *x509.Certificate) bool {
	return ca.IsCA && bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil
}

// lowestCA is the CA certificate that issued none of the others; or, for a CA
// that does not say it is one, the only certificate there is.
func lowestCA(all []*x509.Certificate) *x509.Certificate {
	if len(all) == 1 {
		return all[0]
	}
	return find(all, func(ca *x509.Certificate) bool {
		issuedAnother := func(c *x509.Certificate) bool { return !c.Equal(ca) && issued(ca, c) }
		return ca.IsCA && !slices.ContainsFunc(all, issuedAnother)
	})
}

// CheckValidity returns *CACertificateError if a certificate that would be used,
// or one it depends on, is expired or not yet valid (RFC 8894, section 2.2).
func (c *CACertificates) CheckValidity(now time.Time) error {
	for _, cert := range append([]*x509.Certificate{c.Signing, c.Encryption}, c.Chain...) {
		if now.Before(cert.NotBefore) {
			return &CACertificateError{"not valid before " + cert.NotBefore.String(), cert.Subject.String()}
		}
		if now.After(cert.NotAfter) {
			return &CACertificateError{"expired on " + cert.NotAfter.String(), cert.Subject.String()}
		}
	}
	return nil
}

// ErrCANotTrusted is returned by a Client that was given neither CA certificates
// nor a way to judge those it gets.
var ErrCANotTrusted = errors.New("scep: nothing says which CA certificate to trust: set CA or VerifyCA")
