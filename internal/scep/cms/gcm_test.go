package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// envelope is an EnvelopedData or AuthEnvelopedData as Encrypt would not make it.
// What is left out is as Encrypt makes it for rsaKey.
type envelope struct {
	enveloped  bool                       // instead of AuthEnvelopedData
	parameters func(nonce []byte) builder // GCMParameters
	attributes []byte                     // contents of authAttrs, as sent
	aad        []byte                     // what the MAC is over beside the content
	tagSize    int
}

// der encrypts content to rsaKey, AES-128-GCM.
func (v envelope) der(t *testing.T, content []byte) []byte {
	t.Helper()
	if v.tagSize == 0 {
		v.tagSize = gcmTagSize
	}
	if v.parameters == nil {
		v.parameters = func(nonce []byte) builder {
			return func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(nonce)
					b.AddASN1Int64(int64(v.tagSize))
				})
			}
		}
	}
	key, nonce := make([]byte, 16), make([]byte, gcmNonceSize)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithTagSize(block, v.tagSize)
	if err != nil {
		t.Fatal(err)
	}
	ciphertext := aead.Seal(nil, nonce, content, v.aad)
	end := len(content)
	contentType := oidAuthEnvelopedData
	if v.enveloped {
		end, contentType = len(ciphertext), oidEnvelopedData
	}
	encryptedKey, err := PKCS1v15.encrypt(&rsaKey(t).PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	to := selfSigned(t, rsaKey(t))
	der, err := contentInfo(contentType, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addRecipient(b, to, PKCS1v15, encryptedKey) })
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidData)
			addAlgorithm(b, AES128GCM.OID(), v.parameters(nonce))
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(ciphertext[:end]) })
		})
		if v.attributes != nil {
			b.AddASN1(tag1, func(b *cryptobyte.Builder) { b.AddBytes(v.attributes) })
		}
		if !v.enveloped {
			b.AddASN1OctetString(ciphertext[end:])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// twoAttributes are two attributes in DER's order.
func twoAttributes(t *testing.T) []byte {
	t.Helper()
	var all []byte
	for _, value := range [][]byte{{0x04, 0x01, 1}, {0x04, 0x01, 2}} {
		a, err := Attribute{oidTest, value}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a...)
	}
	return all
}

func gcmParameters(outer, nonceTag cbasn1.Tag, more ...builder) func([]byte) builder {
	return func(nonce []byte) builder {
		return func(b *cryptobyte.Builder) {
			b.AddASN1(outer, func(b *cryptobyte.Builder) {
				b.AddASN1(nonceTag, func(b *cryptobyte.Builder) { b.AddBytes(nonce) })
				for _, add := range more {
					add(b)
				}
			})
		}
	}
}

func integer(n int64) builder { return func(b *cryptobyte.Builder) { b.AddASN1Int64(n) } }

func TestGCMVariants(t *testing.T) {
	t.Parallel()
	attributes := twoAttributes(t)
	dialect := func(nonce []byte) builder {
		return func(b *cryptobyte.Builder) {
			b.AddASN1(primitiveSequence, gcmParameters(cbasn1.SEQUENCE, dialectNonce, integer(16))(nonce))
		}
	}
	for name, v := range map[string]envelope{
		"RFC 5084":                      {},
		"short MAC":                     {tagSize: 13},
		"default size of the MAC":       {tagSize: 12, parameters: gcmParameters(cbasn1.SEQUENCE, cbasn1.OCTET_STRING)},
		"authAttrs":                     {attributes: attributes, aad: setOf(attributes)},
		"unsorted authAttrs":            {attributes: reversed(t, attributes), aad: setOf(attributes)},
		"empty authAttrs":               {attributes: []byte{}, aad: setOf(nil)},
		"smallstep/pkcs7":               {enveloped: true, parameters: dialect},
		"RFC 5084 in an EnvelopedData":  {enveloped: true},
		"[4] in an EnvelopedData":       {enveloped: true, parameters: gcmParameters(cbasn1.SEQUENCE, dialectNonce, integer(16))},
		"short MAC in an EnvelopedData": {enveloped: true, tagSize: 12},
	} {
		for _, content := range [][]byte{{}, []byte("content"), bytes.Repeat([]byte{0x5a}, 5000)} {
			der, err := Normalize(v.der(t, content), nesting)
			if err != nil {
				t.Fatal(err)
			}
			e := mustParseEnvelope(t, der)
			if e.Authenticated() == v.enveloped || e.Cipher() != AES128GCM {
				t.Errorf("%s: authenticated: %v, cipher %v", name, e.Authenticated(), e.Cipher())
			}
			got, err := e.Decrypt(e.Recipients[0], rsaKey(t))
			if err != nil || !got.Sound || !bytes.Equal(got.Bytes, content) {
				t.Errorf("%s: got %q, %v, %v", name, got.Bytes, got.Sound, err)
			}
		}
	}
}

// What the MAC does not fit is no error, and yields as many bytes.
func TestGCMRejectsImplicitly(t *testing.T) {
	t.Parallel()
	attributes := twoAttributes(t)
	content := bytes.Repeat([]byte{0x5a}, 100)
	der := envelope{attributes: attributes, aad: setOf(attributes)}.der(t, content)
	for name, change := range map[string]func(*EnvelopedData) *rsa.PrivateKey{
		"another key":   func(*EnvelopedData) *rsa.PrivateKey { return otherRSAKey(t) },
		"ciphertext":    func(e *EnvelopedData) *rsa.PrivateKey { e.sealed.ciphertext[5] ^= 1; return rsaKey(t) },
		"MAC":           func(e *EnvelopedData) *rsa.PrivateKey { e.sealed.mac[15] ^= 1; return rsaKey(t) },
		"nonce":         func(e *EnvelopedData) *rsa.PrivateKey { e.sealed.iv[0] ^= 1; return rsaKey(t) },
		"attributes":    func(e *EnvelopedData) *rsa.PrivateKey { e.sealed.aad[5] ^= 1; return rsaKey(t) },
		"no attributes": func(e *EnvelopedData) *rsa.PrivateKey { e.sealed.aad = nil; return rsaKey(t) },
		"unsorted": func(e *EnvelopedData) *rsa.PrivateKey {
			e.sealed.aad = setOf(reversed(t, attributes))
			return rsaKey(t)
		},
		"RSA block":       func(e *EnvelopedData) *rsa.PrivateKey { e.Recipients[0].encryptedKey[9] ^= 1; return rsaKey(t) },
		"size of the key": func(e *EnvelopedData) *rsa.PrivateKey { e.spec = mustSpec(t, AES256GCM); return rsaKey(t) },
	} {
		e := mustParseEnvelope(t, slices.Clone(der))
		got, err := e.Decrypt(e.Recipients[0], change(e))
		if err != nil || got.Sound || len(got.Bytes) != len(content) {
			t.Errorf("%s: %d bytes, %v, %v", name, len(got.Bytes), got.Sound, err)
		}
	}
}

func mustSpec(t testing.TB, c Cipher) cipherSpec {
	t.Helper()
	spec, err := c.spec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestParseRefusesGCM(t *testing.T) {
	t.Parallel()
	content := []byte("content")
	for name, v := range map[string]envelope{
		"no parameters":            {parameters: func([]byte) builder { return nil }},
		"an IV":                    {parameters: func(nonce []byte) builder { return func(b *cryptobyte.Builder) { addIV(b, nonce) } }},
		"no nonce":                 {parameters: func([]byte) builder { return func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, integer(16)) } }},
		"MAC of 11 bytes":          {parameters: gcmParameters(cbasn1.SEQUENCE, cbasn1.OCTET_STRING, integer(11))},
		"MAC of 17 bytes":          {parameters: gcmParameters(cbasn1.SEQUENCE, cbasn1.OCTET_STRING, integer(17))},
		"something else":           {parameters: gcmParameters(cbasn1.SEQUENCE, cbasn1.OCTET_STRING, addNull)},
		"primitive SEQUENCE":       {parameters: gcmParameters(primitiveSequence, cbasn1.OCTET_STRING)},
		"too many attributes":      {attributes: bytes.Repeat(twoAttributes(t), maxEnvelopeAttributes)},
		"attributes that are none": {attributes: []byte{5, 0}},
	} {
		if _, err := ParseEnvelopedData(v.der(t, content)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := mustParseEnvelope(t, envelope{parameters: func([]byte) builder {
		return gcmParameters(cbasn1.SEQUENCE, cbasn1.OCTET_STRING, integer(16))(make([]byte, 13))
	}}.der(t, content))
	if _, err := e.Decrypt(e.Recipients[0], rsaKey(t)); !errors.Is(err, ErrEncoding) {
		t.Errorf("nonce of 13 bytes: %v", err)
	}
	der := envelope{}.der(t, content)
	for n := range len(der) {
		if _, err := ParseEnvelopedData(der[:n]); !errors.Is(err, ErrEncoding) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
}

// A cipher that does not authenticate makes no AuthEnvelopedData.
func TestParseRefusesAuthenticatedCBC(t *testing.T) {
	t.Parallel()
	iv := func([]byte) builder { return func(b *cryptobyte.Builder) { addIV(b, make([]byte, aes.BlockSize)) } }
	der := envelope{parameters: iv}.der(t, []byte("content"))
	der = bytes.Replace(der, marshalOID(t, AES128GCM.OID()), marshalOID(t, AES128CBC.OID()), 1)
	var unsupported *UnsupportedAlgorithmError
	if _, err := ParseEnvelopedData(der); !errors.As(err, &unsupported) || !unsupported.OID.Equal(AES128CBC.OID()) {
		t.Errorf("got %v", err)
	}
}
