package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var limits = cms.Limits{Nesting: nesting, Certificates: 4, Attributes: 8}

// oidNonce stands for any attribute.
var oidNonce = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}

func fixedSigner(t testing.TB) cms.Signer {
	t.Helper()
	return cms.Signer{Certificate: sceptest.FixedDevice(t), Key: sceptest.FixedKey(t, "device"), Digest: crypto.SHA256}
}

func mustSign(t testing.TB, content []byte, attributes ...cms.Attribute) []byte {
	t.Helper()
	der, err := cms.Sign(content, attributes, fixedSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// typed says whether a caller can tell what kind of error err is.
func typed(err error) bool {
	var unsupported *cms.UnsupportedAlgorithmError
	return errors.As(err, &unsupported) || errors.Is(err, cms.ErrEncoding) ||
		errors.Is(err, cms.ErrSignature) || errors.Is(err, cms.ErrNoSigner)
}

// FuzzSignedData parses and verifies; what was parsed can be signed again, and
// comes back the same.
func FuzzSignedData(f *testing.F) {
	nonce := cms.Attribute{Type: oidNonce, Value: []byte{4, 2, 0xab, 0xcd}}
	f.Add(mustSign(f, []byte("content"), nonce))
	f.Add(mustSign(f, nil))
	bundle, err := cms.MarshalCertificates([]*x509.Certificate{sceptest.FixedDevice(f), sceptest.FixedCA(f).Certificate})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := cms.ParseSignedData(b, limits)
		if err != nil {
			if !typed(err) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if len(s.Content) > len(b) || len(s.Certificates) > limits.Certificates {
			t.Errorf("%d bytes of content, %d certificates", len(s.Content), len(s.Certificates))
		}
		if cert, _, err := s.SignerCertificate(); err != nil {
			mustBeTyped(t, err)
		} else if err := s.Verify(cert); err != nil {
			mustBeTyped(t, err)
		}
		signAgain(t, s)
	})
}

func mustBeTyped(t *testing.T, err error) {
	t.Helper()
	if !typed(err) {
		t.Errorf("untyped error %v", err)
	}
}

func signAgain(t *testing.T, s *cms.SignedData) {
	t.Helper()
	var attributes []cms.Attribute
	value, ok := s.Attribute(oidNonce)
	if ok {
		attributes = []cms.Attribute{{Type: oidNonce, Value: value}}
	}
	again, err := cms.ParseSignedData(mustSign(t, s.Content, attributes...), limits)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Verify(sceptest.FixedDevice(t)); err != nil {
		t.Error(err)
	}
	same, also := again.Attribute(oidNonce)
	if !bytes.Equal(again.Content, s.Content) || !bytes.Equal(same, value) || ok != also {
		t.Errorf("%x with %x came back as %x with %x", s.Content, value, again.Content, same)
	}
}

// FuzzEnvelopedData parses and decrypts with a recipient's key: always bytes, no
// more than there were, and the same ones each time the message is sound.
func FuzzEnvelopedData(f *testing.F) {
	to := sceptest.FixedIdentity(f).Active.Encryption.Certificate
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.TripleDESCBC, cms.DESCBC} {
		for _, transport := range []cms.KeyTransport{cms.PKCS1v15, cms.OAEPSHA1, cms.OAEPSHA256} {
			der, err := cms.Encrypt([]byte("what is inside"), to, c, transport)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(der)
		}
	}
	key := sceptest.FixedKey(f, "ra")
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := cms.ParseEnvelopedData(b)
		if err != nil {
			mustBeTyped(t, err)
			return
		}
		for _, r := range e.Recipients {
			once, err := e.Decrypt(r, key)
			if err != nil {
				mustBeTyped(t, err)
				continue
			}
			twice, err := e.Decrypt(r, key)
			if err != nil || len(once.Bytes) > len(b) {
				t.Errorf("%d bytes, then %v", len(once.Bytes), err)
			}
			if bytes.Equal(once.Bytes, twice.Bytes) && once.Sound != twice.Sound {
				t.Errorf("the same bytes are sound and not: %x", once.Bytes)
			}
		}
	})
}

// FuzzCertificates reads certs-only bundles; what it accepts can be written, and
// is read as the same certificates.
func FuzzCertificates(f *testing.F) {
	for _, certs := range [][]*x509.Certificate{
		{sceptest.FixedDevice(f)},
		{sceptest.FixedDevice(f), sceptest.FixedCA(f).Certificate},
	} {
		der, err := cms.MarshalCertificates(certs)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		certs, err := cms.ParseCertificates(b, limits)
		if err != nil || len(certs) == 0 {
			return
		}
		der, err := cms.MarshalCertificates(certs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := cms.ParseCertificates(der, limits)
		if err != nil || len(again) != len(certs) {
			t.Fatalf("%d certificates came back as %d, %v", len(certs), len(again), err)
		}
		for i, c := range certs {
			if !again[i].Equal(c) {
				t.Errorf("certificate %d differs", i)
			}
		}
	})
}
