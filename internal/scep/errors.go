package scep

import (
	"crypto"
	"errors"
	"fmt"
	"time"
)

// ErrUnknownRecipient is wrapped by a MessageError about a message encrypted to
// a certificate that is none of the RA's.
var ErrUnknownRecipient = errors.New("scep: message is encrypted to an unknown certificate")

// ErrNotDecoded is wrapped by the Event of a request in which no message could be found.
var ErrNotDecoded = errors.New("scep: no message in the request")

// ErrUnreadable is wrapped by every MessageError about what came out of the
// envelope, whatever it was.
var ErrUnreadable = errors.New("scep: contents of the envelope are unreadable")

// MessageError says that a message cannot be accepted as a request, and how to
// answer it.
type MessageError struct {
	FailInfo FailInfo
	Text     string // for the device
	Err      error  // for the log

	// What was read before the failure, and is not verified.
	TransactionID string
	SenderNonce   []byte
	MessageType   MessageType
	Generation    *Generation // the message is encrypted to; nil if not known
	Digest        crypto.Hash // to sign the answer with
}

// Error is for the log.
func (e *MessageError) Error() string { return fmt.Sprintf("scep: %v: %v", e.FailInfo, e.Err) }

// Unwrap returns Err.
func (e *MessageError) Unwrap() error { return e.Err }

// Answerable says whether enough was read to answer with a CertRep. If not, an
// HTTP error is all that can be said.
func (e *MessageError) Answerable() bool { return e.TransactionID != "" && len(e.SenderNonce) > 0 }

// Respond makes a CertRep with status FAILURE, in DER.
func (e *MessageError) Respond(id *Identity) ([]byte, error) {
	r := &Request{
		TransactionID: e.TransactionID,
		SenderNonce:   e.SenderNonce,
		Generation:    e.Generation,
		AnswerDigest:  e.Digest,
	}
	return r.Respond(id, Fail(e.FailInfo, e.Text))
}

// UnavailableError is what a Backend returns if it cannot decide now and has
// recorded nothing: the device is to come again.
type UnavailableError struct {
	RetryAfter time.Duration
	Err        error // for the log; may be nil
	// TooMany blames the client, by HTTP 429 in place of 503.
	TooMany bool
}

// Error is for the log.
func (e *UnavailableError) Error() string {
	if e.Err == nil {
		return "scep: unavailable"
	}
	return "scep: unavailable: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *UnavailableError) Unwrap() error { return e.Err }

// ReplyError says that an answer of the server cannot be accepted.
type ReplyError struct {
	Reason string
	Err    error // may be nil
}

// Error gives the reason.
func (e *ReplyError) Error() string {
	if e.Err == nil {
		return "scep: bad reply: " + e.Reason
	}
	return fmt.Sprintf("scep: bad reply: %s: %v", e.Reason, e.Err)
}

// Unwrap returns Err.
func (e *ReplyError) Unwrap() error { return e.Err }
