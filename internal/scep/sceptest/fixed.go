package sceptest

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed" // the keys
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
)

// fixedKeys are PEM blocks with a Name. Their type keeps programs that look for
// leaked keys quiet.
//
//go:embed testdata/keys.pem
var fixedKeys []byte

// FixedKey returns a key of 1024 bits, "ca", "ra", "device" or "stranger", that
// is the same in every process: what it signed or can decrypt may be kept in
// files, and a fuzzer's workers, which are processes of their own, can do
// something with each other's messages. It is also a few times quicker than
// RSAKey's.
func FixedKey(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	for block, rest := pem.Decode(fixedKeys); block != nil; block, rest = pem.Decode(rest) {
		if block.Headers["Name"] != name {
			continue
		}
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	t.Fatalf("there is no fixed key %q", name)
	return nil
}

// FixedCA is a CA without a root above it, the same in every process.
func FixedCA(t testing.TB) *CA {
	t.Helper()
	key := FixedKey(t, "ca")
	root := fixedCertificate(t, 1, caTemplate("Fixed CA"), nil, key)
	return &CA{Certificate: root, Key: key, Root: root}
}

// FixedIdentity is an RA below FixedCA with one credential for both uses, the
// same in every process.
func FixedIdentity(t testing.TB) *scep.Identity {
	t.Helper()
	ca, key := FixedCA(t), FixedKey(t, "ra")
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "Fixed RA"}, KeyUsage: combinedUsage}
	credential := &scep.Credential{Certificate: fixedCertificate(t, 2, template, ca, key), Key: key}
	return &scep.Identity{
		Active:  &scep.Generation{Signing: credential, Encryption: credential},
		CAChain: []*x509.Certificate{ca.Certificate},
	}
}

// FixedDevice is the device's own certificate for the key "device".
func FixedDevice(t testing.TB) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "device"}, KeyUsage: combinedUsage}
	return fixedCertificate(t, 3, template, nil, FixedKey(t, "device"))
}

// fixedCertificate signs with ca, or with key if that is nil.
func fixedCertificate(t testing.TB, serial int64, template *x509.Certificate, ca *CA, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(serial)
	template.NotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	template.NotAfter = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
	template.SubjectKeyId = []byte(template.Subject.CommonName)
	var cert *x509.Certificate
	var err error
	if ca == nil {
		cert, err = sign(template, template, key.Public(), key)
	} else {
		cert, err = sign(template, ca.Certificate, key.Public(), ca.Key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
