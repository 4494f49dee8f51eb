package revocation

import (
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var errExtension = errors.New("an extension of it cannot be read")

// Tags of an IssuingDistributionPoint, of which all but the first say that a list is
// not the whole one of end entities' certificates.
var (
	tagDistributionPoint  = asn1.Tag(0).ContextSpecific().Constructed()
	tagFullName           = asn1.Tag(0).ContextSpecific().Constructed()
	tagOnlyUserCerts      = asn1.Tag(1).ContextSpecific()
	tagOnlyCACerts        = asn1.Tag(2).ContextSpecific()
	tagOnlySomeReasons    = asn1.Tag(3).ContextSpecific()
	tagIndirect           = asn1.Tag(4).ContextSpecific()
	tagOnlyAttributeCerts = asn1.Tag(5).ContextSpecific()
	tagURI                = asn1.Tag(6).ContextSpecific()
)

// readScope reads an IssuingDistributionPoint (RFC 5280, section 5.2.5): the URLs that
// it names; nil if it names no place. A list of something else than all of the
// issuer's certificates for end entities is errDelta.
func readScope(der []byte) ([]string, error) {
	in := cryptobyte.String(der)
	var body, point cryptobyte.String
	var named bool
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !in.Empty() ||
		!body.ReadOptionalASN1(&point, &named, tagDistributionPoint) {
		return nil, errExtension
	}
	if err := readFlags(&body); err != nil {
		return nil, err
	}
	if !named {
		return nil, nil
	}
	return readFullName(point)
}

// readFlags passes over "only user certificates", which those in question are.
func readFlags(body *cryptobyte.String) error {
	if !body.SkipOptionalASN1(tagOnlyUserCerts) {
		return errExtension
	}
	for _, tag := range []asn1.Tag{tagOnlyCACerts, tagOnlySomeReasons, tagIndirect, tagOnlyAttributeCerts} {
		if body.PeekASN1Tag(tag) {
			return errDelta
		}
	}
	if !body.Empty() {
		return errExtension
	}
	return nil
}

// readFullName reads the URLs of a DistributionPointName; a name relative to the
// issuer is none that could be compared.
func readFullName(point cryptobyte.String) ([]string, error) {
	var names cryptobyte.String
	if !point.ReadASN1(&names, tagFullName) || !point.Empty() {
		return nil, errExtension
	}
	urls := []string{}
	for !names.Empty() {
		var name cryptobyte.String
		var tag asn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return nil, errExtension
		}
		if tag == tagURI {
			urls = append(urls, string(name))
		}
	}
	return urls, nil
}

// readTime reads the GeneralizedTime of expiredCertsOnCRL or archiveCutoff.
func readTime(der []byte) (time.Time, error) {
	in := cryptobyte.String(der)
	var out time.Time
	if !in.ReadASN1GeneralizedTime(&out) || !in.Empty() {
		return time.Time{}, errExtension
	}
	return out, nil
}
