package scep

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

var errChallenge = errors.New("malformed challengePassword")

var csrAttributes = cbasn1.Tag(0).ContextSpecific().Constructed()

// ChallengePassword returns the challenge of a CSR (RFC 2985, section 5.4.1) in
// UTF-8, "" if there is none. Two of them are an error: it would be open which one counts.
func ChallengePassword(csr *x509.CertificateRequest) (string, error) {
	attributes, ok := rawAttributes(csr.RawTBSCertificateRequest)
	if !ok {
		return "", errors.New("malformed CSR attributes")
	}
	challenge, found := "", false
	for !attributes.Empty() {
		var oid asn1.ObjectIdentifier
		var one, values cryptobyte.String
		if !attributes.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&oid) ||
			!one.ReadASN1(&values, cbasn1.SET) {
			return "", errors.New("malformed CSR attributes")
		}
		if !oid.Equal(oidChallengePassword) {
			continue
		}
		var err error
		if challenge, err = readDirectoryString(values); err != nil || found {
			return "", errChallenge
		}
		found = true
	}
	return challenge, nil
}

// rawAttributes are the contents of a CSR's attributes (RFC 2986, section 4.1);
// some clients leave the field out.
func rawAttributes(tbs cryptobyte.String) (cryptobyte.String, bool) {
	var body, attributes cryptobyte.String
	ok := tbs.ReadASN1(&body, cbasn1.SEQUENCE) &&
		body.SkipASN1(cbasn1.INTEGER) && body.SkipASN1(cbasn1.SEQUENCE) && body.SkipASN1(cbasn1.SEQUENCE) &&
		body.ReadOptionalASN1(&attributes, nil, csrAttributes)
	return attributes, ok
}

const (
	tagUniversalString = cbasn1.Tag(28)
	tagBMPString       = cbasn1.Tag(30)
)

// directoryStrings says how each type of string is decoded.
var directoryStrings = map[cbasn1.Tag]func([]byte) (string, error){
	cbasn1.UTF8String:      decodeUTF8,
	cbasn1.PrintableString: decodeUTF8,
	cbasn1.IA5String:       decodeUTF8,
	cbasn1.T61String:       decodeLatin1,
	tagBMPString:           decodeBMP,
	tagUniversalString:     decodeUniversal,
}

// readDirectoryString reads the only value of a SET OF DirectoryString.
func readDirectoryString(in cryptobyte.String) (string, error) {
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&value, &tag) || !in.Empty() {
		return "", errChallenge
	}
	decode, ok := directoryStrings[tag]
	if !ok {
		return "", errChallenge
	}
	return decode(value)
}

func decodeUTF8(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return decodeLatin1(b)
	}
	return string(b), nil
}

func decodeLatin1(b []byte) (string, error) {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes), nil
}

func decodeBMP(b []byte) (string, error) {
	if len(b)%2 != 0 {
		return "", errChallenge
	}
	units := make([]uint16, 0, len(b)/2)
	for pair := range slices.Chunk(b, 2) {
		units = append(units, uint16(pair[0])<<8|uint16(pair[1]))
	}
	return string(utf16.Decode(units)), nil
}

func decodeUniversal(b []byte) (string, error) {
	if len(b)%4 != 0 {
		return "", errChallenge
	}
	runes := make([]rune, 0, len(b)/4)
	for c := range slices.Chunk(b, 4) {
		runes = append(runes, rune(c[0])<<24|rune(c[1])<<16|rune(c[2])<<8|rune(c[3]))
	}
	return string(runes), nil
}

// csrHashes are the digests of the signatures x509.CreateCertificateRequest
// makes; none for Ed25519, which signs the message itself.
var csrHashes = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.SHA256WithRSA:   crypto.SHA256,
	x509.SHA384WithRSA:   crypto.SHA384,
	x509.SHA512WithRSA:   crypto.SHA512,
	x509.ECDSAWithSHA256: crypto.SHA256,
	x509.ECDSAWithSHA384: crypto.SHA384,
	x509.ECDSAWithSHA512: crypto.SHA512,
	x509.PureEd25519:     0,
}

// NewCSR makes a CSR in DER like x509.CreateCertificateRequest, with a
// challengePassword unless that is "".
func NewCSR(template *x509.CertificateRequest, key crypto.Signer, challengePassword string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil || challengePassword == "" {
		return der, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("scep: CSR: %w", err)
	}
	tbs, err := withChallenge(csr.RawTBSCertificateRequest, challengePassword)
	if err != nil {
		return nil, err
	}
	return resign(der, tbs, key, csr.SignatureAlgorithm)
}

// withChallenge adds an attribute to a CertificationRequestInfo.
func withChallenge(tbs []byte, challenge string) ([]byte, error) {
	attributes, ok := rawAttributes(tbs)
	in := cryptobyte.String(tbs)
	var body, version, subject, key cryptobyte.String
	if !ok || !in.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1Element(&version, cbasn1.INTEGER) ||
		!body.ReadASN1Element(&subject, cbasn1.SEQUENCE) || !body.ReadASN1Element(&key, cbasn1.SEQUENCE) {
		return nil, errors.New("scep: malformed CSR")
	}
	attribute := cms.Attribute{Type: oidChallengePassword, Value: directoryString(challenge)}
	added, err := attribute.Marshal()
	if err != nil {
		return nil, err
	}
	set := cms.Element(csrAttributes, sortedWith(attributes, added))
	return cms.Element(cbasn1.SEQUENCE, slices.Concat(version, subject, key, set)), nil
}

// directoryString is a PrintableString where that is enough, as RFC 2985,
// section 5.4.1, prefers; otherwise a UTF8String.
func directoryString(s string) []byte {
	tag := cbasn1.UTF8String
	if printable(s) {
		tag = cbasn1.PrintableString
	}
	return cms.Element(tag, []byte(s))
}

func printable(s string) bool {
	const others = " '()+,-./:=?"
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && !bytes.ContainsRune([]byte(others), rune(c)) {
			return false
		}
	}
	return true
}

// sortedWith is the contents of a SET OF with one element more.
func sortedWith(in cryptobyte.String, more []byte) []byte {
	elements := [][]byte{more}
	var element cryptobyte.String
	var tag cbasn1.Tag
	for in.ReadAnyASN1Element(&element, &tag) {
		elements = append(elements, element)
	}
	slices.SortFunc(elements, bytes.Compare)
	return slices.Concat(elements...)
}

// resign replaces the signed part of a CSR and signs it.
func resign(der, tbs []byte, key crypto.Signer, algorithm x509.SignatureAlgorithm) ([]byte, error) {
	hash, known := csrHashes[algorithm]
	if !known {
		return nil, fmt.Errorf("scep: CSR signature algorithm %v", algorithm)
	}
	signature, err := sign(key, tbs, hash)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	var body, identifier cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.SEQUENCE) ||
		!body.ReadASN1Element(&identifier, cbasn1.SEQUENCE) {
		return nil, errors.New("scep: malformed CSR")
	}
	bits := cms.Element(cbasn1.BIT_STRING, append([]byte{0}, signature...)) // no unused bits
	return cms.Element(cbasn1.SEQUENCE, slices.Concat(tbs, identifier, bits)), nil
}

func sign(key crypto.Signer, message []byte, hash crypto.Hash) ([]byte, error) {
	if hash != 0 {
		h := hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	signature, err := key.Sign(rand.Reader, message, hash)
	if err != nil {
		return nil, fmt.Errorf("scep: signing the CSR: %w", err)
	}
	return signature, nil
}
