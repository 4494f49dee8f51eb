package cms

import (
	"bytes"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"testing"
)

func mustEncrypt(t testing.TB, content []byte, key *rsa.PrivateKey, c Cipher, transport KeyTransport) []byte {
	t.Helper()
	der, err := Encrypt(content, selfSigned(t, key), c, transport)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func mustParseEnvelope(t testing.TB, der []byte) *EnvelopedData {
	t.Helper()
	e, err := ParseEnvelopedData(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Recipients) != 1 {
		t.Fatalf("%d recipients", len(e.Recipients))
	}
	return e
}

func TestEncryptRoundTrip(t *testing.T) {
	t.Parallel()
	cert := selfSigned(t, rsaKey(t))
	for _, spec := range cipherSpecs {
		for _, transport := range []KeyTransport{PKCS1v15, OAEPSHA1, OAEPSHA256} {
			for _, size := range []int{0, 1, 15, 16, 17, 5000} {
				t.Run(fmt.Sprintf("%v/%d/%d", spec.id, transport, size), func(t *testing.T) {
					t.Parallel()
					content := bytes.Repeat([]byte{0x5a}, size)
					der := mustEncrypt(t, content, rsaKey(t), spec.id, transport)
					e := mustParseEnvelope(t, der)
					if !e.Recipients[0].ID.Matches(cert) || e.Cipher() != spec.id {
						t.Errorf("recipient %v, cipher %v", e.Recipients[0].ID, e.Cipher())
					}
					got, err := e.Decrypt(e.Recipients[0], rsaKey(t))
					if err != nil || !got.Sound || !bytes.Equal(got.Bytes, content) {
						t.Errorf("got %x, %v, %v", got.Bytes, got.Sound, err)
					}
				})
			}
		}
	}
}

// Whatever is wrong behind the RSA key is no error.
func TestDecryptRejectsImplicitly(t *testing.T) {
	t.Parallel()
	for _, transport := range []KeyTransport{PKCS1v15, OAEPSHA1, OAEPSHA256} {
		der := mustEncrypt(t, bytes.Repeat([]byte{0x5a}, 100), rsaKey(t), AES256CBC, transport)
		for name, change := range map[string]func(*EnvelopedData) *rsa.PrivateKey{
			"another key": func(*EnvelopedData) *rsa.PrivateKey { return otherRSAKey(t) },
			"bad RSA block": func(e *EnvelopedData) *rsa.PrivateKey {
				e.Recipients[0].encryptedKey[9] ^= 1
				return rsaKey(t)
			},
			"short RSA block": func(e *EnvelopedData) *rsa.PrivateKey {
				e.Recipients[0].encryptedKey = e.Recipients[0].encryptedKey[1:]
				return rsaKey(t)
			},
			"key of another size": func(e *EnvelopedData) *rsa.PrivateKey {
				e.spec = cipherSpecs[0]
				return rsaKey(t)
			},
		} {
			e := mustParseEnvelope(t, der)
			got, err := e.Decrypt(e.Recipients[0], change(e))
			if err != nil || len(got.Bytes) == 0 || bytes.Contains(got.Bytes, []byte{0x5a, 0x5a, 0x5a}) {
				t.Errorf("%d, %s: %d bytes, %v", transport, name, len(got.Bytes), err)
			}
		}
	}
}

func TestPadding(t *testing.T) {
	t.Parallel()
	const size = 16
	block := func(last ...byte) []byte { return append(bytes.Repeat([]byte{7}, size-len(last)), last...) }
	full := bytes.Repeat([]byte{16}, size)
	for _, test := range []struct {
		block      []byte
		length, ok int
	}{
		{block(1), 1, 1},
		{block(2, 2), 2, 1},
		{full, 16, 1},
		{block(0), 0, 0},
		{block(17), 0, 0},
		{block(255), 0, 0},
		{block(3, 2), 0, 0},
		{block(3, 1, 3), 0, 0},
		{append([]byte{15}, full[1:]...), 0, 0},
	} {
		if length, ok := paddingLength(test.block, size); length != test.length || ok != test.ok {
			t.Errorf("%x: %d, %d; want %d, %d", test.block, length, ok, test.length, test.ok)
		}
	}
}

func marshalOID(t testing.TB, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	b, err := asn1.Marshal(oid)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	der := mustEncrypt(t, []byte("content"), rsaKey(t), AES128CBC, PKCS1v15)
	ecb := bytes.Replace(der, marshalOID(t, AES128CBC.OID()), marshalOID(t, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 1}), 1)
	var unsupported *UnsupportedAlgorithmError
	if _, err := ParseEnvelopedData(ecb); !errors.As(err, &unsupported) {
		t.Errorf("AES in ECB mode: %v", err)
	}
	pssKey := bytes.Replace(der, marshalOID(t, oidRSAEncryption), marshalOID(t, oidRSASSAPSS), 1)
	e := mustParseEnvelope(t, pssKey)
	if _, err := e.Decrypt(e.Recipients[0], rsaKey(t)); !errors.As(err, &unsupported) {
		t.Errorf("key transport: %v", err)
	}
	for n := range len(der) {
		if _, err := ParseEnvelopedData(der[:n]); !errors.Is(err, ErrEncoding) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
	e = mustParseEnvelope(t, der)
	e.sealed.ciphertext = e.sealed.ciphertext[1:]
	if _, err := e.Decrypt(e.Recipients[0], rsaKey(t)); !errors.Is(err, ErrEncoding) {
		t.Errorf("ciphertext of broken length: %v", err)
	}
}
