package cms

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func newCRL(t testing.TB) []byte {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(7), NextUpdate: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)}
	ca := selfSigned(t, rsaKey(t))
	ca.KeyUsage = x509.KeyUsageCRLSign
	crl, err := x509.CreateRevocationList(rand.Reader, template, ca, rsaKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

func TestCRL(t *testing.T) {
	t.Parallel()
	crl := newCRL(t)
	der, err := MarshalCRL(crl)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCRLs(der, limits)
	if err != nil || len(got) != 1 || !bytes.Equal(got[0], crl) {
		t.Errorf("got %x, %v", got, err)
	}
	s := mustParse(t, der)
	if s.Content != nil || s.Certificates != nil {
		t.Errorf("content %x, certificates %x", s.Content, s.Certificates)
	}
	if certs, err := ParseCertificates(der, limits); err != nil || len(certs) != 0 {
		t.Errorf("certificates %v, %v", certs, err)
	}
	for n := range len(der) {
		if _, err := ParseCRLs(der[:n], limits); !errors.Is(err, ErrEncoding) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
}

func TestCRLs(t *testing.T) {
	t.Parallel()
	crl := newCRL(t)
	other := Element(tag1, []byte{5, 0}) // OtherRevocationInfoFormat
	withCRLs := func(crls []byte) []byte {
		der, err := contentInfo(oidSignedData, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
			encapsulated(oidData, nil)(b)
			b.AddASN1(tag1, func(b *cryptobyte.Builder) { b.AddBytes(crls) })
			b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
		})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, test := range map[string]struct {
		crls  []byte
		count int
	}{
		"none":            {nil, 0},
		"two":             {bytes.Repeat(crl, 2), 2},
		"of another kind": {append(other, crl...), 1},
	} {
		if got, err := ParseCRLs(withCRLs(test.crls), limits); err != nil || len(got) != test.count {
			t.Errorf("%s: %d, %v", name, len(got), err)
		}
	}
	for name, crls := range map[string][]byte{
		"too many":   bytes.Repeat(crl, limits.Certificates+1),
		"no element": {0x30, 0x82},
	} {
		if _, err := ParseCRLs(withCRLs(crls), limits); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
