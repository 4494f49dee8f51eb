package intune

// Code is Intune's verdict on a request or notification.
type Code string

// The codes of Microsoft's validation library.
const (
	Success                                Code = "Success"
	Unknown                                Code = "Unknown"
	CertificateRequestDecodingFailed       Code = "CertificateRequestDecodingFailed"
	ChallengePasswordMissing               Code = "ChallengePasswordMissing"
	ChallengeDeserializationError          Code = "ChallengeDeserializationError"
	ChallengeDecryptionError               Code = "ChallengeDecryptionError"
	ChallengeDecodingError                 Code = "ChallengeDecodingError"
	ChallengeInvalidTimestamp              Code = "ChallengeInvalidTimestamp"
	ChallengeExpired                       Code = "ChallengeExpired"
	SubjectNameMissing                     Code = "SubjectNameMissing"
	SubjectNameMismatch                    Code = "SubjectNameMismatch"
	SubjectAltNameMissing                  Code = "SubjectAltNameMissing"
	SubjectAltNameMismatch                 Code = "SubjectAltNameMismatch"
	KeyUsageMismatch                       Code = "KeyUsageMismatch"
	KeyLengthMismatch                      Code = "KeyLengthMismatch"
	EnhancedKeyUsageMissing                Code = "EnhancedKeyUsageMissing"
	EnhancedKeyUsageMismatch               Code = "EnhancedKeyUsageMismatch"
	AadKeyIdentifierListMissing            Code = "AadKeyIdentifierListMissing"
	RegisteredKeyMismatch                  Code = "RegisteredKeyMismatch"
	SigningCertThumbprintMismatch          Code = "SigningCertThumbprintMismatch"
	ScepProfileNoLongerTargetedToTheClient Code = "ScepProfileNoLongerTargetedToTheClient"
	SignatureValidationFailed              Code = "SignatureValidationFailed"
	BadCertificateRequestIDInChallenge     Code = "BadCertificateRequestIdInChallenge"
	BadDeviceIDInChallenge                 Code = "BadDeviceIdInChallenge"
	BadUserIDInChallenge                   Code = "BadUserIdInChallenge"
)

// Refused says that Intune answered, and not with Success.
type Refused struct {
	Code Code
	// Description is Intune's, bounded and printable, for the log.
	Description string
	// ActivityID is the client-request-id, by which Microsoft's support finds the call.
	ActivityID string
}

// Error is for the log.
func (e *Refused) Error() string {
	text := "Intune answered " + string(e.Code)
	if e.Description != "" {
		text += ": " + e.Description
	}
	return text + " (activity " + e.ActivityID + ")"
}
