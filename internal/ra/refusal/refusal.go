// Package refusal is the one form in which an enrolment is refused: a stable
// reason for metrics and audit records, a short text for the device, and, for the
// log alone, what lies behind it.
package refusal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/scepter-pki/scepter/internal/scep"
)

// Reason is a stable code. Metrics carry it as a label, so the set is closed.
type Reason string

// Reasons that concern what is asked for.
const (
	// Malformed: a part of the CSR or certificate cannot be read, or says two things at once.
	Malformed Reason = "Malformed"
	// KeyNotAllowed: the template does not accept the public key.
	KeyNotAllowed Reason = "KeyNotAllowed"
	// DigestNotAllowed: the template does not accept the digest of the request's signature.
	DigestNotAllowed Reason = "DigestNotAllowed"
	// UsageNotAllowed: a key usage or extended key usage is not in the template.
	UsageNotAllowed Reason = "UsageNotAllowed"
	// UsageUnfit: a key usage does not fit the algorithm of the key.
	UsageUnfit Reason = "UsageUnfit"
	// CANotAllowed: the request asks for a CA certificate.
	CANotAllowed Reason = "CANotAllowed"
	// ExtensionNotAllowed: an extension that no template can allow.
	ExtensionNotAllowed Reason = "ExtensionNotAllowed"
	// SubjectNotAllowed: a subject attribute is not in the template, or is repeated.
	SubjectNotAllowed Reason = "SubjectNotAllowed"
	// SubjectMissing: a required subject attribute is missing.
	SubjectMissing Reason = "SubjectMissing"
	// SANNotAllowed: a subject alternative name is not in the template.
	SANNotAllowed Reason = "SANNotAllowed"
	// RuleNotMet: a CEL rule of the template is false or cannot be evaluated.
	RuleNotMet Reason = "RuleNotMet"
	// TemplateUnknown: the path names a template that the endpoint does not have.
	TemplateUnknown Reason = "TemplateUnknown"
	// TemplateAmbiguous: the request names the Microsoft templates of two templates.
	TemplateAmbiguous Reason = "TemplateAmbiguous"
	// SubjectHasEnough: the subject has as many valid certificates as the template allows.
	SubjectHasEnough Reason = "SubjectHasEnough"
)

// Reasons that concern who asks.
const (
	// ChallengeMissing: neither a challenge password nor a certificate authenticates the request.
	ChallengeMissing Reason = "ChallengeMissing"
	// ChallengeWrong: the challenge password is none of the endpoint's.
	ChallengeWrong Reason = "ChallengeWrong"
	// ChallengeExpired: a one-time challenge was good once, and is not any more.
	ChallengeExpired Reason = "ChallengeExpired"
	// ChallengeUsed: a one-time challenge has let another key in.
	ChallengeUsed Reason = "ChallengeUsed"
	// IntuneRefused: Microsoft Intune knows the challenge and refuses the request.
	IntuneRefused Reason = "IntuneRefused"
	// SignerUnknown: a renewal is signed by a certificate of another CA, or by a self-signed one.
	SignerUnknown Reason = "SignerUnknown"
	// SignerExpired: a renewal is signed by a certificate outside its validity.
	SignerExpired Reason = "SignerExpired"
	// SignerUnfit: a renewal is signed by a certificate that the template would not grant.
	SignerUnfit Reason = "SignerUnfit"
	// CertificateRevoked: the certificate that a repeated request would get again is revoked.
	CertificateRevoked Reason = "CertificateRevoked"
	// SignerKeyUnfit: the key that signs a request cannot decrypt its answer.
	SignerKeyUnfit Reason = "SignerKeyUnfit"
	// NamesDiffer: a renewal asks for other names than the certificate that signs it.
	NamesDiffer Reason = "NamesDiffer"
	// RenewalNotAllowed: the template does not let a certificate authenticate its renewal.
	RenewalNotAllowed Reason = "RenewalNotAllowed"
	// RenewalTooEarly: the renewal window has not begun.
	RenewalTooEarly Reason = "RenewalTooEarly"
	// RenewalKeyNotAllowed: the template wants a renewal to be for the same key, or for another.
	RenewalKeyNotAllowed Reason = "RenewalKeyNotAllowed"
	// SignerRevoked: a renewal is signed by a certificate that is revoked.
	SignerRevoked Reason = "SignerRevoked"
	// RevocationUnknown: whether the certificate that signs a renewal is revoked cannot
	// ever be told: it names no source that could say it.
	RevocationUnknown Reason = "RevocationUnknown"
)

// Reasons that concern the issuer.
const (
	// QueryNotAnswered: GetCert or GetCRL, which this server does not do.
	QueryNotAnswered Reason = "QueryNotAnswered"
	// CertificateUnknown: GetCRL for a certificate of another CA.
	CertificateUnknown Reason = "CertificateUnknown"
	// TransactionUnknown: a poll for a transaction that is not known, or is another signer's.
	TransactionUnknown Reason = "TransactionUnknown"
	// Denied: an approver denied the CertificateRequest.
	Denied Reason = "Denied"
	// InvalidRequest: the issuer, or admission, finds the CertificateRequest invalid.
	InvalidRequest Reason = "InvalidRequest"
	// IssuerFailed: the issuer failed; the device may try again.
	IssuerFailed Reason = "IssuerFailed"
	// AttemptsExhausted: the issuer failed as often as is allowed.
	AttemptsExhausted Reason = "AttemptsExhausted"
	// PendingExpired: nobody answered the request within the endpoint's pending deadline.
	PendingExpired Reason = "PendingExpired"
	// IssuedMismatch: the issuer made another certificate than was asked for.
	IssuedMismatch Reason = "IssuedMismatch"
)

// failInfos lists the reasons whose failInfo is not badRequest.
var failInfos = map[Reason]scep.FailInfo{
	KeyNotAllowed:      scep.BadAlg,
	DigestNotAllowed:   scep.BadAlg,
	SignerKeyUnfit:     scep.BadAlg,
	TransactionUnknown: scep.BadCertID,
	CertificateUnknown: scep.BadCertID,
}

// maxText bounds the text for the device, in bytes.
const maxText = 255

// Error is a refusal.
type Error struct {
	Reason Reason
	// Text is for the device: what was asked, and what is allowed. No secrets.
	Text string
	// Err is for the log; may be nil.
	Err error
}

// New makes a refusal with a text for the device.
func New(reason Reason, format string, args ...any) *Error {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText-len(ellipsis)], "") + ellipsis
	}
	return &Error{Reason: reason, Text: text}
}

// Because adds what the log should know.
func (e *Error) Because(err error) *Error {
	return &Error{Reason: e.Reason, Text: e.Text, Err: err}
}

// Error is for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Reason, e.Text)
	}
	return fmt.Sprintf("%s: %s: %v", e.Reason, e.Text, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// FailInfo is the failInfo of RFC 8894, section 3.2.1.4, that goes with the reason.
func (e *Error) FailInfo() scep.FailInfo {
	if info, ok := failInfos[e.Reason]; ok {
		return info
	}
	return scep.BadRequest
}

// As finds a refusal in an error.
func As(err error) (*Error, bool) {
	var refused *Error
	ok := errors.As(err, &refused)
	return refused, ok
}

const (
	ellipsis = "…"
	// maxQuoted bounds a value from a request within a text, in bytes.
	maxQuoted = 64
)

// Quote prints a value from a request for a text: bounded, without control characters.
func Quote(value string) string {
	if len(value) > maxQuoted {
		value = strings.ToValidUTF8(value[:maxQuoted], "") + ellipsis
	}
	return fmt.Sprintf("%q", value)
}
