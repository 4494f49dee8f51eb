package issue

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// SubjectLimiter is an Issuer that knows which certificates a subject has.
type SubjectLimiter interface {
	// CheckSubject refuses a request whose subject has as many valid certificates by
	// its template as may be. Nothing is locked: of requests that come at the same
	// moment each may be let through.
	CheckSubject(ctx context.Context, r Request, limit int) error
}

// maxSubjectReads bounds the objects that one check reads. Those beyond it count as valid.
const maxSubjectReads = 100

// CheckSubject implements SubjectLimiter. It counts, of the requests that are kept,
// those that wait or whose certificate is valid, but for what the new one takes the
// place of: requests for the same key, the certificate that signs it, and those that
// others have taken the place of already.
func (c *CertManager) CheckSubject(ctx context.Context, r Request, limit int) error {
	if !c.Store.Synced() {
		return unavailable(errNotSynced)
	}
	names := c.Store.Known(v1alpha1.LabelSubject, c.Names.Subject(r.Template, r.CSR))
	unread := max(0, len(names)-maxSubjectReads)
	if unread >= limit {
		return tooMany(unread, limit)
	}
	var live []*Record
	for _, name := range names[unread:] {
		record, err := c.readLive(ctx, name)
		if err != nil {
			return err
		}
		if record != nil {
			live = append(live, record)
		}
	}
	if n := unread + c.countOthers(live, r); n >= limit {
		return tooMany(n, limit)
	}
	return nil
}

func tooMany(have, limit int) error {
	return refusal.New(refusal.SubjectHasEnough,
		"request refused: its subject may have %d valid certificates, and has them; renew one, or wait for the end of one", limit).
		Because(fmt.Errorf("%d count", have))
}

// readLive reads an object; nil if it does not count, or came to nothing.
func (c *CertManager) readLive(ctx context.Context, name string) (*Record, error) {
	object, err := c.Store.Get(ctx, name)
	if err != nil {
		return nil, unavailable(err)
	}
	if object == nil {
		return nil, nil
	}
	record, why := c.trust(object)
	if why != nil {
		c.ignore(ctx, name, why)
		return nil, nil
	}
	if record.State == Waiting || record.State == Issued && !record.expired(c.Now()) {
		return record, nil
	}
	return nil, nil
}

// countOthers counts the keys of records that a request does not take the place of.
func (c *CertManager) countOthers(live []*Record, r Request) int {
	renewed := map[string]bool{c.Names.Sender(r.Signer, r.SelfSigned): true}
	for _, record := range live {
		renewed[record.sender] = true
	}
	delete(renewed, "") // of those that a self-signed certificate signed
	keys := map[string]bool{string(r.CSR.RawSubjectPublicKeyInfo): true}
	before := len(keys)
	for _, record := range live {
		if record.State == Issued && renewed[c.Names.Sender(record.Certificates[0], false)] {
			continue
		}
		keys[string(record.CSR.RawSubjectPublicKeyInfo)] = true
	}
	return len(keys) - before
}

var errNoRecords = errors.New("maxPerSubject needs records, which this issuance mode does not keep: take it out of the template")

// CheckSubject asks an issuer, which has to be able to tell.
func CheckSubject(ctx context.Context, i Issuer, r Request, limit int) error {
	limiter, ok := i.(SubjectLimiter)
	if !ok {
		return errNoRecords
	}
	return limiter.CheckSubject(ctx, r, limit) //nolint:wrapcheck // a refusal, or unavailable
}

// Subject is the label that the requests of one subject by one template share. The
// subject is the name without regard to case and order or, where there is none, the
// alternative names.
func (n Names) Subject(template string, csr *x509.CertificateRequest) string {
	return n.hash("subject", []byte(template), subjectOf(csr))[:labelDigits]
}

// subjectOf falls back on the bytes of a name that no template allows.
func subjectOf(csr *x509.CertificateRequest) []byte {
	names, err := policy.RequestNames(csr)
	if err != nil {
		return csr.RawSubject
	}
	parts := slices.Clone(names.Subject)
	if len(parts) == 0 {
		parts = slices.Clone(names.AlternativeNames)
	}
	for i, part := range parts {
		parts[i] = strings.ToLower(part)
	}
	slices.Sort(parts)
	return []byte(strings.Join(parts, "\x00")) // no name holds control characters
}
