package policy

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// nameType is the type of a GeneralName; user principal names and SIDs have their own.
type nameType int

// The types of RFC 5280, section 4.2.1.6, numbered by their tags.
const (
	otherName     nameType = 0
	rfc822Name    nameType = 1
	dnsName       nameType = 2
	x400Address   nameType = 3
	directoryName nameType = 4
	ediPartyName  nameType = 5
	uniformID     nameType = 6
	ipAddress     nameType = 7
	registeredID  nameType = 8
	// upnName is the otherName of a Microsoft user principal name.
	upnName nameType = 100
	// sidURI is a URI that holds a Microsoft SID.
	sidURI nameType = 101
)

var nameTypeNames = map[nameType]string{
	otherName:     "otherName",
	rfc822Name:    "e-mail address",
	dnsName:       "DNS name",
	x400Address:   "x400Address",
	directoryName: "directoryName",
	ediPartyName:  "ediPartyName",
	uniformID:     "URI",
	ipAddress:     "IP address",
	registeredID:  "registeredID",
	upnName:       "user principal name",
	sidURI:        "Microsoft SID",
}

// generalName is a subject alternative name.
type generalName struct {
	kind nameType
	// oid is the type of an otherName.
	oid string
	// value as text, empty for types that no template can allow: see otherNameValue and
	// formatDirectoryName for those that are none.
	value string
}

// generalNameTag is the identifier octet's class, without number and form.
const (
	tagClassMask    = 0xc0
	tagConstructed  = 0x20
	tagNumberMask   = 0x1f
	tagContextClass = 0x80
)

func (c *content) readSANs(der []byte) error {
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || list.Empty() {
		return malformed("subject alternative names")
	}
	for !list.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&value, &tag) || tag&tagClassMask != tagContextClass {
			return malformed("subject alternative names")
		}
		name, ok := readGeneralName(nameType(tag&tagNumberMask), value)
		if !ok {
			return malformed("subject alternative names")
		}
		c.sans = append(c.sans, name)
	}
	return nil
}

// readGeneralName reads the types that a template can allow, and leaves the value of others.
func readGeneralName(kind nameType, value cryptobyte.String) (generalName, bool) {
	switch kind {
	case dnsName, rfc822Name:
		return generalName{kind: kind, value: string(value)}, isText(value)
	case uniformID:
		return newURI(string(value)), isText(value)
	case ipAddress:
		addr, ok := netip.AddrFromSlice(value)
		return generalName{kind: kind, value: addr.Unmap().String()}, ok
	case otherName:
		return readOtherName(value)
	case directoryName:
		text, ok := readDirectoryName(value)
		return generalName{kind: kind, value: text}, ok
	case registeredID:
		var oid x509.OID
		err := oid.UnmarshalBinary(value)
		return generalName{kind: kind, value: oid.String()}, err == nil
	case x400Address, ediPartyName:
		return generalName{kind: kind}, true
	default:
		return generalName{}, false
	}
}

func newURI(uri string) generalName {
	if isSID(uri) {
		return generalName{kind: sidURI, value: uri}
	}
	return generalName{kind: uniformID, value: uri}
}

func isText(value []byte) bool { return printable(string(value)) && isASCII(string(value)) }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
