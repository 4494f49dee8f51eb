package revocation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// maxResponse bounds an answer, in bytes.
	maxResponse = 64 << 10
	// maxAnswers bounds how many are kept.
	maxAnswers = 4096
	// maxAsking bounds the questions under way.
	maxAsking = 32
	// holdsAtLeast is how long an answer holds that does not say it.
	holdsAtLeast = time.Hour
	// ocspRequest is the media type of RFC 6960, appendix A.
	ocspRequest = "application/ocsp-request"
)

// responders asks OCSP responders.
type responders struct {
	caller *caller
	now    func() time.Time
	cache  *cache[answer]
	asking chan struct{}
}

func newResponders(c *caller, now func() time.Time) *responders {
	return &responders{caller: c, now: now, cache: newCache[answer](maxAnswers, now), asking: make(chan struct{}, maxAsking)}
}

// answer is what is kept of a response.
type answer struct {
	revoked *RevokedError // nil: it is good
	// cutoff is how far back the responder knows of certificates that have expired;
	// zero: it does not.
	cutoff time.Time
}

var errTooMany = errors.New("too many questions are under way")

func (r *responders) ask(ctx context.Context, url string, q *question) error {
	print := sha256.Sum256(q.certificate.Raw)
	known, err := r.cache.get(ctx, url+" "+string(print[:]), q.grace, func(ctx context.Context) (*fetched[answer], error) {
		select {
		case r.asking <- struct{}{}:
			defer func() { <-r.asking }()
			return r.fetch(ctx, url, q)
		default:
			return nil, errTooMany
		}
	})
	if err != nil {
		return sourceError("OCSP responder", url, err)
	}
	if err := known.judge(q); err != nil {
		return sourceError("OCSP responder", url, err)
	}
	return nil
}

func (a *answer) judge(q *question) error {
	if a.revoked != nil {
		return a.revoked
	}
	if q.expired() && (a.cutoff.IsZero() || q.certificate.NotAfter.Before(a.cutoff)) {
		return ErrForgotten
	}
	return nil
}

func (r *responders) fetch(ctx context.Context, url string, q *question) (*fetched[answer], error) {
	request, err := ocsp.CreateRequest(q.certificate, q.issuer, nil)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	der, err := r.caller.do(ctx, call{url: url, body: request, contentType: ocspRequest, maxAnswer: maxResponse})
	if err != nil {
		return nil, err
	}
	return readResponse(der, q.certificate, q.issuer, r.now())
}

var (
	errNotDelegated = errors.New("its signer is neither the issuer nor made by it to sign responses")
	errUnknown      = errors.New("it does not know the certificate")
)

// readResponse reads a response about a certificate that holds now.
func readResponse(der []byte, certificate, issuer *x509.Certificate, now time.Time) (*fetched[answer], error) {
	response, err := ocsp.ParseResponseForCert(der, certificate, issuer)
	if err != nil {
		return nil, fmt.Errorf("its answer cannot be used: %w", err)
	}
	if !speaksFor(response.Certificate, issuer, now) {
		return nil, errNotDelegated
	}
	holds := period{response.ThisUpdate, response.NextUpdate}
	if holds.to.IsZero() {
		holds.to = holds.from.Add(holdsAtLeast)
	}
	if err := holds.check(now, 0); err != nil {
		return nil, err
	}
	out := &answer{}
	switch response.Status {
	case ocsp.Good:
	case ocsp.Revoked:
		out.revoked = &RevokedError{At: response.RevokedAt, Reason: response.RevocationReason}
	default:
		return nil, errUnknown
	}
	if out.cutoff, err = archiveCutoff(response); err != nil {
		return nil, err
	}
	return &fetched[answer]{out, holds}, nil
}

// speaksFor says whether the certificate in a response, if there is one, may sign
// responses for the issuer (RFC 6960, section 4.2.2.2): every device has a certificate
// of that issuer, and must not vouch for itself.
func speaksFor(signer, issuer *x509.Certificate, now time.Time) bool {
	if signer == nil || bytes.Equal(signer.Raw, issuer.Raw) {
		return true
	}
	return bytes.Equal(signer.RawIssuer, issuer.RawSubject) && signer.CheckSignatureFrom(issuer) == nil &&
		slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) &&
		!now.Before(signer.NotBefore) && !now.After(signer.NotAfter)
}

// oidArchiveCutoff is of RFC 6960, section 4.4.4.
const oidArchiveCutoff = "1.3.6.1.5.5.7.48.1.6"

func archiveCutoff(r *ocsp.Response) (time.Time, error) {
	for _, e := range r.Extensions {
		if e.Id.String() == oidArchiveCutoff {
			return readTime(e.Value)
		}
	}
	return time.Time{}, nil
}
