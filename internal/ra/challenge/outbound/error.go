package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"time"
)

// Fault is what went wrong with a call.
type Fault string

// The faults.
const (
	// BadURL: the URL cannot be called.
	BadURL Fault = "URL not usable"
	// UnknownHost: the name of the host does not resolve.
	UnknownHost Fault = "unknown host"
	// Unreachable: no connection, or none that held.
	Unreachable Fault = "not reachable"
	// Untrusted: the TLS handshake failed.
	Untrusted Fault = "TLS handshake failed"
	// ClientRefused: the service ended the TLS handshake as one does that refuses the
	// caller's certificate, or misses one.
	ClientRefused Fault = "TLS client certificate refused"
	// TimedOut: no whole answer in time.
	TimedOut Fault = "no answer in time"
	// Torn: the answer broke off.
	Torn Fault = "the answer broke off"
	// TooLarge: the answer is larger than allowed.
	TooLarge Fault = "the answer is too large"
	// Unreadable: the answer is not what was agreed.
	Unreadable Fault = "the answer cannot be read"
	// BadStatus: the HTTP status is not the one of success.
	BadStatus Fault = "HTTP status"
)

// Error says what went wrong with a call. It holds nothing of what was sent, and
// of what was received only the status.
type Error struct {
	// Host that was called, with the port if it was given.
	Host  string
	Fault Fault
	// Status of the answer; 0 if there was none.
	Status int
	// RetryAfter is what the service asked for; 0 if nothing.
	RetryAfter time.Duration
	// Wants are the schemes that an answer with status 401 names; nil if none.
	Wants []string
	// Err is the cause; may be nil.
	Err error
}

// Error is for the log.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.Host, e.Fault)
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// mayPass are the faults that a second try may get past.
var mayPass = map[Fault]bool{Unreachable: true, Torn: true, UnknownHost: true}

// Transient says whether a second try at once may help.
func (e *Error) Transient() bool {
	return mayPass[e.Fault] || e.Status >= http.StatusInternalServerError && e.RetryAfter == 0
}

// As finds an Error in an error.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// transportError describes a call without an answer. What net/http returns holds
// the URL, which may hold a secret: only its cause is kept.
func transportError(host string, err error) *Error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &Error{Host: host, Fault: transportFault(err), Err: err}
}

func transportFault(err error) Fault {
	var dns *net.DNSError
	switch {
	case isTimeout(err):
		return TimedOut
	case errors.As(err, &dns):
		return UnknownHost
	case refusesClient(err):
		return ClientRefused
	case isTLS(err):
		return Untrusted
	default:
		return Unreachable
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// remoteError is the Op of a net.OpError whose cause is a TLS alert that was received.
const remoteError = "remote error"

func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == remoteError
}

// alerts are the TLS alerts that speak of the client's certificate (RFC 8446, section 6.2):
// handshake_failure, bad_certificate, unsupported_certificate, certificate_revoked,
// certificate_expired, certificate_unknown, unknown_ca, access_denied, decrypt_error,
// certificate_required.
var alerts = map[uint64]bool{40: true, 42: true, 43: true, 44: true, 45: true, 46: true, 48: true, 49: true, 51: true, 116: true}

// refusesClient says whether the service ended the handshake because of the certificate.
// The type of an alert that was received is not exported: it is a number below a net.OpError.
func refusesClient(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != remoteError {
		return false
	}
	alert := reflect.ValueOf(op.Err)
	return alert.Kind() == reflect.Uint8 && alerts[alert.Uint()]
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		alert        tls.AlertError
		record       tls.RecordHeaderError
	)
	return errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &hostname) ||
		errors.As(err, &alert) || errors.As(err, &record) || isAlert(err)
}

func readError(host string, status int, err error) *Error {
	fault := Torn
	if isTimeout(err) {
		fault = TimedOut
	}
	return &Error{Host: host, Fault: fault, Status: status, Err: err}
}
