package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
)

type blockFunc func(key []byte) (cipher.Block, error)

func newAES(key []byte) (cipher.Block, error)       { return aes.NewCipher(key) }
func newTripleDES(key []byte) (cipher.Block, error) { return des.NewTripleDESCipher(key) }
func newDES(key []byte) (cipher.Block, error)       { return des.NewCipher(key) }

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
