package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// maxList bounds a revocation list, in bytes: some hundred thousand entries.
	maxList = 4 << 20
	// maxLists bounds how many are kept.
	maxLists = 4
)

// lists asks revocation lists.
type lists struct {
	caller *caller
	now    func() time.Time
	cache  *cache[list]
}

func newLists(c *caller, now func() time.Time) *lists {
	return &lists{caller: c, now: now, cache: newCache[list](maxLists, now)}
}

// list is what is kept of a revocation list.
type list struct {
	revoked map[string]RevokedError // by serial number, big-endian
	// scope are the URLs that the list says it is for; nil: for every certificate of its issuer.
	scope []string
	// expiredSince is the time since which the list keeps certificates that have
	// expired; zero: it does not.
	expiredSince time.Time
}

func (l *lists) ask(ctx context.Context, url string, q *question) error {
	print := sha256.Sum256(q.issuer.Raw)
	known, err := l.cache.get(ctx, url+" "+string(print[:]), q.grace, func(ctx context.Context) (*fetched[list], error) {
		return l.fetch(ctx, url, q.issuer)
	})
	if err != nil {
		return sourceError("revocation list", url, err)
	}
	if err := known.judge(q); err != nil {
		return sourceError("revocation list", url, err)
	}
	return nil
}

func (l *lists) fetch(ctx context.Context, url string, issuer *x509.Certificate) (*fetched[list], error) {
	der, err := l.caller.do(ctx, call{url: url, maxAnswer: maxList})
	if err != nil {
		return nil, err
	}
	return readList(der, issuer, l.now())
}

var errScope = errors.New("it is for other certificates")

// judge answers from the list.
func (l *list) judge(q *question) error {
	if l.scope != nil && !slices.ContainsFunc(q.certificate.CRLDistributionPoints, func(u string) bool { return slices.Contains(l.scope, u) }) {
		return errScope
	}
	if revoked, ok := l.revoked[string(q.certificate.SerialNumber.Bytes())]; ok {
		return &revoked
	}
	if q.expired() && (l.expiredSince.IsZero() || q.certificate.NotAfter.Before(l.expiredSince)) {
		return ErrForgotten
	}
	return nil
}

var (
	errNoEnd      = errors.New("it does not say until when it holds")
	errUnreadable = errors.New("it has a critical extension that is not understood")
	errDelta      = errors.New("it is not a whole list of the certificates of its issuer")
)

// readList reads a list that the issuer has signed. One that has ended comes with ErrStale.
func readList(der []byte, issuer *x509.Certificate, now time.Time) (*fetched[list], error) {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if err := crl.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("it is not the issuer's: %w", err)
	}
	if crl.NextUpdate.IsZero() {
		return nil, errNoEnd
	}
	holds := period{crl.ThisUpdate, crl.NextUpdate}
	ended := holds.check(now, 0)
	if ended != nil && !errors.Is(ended, ErrStale) {
		return nil, ended
	}
	out := &list{revoked: make(map[string]RevokedError, len(crl.RevokedCertificateEntries))}
	if err := out.readExtensions(crl); err != nil {
		return nil, err
	}
	if err := out.readEntries(crl.RevokedCertificateEntries); err != nil {
		return nil, err
	}
	return &fetched[list]{out, holds}, ended
}

// The extensions of lists that are read (RFC 5280, sections 5.2.4 and 5.2.5, and X.509).
const (
	oidDeltaCRLIndicator        = "2.5.29.27"
	oidIssuingDistributionPoint = "2.5.29.28"
	oidExpiredCertsOnCRL        = "2.5.29.60"
)

func (l *list) readExtensions(crl *x509.RevocationList) error {
	for _, e := range crl.Extensions {
		var err error
		switch oid := e.Id.String(); {
		case oid == oidIssuingDistributionPoint:
			l.scope, err = readScope(e.Value)
		case oid == oidExpiredCertsOnCRL:
			l.expiredSince, err = readTime(e.Value)
		case oid == oidDeltaCRLIndicator:
			err = errDelta
		case e.Critical:
			err = errUnreadable
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *list) readEntries(entries []x509.RevocationListEntry) error {
	for i := range entries {
		e := &entries[i]
		for _, extension := range e.Extensions {
			if extension.Critical {
				return errUnreadable
			}
		}
		l.revoked[string(e.SerialNumber.Bytes())] = RevokedError{At: e.RevocationTime, Reason: e.ReasonCode}
	}
	return nil
}
