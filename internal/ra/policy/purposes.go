package policy

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var (
	errNoOID        = errors.New("it is no object identifier")
	errPurposeNamed = errors.New("has a name: list it in usages")
	errPurposeOCSP  = errors.New("is OCSP signing: whoever holds such a certificate can answer for the CA")
)

// compilePurposes reads the object identifiers of extendedKeyUsages.
func compilePurposes(oids []string) ([]asn1.ObjectIdentifier, error) {
	var out []asn1.ObjectIdentifier
	var problems []error
	for _, text := range oids {
		oid, err := parseObjectIdentifier(text)
		switch {
		case err != nil:
		case newExtKeyUsage(text).name != "":
			err = fmt.Errorf("%s %w", text, errPurposeNamed)
		case text == x509.ExtKeyUsageOCSPSigning.OID().String():
			err = fmt.Errorf("%s %w", text, errPurposeOCSP)
		}
		if err != nil {
			problems = append(problems, &ValueError{Field: "extendedKeyUsages", Err: err})
			continue
		}
		out = append(out, oid)
	}
	return out, errors.Join(problems...)
}

// parseObjectIdentifier reads dotted numbers that can be encoded.
func parseObjectIdentifier(dotted string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(dotted, ".") {
		number, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", dotted, errNoOID)
		}
		oid = append(oid, int(number))
	}
	if _, err := asn1.Marshal(oid); err != nil || oid.String() != dotted {
		return nil, fmt.Errorf("%q: %w", dotted, errNoOID)
	}
	return oid, nil
}

// allowsPurpose says whether the template lists a purpose by its object identifier.
func (p *Policy) allowsPurpose(oid string) bool {
	return slices.ContainsFunc(p.purposes, func(o asn1.ObjectIdentifier) bool { return o.String() == oid })
}

// customPurposes are the purposes that a request names by object identifiers of
// the template, without repetition.
func (p *Policy) customPurposes(c *content) []asn1.ObjectIdentifier {
	var out []asn1.ObjectIdentifier
	for _, o := range p.purposes {
		if c.hasPurpose(o.String()) {
			out = append(out, o)
		}
	}
	return out
}

func (c *content) hasPurpose(oid string) bool {
	return slices.ContainsFunc(c.extKeyUsages, func(u extKeyUsage) bool { return u.oid == oid })
}
