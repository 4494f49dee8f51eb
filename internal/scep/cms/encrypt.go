package cms

import (
	"crypto"
	"crypto/cipher"
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

// Encrypt makes a ContentInfo with an EnvelopedData of content for the holder
// of to, in DER.
func Encrypt(content []byte, to *x509.Certificate, c Cipher, transport KeyTransport) ([]byte, error) {
	spec, err := c.spec()
	if err != nil {
		return nil, err
	}
	public, ok := to.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, ErrRecipientKey
	}
	contentKey := make([]byte, spec.keySize)
	if _, err := rand.Read(contentKey); err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	encryptedKey, err := transport.encrypt(public, contentKey)
	if err != nil {
		return nil, err
	}
	iv, ciphertext, err := spec.encrypt(contentKey, content)
	if err != nil {
		return nil, err
	}
	return contentInfo(oidEnvelopedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addRecipient(b, to, transport, encryptedKey) })
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidData)
			addAlgorithm(b, spec.oid, func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) })
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(ciphertext) })
		})
	})
}

func addRecipient(b *cryptobyte.Builder, to *x509.Certificate, transport KeyTransport, encryptedKey []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addIssuerAndSerial(b, to)
		transport.addAlgorithm(b)
		b.AddASN1OctetString(encryptedKey)
	})
}

func (s cipherSpec) encrypt(key, content []byte) (iv, ciphertext []byte, err error) {
	block, err := s.block(key)
	if err != nil {
		return nil, nil, fmt.Errorf("cms: %w", err)
	}
	iv = make([]byte, block.BlockSize())
	if _, err := rand.Read(iv); err != nil {
		return nil, nil, fmt.Errorf("cms: %w", err)
	}
	ciphertext = pad(content, block.BlockSize())
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
	return iv, ciphertext, nil
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
