package scep

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

func testKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"RSA": rsaKey, "ECDSA": ecKey, "Ed25519": edKey}
}

func readCSR(der []byte) (*Request, error) {
	o := &opening{request: &Request{}}
	return o.request, o.readCSR(der)
}

func TestNewCSR(t *testing.T) {
	t.Parallel()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device"}, DNSNames: []string{"a.example.com"}}
	for name, key := range testKeys(t) {
		for _, challenge := range []string{"", "secret", "with space", "not@printable", "grün"} {
			der, err := NewCSR(template, key, challenge)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r, err := readCSR(der)
			if err != nil {
				t.Fatalf("%s, %q: %v", name, challenge, err)
			}
			if r.ChallengePassword != challenge || r.CSR.Subject.CommonName != "device" || len(r.CSR.DNSNames) != 1 {
				t.Errorf("%s: %q came back as %q, %v", name, challenge, r.ChallengePassword, r.CSR)
			}
		}
	}
}

func TestReadDirectoryString(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tag  cbasn1.Tag
		in   string
		want string
		bad  bool
	}{
		"PrintableString":       {tag: cbasn1.PrintableString, in: "abc", want: "abc"},
		"UTF8String":            {tag: cbasn1.UTF8String, in: "grün", want: "grün"},
		"IA5String":             {tag: cbasn1.IA5String, in: "a@b", want: "a@b"},
		"T61String":             {tag: cbasn1.T61String, in: "gr\xfcn", want: "grün"},
		"UTF8String in Latin 1": {tag: cbasn1.UTF8String, in: "gr\xfcn", want: "grün"},
		"BMPString":             {tag: tagBMPString, in: "\x00g\x01\x00", want: "gĀ"},
		"BMPString, odd":        {tag: tagBMPString, in: "\x00g\x01", bad: true},
		"UniversalString":       {tag: tagUniversalString, in: "\x00\x01\xf6\x00", want: "😀"},
		"UniversalString, odd":  {tag: tagUniversalString, in: "\x00\x01\xf6", bad: true},
		"INTEGER":               {tag: cbasn1.INTEGER, in: "\x01", bad: true},
	} {
		got, err := readDirectoryString(cms.Element(test.tag, []byte(test.in)))
		if got != test.want || (err != nil) != test.bad {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	two := append(directoryString("a"), directoryString("b")...)
	if got, err := readDirectoryString(cryptobyte.String(two)); err == nil {
		t.Errorf("two values: %q", got)
	}
	if got, err := readDirectoryString(nil); err == nil {
		t.Errorf("no value: %q", got)
	}
}

func TestTwoChallenges(t *testing.T) {
	t.Parallel()
	key := testKeys(t)["ECDSA"]
	der, err := NewCSR(&x509.CertificateRequest{}, key, "one")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	tbs, err := withChallenge(csr.RawTBSCertificateRequest, "two")
	if err != nil {
		t.Fatal(err)
	}
	if der, err = resign(der, tbs, key, csr.SignatureAlgorithm); err != nil {
		t.Fatal(err)
	}
	if _, err := readCSR(der); err == nil {
		t.Error("two challenge passwords are accepted")
	}
}

// Devices that sign with MD5 sign their CSRs with it too: crypto/x509 does not
// verify that any more.
func TestCSRSignedWithMD5(t *testing.T) {
	t.Parallel()
	key := testKeys(t)["RSA"]
	der, err := NewCSR(&x509.CertificateRequest{}, key, "")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := sign(key, csr.RawTBSCertificateRequest, crypto.MD5)
	if err != nil {
		t.Fatal(err)
	}
	forged := slices.Clone(signature)
	forged[100] ^= 1
	md5WithRSA := []byte{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04, 0x05, 0x00}
	for name, test := range map[string]struct {
		signature []byte
		settings  Settings
		accepted  bool
	}{
		"allowed":     {signature, Settings{AllowMD5: true}, true},
		"not allowed": {signature, Settings{}, false},
		"forged":      {forged, Settings{AllowMD5: true}, false},
	} {
		bits := cms.Element(cbasn1.BIT_STRING, append([]byte{0}, test.signature...))
		der := cms.Element(cbasn1.SEQUENCE, slices.Concat(csr.RawTBSCertificateRequest, md5WithRSA, bits))
		o := &opening{request: &Request{}, settings: test.settings}
		if err := o.readCSR(der); (err == nil) != test.accepted {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadCSRRefusesHugeKeys(t *testing.T) {
	t.Parallel()
	der, err := NewCSR(&x509.CertificateRequest{}, testKeys(t)["RSA"], "")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	modulus := new(big.Int).Lsh(big.NewInt(1), 100_000)
	key, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	tbs := cms.Element(cbasn1.SEQUENCE, slices.Concat([]byte{2, 1, 0}, csr.RawSubject, key, []byte{0xa0, 0}))
	algorithm := []byte{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00}
	huge := cms.Element(cbasn1.SEQUENCE, slices.Concat(tbs, algorithm, []byte{3, 1, 0}))
	if _, err := readCSR(huge); err == nil || err.Error() != "CSR: RSA key of 100001 bits" {
		t.Errorf("got %v", err)
	}
}
