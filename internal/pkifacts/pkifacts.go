// Package pkifacts states facts about certificates and keys: whether a
// certificate is valid, whether a key is its own, whether its usages fit a role,
// and in what order a chain goes. It is pure, and it decides nothing.
//
// The errors are whole sentences for a person; they name serial numbers, usages
// and sizes, never keys.
package pkifacts

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// MinRSABits is the smallest RSA modulus that a credential may have.
const MinRSABits = 2048

var (
	// ErrNotYetValid is returned for a certificate whose notBefore is still to come.
	ErrNotYetValid = errors.New("the certificate is not valid yet")
	// ErrExpired is returned for a certificate whose notAfter has passed.
	ErrExpired = errors.New("the certificate has expired")
	// ErrKeyMismatch is returned where a key is not the certificate's.
	ErrKeyMismatch = errors.New("the private key does not belong to the certificate")
	// ErrCA is returned for a CA certificate where an end-entity certificate is needed.
	ErrCA = errors.New("the certificate is a CA certificate")
)

// CheckValidity returns ErrNotYetValid or ErrExpired if a certificate is not valid
// at a time (RFC 5280, section 4.1.2.5: both ends belong to the period).
func CheckValidity(c *x509.Certificate, at time.Time) error {
	if at.Before(c.NotBefore) {
		return ErrNotYetValid
	}
	if at.After(c.NotAfter) {
		return ErrExpired
	}
	return nil
}

// CheckKeyMatch returns ErrKeyMismatch unless the key is the certificate's.
func CheckKeyMatch(c *x509.Certificate, key crypto.Signer) error {
	if key == nil {
		return ErrKeyMismatch
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(c.PublicKey) {
		return ErrKeyMismatch
	}
	return nil
}

// CheckEndEntity returns ErrCA if a certificate may sign others (RFC 5280, section 4.2.1.9).
func CheckEndEntity(c *x509.Certificate) error {
	if c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return ErrCA
	}
	return nil
}

// CheckAlgorithm says whether a certificate's key can do what the role asks:
// RSA for all that a device encrypts to or verifies in SCEP (RFC 8894, section
// 3.5.2 knows no other key transport), RSA or ECDSA for a TLS client.
func CheckAlgorithm(c *x509.Certificate, role v1alpha1.CredentialRole) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < MinRSABits {
			return fmt.Errorf("the RSA key has %d bits, fewer than %d", key.N.BitLen(), MinRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if role == v1alpha1.RoleClient {
			return nil
		}
	}
	return fmt.Errorf("the key is %s, and role %s needs RSA", c.PublicKeyAlgorithm, role)
}

// OrderChain puts the certificates behind a leaf in order: its issuer first, then
// that one's issuer, up to a self-signed root if it is among the candidates.
// What does not belong to the chain is left out; the leaf itself never belongs.
func OrderChain(leaf *x509.Certificate, candidates []*x509.Certificate) []*x509.Certificate {
	var chain []*x509.Certificate
	seen := map[string]bool{string(leaf.Raw): true}
	for current := leaf; !isSelfIssued(current); {
		parent := findIssuer(current, candidates, seen)
		if parent == nil {
			break
		}
		seen[string(parent.Raw)] = true
		chain = append(chain, parent)
		current = parent
	}
	return chain
}

// CompleteChain puts above a leaf's chain what further certificates have above its end.
func CompleteChain(leaf *x509.Certificate, chain, further []*x509.Certificate) []*x509.Certificate {
	top := leaf
	if len(chain) > 0 {
		top = chain[len(chain)-1]
	}
	above := slices.DeleteFunc(slices.Clone(further), func(c *x509.Certificate) bool { return slices.ContainsFunc(chain, c.Equal) })
	return slices.Concat(chain, OrderChain(top, above))
}

func isSelfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

func findIssuer(c *x509.Certificate, candidates []*x509.Certificate, seen map[string]bool) *x509.Certificate {
	for _, candidate := range candidates {
		if !seen[string(candidate.Raw)] && bytes.Equal(c.RawIssuer, candidate.RawSubject) && c.CheckSignatureFrom(candidate) == nil {
			return candidate
		}
	}
	return nil
}

// UsageNames lists the key usages and extended key usages of a certificate, in
// cert-manager's words; those that it does not know appear as OIDs.
func UsageNames(c *x509.Certificate) []string {
	var names []string
	for _, usage := range keyUsages {
		if c.KeyUsage&usage.bit != 0 {
			names = append(names, usage.name)
		}
	}
	for _, usage := range c.ExtKeyUsage {
		names = append(names, extendedName(usage))
	}
	for _, oid := range c.UnknownExtKeyUsage {
		names = append(names, oid.String())
	}
	return names
}

func describeUsages(c *x509.Certificate) string {
	names := UsageNames(c)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
