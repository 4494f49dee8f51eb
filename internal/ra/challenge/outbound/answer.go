package outbound

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Answer is what a service answered.
type Answer struct {
	Host   string
	Status int
	Header http.Header
	body   []byte
}

// OK says whether the status is 2xx.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Refuses says whether an answer to a probe is one that a question would get too. Others,
// such as 400 and 405, are about the probe.
func (a *Answer) Refuses() bool {
	switch a.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return a.Status >= http.StatusInternalServerError || a.Status >= http.StatusMultipleChoices && a.Status < http.StatusBadRequest
}

// maxRetryAfter bounds what a service can ask for.
const maxRetryAfter = 10 * time.Minute

// StatusError describes an answer whose status is not the one of success.
func (a *Answer) StatusError() *Error {
	failed := &Error{Host: a.Host, Fault: BadStatus, Status: a.Status, RetryAfter: a.retryAfter()}
	if a.Status == http.StatusUnauthorized {
		failed.Wants = schemes(a.Header.Values("WWW-Authenticate"))
	}
	return failed
}

// retryAfter reads Retry-After in seconds, the form that throttling services use
// (RFC 9110, section 10.2.3).
func (a *Answer) retryAfter() time.Duration {
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

var (
	errNotJSON  = errors.New("its content type is not JSON")
	errTrailing = errors.New("something follows the JSON value")
	errSyntax   = errors.New("it is not the JSON that was expected")
)

// JSON reads the body, which has to be one JSON value, declared as JSON.
// Unknown fields are ignored. Its error is an *Error.
func (a *Answer) JSON(into any) error {
	media, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return a.unreadable(errNotJSON)
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	if err := decoder.Decode(into); err != nil {
		return a.unreadable(fmt.Errorf("%w (at byte %d of %d)", errSyntax, decoder.InputOffset(), len(a.body))) // err may quote the body
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return a.unreadable(errTrailing)
	}
	return nil
}

// Empty says whether there is no body.
func (a *Answer) Empty() bool { return len(bytes.TrimSpace(a.body)) == 0 }

func (a *Answer) unreadable(why error) *Error {
	return &Error{Host: a.Host, Fault: Unreadable, Status: a.Status, Err: why}
}
