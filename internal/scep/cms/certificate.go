package cms

import (
	"bytes"
	"crypto/sha1" // names a key, protects nothing
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MarshalCertificates makes a certs-only SignedData (RFC 8894, section 3.4)
// that holds the certificates in the order given.
func MarshalCertificates(certs []*x509.Certificate) ([]byte, error) {
	var all []byte
	for _, c := range certs {
		all = append(all, c.Raw...)
	}
	der, err := pkcs7.DegenerateCertificate(all)
	if err != nil {
		return nil, fmt.Errorf("cms: encoding certificates: %w", err)
	}
	return der, nil
}

// ParseCertificates returns the certificates of a SignedData in DER, signed or
// not, in the order they came.
func ParseCertificates(der []byte, l Limits) ([]*x509.Certificate, error) {
	s, err := ParseSignedData(der, l)
	if err != nil {
		return nil, err
	}
	return s.parseCertificates()
}

func (s *SignedData) parseCertificates() ([]*x509.Certificate, error) {
	certs := make([]*x509.Certificate, 0, len(s.Certificates))
	for _, raw := range s.Certificates {
		c, err := ParseCertificate(raw)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// ParseCertificate is x509.ParseCertificate that also reads certificates whose
// authority key identifier is marked critical, as Windows makes them for the
// signature of its requests. RFC 5280 forbids that, and crypto/x509 refuses. It
// wraps ErrEncoding on failure.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert, nil
	}
	mended, ok := withoutCriticalAKI(der)
	if !ok {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	if cert, err = x509.ParseCertificate(mended); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return restoreRaw(cert, der)
}

// criticalAKI is the start of such an extension: OID 2.5.29.35, TRUE.
var (
	criticalAKI = []byte{0x06, 0x03, 0x55, 0x1d, 0x23, 0x01, 0x01, 0xff}
	falseAKI    = []byte{0x06, 0x03, 0x55, 0x1d, 0x23, 0x01, 0x01, 0x00}
)

// withoutCriticalAKI changes the flag only, and no length.
func withoutCriticalAKI(der []byte) ([]byte, bool) {
	if bytes.Count(der, criticalAKI) != 1 {
		return nil, false
	}
	return bytes.Replace(der, criticalAKI, falseAKI, 1), true
}

// restoreRaw makes cert, parsed from a mended copy, speak of the original.
func restoreRaw(cert *x509.Certificate, der []byte) (*x509.Certificate, error) {
	var tbs cryptobyte.String
	in := cryptobyte.String(der)
	if !in.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1Element(&tbs, cbasn1.SEQUENCE) {
		return nil, errors.New("cms: malformed certificate")
	}
	cert.Raw, cert.RawTBSCertificate = der, tbs
	return cert, nil
}

// Identifier names a certificate as a signer or a recipient: by issuer and
// serial number, or by subject key identifier (RFC 5652, section 5.3).
type Identifier struct {
	Issuer       []byte // DER of the Name
	SerialNumber *big.Int
	SubjectKeyID []byte // instead of the two above
}

// Matches says whether the identifier names cert.
func (id Identifier) Matches(cert *x509.Certificate) bool {
	if id.SubjectKeyID != nil {
		return id.matchesKey(cert)
	}
	return id.MatchesSerial(cert) && bytes.Equal(id.Issuer, cert.RawIssuer)
}

// matchesKey compares with the certificate's extension, and with what it would
// usually be if there were one: some clients do not look, and hash the key.
func (id Identifier) matchesKey(cert *x509.Certificate) bool {
	if len(id.SubjectKeyID) == 0 {
		return false
	}
	if bytes.Equal(id.SubjectKeyID, cert.SubjectKeyId) {
		return true
	}
	_, key, ok := publicKeyInfo(cert)
	if !ok {
		return false
	}
	// RFC 5280, section 4.2.1.2, method 1; RFC 7093, section 2, method 1.
	short, long := sha1.Sum(key), sha256.Sum256(key)
	return bytes.Equal(id.SubjectKeyID, short[:]) || bytes.Equal(id.SubjectKeyID, long[:sha1.Size])
}

// publicKeyInfo takes a SubjectPublicKeyInfo apart.
func publicKeyInfo(cert *x509.Certificate) (a algorithm, key []byte, ok bool) {
	in := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	if !in.ReadASN1(&in, cbasn1.SEQUENCE) {
		return a, nil, false
	}
	a, ok = readAlgorithm(&in)
	ok = ok && in.ReadASN1BitStringAsBytes(&key)
	return a, key, ok
}

// MatchesSerial compares the serial number only: some clients write the
// issuer's name with other string types than the certificate has.
func (id Identifier) MatchesSerial(cert *x509.Certificate) bool {
	return id.SerialNumber != nil && id.SerialNumber.Cmp(cert.SerialNumber) == 0
}

// String is for logs: the serial number or key identifier in hexadecimal.
func (id Identifier) String() string {
	if id.SubjectKeyID != nil {
		return "key identifier " + shortened(fmt.Sprintf("%x", id.SubjectKeyID))
	}
	return "serial number " + shortened(fmt.Sprintf("%x", id.SerialNumber))
}

// shortened keeps what a stranger wrote from filling a log. A serial number has at
// most 40 digits (RFC 5280, section 4.1.2.2).
func shortened(digits string) string {
	const enough = 64
	if len(digits) <= enough {
		return digits
	}
	return digits[:enough] + "…"
}

func readIdentifier(in *cryptobyte.String) (Identifier, bool) {
	var id Identifier
	var issuer, inner cryptobyte.String
	if !in.PeekASN1Tag(cbasn1.SEQUENCE) {
		ski, ok := readImplicitOctets(in)
		id.SubjectKeyID = append([]byte{}, ski...)
		return id, ok
	}
	id.SerialNumber = new(big.Int)
	ok := in.ReadASN1(&inner, cbasn1.SEQUENCE) &&
		inner.ReadASN1Element(&issuer, cbasn1.SEQUENCE) &&
		inner.ReadASN1Integer(id.SerialNumber)
	id.Issuer = issuer
	return id, ok
}

func addIssuerAndSerial(b *cryptobyte.Builder, cert *x509.Certificate) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(cert.RawIssuer)
		b.AddASN1BigInt(cert.SerialNumber)
	})
}

// algorithm is an AlgorithmIdentifier; parameters is the DER of the parameters,
// empty if absent.
type algorithm struct {
	oid        asn1.ObjectIdentifier
	parameters cryptobyte.String
}

func readAlgorithm(in *cryptobyte.String) (algorithm, bool) {
	var fields cryptobyte.String
	if !in.ReadASN1(&fields, cbasn1.SEQUENCE) {
		return algorithm{}, false
	}
	return readAlgorithmFields(fields)
}

func readAlgorithmFields(in cryptobyte.String) (a algorithm, ok bool) {
	ok = readOID(&in, &a.oid)
	a.parameters = in
	return a, ok
}

// maxOIDOctets bounds an object identifier. Decoded it is many times as long as
// it was, and nobody has one of such a length.
const maxOIDOctets = 64

func readOID(in *cryptobyte.String, oid *asn1.ObjectIdentifier) bool {
	ahead := *in
	var octets cryptobyte.String
	return ahead.ReadASN1(&octets, cbasn1.OBJECT_IDENTIFIER) && len(octets) <= maxOIDOctets &&
		in.ReadASN1ObjectIdentifier(oid)
}

// addAlgorithm writes an AlgorithmIdentifier; parameters may be nil.
func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, parameters func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if parameters != nil {
			parameters(b)
		}
	})
}

func addNull(b *cryptobyte.Builder) { b.AddASN1(cbasn1.NULL, func(*cryptobyte.Builder) {}) }
