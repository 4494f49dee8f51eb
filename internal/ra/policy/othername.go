package policy

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

const upnOID = "1.3.6.1.4.1.311.20.2.3"

// readOtherName reads an otherName (RFC 5280, section 4.2.1.6).
func readOtherName(in cryptobyte.String) (generalName, bool) {
	var oid asn1.ObjectIdentifier
	var explicit, element, value cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadASN1ObjectIdentifier(&oid) || !in.ReadASN1(&explicit, contextZero) || !in.Empty() ||
		!explicit.ReadAnyASN1Element(&element, &tag) || !explicit.Empty() {
		return generalName{}, false
	}
	whole := slices.Clone(element)
	if !element.ReadAnyASN1(&value, &tag) {
		return generalName{}, false
	}
	if oid.String() == upnOID {
		ok := tag == cbasn1.UTF8String && utf8.Valid(value) && printable(string(value))
		return generalName{kind: upnName, value: string(value)}, ok
	}
	text, ok := otherNameValue(tag, value, whole)
	return generalName{kind: otherName, oid: oid.String(), value: text}, ok
}

const visibleString = cbasn1.Tag(26)

// asciiTags are the character strings beside UTF8String that are read as text.
var asciiTags = []cbasn1.Tag{cbasn1.PrintableString, cbasn1.IA5String, cbasn1.Tag(asn1.TagNumericString), visibleString}

// otherNameValue writes a value as text: "#" and the DER in hexadecimal digits if it is
// no character string, as in RFC 4514, section 2.4. So that no string looks like
// that, one that begins with "#" or "\" gets a "\" before it.
func otherNameValue(tag cbasn1.Tag, value, whole []byte) (string, bool) {
	switch {
	case tag == cbasn1.UTF8String:
		return escapeFirst(string(value)), utf8.Valid(value) && printable(string(value))
	case slices.Contains(asciiTags, tag):
		return escapeFirst(string(value)), isText(value)
	default:
		return "#" + hex.EncodeToString(whole), true
	}
}

func escapeFirst(s string) string {
	if strings.HasPrefix(s, "#") || strings.HasPrefix(s, `\`) {
		return `\` + s
	}
	return s
}

var errUPN = errors.New("the user principal name has a field of its own: sans.upn")

// addOtherNames allows names of the types that are listed, each by its values.
func (r sanRules) addOtherNames(list []v1alpha1.OtherName) error {
	if len(list) == 0 {
		return nil
	}
	allowed := map[string]valueRule{}
	var problems []error
	for i, o := range list {
		field := fmt.Sprintf("sans.otherNames[%d]", i)
		values, err := compileValues(field, o.Values, o.Pattern)
		allowed[o.OID] = values
		problems = append(problems, err, checkOtherOID(field, o.OID))
	}
	r[otherName] = func(n generalName) error {
		values, listed := allowed[n.oid]
		if !listed {
			return refuseName(n, strings.Join(slices.Sorted(maps.Keys(allowed)), ", "))
		}
		if !values.allows(n.value) {
			return refuseName(n, values.String())
		}
		return nil
	}
	return errors.Join(problems...)
}

func checkOtherOID(field, oid string) error {
	_, err := parseObjectIdentifier(oid)
	if err == nil && oid == upnOID {
		err = errUPN
	}
	if err != nil {
		return &ValueError{Field: field + ".oid", Err: err}
	}
	return nil
}
