package ra

import (
	"bytes"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// issuingCA keeps which CA made the certificate that was ordered last: an issuer may
// change its CA, and nothing but its certificates tells. It is safe for concurrent use.
type issuingCA struct {
	mu     sync.Mutex
	issuer v1alpha1.IssuerReference
	seen   *raconfig.IssuingCA
}

// last is nil before the first certificate of the issuer.
func (i *issuingCA) last(issuer v1alpha1.IssuerReference) *raconfig.IssuingCA {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.seen == nil || i.issuer != issuer {
		return nil
	}
	seen := *i.seen
	return &seen
}

// see learns from a record that is answered with a certificate. Retries and polls
// bring old ones too, which tell nothing new.
func (i *issuingCA) see(e *enrolment) {
	issued, at := e.record.Certificates, e.record.Created().UTC().Truncate(time.Second)
	issuer := e.snapshot.Config.Issuance.IssuerRef
	if last := i.last(issuer); last != nil && at.Before(last.Last) {
		return
	}
	if ca := issuerOf(issued[0], slices.Concat(issued[1:], e.record.CA, e.snapshot.RenewalCAs)); ca != nil {
		i.keep(issuer, ca, at)
	}
}

func (i *issuingCA) keep(issuer v1alpha1.IssuerReference, ca *x509.Certificate, at time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.issuer != issuer {
		i.issuer, i.seen = issuer, nil
	}
	if i.seen != nil && at.Before(i.seen.Last) {
		return
	}
	now := &raconfig.IssuingCA{Fingerprint: raconfig.Fingerprint(ca), Subject: pkifacts.SubjectOf(ca), Since: at, Last: at}
	if i.seen != nil && i.seen.Fingerprint == now.Fingerprint {
		now.Since = i.seen.Since
	}
	i.seen = now
}

// issuerOf finds the CA certificate that a certificate was signed with; nil if it is
// not among the candidates.
func issuerOf(c *x509.Certificate, candidates []*x509.Certificate) *x509.Certificate {
	n := slices.IndexFunc(candidates, func(ca *x509.Certificate) bool {
		return bytes.Equal(c.RawIssuer, ca.RawSubject) && c.CheckSignatureFrom(ca) == nil
	})
	if n < 0 {
		return nil
	}
	return candidates[n]
}
