package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"testing"
	"time"
)

var limits = Limits{Nesting: nesting, Certificates: 16, Attributes: 64}

func newRSAKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// Keys are made once: it takes long.
var (
	onceRSAKey      = sync.OnceValues(newRSAKey)
	onceOtherRSAKey = sync.OnceValues(newRSAKey)
	onceECKey       = sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	})
)

func mustKey[K any](t testing.TB, once func() (K, error)) K {
	t.Helper()
	key, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB) *rsa.PrivateKey      { t.Helper(); return mustKey(t, onceRSAKey) }
func otherRSAKey(t testing.TB) *rsa.PrivateKey { t.Helper(); return mustKey(t, onceOtherRSAKey) }
func ecKey(t testing.TB) *ecdsa.PrivateKey     { t.Helper(); return mustKey(t, onceECKey) }

// selfSigned makes a certificate that expired long ago: validity is none of this
// package's business.
func selfSigned(t testing.TB, key crypto.Signer, extensions ...pkix.Extension) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(4711),
		Subject:         pkix.Name{CommonName: "device"},
		NotBefore:       time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:        time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC),
		SubjectKeyId:    []byte{1, 2, 3, 4},
		ExtraExtensions: extensions,
	}
	return certify(t, template, key)
}

func certify(t testing.TB, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
