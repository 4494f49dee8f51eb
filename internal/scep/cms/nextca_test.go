package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// nextCA is certs-only with another certificate than the signer's.
func nextCA(t *testing.T) (der []byte, cert *x509.Certificate) {
	t.Helper()
	cert = selfSigned(t, ecKey(t))
	der, err := MarshalCertificates([]*x509.Certificate{cert})
	if err != nil {
		t.Fatal(err)
	}
	return der, cert
}

// encapsulated is an EncapsulatedContentInfo.
func encapsulated(contentType asn1.ObjectIdentifier, content builder) builder {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(contentType)
			if content != nil {
				b.AddASN1(tag0, content)
			}
		})
	}
}

// attributesFor are the two attributes that sign content of a type.
func attributesFor(t *testing.T, contentType asn1.ObjectIdentifier, content []byte) []byte {
	t.Helper()
	d, err := digestByHash(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := marshalAttributes(content, nil, d)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Replace(signed, marshalOID(t, oidData), marshalOID(t, contentType), 1)
}

func TestNextCA(t *testing.T) {
	t.Parallel()
	info, next := nextCA(t)
	_, body, err := openContentInfo(info, oidSignedData)
	if err != nil {
		t.Fatal(err)
	}
	bare := Element(cbasn1.SEQUENCE, body)
	in := cryptobyte.String(info)
	if !in.ReadASN1(&in, cbasn1.SEQUENCE) {
		t.Fatal("no ContentInfo")
	}
	octets := func(content []byte) builder { return func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) } }
	element := func(der []byte) builder { return func(b *cryptobyte.Builder) { b.AddBytes(der) } }
	indefinite := append(append([]byte{0x30, 0x80}, in...), 0, 0)
	for name, test := range map[string]struct {
		contentType asn1.ObjectIdentifier
		content     builder
		signed      []byte
	}{
		"ContentInfo as id-data":             {oidData, octets(info), info},
		"ContentInfo as id-signedData":       {oidSignedData, octets(info), info},
		"bare as id-data":                    {oidData, octets(bare), bare},
		"bare as id-signedData":              {oidSignedData, octets(bare), bare},
		"bare as in PKCS #7":                 {oidSignedData, element(bare), body},
		"ContentInfo as in PKCS #7":          {oidSignedData, element(info), in},
		"ContentInfo with indefinite length": {oidData, octets(indefinite), indefinite},
	} {
		m := message{
			content:    encapsulated(test.contentType, test.content),
			attributes: attributesFor(t, test.contentType, test.signed),
		}
		s, err := ParseNextCA(m.der(t), limits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Verify(selfSigned(t, rsaKey(t))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		certs, err := s.NextCertificates(limits)
		if err != nil || len(certs) != 1 || !certs[0].Equal(next) {
			t.Errorf("%s: got %v, %v", name, certs, err)
		}
	}
}

// What Sign makes is the form to write.
func TestNextCARoundTrip(t *testing.T) {
	t.Parallel()
	info, next := nextCA(t)
	current := Signer{selfSigned(t, rsaKey(t)), rsaKey(t), crypto.SHA256}
	der, err := Sign(info, nil, current)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseNextCA(der, limits)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(current.Certificate); err != nil {
		t.Error(err)
	}
	if err := s.Verify(next); !errors.Is(err, ErrSignature) && !errors.As(err, new(*UnsupportedAlgorithmError)) {
		t.Errorf("the next CA signed: %v", err)
	}
	certs, err := s.NextCertificates(limits)
	if err != nil || len(certs) != 1 || !certs[0].Equal(next) {
		t.Errorf("got %v, %v", certs, err)
	}
	der[bytes.Index(der, next.RawSubject)+10] ^= 1
	if s, err = ParseNextCA(der, limits); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(current.Certificate); !errors.Is(err, ErrSignature) {
		t.Errorf("changed: %v", err)
	}
}

func TestNextCARefuses(t *testing.T) {
	t.Parallel()
	info, _ := nextCA(t)
	octets := func(content []byte) builder { return func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) } }
	for name, test := range map[string]struct {
		contentType asn1.ObjectIdentifier
		content     builder
		want        error
	}{
		"no content":           {oidData, nil, ErrSignature},
		"empty content":        {oidData, octets(nil), ErrSignature},
		"another type":         {oidEnvelopedData, octets(info), ErrEncoding},
		"no OCTET STRING":      {oidData, func(b *cryptobyte.Builder) { b.AddBytes(info) }, ErrEncoding},
		"nothing in [0]":       {oidSignedData, func(*cryptobyte.Builder) {}, ErrEncoding},
		"no SEQUENCE":          {oidData, octets([]byte{5, 0}), ErrEncoding},
		"no SignedData":        {oidData, octets([]byte{0x30, 0}), ErrEncoding},
		"no BER":               {oidData, octets([]byte{0x30}), ErrEncoding},
		"a broken certificate": {oidData, octets(bytes.Replace(info, []byte{0x30, 0x82}, []byte{0x30, 0x81}, 1)), ErrEncoding},
	} {
		s, err := ParseNextCA(message{content: encapsulated(test.contentType, test.content)}.der(t), limits)
		if err == nil {
			_, err = s.NextCertificates(limits)
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseNextCA([]byte{0x30, 0}, limits); !errors.Is(err, ErrEncoding) {
		t.Errorf("no ContentInfo: %v", err)
	}
}

// A pkiMessage says id-data, and nothing else.
func TestSignedDataIsOfTypeData(t *testing.T) {
	t.Parallel()
	info, _ := nextCA(t)
	octets := func(b *cryptobyte.Builder) { b.AddASN1OctetString(info) }
	der := message{content: encapsulated(oidSignedData, octets)}.der(t)
	if _, err := ParseSignedData(der, limits); !errors.Is(err, ErrEncoding) {
		t.Errorf("got %v", err)
	}
}
