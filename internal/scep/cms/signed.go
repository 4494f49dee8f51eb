package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ErrSignature is wrapped by every error about a signature or a message digest
// that does not verify.
var ErrSignature = errors.New("cms: signature does not verify")

// ErrNoSigner is returned if the message does not carry its signer's certificate.
var ErrNoSigner = errors.New("cms: the signer's certificate is not in the message")

var (
	tag0 = cbasn1.Tag(0).ContextSpecific().Constructed()
	tag1 = cbasn1.Tag(1).ContextSpecific().Constructed()
	tag2 = cbasn1.Tag(2).ContextSpecific().Constructed()
)

// Limits bounds what a message may hold.
type Limits struct {
	Nesting      int // levels of nested elements
	Certificates int
	Attributes   int // signed attributes
}

// Attribute is a signed attribute with one value.
type Attribute struct {
	Type  asn1.ObjectIdentifier
	Value []byte // DER, with its tag
}

// SignedData is a parsed SignedData (RFC 5652, section 5.1) with at most one
// signer. Nothing in it is verified before Verify.
type SignedData struct {
	Content      []byte   // nil if absent
	Certificates [][]byte // DER, as sent
	CRLs         [][]byte // DER, as sent
	contentType  asn1.ObjectIdentifier
	element      cryptobyte.String // Content with its tag
	signer       *signerInfo
}

// signerInfo is RFC 5652, section 5.3.
type signerInfo struct {
	id         Identifier
	digest     algorithm
	signed     cryptobyte.String // contents of signedAttrs
	attributes []receivedAttribute
	algorithm  algorithm
	signature  []byte
}

type receivedAttribute struct {
	oid     asn1.ObjectIdentifier
	element []byte // DER of the whole attribute
	values  cryptobyte.String
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrEncoding, what) }

// ParseSignedData reads a ContentInfo in DER with a SignedData of type id-data
// and one signer, or none (certs-only). It wraps ErrEncoding on failure.
func ParseSignedData(der []byte, l Limits) (*SignedData, error) {
	_, body, err := openContentInfo(der, oidSignedData)
	if err != nil {
		return nil, err
	}
	s, err := readSignedData(body, l)
	if err != nil {
		return nil, err
	}
	if !s.contentType.Equal(oidData) {
		return nil, malformed("signed content type " + s.contentType.String() + " instead of id-data")
	}
	return s, nil
}

// readSignedData reads the contents of a SignedData of any type.
func readSignedData(in cryptobyte.String, l Limits) (*SignedData, error) {
	s := &SignedData{}
	if !in.SkipASN1(cbasn1.INTEGER) || !in.SkipASN1(cbasn1.SET) { // version, digestAlgorithms
		return nil, malformed("SignedData")
	}
	if err := s.readContent(&in); err != nil {
		return nil, err
	}
	var err error
	if s.Certificates, err = readSet(&in, tag0, l.Certificates); err != nil {
		return nil, fmt.Errorf("%w of certificates", err)
	}
	if s.CRLs, err = readSet(&in, tag1, l.Certificates); err != nil {
		return nil, fmt.Errorf("%w of CRLs", err)
	}
	s.signer, err = readSignerInfos(&in, l.Attributes)
	return s, err
}

// openContentInfo returns the contents of the SEQUENCE in a ContentInfo of one
// of the types wanted.
func openContentInfo(der []byte, want ...asn1.ObjectIdentifier) (asn1.ObjectIdentifier, cryptobyte.String, error) {
	in := cryptobyte.String(der)
	var info, explicit, body cryptobyte.String
	var contentType asn1.ObjectIdentifier
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !readOID(&info, &contentType) {
		return nil, nil, malformed("ContentInfo")
	}
	if !slices.ContainsFunc(want, contentType.Equal) {
		return nil, nil, malformed("content type " + contentType.String() + " instead of " + want[0].String())
	}
	if !info.ReadASN1(&explicit, tag0) || !explicit.ReadASN1(&body, cbasn1.SEQUENCE) {
		return nil, nil, malformed("ContentInfo")
	}
	return contentType, body, nil
}

// readContent reads EncapsulatedContentInfo. In PKCS #7, content of another type
// than id-data is no OCTET STRING; what is signed is then the contents of
// whatever it is (RFC 5652, section 5.2.1).
func (s *SignedData) readContent(in *cryptobyte.String) error {
	var info, explicit, content cryptobyte.String
	var present bool
	var tag cbasn1.Tag
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !readOID(&info, &s.contentType) ||
		!info.ReadOptionalASN1(&explicit, &present, tag0) {
		return malformed("EncapsulatedContentInfo")
	}
	if !present {
		return nil
	}
	s.element = explicit
	if !explicit.ReadAnyASN1(&content, &tag) {
		return malformed("signed content")
	}
	if tag != cbasn1.OCTET_STRING && s.contentType.Equal(oidData) {
		return malformed("signed content is no OCTET STRING")
	}
	s.Content = append([]byte{}, content...)
	return nil
}

// readSet reads certificates or crls. Other kinds than those of X.509 are
// skipped.
func readSet(in *cryptobyte.String, tag cbasn1.Tag, limit int) ([][]byte, error) {
	var set, element cryptobyte.String
	var elementTag cbasn1.Tag
	if !in.ReadOptionalASN1(&set, nil, tag) {
		return nil, malformed("set")
	}
	var elements [][]byte
	for !set.Empty() {
		if len(elements) == limit {
			return nil, malformed("too large a set")
		}
		if !set.ReadAnyASN1Element(&element, &elementTag) {
			return nil, malformed("set")
		}
		if elementTag == cbasn1.SEQUENCE {
			elements = append(elements, element)
		}
	}
	return elements, nil
}

func readSignerInfos(in *cryptobyte.String, maxAttributes int) (*signerInfo, error) {
	var set, info cryptobyte.String
	if !in.ReadASN1(&set, cbasn1.SET) {
		return nil, malformed("signerInfos")
	}
	if set.Empty() {
		return nil, nil
	}
	if !set.ReadASN1(&info, cbasn1.SEQUENCE) {
		return nil, malformed("SignerInfo")
	}
	if !set.Empty() {
		return nil, malformed("more than one signer")
	}
	return readSignerInfo(info, maxAttributes)
}

func readSignerInfo(in cryptobyte.String, maxAttributes int) (*signerInfo, error) {
	si := &signerInfo{}
	var ok bool
	if !in.SkipASN1(cbasn1.INTEGER) {
		return nil, malformed("SignerInfo version")
	}
	if si.id, ok = readIdentifier(&in); !ok {
		return nil, malformed("SignerIdentifier")
	}
	if si.digest, ok = readAlgorithm(&in); !ok {
		return nil, malformed("SignerInfo digestAlgorithm")
	}
	if !in.ReadOptionalASN1(&si.signed, nil, tag0) {
		return nil, malformed("signedAttrs")
	}
	if si.algorithm, ok = readAlgorithm(&in); !ok {
		return nil, malformed("SignerInfo signatureAlgorithm")
	}
	if !in.ReadASN1Bytes(&si.signature, cbasn1.OCTET_STRING) {
		return nil, malformed("SignerInfo signature")
	}
	var err error
	si.attributes, err = readAttributes(si.signed, maxAttributes)
	return si, err
}

func readAttributes(in cryptobyte.String, limit int) ([]receivedAttribute, error) {
	var attributes []receivedAttribute
	for !in.Empty() {
		if len(attributes) == limit {
			return nil, malformed("too many signed attributes")
		}
		var a receivedAttribute
		var element, inner cryptobyte.String
		if !in.ReadASN1Element(&element, cbasn1.SEQUENCE) {
			return nil, malformed("signed attribute")
		}
		a.element = element
		if !element.ReadASN1(&inner, cbasn1.SEQUENCE) ||
			!readOID(&inner, &a.oid) || !inner.ReadASN1(&a.values, cbasn1.SET) {
			return nil, malformed("signed attribute")
		}
		attributes = append(attributes, a)
	}
	return attributes, nil
}

// Attribute returns the value of a signed attribute (DER, with its tag). It is
// false unless the attribute is there once and has one value.
func (s *SignedData) Attribute(oid asn1.ObjectIdentifier) ([]byte, bool) {
	if s.signer == nil {
		return nil, false
	}
	is := func(a receivedAttribute) bool { return a.oid.Equal(oid) }
	i := slices.IndexFunc(s.signer.attributes, is)
	if i < 0 || slices.ContainsFunc(s.signer.attributes[i+1:], is) {
		return nil, false
	}
	values := s.signer.attributes[i].values
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !values.ReadAnyASN1Element(&value, &tag) || !values.Empty() {
		return nil, false
	}
	return value, true
}

// SigningTime is the time at which the signer says it signed, false if it does
// not (RFC 5652, section 11.3).
func (s *SignedData) SigningTime() (time.Time, bool) {
	value, _ := s.Attribute(oidSigningTime)
	in := cryptobyte.String(value)
	read := in.ReadASN1GeneralizedTime
	if in.PeekASN1Tag(cbasn1.UTCTime) {
		read = in.ReadASN1UTCTime
	}
	var t time.Time
	ok := read(&t)
	return t, ok
}

// Digest is the signer's digest algorithm, or *UnsupportedAlgorithmError.
func (s *SignedData) Digest() (crypto.Hash, error) {
	if s.signer == nil {
		return 0, ErrNoSigner
	}
	d, err := digestByOID(s.signer.digest.oid)
	return d.hash, err
}

// SignerCertificate finds the certificate the SignerInfo names, wherever it is
// in the message, and returns the others that can be parsed beside it. It
// returns ErrNoSigner if there is none.
func (s *SignedData) SignerCertificate() (signer *x509.Certificate, others []*x509.Certificate, err error) {
	if s.signer == nil {
		return nil, nil, ErrNoSigner
	}
	var unreadable error
	for _, raw := range s.Certificates {
		cert, err := ParseCertificate(raw)
		switch {
		case err != nil:
			unreadable = err
		case signer == nil && s.signer.id.Matches(cert):
			signer = cert
		default:
			others = append(others, cert)
		}
	}
	if signer == nil {
		return nil, nil, errors.Join(ErrNoSigner, unreadable)
	}
	return signer, others, nil
}

// Verify checks content type, message digest and signature against cert's key.
// It looks neither at cert's validity nor at who issued it. It returns
// *UnsupportedAlgorithmError, or wraps ErrEncoding or ErrSignature.
func (s *SignedData) Verify(cert *x509.Certificate) error {
	if s.signer == nil {
		return ErrNoSigner
	}
	d, err := digestByOID(s.signer.digest.oid)
	if err != nil {
		return err
	}
	if err := s.verifyContent(d); err != nil {
		return err
	}
	key := publicKey(cert)
	err = s.signer.verify(key, d, s.signer.signed)
	if !errors.Is(err, ErrSignature) {
		return err
	}
	// RFC 5652, section 5.4, signs the DER, in which a SET OF is sorted; some
	// clients sign that and send the attributes in another order.
	if der := sorted(s.signer.attributes); !bytes.Equal(der, s.signer.signed) {
		return s.signer.verify(key, d, der)
	}
	return err
}

// verifyContent checks the two attributes RFC 5652, section 5.3, demands.
func (s *SignedData) verifyContent(d digest) error {
	contentType, ok := s.Attribute(oidContentType)
	if !ok {
		return malformed("no contentType attribute")
	}
	if want, err := asn1.Marshal(s.contentType); err != nil || !bytes.Equal(contentType, want) {
		return malformed("contentType attribute is not " + s.contentType.String())
	}
	value, _ := s.Attribute(oidMessageDigest)
	in := cryptobyte.String(value)
	var sum []byte
	if !in.ReadASN1Bytes(&sum, cbasn1.OCTET_STRING) {
		return malformed("no messageDigest attribute")
	}
	if subtle.ConstantTimeCompare(sum, d.sum(s.Content)) != 1 {
		return fmt.Errorf("%w: message digest differs", ErrSignature)
	}
	return nil
}

// sorted is the contents of a SET OF attributes in DER.
func sorted(attributes []receivedAttribute) []byte {
	elements := make([][]byte, len(attributes))
	for i, a := range attributes {
		elements[i] = a.element
	}
	slices.SortFunc(elements, bytes.Compare)
	return slices.Concat(elements...)
}

// Element is the DER of an element with a tag of one octet.
func Element(tag cbasn1.Tag, contents []byte) []byte {
	return append(appendLength([]byte{byte(tag)}, len(contents)), contents...)
}

func setOf(contents []byte) []byte { return Element(cbasn1.SET, contents) }

// verify verifies the signature over a SET of signed attributes.
func (si *signerInfo) verify(key crypto.PublicKey, d digest, signed []byte) error {
	sum := d.sumOfSet(signed)
	var err error
	switch key := key.(type) {
	case *rsa.PublicKey:
		err = si.verifyRSA(key, d, sum)
	case *ecdsa.PublicKey:
		err = si.verifyECDSA(key, sum)
	default:
		err = fmt.Errorf("%w: unsupported key type %T", ErrSignature, key)
	}
	return err
}

// rsaSignature says whether oid stands for RSASSA-PKCS1-v1_5, alone or with a
// digest. Which digest is said by digestAlgorithm.
func rsaSignature(oid asn1.ObjectIdentifier) bool {
	return oid.Equal(oidRSAEncryption) ||
		slices.ContainsFunc(digests, func(d digest) bool { return oid.Equal(d.withRSA) })
}

func ecdsaSignature(oid asn1.ObjectIdentifier) bool {
	return oid.Equal(oidECPublicKey) ||
		slices.ContainsFunc(digests, func(d digest) bool { return oid.Equal(d.withECDSA) })
}

// MaxRSABits bounds the RSA keys that signatures are verified with: the time it
// takes grows with the square, and a stranger chooses the key. TLS has the same
// limit in crypto/tls.
const MaxRSABits = 8192

func (si *signerInfo) verifyRSA(key *rsa.PublicKey, d digest, sum []byte) error {
	if bits := key.N.BitLen(); bits > MaxRSABits {
		return fmt.Errorf("%w: RSA key of %d bits", ErrSignature, bits)
	}
	var err error
	switch {
	case rsaSignature(si.algorithm.oid):
		err = rsa.VerifyPKCS1v15(key, d.hash, sum, si.signature)
	case si.algorithm.oid.Equal(oidRSASSAPSS):
		parameters, unreadable := readPSSParameters(si.algorithm.parameters, d)
		if unreadable != nil {
			return unreadable
		}
		err = parameters.verify(key, d, sum, si.signature)
	default:
		return &UnsupportedAlgorithmError{Use: "signature", OID: si.algorithm.oid}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

func (si *signerInfo) verifyECDSA(key *ecdsa.PublicKey, sum []byte) error {
	if !ecdsaSignature(si.algorithm.oid) {
		return &UnsupportedAlgorithmError{Use: "signature", OID: si.algorithm.oid}
	}
	if !ecdsa.VerifyASN1(key, sum, si.signature) {
		return ErrSignature
	}
	return nil
}
