package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ErrRecipientKey is returned for a recipient whose key cannot encrypt.
var ErrRecipientKey = errors.New("cms: the recipient's key is not RSA")

// Versions of an EnvelopedData (RFC 5652, section 6.1) with recipients of one
// kind. An AuthEnvelopedData always has version 0.
const (
	versionKeyTransport = 0
	versionPassword     = 3
)

// Encrypt makes a ContentInfo with an EnvelopedData of content for the holder
// of to, in DER; with a GCM cipher, an AuthEnvelopedData (RFC 5083).
func Encrypt(content []byte, to *x509.Certificate, c Cipher, transport KeyTransport) ([]byte, error) {
	public, ok := to.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, ErrRecipientKey
	}
	return envelop(content, c, versionKeyTransport, func(_ cipherSpec, contentKey []byte) (builder, error) {
		encryptedKey, err := transport.encrypt(public, contentKey)
		return func(b *cryptobyte.Builder) { addRecipient(b, to, transport, encryptedKey) }, err
	})
}

// builder writes an element.
type builder = func(*cryptobyte.Builder)

// envelop encrypts content under a new key, which recipient makes a
// RecipientInfo of.
func envelop(content []byte, c Cipher, version int64, recipient func(cipherSpec, []byte) (builder, error)) ([]byte, error) {
	spec, err := c.spec()
	if err != nil {
		return nil, err
	}
	contentKey, err := randomBytes(spec.keySize)
	if err != nil {
		return nil, err
	}
	addRecipient, err := recipient(spec, contentKey)
	if err != nil {
		return nil, err
	}
	block, err := spec.block(contentKey)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	s, err := spec.mode.seal(block, content)
	if err != nil {
		return nil, err
	}
	if spec.mode.authenticates {
		return contentInfo(oidAuthEnvelopedData, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			b.AddASN1(cbasn1.SET, addRecipient)
			spec.addEncryptedContent(b, s)
			b.AddASN1OctetString(s.mac)
		})
	}
	return contentInfo(oidEnvelopedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1(cbasn1.SET, addRecipient)
		spec.addEncryptedContent(b, s)
	})
}

func (c cipherSpec) addEncryptedContent(b *cryptobyte.Builder, s sealed) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		c.addAlgorithm(b, s.iv)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(s.ciphertext) })
	})
}

func (c cipherSpec) addAlgorithm(b *cryptobyte.Builder, iv []byte) {
	addAlgorithm(b, c.oid, func(b *cryptobyte.Builder) { c.mode.addParameters(b, iv) })
}

func addRecipient(b *cryptobyte.Builder, to *x509.Certificate, transport KeyTransport, encryptedKey []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addIssuerAndSerial(b, to)
		transport.addAlgorithm(b)
		b.AddASN1OctetString(encryptedKey)
	})
}

// oaepHash is the digest of an OAEP transport; zero for PKCS1v15.
func (t KeyTransport) oaepHash() crypto.Hash {
	return map[KeyTransport]crypto.Hash{OAEPSHA1: crypto.SHA1, OAEPSHA256: crypto.SHA256}[t]
}

func (t KeyTransport) encrypt(public *rsa.PublicKey, key []byte) ([]byte, error) {
	var encrypted []byte
	var err error
	if h := t.oaepHash(); h != 0 {
		encrypted, err = rsa.EncryptOAEP(h.New(), rand.Reader, public, key, nil)
	} else {
		encrypted, err = rsa.EncryptPKCS1v15(rand.Reader, public, key) //nolint:staticcheck // all of SCEP uses it
	}
	if err != nil {
		return nil, fmt.Errorf("cms: key transport: %w", err)
	}
	return encrypted, nil
}

func (t KeyTransport) addAlgorithm(b *cryptobyte.Builder) {
	d, err := digestByHash(t.oaepHash())
	if err != nil {
		addAlgorithm(b, oidRSAEncryption, addNull)
		return
	}
	addAlgorithm(b, oidRSAESOAEP, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tag0, func(b *cryptobyte.Builder) { addAlgorithm(b, d.oid, addNull) })
			b.AddASN1(tag1, func(b *cryptobyte.Builder) {
				addAlgorithm(b, oidMGF1, func(b *cryptobyte.Builder) { addAlgorithm(b, d.oid, addNull) })
			})
		})
	})
}
