package cms

import (
	"bytes"
	"crypto"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// costly are messages of about n bytes that give a reader the most to do.
var costly = map[string]func(t testing.TB, n int) []byte{
	"pieces of a byte, deep": func(_ testing.TB, n int) []byte { return worst(n) },
	"empty elements":         func(_ testing.TB, n int) []byte { return endless(bytes.Repeat([]byte{0x30, 0x00}, n/2)) },
	"empty and indefinite":   func(_ testing.TB, n int) []byte { return endless(bytes.Repeat([]byte{0x31, 0x80, 0, 0}, n/4)) },
	"overlong lengths":       func(_ testing.TB, n int) []byte { return endless(bytes.Repeat([]byte{0x04, 0x84, 0, 0, 0, 0}, n/6)) },
	"one string":             func(_ testing.TB, n int) []byte { return endless(Element(cbasn1.OCTET_STRING, make([]byte, n))) },
	"signed content":         func(t testing.TB, n int) []byte { return signedFor(t, make([]byte, n)) },
	"signed attribute": func(t testing.TB, n int) []byte {
		return signedFor(t, nil, Attribute{oidTest, Element(cbasn1.OCTET_STRING, make([]byte, n))})
	},
	"values of an attribute": func(t testing.TB, n int) []byte {
		return signedFor(t, nil, Attribute{oidTest, bytes.Repeat([]byte{5, 0}, n/2)})
	},
	"bad signature": func(t testing.TB, n int) []byte {
		der := signedFor(t, nil, slices.Repeat([]Attribute{{oidTest, Element(cbasn1.OCTET_STRING, make([]byte, n/60))}}, 60)...)
		der[len(der)-1] ^= 1
		return der
	},
	"CBC": func(t testing.TB, n int) []byte {
		return mustEncrypt(t, make([]byte, n), rsaKey(t), AES128CBC, PKCS1v15)
	},
	"GCM": func(t testing.TB, n int) []byte {
		return mustEncrypt(t, make([]byte, n), rsaKey(t), AES128GCM, PKCS1v15)
	},
	"encrypted content in pieces": inPieces,
}

func endless(contents []byte) []byte {
	return slices.Concat([]byte{0x30, 0x80}, contents, []byte{0, 0})
}

func signedFor(t testing.TB, content []byte, attributes ...Attribute) []byte {
	t.Helper()
	der, err := Sign(content, attributes, Signer{selfSigned(t, rsaKey(t)), rsaKey(t), crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// inPieces is an EnvelopedData whose ciphertext comes byte by byte.
func inPieces(t testing.TB, n int) []byte {
	t.Helper()
	der, err := contentInfo(oidEnvelopedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidData)
			mustSpec(t, AES128CBC).addAlgorithm(b, make([]byte, 16))
			b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Repeat([]byte{0x04, 0x01, 0xaa}, n/3)) })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// readAll does with a message whatever can be done with it.
func readAll(t testing.TB, message []byte) {
	t.Helper()
	der, err := Normalize(message, nesting)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ParseNextCA(der, limits); err == nil {
		_ = verify(t, s)
		_, _ = s.NextCertificates(limits)
	}
	if e, err := ParseEnvelopedData(der); err == nil {
		for _, r := range e.Recipients {
			if _, err := e.Decrypt(r, rsaKey(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// No message costs memory or steps other than in proportion to its size. Counted,
// not timed; the test is not parallel because it counts all there is.
func TestCostIsLinear(t *testing.T) {
	const n = 128 << 10
	const fixed = 64 << 10 // for keys, certificates and signatures
	for name, build := range costly {
		once, twice := build(t, n), build(t, 2*n)
		readAll(t, once) // makes the keys
		small, large := allocated(func() { readAll(t, once) }), allocated(func() { readAll(t, twice) })
		if limit := 4*len(twice) + fixed; large > limit {
			t.Errorf("%s: %d bytes take %d bytes of memory, limit %d", name, len(twice), large, limit)
		}
		if limit := 5*small/2 + fixed; large > limit {
			t.Errorf("%s: twice the size takes %d bytes instead of %d", name, large, small)
		}
	}
}

func TestStepsAreLinear(t *testing.T) {
	t.Parallel()
	moved := func(message []byte) int {
		r := berReader{in: message, depth: nesting}
		if err := r.element(len(message)); err != nil {
			t.Fatal(err)
		}
		return r.moved
	}
	const n = 128 << 10
	for name, build := range costly {
		once, twice := moved(build(t, n)), moved(build(t, 2*n))
		if limit := nesting * (2*n + 8<<10); twice > limit || twice > 5*once/2 {
			t.Errorf("%s: %d bytes moved for twice the size, %d before, limit %d", name, twice, once, limit)
		}
	}
}
