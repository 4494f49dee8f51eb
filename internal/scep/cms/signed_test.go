package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidTest = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}

func testAttributes() []Attribute {
	return []Attribute{{oidTest, Element(cbasn1.PrintableString, []byte("id"))}}
}

func mustSign(t testing.TB, content []byte, s Signer) []byte {
	t.Helper()
	der, err := Sign(content, testAttributes(), s)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func mustParse(t testing.TB, der []byte) *SignedData {
	t.Helper()
	s, err := ParseSignedData(der, limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verify(t testing.TB, s *SignedData) error {
	t.Helper()
	cert, _, err := s.SignerCertificate()
	if err != nil {
		return err
	}
	return s.Verify(cert)
}

func TestSignRoundTrip(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.Signer{rsaKey(t), ecKey(t)} {
		cert := selfSigned(t, key)
		for _, d := range digests {
			if d.withECDSA == nil && key == crypto.Signer(ecKey(t)) {
				continue
			}
			for _, content := range [][]byte{nil, []byte("content")} {
				t.Run(fmt.Sprintf("%T/%v/%d", key, d.hash, len(content)), func(t *testing.T) {
					t.Parallel()
					roundTrip(t, content, Signer{cert, key, d.hash})
				})
			}
		}
	}
}

func roundTrip(t *testing.T, content []byte, signer Signer) {
	t.Helper()
	der := mustSign(t, content, signer)
	s := mustParse(t, der)
	if err := verify(t, s); err != nil {
		t.Error(err)
	}
	if hash, err := s.Digest(); err != nil || hash != signer.Digest {
		t.Errorf("digest %v, %v", hash, err)
	}
	if !bytes.Equal(s.Content, content) || s.Content == nil {
		t.Errorf("content %x", s.Content)
	}
	if signer.Digest != crypto.MD5 {
		readBySmallstep(t, der, content)
	}
}

func TestSignRefusesDigests(t *testing.T) {
	t.Parallel()
	for _, s := range []Signer{
		{selfSigned(t, ecKey(t)), ecKey(t), crypto.MD5},
		{selfSigned(t, rsaKey(t)), rsaKey(t), crypto.SHA224},
	} {
		if _, err := Sign(nil, nil, s); err == nil {
			t.Errorf("%T signs with %v", s.Key, s.Digest)
		}
	}
}

// readBySmallstep holds the two libraries against each other.
func readBySmallstep(t *testing.T, der, content []byte) {
	t.Helper()
	p7, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatalf("smallstep/pkcs7: %v", err)
	}
	if err := p7.Verify(); err != nil {
		t.Errorf("smallstep/pkcs7: %v", err)
	}
	var id string
	if err := p7.UnmarshalSignedAttribute(oidTest, &id); err != nil || id != "id" {
		t.Errorf("smallstep/pkcs7 reads %q, %v", id, err)
	}
	if !bytes.Equal(p7.Content, content) {
		t.Errorf("smallstep/pkcs7 reads content %x", p7.Content)
	}
}

func TestReadsSmallstep(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.Signer{rsaKey(t), ecKey(t)} {
		p7, err := pkcs7.NewSignedData([]byte("content"))
		if err != nil {
			t.Fatal(err)
		}
		p7.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if err := p7.AddSigner(selfSigned(t, key), key, pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
		der, err := p7.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(t, mustParse(t, der)); err != nil {
			t.Errorf("%T: %v", key, err)
		}
	}
}

func TestVerifyRefusesTampering(t *testing.T) {
	t.Parallel()
	signer := Signer{selfSigned(t, rsaKey(t)), rsaKey(t), crypto.SHA256}
	content := []byte("a content that is not to be changed")
	der := mustSign(t, content, signer)
	for name, at := range map[string]int{
		"content":   bytes.Index(der, content),
		"attribute": bytes.LastIndex(der, []byte("id")),
		"signature": len(der) - 1,
	} {
		changed := bytes.Clone(der)
		changed[at] ^= 1
		if err := verify(t, mustParse(t, changed)); !errors.Is(err, ErrSignature) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	if err := mustParse(t, der).Verify(selfSigned(t, otherRSAKey(t))); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v", err)
	}
}

// signedWith makes a message whose SignerInfo is changed before encoding.
func signedWith(t *testing.T, signed []byte, sign func(sum []byte) []byte, sid func(*cryptobyte.Builder), signature asn1.ObjectIdentifier) []byte {
	t.Helper()
	cert := selfSigned(t, rsaKey(t))
	d, err := digestByHash(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := contentInfo(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, d.oid, nil) })
		addContent(b, []byte("content"))
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(cert.Raw) })
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				sid(b)
				addAlgorithm(b, d.oid, addNull)
				b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(signed) })
				addAlgorithm(b, signature, nil)
				b.AddASN1OctetString(sign(d.sum(setOf(signed))))
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func signedAttributes(t *testing.T) []byte {
	t.Helper()
	d, err := digestByHash(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	sorted, err := marshalAttributes([]byte("content"), testAttributes(), d)
	if err != nil {
		t.Fatal(err)
	}
	return sorted
}

// reversed is signedAttrs in an order that is not DER's.
func reversed(t *testing.T, sorted []byte) []byte {
	t.Helper()
	attributes, err := readAttributes(sorted, limits.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, a := range slices.Backward(attributes) {
		out = append(out, a.element...)
	}
	return out
}

func pkcs1(t *testing.T) func([]byte) []byte {
	return func(sum []byte) []byte {
		signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(t), crypto.SHA256, sum)
		if err != nil {
			t.Error(err)
		}
		return signature
	}
}

func TestVerifyVariants(t *testing.T) {
	t.Parallel()
	cert := selfSigned(t, rsaKey(t))
	byIssuer := func(b *cryptobyte.Builder) { addIssuerAndSerial(b, cert) }
	byKeyID := func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(cert.SubjectKeyId) })
	}
	sorted := signedAttributes(t)
	unsorted := reversed(t, sorted)
	d, err := digestByHash(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	pss := func(sum []byte) []byte {
		signature, err := rsa.SignPSS(rand.Reader, rsaKey(t), crypto.SHA256, sum, nil)
		if err != nil {
			t.Error(err)
		}
		return signature
	}
	overSorted := func([]byte) []byte { return pkcs1(t)(d.sum(setOf(sorted))) }
	for name, der := range map[string][]byte{
		"signed as sent":        signedWith(t, unsorted, pkcs1(t), byIssuer, oidRSAEncryption),
		"signed as DER":         signedWith(t, unsorted, overSorted, byIssuer, oidRSAEncryption),
		"subject key id":        signedWith(t, sorted, pkcs1(t), byKeyID, oidRSAEncryption),
		"sha256WithRSA":         signedWith(t, sorted, pkcs1(t), byIssuer, d.withRSA),
		"RSASSA-PSS":            signedWith(t, sorted, pss, byIssuer, oidRSASSAPSS),
		"sha1WithRSA by name":   signedWith(t, sorted, pkcs1(t), byIssuer, digests[0].withRSA),
		"unsorted and with PSS": signedWith(t, unsorted, pss, byIssuer, oidRSASSAPSS),
	} {
		if err := verify(t, mustParse(t, der)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var unsupported *UnsupportedAlgorithmError
	md2WithRSA := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 2}
	err = verify(t, mustParse(t, signedWith(t, sorted, pkcs1(t), byIssuer, md2WithRSA)))
	if !errors.As(err, &unsupported) || !unsupported.OID.Equal(md2WithRSA) {
		t.Errorf("MD2 with RSA: %v", err)
	}
}

func TestVerifyDemandsAttributes(t *testing.T) {
	t.Parallel()
	cert := selfSigned(t, rsaKey(t))
	byIssuer := func(b *cryptobyte.Builder) { addIssuerAndSerial(b, cert) }
	attributes, err := readAttributes(signedAttributes(t), limits.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []asn1.ObjectIdentifier{oidContentType, oidMessageDigest} {
		var once, twice []byte
		for _, a := range attributes {
			if !a.oid.Equal(left) {
				once = append(once, a.element...)
				twice = append(twice, a.element...)
				continue
			}
			twice = append(append(twice, a.element...), a.element...)
		}
		for count, signed := range map[string][]byte{"missing": once, "twice": twice} {
			der := signedWith(t, signed, pkcs1(t), byIssuer, oidRSAEncryption)
			if err := verify(t, mustParse(t, der)); !errors.Is(err, ErrEncoding) {
				t.Errorf("%v %s: %v", left, count, err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	signer := Signer{selfSigned(t, rsaKey(t)), rsaKey(t), crypto.SHA256}
	der := mustSign(t, nil, signer) // one certificate, three attributes
	for name, l := range map[string]Limits{
		"certificates": {Nesting: nesting, Certificates: 0, Attributes: 64},
		"attributes":   {Nesting: nesting, Certificates: 16, Attributes: 2},
	} {
		if _, err := ParseSignedData(der, l); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCertificatesOnly(t *testing.T) {
	t.Parallel()
	certs := []*x509.Certificate{selfSigned(t, rsaKey(t)), selfSigned(t, ecKey(t))}
	der, err := MarshalCertificates(certs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCertificates(der, limits)
	if err != nil || !slices.EqualFunc(got, certs, (*x509.Certificate).Equal) {
		t.Errorf("got %v, %v", got, err)
	}
	s := mustParse(t, der)
	if s.Content != nil {
		t.Errorf("content %x", s.Content)
	}
	if _, _, err := s.SignerCertificate(); !errors.Is(err, ErrNoSigner) {
		t.Errorf("signer: %v", err)
	}
	if err := s.Verify(certs[0]); !errors.Is(err, ErrNoSigner) {
		t.Errorf("verify: %v", err)
	}
	if _, ok := s.Attribute(oidTest); ok {
		t.Error("an attribute without a signer")
	}
}

// Windows marks the authority key identifier of its self-signed certificates
// critical.
func TestCriticalAuthorityKeyIdentifier(t *testing.T) {
	t.Parallel()
	aki := pkix.Extension{
		Id:       asn1.ObjectIdentifier{2, 5, 29, 35},
		Critical: true,
		Value:    []byte{0x30, 0x06, 0x80, 0x04, 1, 2, 3, 4},
	}
	cert := selfSigned(t, rsaKey(t), aki)
	if _, err := x509.ParseCertificate(cert.Raw); err == nil {
		t.Error("crypto/x509 reads it now: ParseCertificate is no longer needed")
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		t.Errorf("its signature does not verify: %v", err)
	}
	if err := verify(t, mustParse(t, mustSign(t, nil, Signer{cert, rsaKey(t), crypto.SHA256}))); err != nil {
		t.Errorf("a message it signed: %v", err)
	}
}

// A modulus of a hundred thousand bits fits into a message, and would keep a
// core busy.
func TestVerifyRefusesHugeKeys(t *testing.T) {
	t.Parallel()
	s := mustParse(t, mustSign(t, nil, Signer{selfSigned(t, rsaKey(t)), rsaKey(t), crypto.SHA256}))
	modulus := new(big.Int).Lsh(big.NewInt(1), 100_000)
	huge := &x509.Certificate{PublicKey: &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537}}
	if err := s.Verify(huge); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "RSA key of 100001 bits") {
		t.Errorf("got %v", err)
	}
}
