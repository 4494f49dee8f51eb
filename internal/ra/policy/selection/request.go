package selection

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// The extensions by which a request names a template, and its key usage.
const (
	oidTemplateName = "1.3.6.1.4.1.311.20.2"
	oidTemplateInfo = "1.3.6.1.4.1.311.21.7"
	oidKeyUsage     = "2.5.29.15"
)

// microsoftTemplates are the names and OIDs of Microsoft templates that a request
// names. What cannot be read names none.
func microsoftTemplates(csr *x509.CertificateRequest) []string {
	readers := map[string]func([]byte) string{oidTemplateName: readTemplateName, oidTemplateInfo: readTemplateInfo}
	var names []string
	for _, e := range csr.Extensions {
		read, ok := readers[e.Id.String()]
		if !ok {
			continue
		}
		if name := read(e.Value); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// maxName bounds a template's name, in characters; Active Directory has 64.
const maxName = 255

// tagBMPString is the tag of the string that Windows writes: UTF-16, big-endian.
const tagBMPString = cbasn1.Tag(30)

// readTemplateName reads the extension "certificate template name", one string of
// any common type; "" if it is none that could be shown.
func readTemplateName(der []byte) string {
	in := cryptobyte.String(der)
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&value, &tag) || !in.Empty() {
		return ""
	}
	var name string
	switch tag {
	case tagBMPString:
		name = decodeBMP(value)
	case cbasn1.UTF8String, cbasn1.PrintableString, cbasn1.IA5String:
		name = string(value)
	}
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unshowable) {
		return ""
	}
	return strings.TrimSpace(name)
}

func unshowable(r rune) bool { return r == unicode.ReplacementChar || unicode.Is(unicode.C, r) }

// decodeBMP leaves out a NUL at the end, which C programs write; an odd octet is no string.
func decodeBMP(in []byte) string {
	if len(in)%2 != 0 {
		return ""
	}
	units := make([]uint16, 0, len(in)/2)
	for i := 0; i < len(in); i += 2 {
		units = append(units, uint16(in[i])<<8|uint16(in[i+1]))
	}
	return strings.TrimSuffix(string(utf16.Decode(units)), "\x00")
}

// readTemplateInfo reads the OID of the extension "certificate template information":
//
//	SEQUENCE { templateID OBJECT IDENTIFIER, majorVersion INTEGER OPTIONAL, minorVersion INTEGER OPTIONAL }
//
// "" if it is not that. Versions do not select: a template has one content at a time.
func readTemplateInfo(der []byte) string {
	in := cryptobyte.String(der)
	var body cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() || !body.ReadASN1ObjectIdentifier(&oid) {
		return ""
	}
	for range 2 { // the versions
		if !body.SkipOptionalASN1(cbasn1.INTEGER) {
			return ""
		}
	}
	if !body.Empty() {
		return ""
	}
	return oid.String()
}

// Bits of the key usage extension (RFC 5280, section 4.2.1.3).
const (
	digitalSignature = 0
	keyEncipherment  = 2
)

// keyUsageOf sorts a request as NDES does; "" if it names neither usage.
func keyUsageOf(csr *x509.CertificateRequest) v1alpha1.TemplateKeyUsage {
	for _, e := range csr.Extensions {
		var bits asn1.BitString
		if e.Id.String() != oidKeyUsage {
			continue
		}
		if rest, err := asn1.Unmarshal(e.Value, &bits); err != nil || len(rest) > 0 {
			return ""
		}
		return sortKeyUsage(bits.At(digitalSignature) == 1, bits.At(keyEncipherment) == 1)
	}
	return ""
}

func sortKeyUsage(signs, encrypts bool) v1alpha1.TemplateKeyUsage {
	switch {
	case signs && encrypts:
		return v1alpha1.KeyUsageGeneralPurpose
	case signs:
		return v1alpha1.KeyUsageSignature
	case encrypts:
		return v1alpha1.KeyUsageEncryption
	default:
		return ""
	}
}
