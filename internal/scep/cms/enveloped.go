package cms

import (
	"crypto"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const maxRecipients = 16

// EnvelopedData is a parsed EnvelopedData (RFC 5652, section 6.1) with an
// algorithm the package can do.
type EnvelopedData struct {
	Recipients []Recipient
	spec       cipherSpec
	iv         []byte
	ciphertext []byte
}

// Recipient is a KeyTransRecipientInfo (RFC 5652, section 6.2.1).
type Recipient struct {
	ID           Identifier
	algorithm    algorithm
	encryptedKey []byte
}

// Plaintext is what decryption yields. To whoever sent the ciphertext, a wrong
// key, a wrong padding and wrong contents must be one and the same, so there
// are always bytes: do with them all that is done with good ones, and look at
// Sound last.
type Plaintext struct {
	Bytes []byte // with what should be padding at the end, unless Sound
	Sound bool
}

// ParseEnvelopedData reads a ContentInfo in DER with an EnvelopedData of type
// id-data. Recipients of other kinds than key transport are left out. It wraps
// ErrEncoding or returns *UnsupportedAlgorithmError.
func ParseEnvelopedData(der []byte) (*EnvelopedData, error) {
	body, err := openContentInfo(der, oidEnvelopedData)
	if err != nil {
		return nil, err
	}
	var version int
	var recipients cryptobyte.String
	if !body.ReadASN1Integer(&version) || !body.SkipOptionalASN1(tag0) ||
		!body.ReadASN1(&recipients, cbasn1.SET) {
		return nil, malformed("EnvelopedData")
	}
	e := &EnvelopedData{}
	if e.Recipients, err = readRecipients(recipients); err != nil {
		return nil, err
	}
	return e, e.readEncryptedContent(&body)
}

func readRecipients(in cryptobyte.String) ([]Recipient, error) {
	var recipients []Recipient
	var element cryptobyte.String
	var tag cbasn1.Tag
	for n := 0; !in.Empty(); n++ {
		if n == maxRecipients {
			return nil, malformed("too many recipients")
		}
		if !in.ReadAnyASN1(&element, &tag) {
			return nil, malformed("RecipientInfo")
		}
		if tag != cbasn1.SEQUENCE {
			continue
		}
		r, ok := readRecipient(element)
		if !ok {
			return nil, malformed("KeyTransRecipientInfo")
		}
		recipients = append(recipients, r)
	}
	return recipients, nil
}

func readRecipient(in cryptobyte.String) (r Recipient, ok bool) {
	var version int
	if !in.ReadASN1Integer(&version) {
		return r, false
	}
	if r.ID, ok = readIdentifier(&in); !ok {
		return r, false
	}
	if r.algorithm, ok = readAlgorithm(&in); !ok {
		return r, false
	}
	return r, in.ReadASN1Bytes(&r.encryptedKey, cbasn1.OCTET_STRING)
}

func (e *EnvelopedData) readEncryptedContent(in *cryptobyte.String) error {
	var info cryptobyte.String
	var contentType asn1.ObjectIdentifier
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&contentType) {
		return malformed("EncryptedContentInfo")
	}
	a, ok := readAlgorithm(&info)
	if !ok {
		return malformed("contentEncryptionAlgorithm")
	}
	if err := e.readCipher(a); err != nil {
		return err
	}
	if e.ciphertext, ok = readImplicitOctets(&info); !ok {
		return malformed("encryptedContent")
	}
	return nil
}

func (e *EnvelopedData) readCipher(a algorithm) error {
	spec, err := cipherByOID(a.oid)
	if err != nil {
		return err
	}
	e.spec = spec
	if !a.parameters.ReadASN1Bytes(&e.iv, cbasn1.OCTET_STRING) {
		return malformed("initialisation vector")
	}
	return nil
}

// readImplicitOctets reads a [0] IMPLICIT OCTET STRING. As its tag does not
// tell its type, Normalize cannot have put its pieces together.
func readImplicitOctets(in *cryptobyte.String) ([]byte, bool) {
	var pieces, piece cryptobyte.String
	if !in.PeekASN1Tag(tag0) {
		ok := in.ReadASN1(&piece, cbasn1.Tag(0).ContextSpecific())
		return piece, ok
	}
	if !in.ReadASN1(&pieces, tag0) {
		return nil, false
	}
	whole := make([]byte, 0, len(pieces))
	for !pieces.Empty() {
		if !pieces.ReadASN1(&piece, cbasn1.OCTET_STRING) {
			return nil, false
		}
		whole = append(whole, piece...)
	}
	return whole, true
}

// Cipher is the content-encryption algorithm.
func (e *EnvelopedData) Cipher() Cipher { return e.spec.id }

// Decrypt opens the envelope with the key of one of its recipients. An error
// means that what the message says in clear cannot be done: an unknown key
// transport (*UnsupportedAlgorithmError), or a length that cannot be right
// (ErrEncoding). Whatever depends on the key comes back as a Plaintext.
func (e *EnvelopedData) Decrypt(r Recipient, key crypto.Decrypter) (Plaintext, error) {
	options, err := r.options(e.spec.keySize)
	if err != nil {
		return Plaintext{}, err
	}
	contentKey, err := r.contentKey(key, options, e.spec.keySize)
	if err != nil {
		return Plaintext{}, err
	}
	block, err := e.spec.block(contentKey)
	if err != nil {
		return Plaintext{}, fmt.Errorf("cms: %w", err)
	}
	size := block.BlockSize()
	if len(e.iv) != size || len(e.ciphertext) == 0 || len(e.ciphertext)%size != 0 {
		return Plaintext{}, malformed("length of the encrypted content")
	}
	content := make([]byte, len(e.ciphertext))
	cipher.NewCBCDecrypter(block, e.iv).CryptBlocks(content, e.ciphertext)
	padding, ok := paddingLength(content, size)
	return Plaintext{Bytes: content[:len(content)-padding], Sound: ok == 1}, nil
}

// contentKey decrypts the content-encryption key. If that fails it returns a
// random one: implicit rejection, as in RFC 5246, section 7.4.7.1.
func (r Recipient) contentKey(key crypto.Decrypter, options crypto.DecrypterOpts, size int) ([]byte, error) {
	contentKey := make([]byte, size)
	if _, err := rand.Read(contentKey); err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	decrypted, err := key.Decrypt(rand.Reader, r.encryptedKey, options)
	if err == nil && len(decrypted) == size {
		copy(contentKey, decrypted)
	}
	return contentKey, nil
}

// options translates the recipient's keyEncryptionAlgorithm.
func (r Recipient) options(keySize int) (crypto.DecrypterOpts, error) {
	switch {
	case r.algorithm.oid.Equal(oidRSAEncryption):
		return &rsa.PKCS1v15DecryptOptions{SessionKeyLen: keySize}, nil //nolint:staticcheck // all of SCEP uses it
	case r.algorithm.oid.Equal(oidRSAESOAEP):
		return oaepOptions(r.algorithm.parameters)
	default:
		return nil, &UnsupportedAlgorithmError{Use: "key transport", OID: r.algorithm.oid}
	}
}

// oaepOptions reads RSAES-OAEP-params (RFC 8017, appendix A.2.1). Each field
// may be left out; the default is SHA-1 throughout.
func oaepOptions(parameters cryptobyte.String) (*rsa.OAEPOptions, error) {
	options := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	if parameters.Empty() {
		return options, nil
	}
	var fields, hash, mask, source cryptobyte.String
	var hasHash, hasMask bool
	tag2 := cbasn1.Tag(2).ContextSpecific().Constructed()
	if !parameters.ReadASN1(&fields, cbasn1.SEQUENCE) ||
		!fields.ReadOptionalASN1(&hash, &hasHash, tag0) ||
		!fields.ReadOptionalASN1(&mask, &hasMask, tag1) ||
		!fields.ReadOptionalASN1(&source, nil, tag2) {
		return nil, malformed("RSAES-OAEP parameters")
	}
	var err error
	if hasHash {
		if options.Hash, err = readHash(hash); err != nil {
			return nil, err
		}
	}
	if hasMask {
		if options.MGFHash, err = readMask(mask); err != nil {
			return nil, err
		}
	}
	return options, readEmptySource(source)
}

func readHash(in cryptobyte.String) (crypto.Hash, error) {
	a, ok := readAlgorithm(&in)
	if !ok {
		return 0, malformed("RSAES-OAEP digest")
	}
	d, err := digestByOID(a.oid)
	return d.hash, err
}

func readMask(in cryptobyte.String) (crypto.Hash, error) {
	a, ok := readAlgorithm(&in)
	if !ok {
		return 0, malformed("RSAES-OAEP mask")
	}
	if !a.oid.Equal(oidMGF1) {
		return 0, &UnsupportedAlgorithmError{Use: "mask generation", OID: a.oid}
	}
	return readHash(a.parameters)
}

// readEmptySource accepts an absent or empty label only: CMS defines no other
// (RFC 3560, section 3).
func readEmptySource(in cryptobyte.String) error {
	if in.Empty() {
		return nil
	}
	a, ok := readAlgorithm(&in)
	var label cryptobyte.String
	if !ok || !a.oid.Equal(oidPSpecified) ||
		!a.parameters.ReadASN1(&label, cbasn1.OCTET_STRING) || !label.Empty() {
		return malformed("RSAES-OAEP label")
	}
	return nil
}
