package scep

import (
	"crypto/rand"
	"encoding/asn1"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// stringTags are the types a text attribute is read from. Written is
// PrintableString only: Apple and Windows read no other.
var stringTags = []cbasn1.Tag{cbasn1.PrintableString, cbasn1.UTF8String, cbasn1.IA5String, cbasn1.T61String}

// text returns the bytes of a text attribute as sent, false if it is absent.
func text(s *cms.SignedData, oid asn1.ObjectIdentifier) (string, bool) {
	der, _ := s.Attribute(oid)
	for _, tag := range stringTags {
		in := cryptobyte.String(der)
		var value cryptobyte.String
		if in.ReadASN1(&value, tag) {
			return string(value), true
		}
	}
	return "", false
}

// number returns a text attribute that is a decimal number without padding.
func number(s *cms.SignedData, oid asn1.ObjectIdentifier) (int, bool) {
	t, ok := text(s, oid)
	n, err := strconv.Atoi(t)
	return n, ok && err == nil && strconv.Itoa(n) == t
}

// octets returns the contents of an OCTET STRING attribute, nil if absent.
func octets(s *cms.SignedData, oid asn1.ObjectIdentifier) []byte {
	der, _ := s.Attribute(oid)
	in := cryptobyte.String(der)
	var value []byte
	if !in.ReadASN1Bytes(&value, cbasn1.OCTET_STRING) {
		return nil
	}
	return value
}

func attribute(oid asn1.ObjectIdentifier, tag cbasn1.Tag, value []byte) cms.Attribute {
	return cms.Attribute{Type: oid, Value: cms.Element(tag, value)}
}

func textAttribute(oid asn1.ObjectIdentifier, value string) cms.Attribute {
	return attribute(oid, cbasn1.PrintableString, []byte(value))
}

func numberAttribute[T ~int](oid asn1.ObjectIdentifier, value T) cms.Attribute {
	return textAttribute(oid, strconv.Itoa(int(value)))
}

func octetsAttribute(oid asn1.ObjectIdentifier, value []byte) cms.Attribute {
	return attribute(oid, cbasn1.OCTET_STRING, value)
}

func utf8Attribute(oid asn1.ObjectIdentifier, value string) cms.Attribute {
	return attribute(oid, cbasn1.UTF8String, []byte(strings.ToValidUTF8(value, "?")))
}

func newNonce() ([]byte, error) {
	nonce := make([]byte, nonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("scep: %w", err)
	}
	return nonce, nil
}
