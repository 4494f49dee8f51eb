package issue

import (
	"regexp"
	"strings"
)

// API servers and issuers quote what they refuse: the CSR, which may hold a
// challenge password. What is logged of their messages goes through redact.

// quotedValue is how field errors of Kubernetes quote a value.
var quotedValue = regexp.MustCompile(`Invalid value: (?:"(?:[^"\\]|\\.)*"|\[\]byte\{[^}]*\})`)

// encoded are runs that can only be binary data: base64, or bytes one by one.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/=_-]{41,}|\b(?:(?:0x)?[0-9A-Fa-f]{1,3}[,: ]+){12,}`)

const (
	omitted = "(omitted)"
	// maxMessage bounds a message in the log, in bytes.
	maxMessage = 512
)

func redact(message string) string {
	message = quotedValue.ReplaceAllString(message, "Invalid value: "+omitted)
	message = encoded.ReplaceAllString(message, omitted)
	return strings.ToValidUTF8(message[:min(len(message), maxMessage)], "")
}

// redactedError prints an error without what it quotes.
type redactedError struct{ err error }

// Error is the message without quoted values.
func (e *redactedError) Error() string { return redact(e.err.Error()) }

// Unwrap returns the error as it came.
func (e *redactedError) Unwrap() error { return e.err }
