package scep

import (
	"crypto"
	"encoding/asn1"
	"slices"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// digestRule and cipherRule are rows of the tables that both the reader of
// messages and GetCACaps go by. Keyword is empty where the RFC has none, or
// forbids the algorithm.
type digestRule struct {
	hash    crypto.Hash
	keyword string
	allowed func(Settings) bool
}

type cipherRule struct {
	cipher  Cipher
	answer  Cipher // answers a message encrypted with cipher
	plain   Cipher // answers one who puts cipher into an EnvelopedData
	keyword string
	allowed func(Settings) bool
}

var digestRules = []digestRule{
	{crypto.SHA256, CapabilitySHA256, always},
	{crypto.SHA384, CapabilitySHA384, always},
	{crypto.SHA512, CapabilitySHA512, always},
	{crypto.SHA1, CapabilitySHA1, func(s Settings) bool { return s.AllowSHA1 }},
	{crypto.MD5, "", func(s Settings) bool { return s.AllowMD5 }},
}

// cipherRules answer each cipher with itself, but never with single DES. GCM
// belongs into an AuthEnvelopedData (RFC 5084); who puts it into an EnvelopedData,
// as smallstep/pkcs7 does, cannot read that, and gets CBC.
var cipherRules = []cipherRule{
	{AES128CBC, AES128CBC, AES128CBC, CapabilityAES, always},
	{AES192CBC, AES192CBC, AES192CBC, "", always},
	{AES256CBC, AES256CBC, AES256CBC, "", always},
	{AES128GCM, AES128GCM, AES128CBC, "", always},
	{AES192GCM, AES192GCM, AES192CBC, "", always},
	{AES256GCM, AES256GCM, AES256CBC, "", always},
	{TripleDESCBC, TripleDESCBC, TripleDESCBC, CapabilityDES3, func(s Settings) bool { return s.AllowTripleDES }},
	{DESCBC, AES128CBC, AES128CBC, "", func(s Settings) bool { return s.AllowDES }},
}

func (s Settings) allowsDigest(h crypto.Hash) bool {
	return slices.ContainsFunc(digestRules, func(r digestRule) bool { return r.hash == h && r.allowed(s) })
}

// answerDigest is what a message signed with h is answered with: MD5 is never
// written, and who knows nothing else may still know SHA-1.
func (s Settings) answerDigest(h crypto.Hash) crypto.Hash {
	switch {
	case h != crypto.MD5:
		return h
	case s.AllowSHA1:
		return crypto.SHA1
	default:
		return defaultDigest
	}
}

// cipherRule returns the row of c, false if such a message is not answered.
func (s Settings) cipherRule(c Cipher) (cipherRule, bool) {
	i := slices.IndexFunc(cipherRules, func(r cipherRule) bool { return r.cipher == c && r.allowed(s) })
	if i < 0 {
		return cipherRule{}, false
	}
	return cipherRules[i], true
}

// notAllowed is the error for an algorithm that is known but switched off.
func notAllowed(use string, oid asn1.ObjectIdentifier) error {
	return &cms.UnsupportedAlgorithmError{Use: use, OID: oid}
}
