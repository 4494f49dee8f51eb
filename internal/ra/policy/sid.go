package policy

import (
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// oidMicrosoftSID is the extension in which Windows looks for the security
// identifier of an account (szOID_NTDS_CA_SECURITY_EXT).
const oidMicrosoftSID = "1.3.6.1.4.1.311.25.2"

// sidPrefix begins URIs that say the same among the alternative names.
const sidPrefix = "tag:microsoft.com,2022-09-14:sid:"

func isSID(uri string) bool {
	return len(uri) >= len(sidPrefix) && strings.EqualFold(uri[:len(sidPrefix)], sidPrefix)
}

// judgeSID refuses the extension, unless it is ignored: no issuer copies it.
func (p *Policy) judgeSID(c *content) error {
	if c.sid && p.spec.MicrosoftSID != v1alpha1.SIDIgnore {
		return refuseExtension(oidMicrosoftSID)
	}
	return nil
}

func refuseExtension(oid string) *refusal.Error {
	name := oid
	if known, ok := refusedExtensions[oid]; ok {
		name = known + " (" + oid + ")"
	}
	return refusal.New(refusal.ExtensionNotAllowed, "extension %s refused: no template can allow it", name)
}

// dropsSIDs says whether URIs with a SID are left out. An issuer that copies names
// cannot do that, so they are refused there.
func (p *Policy) dropsSIDs() bool {
	_, allowed := p.sans[sidURI]
	return p.spec.MicrosoftSID == v1alpha1.SIDIgnore && p.mode == v1alpha1.IssuanceDirect && !allowed
}

// dropSIDs takes URIs with a SID out of the names.
func (c *content) dropSIDs() {
	had := len(c.sans)
	c.sans = slices.DeleteFunc(c.sans, func(n generalName) bool { return n.kind == sidURI })
	c.sidDropped = len(c.sans) < had
}

// WithoutSID rewrites the value of a subject alternative name extension without
// URIs that hold a Microsoft SID; false if no name is left, or it cannot be read.
func WithoutSID(der []byte) ([]byte, bool) {
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) {
		return nil, false
	}
	var kept []byte
	for !list.Empty() {
		var element, value cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1Element(&element, &tag) {
			return nil, false
		}
		whole := slices.Clone(element)
		if element.ReadAnyASN1(&value, &tag) && tag == uriTag && isSID(string(value)) {
			continue
		}
		kept = append(kept, whole...)
	}
	if len(kept) == 0 {
		return nil, false
	}
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(kept) })
	rewritten, err := out.Bytes()
	return rewritten, err == nil
}

var uriTag = cbasn1.Tag(uniformID).ContextSpecific()
