package cms

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// keyID is a SignerIdentifier or RecipientIdentifier.
func keyID(id []byte) builder {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id) })
	}
}

// keyIDInPieces is one that is constructed.
func keyIDInPieces(id []byte) builder {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(tag0, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(id[:1])
			b.AddASN1OctetString(id[1:])
		})
	}
}

// noExtensions has no subject key identifier.
func noExtensions(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "device"}}
	return certify(t, template, key)
}

func TestKeyIdentifiers(t *testing.T) {
	t.Parallel()
	with, without := selfSigned(t, rsaKey(t)), noExtensions(t, rsaKey(t))
	if len(without.SubjectKeyId) != 0 {
		t.Fatalf("identifier %x", without.SubjectKeyId)
	}
	bits := x509.MarshalPKCS1PublicKey(&rsaKey(t).PublicKey)
	method1, rfc7093 := sha1.Sum(bits), sha256.Sum256(bits)
	for name, test := range map[string]struct {
		cert  *x509.Certificate
		id    builder
		match bool
	}{
		"extension":                 {with, keyID(with.SubjectKeyId), true},
		"extension in pieces":       {with, keyIDInPieces(with.SubjectKeyId), true},
		"SHA-1, other extension":    {with, keyID(method1[:]), true},
		"SHA-1, no extension":       {without, keyID(method1[:]), true},
		"SHA-256, no extension":     {without, keyID(rfc7093[:20]), true},
		"another":                   {with, keyID([]byte{1, 2, 3}), false},
		"another, no extension":     {without, keyID([]byte{1, 2, 3, 4}), false},
		"nothing":                   {with, keyID(nil), false},
		"nothing, and no extension": {without, keyID(nil), false},
	} {
		if err := (message{cert: test.cert, sid: test.id}).verify(t); test.match != (err == nil) {
			t.Errorf("%s: signer: %v", name, err)
		}
		r := recipientWith(t, test.id)
		if r.ID.Matches(test.cert) != test.match {
			t.Errorf("%s: recipient %v, want match %v", name, r.ID, test.match)
		}
	}
	var none Identifier
	if none.SubjectKeyID = method1[:]; none.Matches(&x509.Certificate{}) {
		t.Error("matches a certificate without a key")
	}
}

func recipientWith(t *testing.T, id builder) Recipient {
	t.Helper()
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1Int64(2)
	id(b)
	PKCS1v15.addAlgorithm(b)
	b.AddASN1OctetString([]byte("key"))
	r, ok := readKeyTransRecipient(b.BytesOrPanic())
	if !ok {
		t.Fatal("no recipient")
	}
	return r
}

// Of several recipients, each is read; whose one is is for the caller to say.
func TestSeveralRecipients(t *testing.T) {
	t.Parallel()
	envelopes := func(n int, other []byte) []byte {
		der, err := envelop([]byte("content"), AES128CBC, 0, func(_ cipherSpec, key []byte) (builder, error) {
			return func(b *cryptobyte.Builder) {
				for range n {
					encrypted, err := OAEPSHA256.encrypt(&rsaKey(t).PublicKey, key)
					if err != nil {
						t.Fatal(err)
					}
					addRecipient(b, selfSigned(t, rsaKey(t)), OAEPSHA256, encrypted)
					b.AddBytes(other)
				}
			}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	agreement := Element(tag1, []byte{2, 1, 3}) // KeyAgreeRecipientInfo
	e, err := ParseEnvelopedData(envelopes(3, agreement))
	if err != nil || len(e.Recipients) != 3 || len(e.PasswordRecipients) != 0 {
		t.Fatalf("got %v, %v", e, err)
	}
	for _, r := range e.Recipients {
		got, err := e.Decrypt(r, rsaKey(t))
		if err != nil || !got.Sound || string(got.Bytes) != "content" {
			t.Errorf("got %q, %v, %v", got.Bytes, got.Sound, err)
		}
	}
	for name, der := range map[string][]byte{
		"too many":             envelopes(maxRecipients/2+1, agreement),
		"a broken password's":  envelopes(1, Element(passwordRecipientTag, []byte{2, 1, 0})),
		"a broken RSA key's":   envelopes(1, Element(cbasn1.SEQUENCE, []byte{2, 1, 0})),
		"a broken element":     envelopes(1, []byte{0x30, 0x10}),
		"neither name nor key": envelopes(1, Element(cbasn1.SEQUENCE, slices.Concat([]byte{2, 1, 0}, []byte{5, 0}))),
	} {
		if _, err := ParseEnvelopedData(der); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
