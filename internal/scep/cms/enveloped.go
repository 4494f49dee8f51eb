package cms

import (
	"crypto"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	maxRecipients         = 16 // of all kinds
	maxEnvelopeAttributes = 64
)

// EnvelopedData is a parsed EnvelopedData (RFC 5652, section 6.1) or
// AuthEnvelopedData (RFC 5083) with an algorithm the package can do.
type EnvelopedData struct {
	Recipients         []Recipient
	PasswordRecipients []PasswordRecipient
	authenticated      bool
	spec               cipherSpec
	sealed             sealed
}

// Plaintext is what decryption yields. To whoever sent the ciphertext, a wrong
// key, a wrong padding, a wrong MAC and wrong contents must be one and the same,
// so there are always bytes: do with them all that is done with good ones, and
// look at Sound last.
type Plaintext struct {
	Bytes []byte // in CBC mode with what should be padding at the end, unless Sound
	Sound bool
}

// ParseEnvelopedData reads a ContentInfo in DER with an EnvelopedData or an
// AuthEnvelopedData. Versions, and the type it gives its content, are not looked
// at; recipients of other kinds than key transport and password are left out. It
// wraps ErrEncoding or returns *UnsupportedAlgorithmError.
//
// AES-GCM is read in an EnvelopedData too, with the MAC at the end of the
// ciphertext, which is how smallstep/pkcs7 writes it.
func ParseEnvelopedData(der []byte) (*EnvelopedData, error) {
	contentType, body, err := openContentInfo(der, oidEnvelopedData, oidAuthEnvelopedData)
	if err != nil {
		return nil, err
	}
	var recipients cryptobyte.String
	if !body.SkipASN1(cbasn1.INTEGER) || !body.SkipOptionalASN1(tag0) ||
		!body.ReadASN1(&recipients, cbasn1.SET) {
		return nil, malformed("EnvelopedData")
	}
	e := &EnvelopedData{}
	if err := e.readRecipients(recipients); err != nil {
		return nil, err
	}
	macSize, err := e.readEncryptedContent(&body)
	if err != nil {
		return nil, err
	}
	if e.authenticated = contentType.Equal(oidAuthEnvelopedData); e.authenticated {
		return e, e.readMAC(&body)
	}
	return e, e.cutMAC(macSize)
}

func (e *EnvelopedData) readRecipients(in cryptobyte.String) error {
	var element cryptobyte.String
	var tag cbasn1.Tag
	for n := 0; !in.Empty(); n++ {
		if n == maxRecipients {
			return malformed("too many recipients")
		}
		if !in.ReadAnyASN1(&element, &tag) || !e.readRecipient(tag, element) {
			return malformed("RecipientInfo")
		}
	}
	return nil
}

func (e *EnvelopedData) readRecipient(tag cbasn1.Tag, in cryptobyte.String) bool {
	switch tag {
	case cbasn1.SEQUENCE:
		r, ok := readKeyTransRecipient(in)
		e.Recipients = append(e.Recipients, r)
		return ok
	case passwordRecipientTag:
		r, ok := readPasswordRecipient(in)
		e.PasswordRecipients = append(e.PasswordRecipients, r)
		return ok
	default:
		return true
	}
}

func (e *EnvelopedData) readEncryptedContent(in *cryptobyte.String) (macSize int, err error) {
	var info cryptobyte.String
	var contentType asn1.ObjectIdentifier
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !readOID(&info, &contentType) {
		return 0, malformed("EncryptedContentInfo")
	}
	a, ok := readAlgorithm(&info)
	if !ok {
		return 0, malformed("contentEncryptionAlgorithm")
	}
	if e.spec, err = cipherByOID(a.oid); err != nil {
		return 0, err
	}
	if e.sealed.iv, macSize, ok = e.spec.mode.readParameters(a.parameters); !ok {
		return 0, malformed("contentEncryptionAlgorithm parameters")
	}
	if e.sealed.ciphertext, ok = readImplicitOctets(&info); !ok {
		return 0, malformed("encryptedContent")
	}
	return macSize, nil
}

// readMAC reads authAttrs and mac (RFC 5083, section 2.1). The MAC is over the
// attributes in DER, as signed attributes are signed.
func (e *EnvelopedData) readMAC(in *cryptobyte.String) error {
	if !e.spec.mode.authenticates {
		return &UnsupportedAlgorithmError{Use: "authenticated encryption", OID: e.spec.oid}
	}
	var set cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&set, &present, tag1) || !in.ReadASN1Bytes(&e.sealed.mac, cbasn1.OCTET_STRING) {
		return malformed("AuthEnvelopedData")
	}
	if !present {
		return nil
	}
	attributes, err := readAttributes(set, maxEnvelopeAttributes)
	e.sealed.aad = setOf(sorted(attributes))
	return err
}

// cutMAC takes the MAC off the end of the ciphertext.
func (e *EnvelopedData) cutMAC(size int) error {
	end := len(e.sealed.ciphertext) - size
	if end < 0 {
		return malformed("encryptedContent")
	}
	e.sealed.ciphertext, e.sealed.mac = e.sealed.ciphertext[:end], e.sealed.ciphertext[end:]
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

// Authenticated is true of an AuthEnvelopedData: its sender reads one, too. False
// with a GCM cipher is smallstep/pkcs7's form of it.
func (e *EnvelopedData) Authenticated() bool { return e.authenticated }

// Decrypt opens the envelope with the key of one of its recipients. An error
// means that what the message says in clear cannot be done: an unknown key
// transport (*UnsupportedAlgorithmError), or a length that cannot be right
// (ErrEncoding). Whatever depends on the key comes back as a Plaintext.
func (e *EnvelopedData) Decrypt(r Recipient, key crypto.Decrypter) (Plaintext, error) {
	contentKey, err := r.contentKey(key, e.spec.keySize)
	if err != nil {
		return Plaintext{}, err
	}
	return e.open(contentKey)
}

// DecryptWithPassword is Decrypt for a PasswordRecipientInfo.
func (e *EnvelopedData) DecryptWithPassword(r PasswordRecipient, password []byte) (Plaintext, error) {
	contentKey, err := r.contentKey(password, e.spec.keySize)
	if err != nil {
		return Plaintext{}, err
	}
	return e.open(contentKey)
}

func (e *EnvelopedData) open(contentKey []byte) (Plaintext, error) {
	block, err := e.spec.block(contentKey)
	if err != nil {
		return Plaintext{}, fmt.Errorf("cms: %w", err)
	}
	return e.spec.mode.open(block, e.sealed)
}
