package dev

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Files of the CA.
const (
	// CAFile is the CA's certificate, in PEM.
	CAFile = "ca.pem"
	// CAKeyFile is its private key, in PEM (PKCS #8).
	CAKeyFile = "ca-key.pem"
)

const (
	keySize    = 2048
	caValidity = 10 * 365 * 24 * time.Hour
	// backdate is for devices whose clocks are slow.
	backdate = 24 * time.Hour
)

// authority is a CA's certificate and key.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// openCA reads the CA, or makes one where there is none at all.
func openCA(dir string, now time.Time) (*authority, error) {
	certificate, err := readIfThere(filepath.Join(dir, CAFile))
	if err != nil {
		return nil, err
	}
	key, err := readIfThere(filepath.Join(dir, CAKeyFile))
	if err != nil {
		return nil, err
	}
	if certificate == nil && key == nil {
		return makeCA(dir, now)
	}
	ca, err := parseCA(certificate, key, now)
	if err != nil {
		return nil, fmt.Errorf("%s and %s in %s: %w: %w", CAFile, CAKeyFile, dir, err, ErrUnusable)
	}
	return ca, nil
}

var (
	errNoCertificate = errors.New("the certificate is missing")
	errNoKey         = errors.New("the key is missing")
	errNoSigner      = errors.New("the key cannot sign")
	errNotCA         = errors.New("it is no CA certificate")
	errCAExpired     = errors.New("the CA certificate has expired")
)

func parseCA(certificate, key []byte, now time.Time) (*authority, error) {
	if certificate == nil {
		return nil, errNoCertificate
	}
	if key == nil {
		return nil, errNoKey
	}
	pair, err := tls.X509KeyPair(certificate, key) // it compares the two
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	switch {
	case !ok:
		return nil, errNoSigner
	case !pair.Leaf.IsCA:
		return nil, errNotCA
	case now.After(pair.Leaf.NotAfter):
		return nil, errCAExpired
	}
	return &authority{pair.Leaf, signer}, nil
}

// makeCA makes both in memory, and writes the key before the certificate.
func makeCA(dir string, now time.Time) (*authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, keySize)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	ca := &authority{key: key}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Scepter development CA " + shortID(key.Public())},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caValidity),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if ca.certificate, err = ca.sign(template, key.Public()); err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeFile(filepath.Join(dir, CAKeyFile), block, privateMode); err != nil {
		return nil, err
	}
	block = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw})
	return ca, writeFile(filepath.Join(dir, CAFile), block, publicMode)
}

// shortID tells the CAs of several directories apart.
func shortID(key crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil { // a key of no known type; names need not differ
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:4])
}

// sign makes a certificate; a CA without one signs its own.
func (a *authority) sign(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	parent := a.certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read what was signed: %w", err)
	}
	return certificate, nil
}

// readIfThere reads a file; nil if there is none, and not nil if it is empty.
func readIfThere(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return data, nil
}
