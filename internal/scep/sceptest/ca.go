package sceptest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
)

// keys are made once in a test binary: they take long.
var keys sync.Map

// RSAKey returns an RSA key of 2048 bits; the same n gives the same key.
func RSAKey(t testing.TB, n int) *rsa.PrivateKey {
	t.Helper()
	generate := sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	once, _ := keys.LoadOrStore(n, generate)
	key, err := once.(func() (*rsa.PrivateKey, error))()
	if err != nil {
		t.Fatalf("generating an RSA key: %v", err)
	}
	return key
}

// Numbers of keys that the package uses itself.
const (
	keyRoot = -iota - 1
	keyCA
	keySigning
	keyEncryption
)

// CA is an issuing CA below a root.
type CA struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	Root        *x509.Certificate
}

// NewCA makes a CA with new certificates.
func NewCA(t testing.TB) *CA {
	t.Helper()
	rootKey := RSAKey(t, keyRoot)
	root := mustIssue(t, caTemplate("Test Root"), nil, rootKey.Public(), rootKey)
	key := RSAKey(t, keyCA)
	return &CA{
		Certificate: mustIssue(t, caTemplate("Test Issuing CA"), root, key.Public(), rootKey),
		Key:         key,
		Root:        root,
	}
}

// Chain is the issuing CA and the root.
func (ca *CA) Chain() []*x509.Certificate { return []*x509.Certificate{ca.Certificate, ca.Root} }

// Pool holds the root.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Root)
	return pool
}

// Issue signs a certificate for key; serial number and validity (a day, unless
// set) are filled in.
func (ca *CA) Issue(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	return issue(template, ca.Certificate, key, ca.Key)
}

// CRL is a new revocation list, in DER, with nothing on it.
func (ca *CA) CRL() ([]byte, error) {
	now := time.Now()
	template := &x509.RevocationList{Number: big.NewInt(now.UnixNano()), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	der, err := x509.CreateRevocationList(rand.Reader, template, ca.Certificate, ca.Key)
	if err != nil {
		return nil, fmt.Errorf("sceptest: %w", err)
	}
	return der, nil
}

// Issued says whether the CA signed cert.
func (ca *CA) Issued(cert *x509.Certificate) bool {
	return cert.CheckSignatureFrom(ca.Certificate) == nil
}

func caTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Scepter Test"}},
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
}

func issue(template, issuer *x509.Certificate, key crypto.PublicKey, issuerKey crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("sceptest: %w", err)
	}
	filled := *template
	filled.SerialNumber = serial.Add(serial, big.NewInt(1))
	if filled.NotAfter.IsZero() {
		filled.NotBefore, filled.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	if issuer == nil {
		issuer = &filled
	}
	return sign(&filled, issuer, key, issuerKey)
}

func sign(template, issuer *x509.Certificate, key crypto.PublicKey, issuerKey crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key, issuerKey)
	if err != nil {
		return nil, fmt.Errorf("sceptest: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("sceptest: %w", err)
	}
	return cert, nil
}

func mustIssue(t testing.TB, template, issuer *x509.Certificate, key crypto.PublicKey, issuerKey crypto.Signer) *x509.Certificate {
	t.Helper()
	cert, err := issue(template, issuer, key, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// SelfSigned makes a certificate for key that key signs; template may be nil.
func SelfSigned(t testing.TB, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	if template == nil {
		template = &x509.Certificate{Subject: pkix.Name{CommonName: "device"}}
	}
	return mustIssue(t, template, nil, key.Public(), key)
}

// Layout is how many credentials an RA has.
type Layout int

// Pair is a signing and an encryption credential, Combined one for both.
const (
	Pair Layout = iota
	Combined
)

// combinedUsage is of a key that signs and decrypts.
const combinedUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment

// NewGeneration makes RA credentials below ca.
func NewGeneration(t testing.TB, ca *CA, layout Layout) *scep.Generation {
	t.Helper()
	if layout == Combined {
		one := credential(t, ca, "Test RA", combinedUsage, keySigning)
		return &scep.Generation{Signing: one, Encryption: one}
	}
	return &scep.Generation{
		Signing:    credential(t, ca, "Test RA signing", x509.KeyUsageDigitalSignature, keySigning),
		Encryption: credential(t, ca, "Test RA encryption", x509.KeyUsageKeyEncipherment, keyEncryption),
	}
}

func credential(t testing.TB, ca *CA, name string, usage x509.KeyUsage, n int) *scep.Credential {
	t.Helper()
	key := RSAKey(t, n)
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, SubjectKeyId: []byte(name), KeyUsage: usage}
	cert, err := ca.Issue(template, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &scep.Credential{Certificate: cert, Key: key}
}

// NewIdentity makes an RA with one generation below ca.
func NewIdentity(t testing.TB, ca *CA, layout Layout) *scep.Identity {
	t.Helper()
	return &scep.Identity{Active: NewGeneration(t, ca, layout), CAChain: ca.Chain()}
}

// CSROptions is what CSR puts into a request.
type CSROptions struct {
	CommonName        string // "device" if empty
	ChallengePassword string
	Template          *x509.CertificateRequest // instead of CommonName
}

// CSR makes a CSR in DER.
func CSR(t testing.TB, key crypto.Signer, o CSROptions) []byte {
	t.Helper()
	template := o.Template
	if template == nil {
		name := o.CommonName
		if name == "" {
			name = "device"
		}
		template = &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	}
	der, err := scep.NewCSR(template, key, o.ChallengePassword)
	if err != nil {
		t.Fatalf("making a CSR: %v", err)
	}
	return der
}
