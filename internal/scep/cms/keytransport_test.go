package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// oaepFields writes RSAES-OAEP-params; what is zero is left out.
func oaepFields(hash, mask crypto.Hash, source builder) builder {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addHashes(b, hash, mask)
			if source != nil {
				b.AddASN1(tag2, source)
			}
		})
	}
}

// addHashes writes the fields that OAEP and PSS have in common.
func addHashes(b *cryptobyte.Builder, hash, mask crypto.Hash) {
	if hash != 0 {
		b.AddASN1(tag0, plain(DigestOID(hash)))
	}
	if mask != 0 {
		b.AddASN1(tag1, func(b *cryptobyte.Builder) { addAlgorithm(b, oidMGF1, plain(DigestOID(mask))) })
	}
}

// field is parameters with nothing but one field.
func field(tag cbasn1.Tag, add builder) builder {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1(tag, add) })
	}
}

func label(contents []byte) builder {
	return func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPSpecified, func(b *cryptobyte.Builder) { b.AddASN1OctetString(contents) })
	}
}

// oaepRecipient has a key of 16 bytes, 0x5a each.
func oaepRecipient(t *testing.T, hash, mask crypto.Hash, parameters builder) Recipient {
	t.Helper()
	key := make([]byte, 16)
	for i := range key {
		key[i] = 0x5a
	}
	encrypted, err := rsa.EncryptOAEPWithOptions(rand.Reader, &rsaKey(t).PublicKey, key, &rsa.OAEPOptions{Hash: hash, MGFHash: mask})
	if err != nil {
		t.Fatal(err)
	}
	a := mustReadAlgorithm(t, func(b *cryptobyte.Builder) { addAlgorithm(b, oidRSAESOAEP, parameters) })
	return Recipient{algorithm: a, encryptedKey: encrypted}
}

func TestOAEPParameters(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hash, mask crypto.Hash // as encrypted
		parameters builder
		opens      bool
	}{
		"no parameters":                    {crypto.SHA1, crypto.SHA1, nil, true},
		"all defaults":                     {crypto.SHA1, crypto.SHA1, oaepFields(0, 0, nil), true},
		"written out":                      {crypto.SHA1, crypto.SHA1, oaepFields(crypto.SHA1, crypto.SHA1, label(nil)), true},
		"SHA-256":                          {crypto.SHA256, crypto.SHA256, oaepFields(crypto.SHA256, crypto.SHA256, nil), true},
		"SHA-512, mask with SHA-1":         {crypto.SHA512, crypto.SHA1, oaepFields(crypto.SHA512, crypto.SHA1, nil), true},
		"SHA-256, mask left out":           {crypto.SHA256, crypto.SHA1, oaepFields(crypto.SHA256, 0, nil), true},
		"SHA-256, mask left out, meant":    {crypto.SHA256, crypto.SHA256, oaepFields(crypto.SHA256, 0, nil), true},
		"SHA-1, mask with SHA-384":         {crypto.SHA1, crypto.SHA384, oaepFields(0, crypto.SHA384, nil), true},
		"another mask than it says":        {crypto.SHA256, crypto.SHA1, oaepFields(crypto.SHA256, crypto.SHA256, nil), false},
		"another digest than it says":      {crypto.SHA384, crypto.SHA1, oaepFields(crypto.SHA256, crypto.SHA1, nil), false},
		"a third mask, where it says none": {crypto.SHA256, crypto.SHA384, oaepFields(crypto.SHA256, 0, nil), false},
	} {
		r := oaepRecipient(t, test.hash, test.mask, test.parameters)
		got, err := r.contentKey(rsaKey(t), 16)
		if err != nil || len(got) != 16 || (string(got) == "ZZZZZZZZZZZZZZZZ") != test.opens {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
	}
}

func TestOAEPRefuses(t *testing.T) {
	t.Parallel()
	var unsupported *UnsupportedAlgorithmError
	for name, test := range map[string]struct {
		parameters builder
		malformed  bool
	}{
		"no SEQUENCE":        {addNull, true},
		"no digest":          {field(tag0, addNull), true},
		"no mask":            {field(tag1, addNull), true},
		"no source":          {field(tag2, addNull), true},
		"a label":            {oaepFields(0, 0, label([]byte("label"))), true},
		"source of its own":  {oaepFields(0, 0, plain(oidMGF1)), true},
		"foreign digest":     {field(tag0, plain(oidData)), false},
		"foreign mask":       {field(tag1, plain(oidData)), false},
		"mask of what":       {field(tag1, plain(oidMGF1)), true},
		"MD5":                {oaepFields(crypto.MD5, crypto.SHA1, nil), false},
		"mask with MD5":      {oaepFields(crypto.SHA1, crypto.MD5, nil), false},
		"MD5, mask left out": {oaepFields(crypto.MD5, 0, nil), false},
	} {
		r := oaepRecipient(t, crypto.SHA1, crypto.SHA1, test.parameters)
		_, err := r.contentKey(rsaKey(t), 16)
		if test.malformed && !errors.Is(err, ErrEncoding) || !test.malformed && !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// counting counts the private key's operations.
type counting struct {
	*rsa.PrivateKey
	count int
}

func (c *counting) Decrypt(random io.Reader, ciphertext []byte, o crypto.DecrypterOpts) ([]byte, error) {
	c.count++
	return c.PrivateKey.Decrypt(random, ciphertext, o)
}

// How many operations a message takes is seen in clear, and does not depend on
// which of them fails.
func TestOAEPDoesTheSameWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		parameters builder
		count      int
	}{
		"mask named":    {oaepFields(crypto.SHA256, crypto.SHA256, nil), 1},
		"mask left out": {oaepFields(crypto.SHA256, 0, nil), 2},
		"all left out":  {oaepFields(0, 0, nil), 1},
	} {
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA512} {
			for _, mask := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
				key := &counting{PrivateKey: rsaKey(t)}
				if _, err := oaepRecipient(t, hash, mask, test.parameters).contentKey(key, 16); err != nil || key.count != test.count {
					t.Errorf("%s, %v, %v: %d operations, %v", name, hash, mask, key.count, err)
				}
			}
		}
	}
}
