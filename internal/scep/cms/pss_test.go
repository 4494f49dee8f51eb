package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// pssFields writes RSASSA-PSS-params; what is zero is left out.
func pssFields(hash, mask crypto.Hash, salt int64) builder {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addHashes(b, hash, mask)
			if salt != 0 {
				b.AddASN1(tag2, integer(salt))
			}
		})
	}
}

// emsaPSS signs as RFC 8017, section 8.1.1, has it: crypto/rsa makes the mask with
// no other digest than the message's.
func emsaPSS(t *testing.T, hash, mask crypto.Hash, saltSize int) func([]byte) []byte {
	return func(sum []byte) []byte {
		key := rsaKey(t)
		salt := make([]byte, saltSize)
		if _, err := rand.Read(salt); err != nil {
			t.Fatal(err)
		}
		h := hash.New()
		h.Write(slices.Concat(make([]byte, 8), sum, salt))
		seed := h.Sum(nil)
		db := make([]byte, key.Size()-len(seed)-1)
		copy(db[len(db)-saltSize:], salt)
		db[len(db)-saltSize-1] = 1
		for i, b := range mgf1(mask, seed, len(db)) {
			db[i] ^= b
		}
		db[0] &= 0x7f
		m := new(big.Int).SetBytes(slices.Concat(db, seed, []byte{0xbc}))
		return m.Exp(m, key.D, key.N).FillBytes(make([]byte, key.Size()))
	}
}

func TestVerifyPSS(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		digest, mask crypto.Hash // as signed
		salt         int
		parameters   builder
	}{
		"SHA-256":            {crypto.SHA256, crypto.SHA256, 32, pssFields(crypto.SHA256, crypto.SHA256, 32)},
		"SHA-384":            {crypto.SHA384, crypto.SHA384, 48, pssFields(crypto.SHA384, crypto.SHA384, 48)},
		"short salt":         {crypto.SHA256, crypto.SHA256, 20, pssFields(crypto.SHA256, crypto.SHA256, 0)},
		"longest salt":       {crypto.SHA256, crypto.SHA256, 222, pssFields(crypto.SHA256, crypto.SHA256, 222)},
		"mask with SHA-1":    {crypto.SHA256, crypto.SHA1, 32, pssFields(crypto.SHA256, crypto.SHA1, 32)},
		"mask left out":      {crypto.SHA512, crypto.SHA1, 20, pssFields(crypto.SHA512, 0, 0)},
		"mask with SHA-512":  {crypto.SHA256, crypto.SHA512, 222, pssFields(crypto.SHA256, crypto.SHA512, 222)},
		"all defaults":       {crypto.SHA1, crypto.SHA1, 20, pssFields(0, 0, 0)},
		"no parameters":      {crypto.SHA256, crypto.SHA256, 32, nil},
		"no parameters, odd": {crypto.SHA256, crypto.SHA256, 7, nil},
	} {
		m := message{
			digest:     test.digest,
			attributes: reversed(t, signedAttributes(t, test.digest)),
			algorithm:  func(b *cryptobyte.Builder) { addAlgorithm(b, oidRSASSAPSS, test.parameters) },
			sign:       emsaPSS(t, test.digest, test.mask, test.salt),
		}
		if err := m.verify(t); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyRefusesPSS(t *testing.T) {
	t.Parallel()
	sound := emsaPSS(t, crypto.SHA256, crypto.SHA1, 32)
	changed := func(at int) func([]byte) []byte {
		return func(sum []byte) []byte {
			signature := sound(sum)
			signature[at] ^= 1
			return signature
		}
	}
	good := pssFields(crypto.SHA256, crypto.SHA1, 32)
	for name, test := range map[string]struct {
		parameters builder
		sign       func([]byte) []byte
		want       error // nil: *UnsupportedAlgorithmError
	}{
		"another salt length": {pssFields(crypto.SHA256, crypto.SHA1, 31), sound, ErrSignature},
		"another mask":        {pssFields(crypto.SHA256, crypto.SHA512, 32), sound, ErrSignature},
		"the digest's mask":   {pssFields(crypto.SHA256, crypto.SHA256, 32), sound, ErrSignature},
		"another digest":      {pssFields(crypto.SHA384, crypto.SHA1, 32), sound, ErrSignature},
		"the longest salt":    {pssFields(crypto.SHA256, crypto.SHA1, MaxRSABits/8), sound, ErrSignature},
		"changed":             {good, changed(100), ErrSignature},
		"changed at the end":  {good, changed(255), ErrSignature},
		"short":               {good, func(b []byte) []byte { return sound(b)[1:] }, ErrSignature},
		"larger than modulus": {good, func([]byte) []byte { return bytes.Repeat([]byte{0xff}, 256) }, ErrSignature},
		"zero":                {good, func([]byte) []byte { return make([]byte, 256) }, ErrSignature},
		"no SEQUENCE":         {addNull, sound, ErrEncoding},
		"salt too long":       {pssFields(crypto.SHA256, crypto.SHA256, math.MaxInt64), sound, ErrEncoding},
		"negative salt":       {pssFields(crypto.SHA256, crypto.SHA1, -1), sound, ErrEncoding},
		"no digest":           {field(tag0, addNull), sound, ErrEncoding},
		"no mask":             {field(tag1, addNull), sound, ErrEncoding},
		"no salt":             {field(tag2, addNull), sound, ErrEncoding},
		"foreign digest":      {field(tag0, plain(oidData)), sound, nil},
		"foreign mask":        {field(tag1, plain(oidData)), sound, nil},
	} {
		m := message{
			algorithm: func(b *cryptobyte.Builder) { addAlgorithm(b, oidRSASSAPSS, test.parameters) },
			sign:      test.sign,
		}
		err := m.verify(t)
		var unsupported *UnsupportedAlgorithmError
		if test.want == nil && !errors.As(err, &unsupported) || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// An RSA key of RFC 4055, section 1.2, is one that crypto/x509 does not know.
func TestVerifyWithPSSKey(t *testing.T) {
	t.Parallel()
	usual, err := x509.MarshalPKIXPublicKey(rsaKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	marked := func(last byte) []byte {
		prefix := []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01}
		return bytes.Replace(usual, append(prefix, 1), append(slices.Clone(prefix), last), 1)
	}
	s := mustParse(t, message{}.der(t))
	if err := s.Verify(&x509.Certificate{RawSubjectPublicKeyInfo: marked(10)}); err != nil {
		t.Error(err)
	}
	for name, info := range map[string][]byte{
		"nothing":     nil,
		"another key": marked(0x7f),
		"no exponent": bytes.Replace(marked(10), []byte{0x02, 0x03, 1, 0, 1}, []byte{0x04, 0x03, 1, 0, 1}, 1),
		"cut":         marked(10)[:100],
	} {
		if err := s.Verify(&x509.Certificate{RawSubjectPublicKeyInfo: info}); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMGF1(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]string{3: "1ac907", 5: "1ac9075cd4"} {
		if got := mgf1(crypto.SHA1, []byte("foo"), length); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("got %x, want %s", got, want)
		}
	}
}
