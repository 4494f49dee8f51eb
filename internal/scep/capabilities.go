package scep

import (
	"crypto"
	"slices"
	"strings"
)

// The keywords of RFC 8894, section 3.5.2. SHA-384 is none of them, but without
// it strongSwan 5.9 does not use AES; others ignore it.
const (
	CapabilityAES              = "AES"
	CapabilityDES3             = "DES3"
	CapabilityGetNextCACert    = "GetNextCACert"
	CapabilityPOSTPKIOperation = "POSTPKIOperation"
	CapabilityRenewal          = "Renewal"
	CapabilitySCEPStandard     = "SCEPStandard"
	CapabilitySHA1             = "SHA-1"
	CapabilitySHA256           = "SHA-256"
	CapabilitySHA384           = "SHA-384"
	CapabilitySHA512           = "SHA-512"
)

// Capabilities lists the keywords of GetCACaps, which are exactly what Open
// accepts with these settings and, for GetNextCACert, what the identity can
// answer. They come from the tables that the reader of messages goes by.
func (s Settings) Capabilities(id *Identity) []string {
	keywords := []string{CapabilityPOSTPKIOperation, CapabilitySCEPStandard}
	add := func(keyword string, allowed bool) {
		if keyword != "" && allowed {
			keywords = append(keywords, keyword)
		}
	}
	for _, r := range cipherRules {
		add(r.keyword, r.allowed(s))
	}
	for _, r := range digestRules {
		add(r.keyword, r.allowed(s))
	}
	for _, r := range requestRules {
		add(r.keyword, r.allowed(s))
	}
	add(CapabilityGetNextCACert, id.hasNextCA())
	slices.Sort(keywords)
	return keywords
}

// Capabilities is what GetCACaps answered, by keyword in lower case.
type Capabilities map[string]bool

// parseCapabilities reads a keyword a line, whatever ends the lines.
func parseCapabilities(body string) Capabilities {
	const byteOrderMark = "\ufeff"
	capabilities := Capabilities{}
	isBreak := func(r rune) bool { return r == '\n' || r == '\r' }
	for line := range strings.FieldsFuncSeq(strings.TrimPrefix(body, byteOrderMark), isBreak) {
		if keyword := strings.TrimSpace(line); keyword != "" {
			capabilities[strings.ToLower(keyword)] = true
		}
	}
	return capabilities
}

// Has says whether a keyword was listed, in whatever case, or is implied by
// SCEPStandard (RFC 8894, section 3.5.2).
func (c Capabilities) Has(keyword string) bool {
	keyword = strings.ToLower(keyword)
	return c[keyword] || c[strings.ToLower(CapabilitySCEPStandard)] && impliedByStandard[keyword]
}

// impliedByStandard holds the keywords of RFC 8894, section 2.9, in lower case.
var impliedByStandard = map[string]bool{
	strings.ToLower(CapabilityAES):              true,
	strings.ToLower(CapabilityPOSTPKIOperation): true,
	strings.ToLower(CapabilitySHA256):           true,
}

// What a client falls back to with a server that says nothing is what RFC 8894,
// section 3.5.2, prescribes.

func bestCipher(c Capabilities) Cipher {
	if c.Has(CapabilityAES) {
		return AES128CBC
	}
	return TripleDESCBC
}

func bestDigest(c Capabilities) crypto.Hash {
	if c.Has(CapabilitySHA256) {
		return crypto.SHA256
	}
	if c.Has(CapabilitySHA512) {
		return crypto.SHA512
	}
	return crypto.SHA1
}

func bestMethod(c Capabilities) ClientMethod {
	if c.Has(CapabilityPOSTPKIOperation) {
		return MethodPOST
	}
	return MethodGET
}
