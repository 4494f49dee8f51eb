package scep

import (
	"crypto"
	"encoding/asn1"
	"strconv"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// MessageType is the messageType attribute (RFC 8894, section 3.2.1.2).
type MessageType int

// The message types of RFC 8894; UpdateReq is one of its drafts.
const (
	CertRep    MessageType = 3
	RenewalReq MessageType = 17
	UpdateReq  MessageType = 18
	PKCSReq    MessageType = 19
	CertPoll   MessageType = 20
	GetCert    MessageType = 21
	GetCRL     MessageType = 22
)

var messageTypeNames = map[MessageType]string{
	CertRep:    "CertRep",
	RenewalReq: "RenewalReq",
	UpdateReq:  "UpdateReq",
	PKCSReq:    "PKCSReq",
	CertPoll:   "CertPoll",
	GetCert:    "GetCert",
	GetCRL:     "GetCRL",
}

// String is the name of the RFC, or "messageType 99".
func (t MessageType) String() string { return name(messageTypeNames, t, "messageType ") }

// PKIStatus is the pkiStatus attribute (RFC 8894, section 3.2.1.3).
type PKIStatus int

// The values of pkiStatus; there is no 1.
const (
	StatusSuccess PKIStatus = 0
	StatusFailure PKIStatus = 2
	StatusPending PKIStatus = 3
)

var statusNames = map[PKIStatus]string{
	StatusSuccess: "SUCCESS",
	StatusFailure: "FAILURE",
	StatusPending: "PENDING",
}

// String is the name of the RFC, or "pkiStatus 99".
func (s PKIStatus) String() string { return name(statusNames, s, "pkiStatus ") }

// FailInfo is the failInfo attribute (RFC 8894, section 3.2.1.4).
type FailInfo int

// The values of failInfo.
const (
	BadAlg          FailInfo = 0 // algorithm unknown or not allowed
	BadMessageCheck FailInfo = 1 // the CMS signature does not verify
	BadRequest      FailInfo = 2 // not permitted, not supported, or not readable
	BadTime         FailInfo = 3 // signingTime too far off
	BadCertID       FailInfo = 4 // no such certificate
)

var failInfoNames = map[FailInfo]string{
	BadAlg:          "badAlg",
	BadMessageCheck: "badMessageCheck",
	BadRequest:      "badRequest",
	BadTime:         "badTime",
	BadCertID:       "badCertId",
}

// String is the name of the RFC, or "failInfo 99".
func (f FailInfo) String() string { return name(failInfoNames, f, "failInfo ") }

func name[T ~int](names map[T]string, value T, prefix string) string {
	if n, ok := names[value]; ok {
		return n
	}
	return prefix + strconv.Itoa(int(value))
}

// Cipher is a content-encryption algorithm.
type Cipher = cms.Cipher

// The ciphers a message may be encrypted with.
const (
	AES128CBC    = cms.AES128CBC
	AES192CBC    = cms.AES192CBC
	AES256CBC    = cms.AES256CBC
	TripleDESCBC = cms.TripleDESCBC
	DESCBC       = cms.DESCBC
	AES128GCM    = cms.AES128GCM
	AES192GCM    = cms.AES192GCM
	AES256GCM    = cms.AES256GCM
)

// KeyTransport is how a message's key is encrypted to an RSA key.
type KeyTransport = cms.KeyTransport

// The key transports a message may use.
const (
	PKCS1v15   = cms.PKCS1v15
	OAEPSHA1   = cms.OAEPSHA1
	OAEPSHA256 = cms.OAEPSHA256
)

// Attributes of a pkiMessage (RFC 8894, section 3.2.1).
var (
	oidMessageType    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 2}
	oidPKIStatus      = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 3}
	oidFailInfo       = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 4}
	oidSenderNonce    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}
	oidRecipientNonce = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 6}
	oidTransactionID  = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}
	oidFailInfoText   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 24, 1}
)

// oidChallengePassword is an attribute of a CSR (RFC 2985, section 5.4.1).
var oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}

const (
	nonceSize = 16

	// maxTransactionID and maxNonce bound what is echoed; the RFC does not say.
	maxTransactionID = 256
	maxNonce         = 64

	// minRSABits is what crypto/rsa verifies signatures with. Cisco IOS makes keys of
	// 512 bits unless told otherwise.
	minRSABits = 1024

	// defaultDigest signs what cannot be signed with the requester's digest.
	defaultDigest = crypto.SHA256
)
