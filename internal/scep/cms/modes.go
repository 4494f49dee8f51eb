package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/subtle"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

type blockFunc func(key []byte) (cipher.Block, error)

func newAES(key []byte) (cipher.Block, error)       { return aes.NewCipher(key) }
func newTripleDES(key []byte) (cipher.Block, error) { return des.NewTripleDESCipher(key) }
func newDES(key []byte) (cipher.Block, error)       { return des.NewCipher(key) }

// sealed is an encrypted content and what it takes, beside the key, to open it.
type sealed struct {
	iv         []byte // GCM: the nonce
	ciphertext []byte
	mac        []byte // GCM only
	aad        []byte // what else the MAC is over
}

// mode is how a block cipher encrypts contents, and how its parameters are
// written into an AlgorithmIdentifier.
type mode struct {
	authenticates  bool
	seal           func(block cipher.Block, content []byte) (sealed, error)
	open           func(block cipher.Block, s sealed) (Plaintext, error)
	addParameters  func(b *cryptobyte.Builder, iv []byte)
	readParameters func(in cryptobyte.String) (iv []byte, macSize int, ok bool)
}

var (
	cbc = mode{
		seal:           sealCBC,
		open:           openCBC,
		addParameters:  addIV,
		readParameters: readIV,
	}
	gcm = mode{
		authenticates:  true,
		seal:           sealGCM,
		open:           openGCM,
		addParameters:  addGCMParameters,
		readParameters: readGCMParameters,
	}
)

func sealCBC(block cipher.Block, content []byte) (sealed, error) {
	iv, err := randomBytes(block.BlockSize())
	if err != nil {
		return sealed{}, err
	}
	ciphertext := pad(content, block.BlockSize())
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
	return sealed{iv: iv, ciphertext: ciphertext}, nil
}

func openCBC(block cipher.Block, s sealed) (Plaintext, error) {
	size := block.BlockSize()
	if len(s.iv) != size || len(s.ciphertext) == 0 || len(s.ciphertext)%size != 0 {
		return Plaintext{}, malformed("length of the encrypted content")
	}
	content := make([]byte, len(s.ciphertext))
	cipher.NewCBCDecrypter(block, s.iv).CryptBlocks(content, s.ciphertext)
	padding, ok := paddingLength(content, size)
	return Plaintext{Bytes: content[:len(content)-padding], Sound: ok == 1}, nil
}

func addIV(b *cryptobyte.Builder, iv []byte) { b.AddASN1OctetString(iv) }

func readIV(in cryptobyte.String) (iv []byte, macSize int, ok bool) {
	ok = in.ReadASN1Bytes(&iv, cbasn1.OCTET_STRING)
	return iv, 0, ok
}

// Sizes of AES-GCM in bytes (RFC 5084, section 3.2). The standard has nonces of
// other sizes too; nobody was seen to send one.
const (
	gcmNonceSize      = 12
	gcmTagSize        = 16 // as written
	gcmDefaultTagSize = 12 // if the parameters do not say
	gcmMinTagSize     = 12
)

func sealGCM(block cipher.Block, content []byte) (sealed, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return sealed{}, fmt.Errorf("cms: %w", err)
	}
	nonce, err := randomBytes(gcmNonceSize)
	if err != nil {
		return sealed{}, err
	}
	out := aead.Seal(nil, nonce, content, nil)
	return sealed{iv: nonce, ciphertext: out[:len(content)], mac: out[len(content):]}, nil
}

// openGCM decrypts first and then computes the MAC by encrypting again, so that
// it does the same work, and yields as many bytes, whether the MAC is right or
// not; cipher.AEAD.Open would give up at once.
func openGCM(block cipher.Block, s sealed) (Plaintext, error) {
	if len(s.iv) != gcmNonceSize || len(s.mac) < gcmMinTagSize || len(s.mac) > gcmTagSize {
		return Plaintext{}, malformed("length of the nonce or MAC")
	}
	aead, err := cipher.NewGCMWithTagSize(block, len(s.mac))
	if err != nil {
		return Plaintext{}, fmt.Errorf("cms: %w", err)
	}
	// NIST SP 800-38D, section 7.2: counter 1 is the MAC's.
	counter := append(append(make([]byte, 0, aes.BlockSize), s.iv...), 0, 0, 0, 2)
	content := make([]byte, len(s.ciphertext))
	cipher.NewCTR(block, counter).XORKeyStream(content, s.ciphertext)
	again := aead.Seal(nil, s.iv, content, s.aad)
	sound := subtle.ConstantTimeCompare(again[len(content):], s.mac) == 1
	return Plaintext{Bytes: content, Sound: sound}, nil
}

func addGCMParameters(b *cryptobyte.Builder, nonce []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(nonce)
		b.AddASN1Int64(gcmTagSize)
	})
}

// How smallstep/pkcs7 writes GCMParameters: a SEQUENCE in a SEQUENCE that says
// it is primitive, and a nonce tagged [4].
const (
	primitiveSequence = cbasn1.Tag(0x10)
	dialectNonce      = cbasn1.Tag(0x84)
)

// readGCMParameters reads GCMParameters (RFC 5084, section 3.2), in
// smallstep/pkcs7's dialect too.
func readGCMParameters(in cryptobyte.String) (nonce []byte, macSize int, ok bool) {
	if in.PeekASN1Tag(primitiveSequence) && !in.ReadASN1(&in, primitiveSequence) {
		return nil, 0, false
	}
	if !in.ReadASN1(&in, cbasn1.SEQUENCE) {
		return nil, 0, false
	}
	tag := cbasn1.OCTET_STRING
	if in.PeekASN1Tag(dialectNonce) {
		tag = dialectNonce
	}
	macSize = gcmDefaultTagSize
	ok = in.ReadASN1Bytes(&nonce, tag) && (in.Empty() || in.ReadASN1Integer(&macSize))
	return nonce, macSize, ok && gcmMinTagSize <= macSize && macSize <= gcmTagSize
}

func randomBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	return b, nil
}

// pad appends the padding of RFC 5652, section 6.3.
func pad(content []byte, blockSize int) []byte {
	n := blockSize - len(content)%blockSize
	padded := make([]byte, len(content)+n)
	copy(padded, content)
	for i := len(content); i < len(padded); i++ {
		padded[i] = byte(n)
	}
	return padded
}

// paddingLength is how many bytes of padding end a decrypted, non-empty content.
// If they are malformed, ok is 0 and the length too. The time it takes depends
// on blockSize only.
func paddingLength(content []byte, blockSize int) (length, ok int) {
	n := int(content[len(content)-1])
	ok = subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, blockSize)
	for i := range blockSize {
		inPadding := subtle.ConstantTimeLessOrEq(i+1, n)
		same := subtle.ConstantTimeByteEq(content[len(content)-1-i], byte(n))
		ok &= subtle.ConstantTimeSelect(inPadding, same, 1)
	}
	return subtle.ConstantTimeSelect(ok, n, 0), ok
}
