package scep

import (
	"cmp"
	"crypto"
	"encoding/asn1"
	"slices"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Settings says what an endpoint does. The zero value is secure: AES and SHA-2
// only, no RenewalReq, default limits.
type Settings struct {
	AllowSHA1      bool
	AllowTripleDES bool
	// AllowDES opens requests encrypted with single DES. RFC 8894, section 2.9,
	// forbids it, but there are devices and clients (micromdm's scepclient) that
	// do nothing else. It is not announced, and answered with AES-128.
	AllowDES bool

	Renewal    bool // RenewalReq is accepted and announced
	Limits     Limits
	ChainShape ChainShape // of GetCACert
}

// Limits bounds a message; zero means the default.
type Limits struct {
	MaxMessageBytes int // DER or BER as received; 256 KiB
	MaxCertificates int // 16
	MaxAttributes   int // signed attributes; 64
	MaxNesting      int // levels of nested elements; 32
}

// DefaultLimits is what the zero value of Limits stands for.
var DefaultLimits = Limits{
	MaxMessageBytes: 256 << 10,
	MaxCertificates: 16,
	MaxAttributes:   64,
	MaxNesting:      32,
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxMessageBytes: cmp.Or(l.MaxMessageBytes, DefaultLimits.MaxMessageBytes),
		MaxCertificates: cmp.Or(l.MaxCertificates, DefaultLimits.MaxCertificates),
		MaxAttributes:   cmp.Or(l.MaxAttributes, DefaultLimits.MaxAttributes),
		MaxNesting:      cmp.Or(l.MaxNesting, DefaultLimits.MaxNesting),
	}
}

func (l Limits) cms() cms.Limits {
	return cms.Limits{Nesting: l.MaxNesting, Certificates: l.MaxCertificates, Attributes: l.MaxAttributes}
}

// ChainShape says which certificates GetCACert sends after the RA's.
type ChainShape int

// RAAndChain sends the issuing CA and the rest of its chain. RAAndIssuer leaves
// out what is above the issuing CA, as Intune wants it.
const (
	RAAndChain ChainShape = iota
	RAAndIssuer
)

// The keywords of RFC 8894, section 3.5.2. SHA-384 is none of them, but without
// it strongSwan 5.9 does not use AES; others ignore it.
const (
	CapabilityAES              = "AES"
	CapabilityDES3             = "DES3"
	CapabilityPOSTPKIOperation = "POSTPKIOperation"
	CapabilityRenewal          = "Renewal"
	CapabilitySCEPStandard     = "SCEPStandard"
	CapabilitySHA1             = "SHA-1"
	CapabilitySHA256           = "SHA-256"
	CapabilitySHA384           = "SHA-384"
	CapabilitySHA512           = "SHA-512"
)

// always is a condition that holds for every endpoint.
func always(Settings) bool { return true }

// digestRule and cipherRule are rows of the tables that both the reader of
// messages and GetCACaps go by. Keyword is empty where the RFC has none.
type digestRule struct {
	hash    crypto.Hash
	keyword string
	allowed func(Settings) bool
}

type cipherRule struct {
	cipher  Cipher
	answer  Cipher // answers a message encrypted with cipher
	keyword string
	allowed func(Settings) bool
}

var digestRules = []digestRule{
	{crypto.SHA256, CapabilitySHA256, always},
	{crypto.SHA384, CapabilitySHA384, always},
	{crypto.SHA512, CapabilitySHA512, always},
	{crypto.SHA1, CapabilitySHA1, func(s Settings) bool { return s.AllowSHA1 }},
}

var cipherRules = []cipherRule{
	{AES128CBC, AES128CBC, CapabilityAES, always},
	{AES192CBC, AES192CBC, "", always},
	{AES256CBC, AES256CBC, "", always},
	{TripleDESCBC, TripleDESCBC, CapabilityDES3, func(s Settings) bool { return s.AllowTripleDES }},
	{DESCBC, AES128CBC, "", func(s Settings) bool { return s.AllowDES }},
}

// requestRule is a row of the table of messages that are answered.
type requestRule struct {
	messageType MessageType
	keyword     string
	allowed     func(Settings) bool
	read        func(*Request, []byte) error // reads the decrypted content
}

var requestRules = []requestRule{
	{PKCSReq, "", always, (*Request).readCSR},
	{RenewalReq, CapabilityRenewal, func(s Settings) bool { return s.Renewal }, (*Request).readCSR},
	{CertPoll, "", always, (*Request).readIssuerAndSubject},
}

// Capabilities lists the keywords of GetCACaps, which are exactly what Open
// accepts with these settings.
func (s Settings) Capabilities() []string {
	keywords := []string{CapabilityPOSTPKIOperation, CapabilitySCEPStandard}
	add := func(keyword string, allowed func(Settings) bool) {
		if keyword != "" && allowed(s) {
			keywords = append(keywords, keyword)
		}
	}
	for _, r := range cipherRules {
		add(r.keyword, r.allowed)
	}
	for _, r := range digestRules {
		add(r.keyword, r.allowed)
	}
	for _, r := range requestRules {
		add(r.keyword, r.allowed)
	}
	slices.Sort(keywords)
	return keywords
}

func (s Settings) allowsDigest(h crypto.Hash) bool {
	return slices.ContainsFunc(digestRules, func(r digestRule) bool { return r.hash == h && r.allowed(s) })
}

func (s Settings) allowsCipher(c Cipher) bool {
	return slices.ContainsFunc(cipherRules, func(r cipherRule) bool { return r.cipher == c && r.allowed(s) })
}

// answerCipher is what a message encrypted with c is answered with.
func answerCipher(c Cipher) Cipher {
	i := slices.IndexFunc(cipherRules, func(r cipherRule) bool { return r.cipher == c })
	if i < 0 {
		return AES128CBC
	}
	return cipherRules[i].answer
}

// requestRule returns the row of t, false if such a message is not answered.
func (s Settings) requestRule(t MessageType) (requestRule, bool) {
	i := slices.IndexFunc(requestRules, func(r requestRule) bool { return r.messageType == t && r.allowed(s) })
	if i < 0 {
		return requestRule{}, false
	}
	return requestRules[i], true
}

// notAllowed is the error for an algorithm that is known but switched off.
func notAllowed(use string, oid asn1.ObjectIdentifier) error {
	return &cms.UnsupportedAlgorithmError{Use: use, OID: oid}
}
