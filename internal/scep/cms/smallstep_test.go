package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// smallstepDigests are the digests that both libraries have.
var smallstepDigests = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1:   pkcs7.OIDDigestAlgorithmSHA1,
	crypto.SHA256: pkcs7.OIDDigestAlgorithmSHA256,
	crypto.SHA384: pkcs7.OIDDigestAlgorithmSHA384,
	crypto.SHA512: pkcs7.OIDDigestAlgorithmSHA512,
}

// signers are one of each kind, with certificates that are valid now.
func signers(t *testing.T) []cms.Signer {
	t.Helper()
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var all []cms.Signer
	for _, key := range []crypto.Signer{sceptest.FixedKey(t, "device"), ecKey} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(4711),
			Subject:      pkix.Name{CommonName: "device"},
			NotBefore:    time.Now().Add(-time.Hour),
			NotAfter:     time.Now().Add(time.Hour),
		}
		for _, hash := range slices.Sorted(maps.Keys(smallstepDigests)) {
			all = append(all, cms.Signer{Certificate: sceptest.SelfSigned(t, template, key), Key: key, Digest: hash})
		}
	}
	return all
}

// reading is what a library makes of a SignedData.
type reading struct {
	content      []byte
	certificates [][]byte
	nonce        []byte
	sound        bool
}

func (r reading) equal(other reading) bool {
	return bytes.Equal(r.content, other.content) && bytes.Equal(r.nonce, other.nonce) &&
		slices.EqualFunc(r.certificates, other.certificates, bytes.Equal)
}

// ours is false if we cannot read the message.
func ours(message []byte) (r reading, ok bool) {
	der, err := cms.Normalize(message, nesting)
	if err != nil {
		return r, false
	}
	s, err := cms.ParseSignedData(der, limits)
	if err != nil {
		return r, false
	}
	r = reading{content: s.Content, certificates: s.Certificates}
	r.nonce, _ = s.Attribute(oidNonce)
	if cert, _, err := s.SignerCertificate(); err == nil {
		r.sound = s.Verify(cert) == nil
	}
	return r, true
}

// theirs is false if smallstep/pkcs7 cannot.
func theirs(message []byte) (r reading, ok bool) {
	p7, err := pkcs7.Parse(message)
	if err != nil {
		return r, false
	}
	r = reading{content: p7.Content, sound: p7.Verify() == nil}
	for _, c := range p7.Certificates {
		r.certificates = append(r.certificates, c.Raw)
	}
	var nonce asn1.RawValue
	if p7.UnmarshalSignedAttribute(oidNonce, &nonce) == nil {
		r.nonce = nonce.FullBytes
	}
	return r, true
}

// String leaves out what is long.
func (r reading) String() string {
	return fmt.Sprintf("%d bytes of content, %d certificates, nonce %x, sound: %v",
		len(r.content), len(r.certificates), r.nonce, r.sound)
}

// mustAgree wants a message that both can read and verify, in DER and with
// indefinite lengths; in pieces, they read the contents only.
func mustAgree(t *testing.T, der []byte) {
	t.Helper()
	inPieces := sceptest.Indefinite(der, 100)
	for i, message := range [][]byte{der, sceptest.Indefinite(der, len(der)), inPieces} {
		a, readable := ours(message)
		b, also := theirs(message)
		if !readable || !also || !a.sound {
			t.Errorf("form %d: we read %v: %v; they read %v: %v", i, readable, a, also, b)
		}
		if b.sound && !a.equal(b) || !b.sound && i < 2 {
			t.Errorf("form %d: we read %v; they read %v", i, a, b)
		}
	}
}

func TestAgreeOnWhatWeSign(t *testing.T) {
	t.Parallel()
	nonce := cms.Attribute{Type: oidNonce, Value: []byte{4, 2, 0xab, 0xcd}}
	for _, signer := range signers(t) {
		for _, content := range [][]byte{{}, []byte("content"), bytes.Repeat([]byte{0x30}, 5000)} {
			t.Run(fmt.Sprintf("%T/%v/%d", signer.Key, signer.Digest, len(content)), func(t *testing.T) {
				t.Parallel()
				der, err := cms.Sign(content, []cms.Attribute{nonce}, signer)
				if err != nil {
					t.Fatal(err)
				}
				mustAgree(t, der)
			})
		}
	}
}

// signedBySmallstep names the digest, so that the library's default is not used.
func signedBySmallstep(t *testing.T, content []byte, s cms.Signer) []byte {
	t.Helper()
	p7, err := pkcs7.NewSignedData(content)
	if err != nil {
		t.Fatal(err)
	}
	p7.SetDigestAlgorithm(smallstepDigests[s.Digest])
	nonce := pkcs7.SignerInfoConfig{ExtraSignedAttributes: []pkcs7.Attribute{{Type: oidNonce, Value: []byte{0xab, 0xcd}}}}
	if err := p7.AddSigner(s.Certificate, s.Key, nonce); err != nil {
		t.Fatal(err)
	}
	p7.AddCertificate(sceptest.FixedCA(t).Certificate)
	der, err := p7.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAgreeOnWhatTheySign(t *testing.T) {
	t.Parallel()
	for _, signer := range signers(t) {
		for _, content := range [][]byte{{}, []byte("content")} {
			t.Run(fmt.Sprintf("%T/%v/%d", signer.Key, signer.Digest, len(content)), func(t *testing.T) {
				t.Parallel()
				mustAgree(t, signedBySmallstep(t, content, signer))
			})
		}
	}
}

// Wherever a message is changed, what both take for sound they read alike.
func TestAgreeOnChangedSignatures(t *testing.T) {
	t.Parallel()
	signer := signers(t)[0]
	for name, der := range map[string][]byte{
		"ours":   mustSign(t, []byte("content"), cms.Attribute{Type: oidNonce, Value: []byte{4, 2, 0xab, 0xcd}}),
		"theirs": signedBySmallstep(t, []byte("content"), signer),
	} {
		both := 0
		for at := range der {
			for _, bit := range []byte{0x01, 0x80} {
				changed := slices.Clone(der)
				changed[at] ^= bit
				a, _ := ours(changed)
				b, _ := theirs(changed)
				if !a.sound || !b.sound {
					continue
				}
				both++
				if !a.equal(b) {
					t.Errorf("%s, byte %d ^ %#x: we read %v, they %v", name, at, bit, a, b)
				}
			}
		}
		if both < 100 {
			t.Errorf("%s: %d changes are sound to both", name, both)
		}
	}
}

func TestAgreeOnBundles(t *testing.T) {
	t.Parallel()
	certs := []*x509.Certificate{sceptest.FixedDevice(t), sceptest.FixedCA(t).Certificate}
	der, err := cms.MarshalCertificates(certs)
	if err != nil {
		t.Fatal(err)
	}
	p7, err := pkcs7.Parse(der)
	if err != nil || !slices.EqualFunc(p7.Certificates, certs, (*x509.Certificate).Equal) {
		t.Errorf("they read %v, %v", p7, err)
	}
	got, err := cms.ParseCertificates(der, limits)
	if err != nil || !slices.EqualFunc(got, certs, (*x509.Certificate).Equal) {
		t.Errorf("we read %v, %v", got, err)
	}
}

func TestSmallstepReadsCRL(t *testing.T) {
	t.Parallel()
	crl, err := sceptest.FixedCA(t).CRL()
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.MarshalCRL(crl)
	if err != nil {
		t.Fatal(err)
	}
	p7, err := pkcs7.Parse(der)
	if err != nil || len(p7.CRLs) != 1 || len(p7.Certificates) != 0 {
		t.Errorf("they read %+v, %v", p7, err)
	}
}

// openedByUs and openedByThem decrypt with the device's key; they return nil if
// the message is not sound.
func openedByUs(t *testing.T, message []byte) []byte {
	t.Helper()
	der, err := cms.Normalize(message, nesting)
	if err != nil {
		return nil
	}
	e, err := cms.ParseEnvelopedData(der)
	if err != nil || len(e.Recipients) != 1 {
		return nil
	}
	plaintext, err := e.Decrypt(e.Recipients[0], sceptest.FixedKey(t, "device"))
	if err != nil || !plaintext.Sound {
		return nil
	}
	return plaintext.Bytes
}

func openedByThem(t *testing.T, message []byte, cert *x509.Certificate) (plaintext []byte) {
	t.Helper()
	defer func() {
		if recover() != nil { // v0.2.3 does not survive a padding longer than the content
			plaintext = nil
		}
	}()
	p7, err := pkcs7.Parse(message)
	if err != nil {
		return nil
	}
	if plaintext, err = p7.Decrypt(cert, sceptest.FixedKey(t, "device")); err != nil {
		return nil
	}
	return plaintext
}

// It has no AES-192, and does not read an AuthEnvelopedData.
func TestAgreeOnWhatWeEncrypt(t *testing.T) {
	t.Parallel()
	content := []byte("written by us")
	to := sceptest.FixedDevice(t)
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.TripleDESCBC, cms.DESCBC} {
		for _, transport := range []cms.KeyTransport{cms.PKCS1v15, cms.OAEPSHA1, cms.OAEPSHA256} {
			der, err := cms.Encrypt(content, to, c, transport)
			if err != nil {
				t.Fatal(err)
			}
			for i, form := range [][]byte{der, sceptest.Indefinite(der, len(der)), sceptest.Indefinite(der, 100)} {
				// They do not read an encrypted key that comes in pieces.
				if got := openedByThem(t, form, to); !bytes.Equal(got, content) && (got != nil || i < 2) {
					t.Errorf("%v, transport %d, form %d: they read %q", c, transport, i, got)
				}
				if got := openedByUs(t, form); !bytes.Equal(got, content) {
					t.Errorf("%v, transport %d, form %d: we read %q", c, transport, i, got)
				}
			}
		}
	}
}

// vectors are what pkcs7.Encrypt made with each of its ciphers and key transports
// for the device's key, named by its issuer and another serial number. They are files, because
// choosing is by variables of that package that nobody here may set.
func vectors(t *testing.T) (files []string, to *x509.Certificate) {
	t.Helper()
	files, err := filepath.Glob("testdata/smallstep/*.der")
	if err != nil || len(files) != 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files, &x509.Certificate{RawIssuer: sceptest.FixedDevice(t).RawIssuer, SerialNumber: big.NewInt(2)}
}

func TestAgreeOnWhatTheyEncrypt(t *testing.T) {
	t.Parallel()
	files, to := vectors(t)
	want := []byte("written by smallstep/pkcs7")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			der, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := openedByUs(t, der); !bytes.Equal(got, want) {
				t.Errorf("we read %q", got)
			}
			if got := openedByThem(t, der, to); !bytes.Equal(got, want) {
				t.Errorf("they read %q", got)
			}
			if strings.HasSuffix(file, "_rsa.der") {
				agreeOnChanged(t, der, to)
			}
		})
	}
}

// agreeOnChanged wants what both open to be the same.
func agreeOnChanged(t *testing.T, der []byte, cert *x509.Certificate) {
	t.Helper()
	for at := range der {
		changed := slices.Clone(der)
		changed[at] ^= 1
		a, b := openedByUs(t, changed), openedByThem(t, changed, cert)
		if a != nil && b != nil && !bytes.Equal(a, b) {
			t.Errorf("byte %d: we read %x, they %x", at, a, b)
		}
	}
}
