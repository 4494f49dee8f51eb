package cms

import (
	"bytes"
	"crypto/aes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func mustEncryptToPassword(t testing.TB, content []byte, c Cipher) *EnvelopedData {
	t.Helper()
	der, err := EncryptToPassword(content, []byte("challenge"), c)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseEnvelopedData(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.PasswordRecipients) != 1 || len(e.Recipients) != 0 {
		t.Fatalf("recipients %v and %v", e.PasswordRecipients, e.Recipients)
	}
	return e
}

func TestPasswordRoundTrip(t *testing.T) {
	t.Parallel()
	for _, spec := range cipherSpecs {
		t.Run(spec.name, func(t *testing.T) {
			t.Parallel()
			content := bytes.Repeat([]byte{0x5a}, 100)
			e := mustEncryptToPassword(t, content, spec.id)
			got, err := e.DecryptWithPassword(e.PasswordRecipients[0], []byte("challenge"))
			if err != nil || !got.Sound || !bytes.Equal(got.Bytes, content) {
				t.Errorf("got %x, %v, %v", got.Bytes, got.Sound, err)
			}
			wrong, err := e.DecryptWithPassword(e.PasswordRecipients[0], []byte("another"))
			if err != nil || len(wrong.Bytes) < 96 || bytes.Contains(wrong.Bytes, content[:3]) {
				t.Errorf("wrong password: %d bytes, %v", len(wrong.Bytes), err)
			}
		})
	}
	if _, err := EncryptToPassword(nil, nil, AES128CBC); !errors.Is(err, ErrPassword) {
		t.Errorf("no password: %v", err)
	}
}

// The vectors of RFC 3394, section 4.
func TestUnwrapAES(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kek, wrapped, key string }{
		{
			"000102030405060708090a0b0c0d0e0f",
			"1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
			"00112233445566778899aabbccddeeff",
		},
		{
			"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			"28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
			"00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
		},
	} {
		block, err := aes.NewCipher(unhex(t, test.kek))
		if err != nil {
			t.Fatal(err)
		}
		want := unhex(t, test.key)
		got := make([]byte, len(want))
		if err := unwrapAES(block, unhex(t, test.wrapped), got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %x, %v", got, err)
		}
		changed := unhex(t, test.wrapped)
		changed[3] ^= 1
		clear(got)
		if err := unwrapAES(block, changed, got); err != nil || !bytes.Equal(got, make([]byte, len(got))) {
			t.Errorf("changed: got %x, %v", got, err)
		}
		if err := unwrapAES(block, changed[:16], got); !errors.Is(err, ErrEncoding) {
			t.Errorf("cut: %v", err)
		}
	}
}

// The vectors of RFC 3211, section 3: PBKDF2 with HMAC-SHA-1, and PWRI-KEK with
// DES and 3DES.
func TestPWRIVectors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kek     Cipher
		iv      string
		salt    string
		count   int64
		pass    string
		wrapped string
		key     string
	}{
		{
			DESCBC, "efe598ef21b33d6d", "1234567878563412", 5, "password",
			"b81b2565ee373ca6dedca26a178b0c10", "8c627c897323a2f8",
		},
		{
			TripleDESCBC, "baf1ca7931213c4e", "1234567878563412", 500,
			"All n-entities must communicate with other n-entities via n-1 entiteeheehees",
			"c03c514abdb9e2c5aac038572b5e24553876b377aafb82eca5a9d73f8ab143d9ec74e6cad7db260c",
			"8c637d887223a2f965b566eb014b0fa5d52300a3f7ea40fffc577203c71baf3b",
		},
	} {
		spec, err := test.kek.spec()
		if err != nil {
			t.Fatal(err)
		}
		r := PasswordRecipient{
			derivation:   mustReadAlgorithm(t, pbkdf2With(unhex(t, test.salt), test.count, nil)),
			encryption:   mustReadAlgorithm(t, pwriWith(spec, unhex(t, test.iv))),
			encryptedKey: unhex(t, test.wrapped),
		}
		got, err := r.contentKey([]byte(test.pass), len(test.key)/2)
		if err != nil || !bytes.Equal(got, unhex(t, test.key)) {
			t.Errorf("%v: got %x, %v", test.kek, got, err)
		}
	}
}

func mustReadAlgorithm(t testing.TB, build builder) algorithm {
	t.Helper()
	b := cryptobyte.NewBuilder(nil)
	build(b)
	in := cryptobyte.String(b.BytesOrPanic())
	a, ok := readAlgorithm(&in)
	if !ok {
		t.Fatal("no AlgorithmIdentifier")
	}
	return a
}

func pwriWith(spec cipherSpec, iv []byte) builder {
	return func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPWRIKEK, func(b *cryptobyte.Builder) { spec.addAlgorithm(b, iv) })
	}
}

// pbkdf2With writes an AlgorithmIdentifier; more are the fields after the count.
func pbkdf2With(salt []byte, count int64, more builder) builder {
	return func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBKDF2, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(salt)
				b.AddASN1Int64(count)
				if more != nil {
					more(b)
				}
			})
		})
	}
}

func TestPasswordRefuses(t *testing.T) {
	t.Parallel()
	e := mustEncryptToPassword(t, []byte("content"), AES128CBC)
	aes128 := cipherSpecs[0]
	good := e.PasswordRecipients[0]
	iv := make([]byte, aes.BlockSize)
	for name, change := range map[string]func(*PasswordRecipient){
		"no key derivation":   func(r *PasswordRecipient) { r.derivation = algorithm{} },
		"another derivation":  func(r *PasswordRecipient) { r.derivation.oid = oidPWRIKEK },
		"no parameters":       func(r *PasswordRecipient) { r.derivation.parameters = nil },
		"no iterations":       func(r *PasswordRecipient) { r.derivation = mustReadAlgorithm(t, pbkdf2With(iv, 0, nil)) },
		"negative iterations": func(r *PasswordRecipient) { r.derivation = mustReadAlgorithm(t, pbkdf2With(iv, -1, nil)) },
		"too many iterations": func(r *PasswordRecipient) {
			r.derivation = mustReadAlgorithm(t, pbkdf2With(iv, MaxPasswordIterations+1, nil))
		},
		"foreign PRF": func(r *PasswordRecipient) {
			r.derivation = mustReadAlgorithm(t, pbkdf2With(iv, 1, func(b *cryptobyte.Builder) { addAlgorithm(b, oidData, nil) }))
		},
		"another key wrap":         func(r *PasswordRecipient) { r.encryption.oid = oidData },
		"PWRI-KEK without cipher":  func(r *PasswordRecipient) { r.encryption.parameters = nil },
		"PWRI-KEK with GCM":        func(r *PasswordRecipient) { r.encryption = mustReadAlgorithm(t, pwriWith(cipherSpecs[5], iv[:12])) },
		"PWRI-KEK with a short IV": func(r *PasswordRecipient) { r.encryption = mustReadAlgorithm(t, pwriWith(aes128, iv[1:])) },
		"one block":                func(r *PasswordRecipient) { r.encryptedKey = r.encryptedKey[:16] },
		"half a block":             func(r *PasswordRecipient) { r.encryptedKey = r.encryptedKey[:24] },
		"no key":                   func(r *PasswordRecipient) { r.encryptedKey = nil },
	} {
		r := good
		change(&r)
		_, err := e.DecryptWithPassword(r, []byte("challenge"))
		var unsupported *UnsupportedAlgorithmError
		if !errors.Is(err, ErrEncoding) && !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := e.DecryptWithPassword(good, []byte("challenge")); err != nil {
		t.Error(fmt.Errorf("unchanged: %w", err))
	}
}
