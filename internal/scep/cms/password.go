package cms

import (
	"crypto"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/subtle"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PasswordIterations is the iteration count of PBKDF2 (HMAC with SHA-256) as
// written. The password of SCEP is a challenge that is good for one use, so the
// count need not make up for a weak one; it costs a router a part of a second.
const PasswordIterations = 20_000

// MaxPasswordIterations bounds the count as read: whoever writes the message
// chooses what it costs to open it.
const MaxPasswordIterations = 1_000_000

const passwordSaltSize = 16

// ErrPassword is returned for an empty password: it would protect nothing.
var ErrPassword = errors.New("cms: empty password")

// PasswordRecipient is a PasswordRecipientInfo (RFC 5652, section 6.2.4).
type PasswordRecipient struct {
	derivation   algorithm // without an OID if there is none
	encryption   algorithm
	encryptedKey []byte
}

var passwordRecipientTag = cbasn1.Tag(3).ContextSpecific().Constructed()

func readPasswordRecipient(in cryptobyte.String) (r PasswordRecipient, ok bool) {
	var derivation cryptobyte.String
	var present bool
	if !in.SkipASN1(cbasn1.INTEGER) || !in.ReadOptionalASN1(&derivation, &present, tag0) {
		return r, false
	}
	if present {
		if r.derivation, ok = readAlgorithmFields(derivation); !ok {
			return r, false
		}
	}
	if r.encryption, ok = readAlgorithm(&in); !ok {
		return r, false
	}
	return r, in.ReadASN1Bytes(&r.encryptedKey, cbasn1.OCTET_STRING)
}

// contentKey unwraps the content-encryption key. As with key transport, a wrong
// password yields a random one.
func (r PasswordRecipient) contentKey(password []byte, size int) ([]byte, error) {
	w, err := r.keyWrap()
	if err != nil {
		return nil, err
	}
	kek, err := r.derivation.deriveKey(password, w.spec.keySize)
	if err != nil {
		return nil, err
	}
	block, err := w.spec.block(kek)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	contentKey, err := randomBytes(size)
	if err != nil {
		return nil, err
	}
	return contentKey, w.unwrap(block, r.encryptedKey, contentKey)
}

// keyWrap is how a key-encryption key, which fits the cipher spec, wraps a key.
// Its unwrap overwrites key if what was wrapped is a key of that size; an error
// is about lengths only.
type keyWrap struct {
	spec   cipherSpec
	unwrap func(block cipher.Block, wrapped, key []byte) error
}

var aesWraps = map[Cipher]asn1.ObjectIdentifier{
	AES128CBC: oidAES128Wrap, AES192CBC: oidAES192Wrap, AES256CBC: oidAES256Wrap,
}

func (r PasswordRecipient) keyWrap() (keyWrap, error) {
	if r.encryption.oid.Equal(oidPWRIKEK) {
		return readPWRIKEK(r.encryption.parameters)
	}
	for c, oid := range aesWraps {
		if r.encryption.oid.Equal(oid) {
			spec, err := c.spec()
			return keyWrap{spec, unwrapAES}, err
		}
	}
	return keyWrap{}, &UnsupportedAlgorithmError{Use: "key wrap", OID: r.encryption.oid}
}

// readPWRIKEK reads the parameters of id-alg-PWRI-KEK: a cipher in CBC mode.
func readPWRIKEK(in cryptobyte.String) (keyWrap, error) {
	a, ok := readAlgorithm(&in)
	if !ok {
		return keyWrap{}, malformed("PWRI-KEK")
	}
	spec, err := cipherByOID(a.oid)
	if err == nil && spec.mode.authenticates {
		err = &UnsupportedAlgorithmError{Use: "key wrap", OID: a.oid}
	}
	if err != nil {
		return keyWrap{}, err
	}
	iv, _, ok := spec.mode.readParameters(a.parameters)
	if !ok {
		return keyWrap{}, malformed("PWRI-KEK")
	}
	return keyWrap{spec, func(block cipher.Block, wrapped, key []byte) error {
		return unwrapPWRI(block, iv, wrapped, key)
	}}, nil
}

// A key wrapped by PWRI-KEK (RFC 3211, section 2.3.1) is a byte with its length,
// three check bytes, the key, and random padding to two blocks or more.
const (
	pwriCheck  = 3
	pwriHeader = 1 + pwriCheck
)

func wrapPWRI(block cipher.Block, iv, key []byte) ([]byte, error) {
	size := block.BlockSize()
	blocks := max(2, (pwriHeader+len(key)+size-1)/size)
	wrapped, err := randomBytes(blocks * size)
	if err != nil {
		return nil, err
	}
	wrapped[0] = byte(len(key))
	for i := range pwriCheck {
		wrapped[1+i] = ^key[i]
	}
	copy(wrapped[pwriHeader:], key)
	twice := cipher.NewCBCEncrypter(block, iv)
	twice.CryptBlocks(wrapped, wrapped)
	twice.CryptBlocks(wrapped, wrapped)
	return wrapped, nil
}

// unwrapPWRI takes the same time whether the check bytes fit or not.
func unwrapPWRI(block cipher.Block, iv, wrapped, key []byte) error {
	size := block.BlockSize()
	if len(iv) != size || len(wrapped)%size != 0 || len(wrapped) < max(2*size, pwriHeader+len(key)) {
		return malformed("length of the wrapped key")
	}
	plain := make([]byte, len(wrapped))
	// The last block of the first pass was the IV of the second.
	previous, last := wrapped[len(wrapped)-2*size:len(wrapped)-size], plain[len(plain)-size:]
	cipher.NewCBCDecrypter(block, previous).CryptBlocks(last, wrapped[len(wrapped)-size:])
	cipher.NewCBCDecrypter(block, last).CryptBlocks(plain[:len(plain)-size], wrapped[:len(wrapped)-size])
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, plain)
	ok := subtle.ConstantTimeByteEq(plain[0], byte(len(key)))
	for i := range pwriCheck {
		ok &= subtle.ConstantTimeByteEq(plain[1+i], ^plain[pwriHeader+i])
	}
	subtle.ConstantTimeCopy(ok, key, plain[pwriHeader:pwriHeader+len(key)])
	return nil
}

// unwrapAES is the key unwrap of RFC 3394, section 2.2.2, in half blocks.
func unwrapAES(block cipher.Block, wrapped, key []byte) error {
	const half, rounds, initial = 8, 6, 0xa6a6a6a6a6a6a6a6
	if len(wrapped) != len(key)+half || len(key)%half != 0 {
		return malformed("length of the wrapped key")
	}
	plain := append([]byte{}, wrapped...)
	buf := make([]byte, 2*half)
	a := binary.BigEndian.Uint64(plain)
	n := len(key) / half
	for t := rounds * n; t > 0; t-- {
		r := plain[half*((t-1)%n+1):][:half]
		binary.BigEndian.PutUint64(buf, a^uint64(t))
		copy(buf[half:], r)
		block.Decrypt(buf, buf)
		a = binary.BigEndian.Uint64(buf)
		copy(r, buf[half:])
	}
	binary.BigEndian.PutUint64(buf, a^initial)
	ok := subtle.ConstantTimeCompare(buf[:half], make([]byte, half))
	subtle.ConstantTimeCopy(ok, key, plain[half:])
	return nil
}

// deriveKey makes a key of the password with PBKDF2 (RFC 8018, appendix A.2).
func (a algorithm) deriveKey(password []byte, size int) ([]byte, error) {
	if !a.oid.Equal(oidPBKDF2) {
		return nil, &UnsupportedAlgorithmError{Use: "key derivation", OID: a.oid}
	}
	var fields, salt, length cryptobyte.String
	var iterations int
	in := a.parameters
	if !in.ReadASN1(&fields, cbasn1.SEQUENCE) ||
		!fields.ReadASN1(&salt, cbasn1.OCTET_STRING) ||
		!fields.ReadASN1Integer(&iterations) ||
		!fields.ReadOptionalASN1(&length, nil, cbasn1.INTEGER) {
		return nil, malformed("PBKDF2 parameters")
	}
	if iterations < 1 || iterations > MaxPasswordIterations {
		return nil, malformed(fmt.Sprintf("PBKDF2 iteration count %d", iterations))
	}
	prf, err := readPRF(fields)
	if err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(prf.hash.New, string(password), salt, iterations, size)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	return key, nil
}

// readPRF reads the HMAC of PBKDF2; the default is that with SHA-1.
func readPRF(in cryptobyte.String) (digest, error) {
	if in.Empty() {
		return digestByHash(crypto.SHA1)
	}
	a, ok := readAlgorithm(&in)
	if !ok {
		return digest{}, malformed("PBKDF2 parameters")
	}
	return digestByHMAC(a.oid)
}

// EncryptToPassword is Encrypt for a recipient with whom a password is shared,
// and whose key cannot encrypt (RFC 8894, section 3.1). It returns ErrPassword if
// the password is empty.
func EncryptToPassword(content, password []byte, c Cipher) ([]byte, error) {
	if len(password) == 0 {
		return nil, ErrPassword
	}
	return envelop(content, c, versionPassword, func(spec cipherSpec, contentKey []byte) (builder, error) {
		return wrapToPassword(password, spec.keyEncryption(), contentKey)
	})
}

// keyEncryption is the cipher for PWRI-KEK: the one of the content, but in CBC
// mode.
func (c cipherSpec) keyEncryption() cipherSpec {
	for _, s := range cipherSpecs {
		if c.mode.authenticates && !s.mode.authenticates && s.keySize == c.keySize {
			return s
		}
	}
	return c
}

func wrapToPassword(password []byte, spec cipherSpec, contentKey []byte) (builder, error) {
	prf, err := digestByHash(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	salt, err := randomBytes(passwordSaltSize)
	if err != nil {
		return nil, err
	}
	kek, err := pbkdf2.Key(prf.hash.New, string(password), salt, PasswordIterations, spec.keySize)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	block, err := spec.block(kek)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	iv, err := randomBytes(block.BlockSize())
	if err != nil {
		return nil, err
	}
	encryptedKey, err := wrapPWRI(block, iv, contentKey)
	return func(b *cryptobyte.Builder) {
		b.AddASN1(passwordRecipientTag, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			b.AddASN1(tag0, func(b *cryptobyte.Builder) { addPBKDF2(b, prf, salt) })
			addAlgorithm(b, oidPWRIKEK, func(b *cryptobyte.Builder) { spec.addAlgorithm(b, iv) })
			b.AddASN1OctetString(encryptedKey)
		})
	}, err
}

// addPBKDF2 writes the fields of an AlgorithmIdentifier.
func addPBKDF2(b *cryptobyte.Builder, prf digest, salt []byte) {
	b.AddASN1ObjectIdentifier(oidPBKDF2)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(salt)
		b.AddASN1Int64(PasswordIterations)
		addAlgorithm(b, prf.hmac, addNull)
	})
}
