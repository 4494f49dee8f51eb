// Package revocation tells whether a certificate of an endpoint's own CA is revoked:
// by the revocation lists (RFC 5280, section 5) and OCSP responders (RFC 6960) that
// the certificate names. It never takes silence for a yes: a source that cannot be
// reached, is stale, or cannot be believed leaves the question open. For how long what has
// ended still counts, where nothing newer can be had, is the caller's to say.
//
// What it calls are URLs from certificates that the caller has verified, and nothing
// that such a URL redirects to elsewhere. Answers are bounded in size and time.
package revocation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// RevokedError says that a certificate is revoked.
type RevokedError struct {
	// At is when it was revoked.
	At time.Time
	// Reason is the CRLReason of RFC 5280, section 5.3.1.
	Reason int
}

// Error is for the log.
func (e *RevokedError) Error() string {
	return fmt.Sprintf("revoked at %s, reason %d", e.At.UTC().Format(time.RFC3339), e.Reason)
}

// UnknownError says that it cannot be told at present; it may be later.
type UnknownError struct{ Err error }

// Error is for the log.
func (e *UnknownError) Error() string { return "revocation cannot be told: " + e.Err.Error() }

// Unwrap returns Err.
func (e *UnknownError) Unwrap() error { return e.Err }

// Why it can never be told.
var (
	// ErrNoSource: the certificate names neither a revocation list nor an OCSP
	// responder that can be called over HTTP.
	ErrNoSource = errors.New("the certificate names no revocation list and no OCSP responder with an http URL")
	// ErrForgotten: the certificate has expired, and its sources forget such certificates.
	ErrForgotten = errors.New("the certificate has expired, and its revocation list does not keep those that have")
)

// Limits of what a server asks.
const (
	// checkTimeout bounds one check: a device waits behind it.
	checkTimeout = 12 * time.Second
	// maxURLs bounds the sources of one certificate.
	maxURLs = 4
	// refreshAfter is how old an answer may be that is not asked for again.
	refreshAfter = time.Hour
	// failureRemembered is for how long a source that failed is left alone.
	failureRemembered = 10 * time.Second
	// maxSkew is how far ahead a source's clock may be.
	maxSkew = 5 * time.Minute
)

// Options of a Checker.
type Options struct {
	// Now is the clock.
	Now func() time.Time
	// Transport of calls; nil: one with bounds of its own.
	Transport http.RoundTripper
	// Proxy of a call, as in http.Transport; nil: none. Transport goes without.
	Proxy func(*http.Request) (*url.URL, error)
}

// Checker asks, and remembers answers until they are stale. It is safe for concurrent use.
type Checker struct {
	now   func() time.Time
	lists *lists
	ocsp  *responders
	// samples are asked about by Run.
	samples *samples
}

// New makes a checker.
func New(o Options) *Checker {
	caller := newCaller(o.Transport, o.Proxy)
	return &Checker{now: o.Now, lists: newLists(caller, o.Now), ocsp: newResponders(caller, o.Now), samples: newSamples(o.Now)}
}

// question is about one certificate.
type question struct {
	certificate, issuer *x509.Certificate
	now                 time.Time
	// grace is for how long after its end an answer still counts.
	grace time.Duration
}

// expired says whether a source may have forgotten the certificate.
func (q *question) expired() bool { return q.now.After(q.certificate.NotAfter) }

// source answers a question: nil means that the certificate is not revoked.
type source func(ctx context.Context, q *question) error

// Check asks the sources that a certificate names until one can tell: its revocation
// lists, which serve a whole fleet, and then its OCSP responders. The caller has
// verified that the issuer signed the certificate. Where nothing newer can be had, what
// was said last counts for grace after its end. The error is a *RevokedError,
// an *UnknownError, ErrNoSource or ErrForgotten.
func (c *Checker) Check(ctx context.Context, certificate, issuer *x509.Certificate, grace time.Duration) error {
	sources := c.sources(certificate)
	if len(sources) == 0 {
		return ErrNoSource
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	q := &question{certificate: certificate, issuer: issuer, now: c.now(), grace: grace}
	var open []error
	for _, ask := range sources {
		err := ask(ctx, q)
		if revoked := (*RevokedError)(nil); err == nil || errors.As(err, &revoked) {
			return err
		}
		open = append(open, err)
	}
	return undecided(open)
}

// undecided is what the failures of all sources come to: as long as one may yet tell, it is open.
func undecided(open []error) error {
	for _, err := range open {
		if !errors.Is(err, ErrForgotten) {
			return &UnknownError{errors.Join(open...)}
		}
	}
	return ErrForgotten
}

func (c *Checker) sources(certificate *x509.Certificate) []source {
	var out []source
	for _, target := range callable(certificate.CRLDistributionPoints) {
		out = append(out, func(ctx context.Context, q *question) error { return c.lists.ask(ctx, target, q) })
	}
	for _, target := range callable(certificate.OCSPServer) {
		out = append(out, func(ctx context.Context, q *question) error { return c.ocsp.ask(ctx, target, q) })
	}
	return out
}

// callable are the URLs that can be called; others, such as ldap, are passed over.
func callable(urls []string) []string {
	var out []string
	for _, u := range urls {
		if parsed, err := url.Parse(u); err == nil && isHTTP(parsed) && len(out) < maxURLs {
			out = append(out, u)
		}
	}
	return out
}

func isHTTP(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" }

// period is how long an answer holds.
type period struct{ from, to time.Time }

var (
	errNotYet = errors.New("it is of the future")
	// ErrStale is below the error of a source that has nothing newer than what has ended.
	ErrStale = errors.New("it is stale")
)

// check says why an answer does not hold now, or did not end less than grace ago.
func (p period) check(now time.Time, grace time.Duration) error {
	switch {
	case p.from.After(now.Add(maxSkew)):
		return errNotYet
	case !now.Before(p.to.Add(grace)):
		return ErrStale
	}
	return nil
}
