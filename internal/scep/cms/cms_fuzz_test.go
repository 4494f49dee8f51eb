package cms_test

import (
	"bytes"
	"crypto"
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
	signer := fixedSigner(f)
	nonce := cms.Attribute{Type: oidNonce, Value: []byte{4, 2, 0xab, 0xcd}}
	f.Add(mustSign(f, []byte("content"), nonce))
	f.Add(mustSign(f, nil))
	f.Add(sceptest.Bundle(f, sceptest.FixedDevice(f), sceptest.FixedCA(f).Certificate))
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
		signAgain(t, s, signer)
	})
}

func mustBeTyped(t *testing.T, err error) {
	t.Helper()
	if !typed(err) {
		t.Errorf("untyped error %v", err)
	}
}

func signAgain(t *testing.T, s *cms.SignedData, signer cms.Signer) {
	t.Helper()
	var attributes []cms.Attribute
	value, ok := s.Attribute(oidNonce)
	if ok {
		attributes = []cms.Attribute{{Type: oidNonce, Value: value}}
	}
	der, err := cms.Sign(s.Content, attributes, signer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cms.ParseSignedData(der, limits)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Verify(signer.Certificate); err != nil {
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
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.TripleDESCBC, cms.DESCBC, cms.AES128GCM, cms.AES256GCM} {
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
			mustDecrypt(t, b, func() (cms.Plaintext, error) { return e.Decrypt(r, key) })
		}
	})
}

// mustDecrypt opens a message twice.
func mustDecrypt(t *testing.T, message []byte, decrypt func() (cms.Plaintext, error)) {
	t.Helper()
	once, err := decrypt()
	if err != nil {
		mustBeTyped(t, err)
		return
	}
	twice, err := decrypt()
	if err != nil || len(once.Bytes) > len(message) {
		t.Errorf("%d bytes, then %v", len(once.Bytes), err)
	}
	if bytes.Equal(once.Bytes, twice.Bytes) && once.Sound != twice.Sound {
		t.Errorf("the same bytes are sound and not: %x", once.Bytes)
	}
}

// FuzzPassword does the same for recipients that have a password.
func FuzzPassword(f *testing.F) {
	password := []byte("one-time")
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256GCM, cms.TripleDESCBC} {
		der, err := cms.EncryptToPassword([]byte("what is inside"), password, c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := cms.ParseEnvelopedData(b)
		if err != nil {
			mustBeTyped(t, err)
			return
		}
		for _, r := range e.PasswordRecipients[:min(1, len(e.PasswordRecipients))] {
			mustDecrypt(t, b, func() (cms.Plaintext, error) { return e.DecryptWithPassword(r, password) })
		}
	})
}

// FuzzNextCA reads answers to GetNextCACert in all their nestings; what is read
// is part of what was signed.
func FuzzNextCA(f *testing.F) {
	bundle := sceptest.Bundle(f, sceptest.FixedCA(f).Certificate)
	f.Add(mustSign(f, bundle))
	f.Add(mustSign(f, nil))
	f.Add(bundle)
	signer := sceptest.FixedDevice(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := cms.ParseNextCA(b, limits)
		if err != nil {
			mustBeTyped(t, err)
			return
		}
		if err := s.Verify(signer); err != nil {
			mustBeTyped(t, err)
		}
		certs, err := s.NextCertificates(limits)
		if len(certs) > limits.Certificates || err != nil && certs != nil {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
	})
}

// FuzzCRLs reads what answers GetCRL; what is read is written and read again.
func FuzzCRLs(f *testing.F) {
	crl, err := sceptest.FixedCA(f).CRL()
	if err != nil {
		f.Fatal(err)
	}
	der, err := cms.MarshalCRL(crl)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(sceptest.Bundle(f, sceptest.FixedDevice(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		crls, err := cms.ParseCRLs(b, limits)
		if err != nil {
			mustBeTyped(t, err)
			return
		}
		for _, crl := range crls {
			der, err := cms.MarshalCRL(crl)
			if err != nil {
				t.Fatal(err)
			}
			again, err := cms.ParseCRLs(der, limits)
			if err != nil || len(again) != 1 || !bytes.Equal(again[0], crl) {
				t.Errorf("%x came back as %x, %v", crl, again, err)
			}
		}
	})
}

// FuzzCertificates reads certs-only bundles; what it accepts can be written, and
// is read as the same certificates.
func FuzzCertificates(f *testing.F) {
	f.Add(sceptest.Bundle(f, sceptest.FixedDevice(f)))
	f.Add(sceptest.Bundle(f, sceptest.FixedDevice(f), sceptest.FixedCA(f).Certificate))
	f.Fuzz(func(t *testing.T, b []byte) {
		certs, err := cms.ParseCertificates(b, limits)
		if err != nil || len(certs) == 0 {
			return
		}
		again, err := cms.ParseCertificates(sceptest.Bundle(t, certs...), limits)
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
