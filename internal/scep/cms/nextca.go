package cms

import (
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ParseNextCA reads the SignedData, in DER, that answers GetNextCACert (RFC
// 8894, section 4.7.1). Its content may be of type id-data or id-signedData. It
// wraps ErrEncoding on failure. To write one, Sign what MarshalCertificates
// returns.
//
// Nothing is to be trusted before Verify has been called with the certificate of
// the present CA; NextCertificates comes after that.
func ParseNextCA(der []byte, l Limits) (*SignedData, error) {
	_, body, err := openContentInfo(der, oidSignedData)
	if err != nil {
		return nil, err
	}
	s, err := readSignedData(body, l)
	if err != nil {
		return nil, err
	}
	if !s.contentType.Equal(oidData) && !s.contentType.Equal(oidSignedData) {
		return nil, malformed("signed content type " + s.contentType.String())
	}
	return s, nil
}

// NextCertificates returns the certificates that an answer to GetNextCACert is
// about. The RFC does not say how the two SignedData are nested, so the inner one
// may be a ContentInfo or bare, in an OCTET STRING or not. Certificates beside
// the content, which some take for the answer, are not covered by the signature:
// without content it wraps ErrSignature.
func (s *SignedData) NextCertificates(l Limits) ([]*x509.Certificate, error) {
	if len(s.Content) == 0 {
		return nil, fmt.Errorf("%w: no content is signed", ErrSignature)
	}
	inner, err := s.nested(l)
	if err != nil {
		return nil, err
	}
	return inner.parseCertificates()
}

// nested reads the content as a SignedData.
func (s *SignedData) nested(l Limits) (*SignedData, error) {
	content := s.Content
	if !s.element.PeekASN1Tag(cbasn1.OCTET_STRING) {
		content = s.element
	}
	der, err := Normalize(content, l.Nesting)
	if err != nil {
		return nil, err
	}
	if _, body, err := openContentInfo(der, oidSignedData); err == nil {
		return readSignedData(body, l)
	}
	in := cryptobyte.String(der)
	var body cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) {
		return nil, malformed("SignedData")
	}
	return readSignedData(body, l)
}
