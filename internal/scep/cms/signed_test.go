package cms

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

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

// message is a SignedData as Sign would not make it. What is left out is as Sign
// makes it with rsaKey and SHA-256.
type message struct {
	cert       *x509.Certificate
	digest     crypto.Hash
	content    builder // EncapsulatedContentInfo
	attributes []byte  // contents of signedAttrs
	sid        builder
	algorithm  builder
	sign       func(sum []byte) []byte
}

func (m message) withDefaults(t *testing.T) message {
	t.Helper()
	m.digest = cmp.Or(m.digest, crypto.SHA256)
	if m.cert == nil {
		m.cert = selfSigned(t, rsaKey(t))
	}
	if m.content == nil {
		m.content = func(b *cryptobyte.Builder) { addContent(b, []byte("content")) }
	}
	if m.attributes == nil {
		m.attributes = signedAttributes(t, m.digest)
	}
	if m.sid == nil {
		m.sid = func(b *cryptobyte.Builder) { addIssuerAndSerial(b, m.cert) }
	}
	if m.algorithm == nil {
		m.algorithm = func(b *cryptobyte.Builder) { addAlgorithm(b, oidRSAEncryption, addNull) }
	}
	if m.sign == nil {
		m.sign = pkcs1(t, m.digest)
	}
	return m
}

// plain is an AlgorithmIdentifier without parameters.
func plain(oid asn1.ObjectIdentifier) builder {
	return func(b *cryptobyte.Builder) { addAlgorithm(b, oid, nil) }
}

func (m message) der(t *testing.T) []byte {
	t.Helper()
	m = m.withDefaults(t)
	d, err := digestByHash(m.digest)
	if err != nil {
		t.Fatal(err)
	}
	signature := m.sign(d.sumOfSet(m.attributes))
	der, err := contentInfo(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SET, plain(d.oid))
		m.content(b)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(m.cert.Raw) })
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				m.sid(b)
				addAlgorithm(b, d.oid, addNull)
				b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(m.attributes) })
				m.algorithm(b)
				b.AddASN1OctetString(signature)
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (m message) verify(t *testing.T) error {
	t.Helper()
	return verify(t, mustParse(t, m.der(t)))
}

func signedAttributes(t *testing.T, hash crypto.Hash) []byte {
	t.Helper()
	d, err := digestByHash(hash)
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

func pkcs1(t *testing.T, hash crypto.Hash) func([]byte) []byte {
	return func(sum []byte) []byte {
		signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(t), hash, sum)
		if err != nil {
			t.Error(err)
		}
		return signature
	}
}

func TestVerifyVariants(t *testing.T) {
	t.Parallel()
	sorted := signedAttributes(t, crypto.SHA256)
	unsorted := reversed(t, sorted)
	overSorted := func([]byte) []byte {
		sum := sha256.Sum256(setOf(sorted))
		return pkcs1(t, crypto.SHA256)(sum[:])
	}
	withSHA256 := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	withSHA1 := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	for name, m := range map[string]message{
		"signed as sent":       {attributes: unsorted},
		"signed as DER":        {attributes: unsorted, sign: overSorted},
		"sha256WithRSA":        {algorithm: plain(withSHA256)},
		"sha1WithRSA by name":  {algorithm: plain(withSHA1)},
		"RSA without NULL":     {algorithm: plain(oidRSAEncryption)},
		"RSA with a parameter": {algorithm: func(b *cryptobyte.Builder) { addAlgorithm(b, withSHA256, plain(oidData)) }},
		"MD5":                  {digest: crypto.MD5},
	} {
		if err := m.verify(t); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var unsupported *UnsupportedAlgorithmError
	md2WithRSA := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 2}
	if err := (message{algorithm: plain(md2WithRSA)}).verify(t); !errors.As(err, &unsupported) || !unsupported.OID.Equal(md2WithRSA) {
		t.Errorf("MD2 with RSA: %v", err)
	}
}

func TestVerifyDemandsAttributes(t *testing.T) {
	t.Parallel()
	attributes, err := readAttributes(signedAttributes(t, crypto.SHA256), limits.Attributes)
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
			if err := (message{attributes: signed}).verify(t); !errors.Is(err, ErrEncoding) {
				t.Errorf("%v %s: %v", left, count, err)
			}
		}
	}
}

func TestSigningTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, test := range map[string]struct {
		value builder
		ok    bool
	}{
		"UTCTime":         {func(b *cryptobyte.Builder) { b.AddASN1UTCTime(at) }, true},
		"GeneralizedTime": {func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(at) }, true},
		"with an offset": {func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.UTCTime, func(b *cryptobyte.Builder) { b.AddBytes([]byte("260203050506+0100")) })
		}, true},
		"no time": {func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte("260203040506Z")) }, false},
	} {
		value := cryptobyte.NewBuilder(nil)
		test.value(value)
		attribute, err := Attribute{oidSigningTime, value.BytesOrPanic()}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		s := mustParse(t, message{attributes: append(signedAttributes(t, crypto.SHA256), attribute...)}.der(t))
		if got, ok := s.SigningTime(); ok != test.ok || ok && !got.Equal(at) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	if got, ok := mustParse(t, message{}.der(t)).SigningTime(); ok {
		t.Errorf("no attribute: %v", got)
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
