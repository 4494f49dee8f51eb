package cms

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MarshalCRL makes a SignedData without content, certificates and signers that
// holds a CRL, given in DER: the answer to GetCRL (RFC 8894, section 3.4).
func MarshalCRL(crl []byte) ([]byte, error) {
	empty := func(*cryptobyte.Builder) {}
	return contentInfo(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SET, empty)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
		b.AddASN1(tag1, func(b *cryptobyte.Builder) { b.AddBytes(crl) })
		b.AddASN1(cbasn1.SET, empty)
	})
}

// ParseCRLs returns the CRLs of a SignedData in DER, signed or not, in the order
// they came. Their own encoding is not looked into.
func ParseCRLs(der []byte, l Limits) ([][]byte, error) {
	s, err := ParseSignedData(der, l)
	if err != nil {
		return nil, err
	}
	return s.CRLs, nil
}
