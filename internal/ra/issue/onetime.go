package issue

import (
	"bytes"
	"context"
	"crypto/x509"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

// errUsed is told only to whoever holds a right challenge.
var errUsed = refusal.New(refusal.ChallengeUsed, "challenge already used: ask for a new one")

// recordOneTime writes an order down under the id of its challenge. The name is
// the lock: of all requests that bring the challenge, to any server, the first to
// be written has it, and only the same request is let in again. An object that
// this endpoint's servers made is a use, whatever became of the terms since then.
func (c *CertManager) recordOneTime(ctx context.Context, o Order) (*Record, error) {
	var failed *Record
	used, free := false, true // free: a name that nobody has may be taken
	for attempt := 1; attempt <= MaxAttempts; attempt++ {
		name := c.Names.OneTime(o.Admission.ID, attempt)
		object, made, err := c.takeOrGet(ctx, name, o, free)
		if err != nil {
			return nil, err
		}
		if object == nil {
			break
		}
		if object.Spec.Username != c.Terms.Username {
			c.ignore(ctx, name, errForeign)
			continue
		}
		record, why := c.countOrder(object, o)
		switch {
		case why != nil:
			used, free = true, free && c.mayRekey(object, o)
		case record.retryable():
			failed = record
		default:
			record.New = made
			return record, nil
		}
	}
	switch {
	case failed != nil:
		return failed, nil
	case used:
		return nil, errUsed
	default:
		return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: errNameUsed}
	}
}

// takeOrGet makes an object, or reads the one of that name; nil if there is none and none may be made.
func (c *CertManager) takeOrGet(
	ctx context.Context, name string, o Order, free bool,
) (object *certmanagerv1.CertificateRequest, made bool, err error) {
	if free {
		return c.createOrGet(ctx, c.build(name, o))
	}
	object, err = c.Store.Get(ctx, name)
	if err != nil {
		return nil, false, unavailable(err)
	}
	return object, false, nil
}

// mayRekey says whether a device that has used its challenge may use it again with
// another key: for the same names, and soon.
func (c *CertManager) mayRekey(used *certmanagerv1.CertificateRequest, o Order) bool {
	if !c.Now().Before(used.CreationTimestamp.Add(o.Admission.Rekey)) {
		return false
	}
	csr, err := parseCSR(used.Spec.Request)
	if err != nil {
		return false
	}
	return !bytes.Equal(csr.RawSubjectPublicKeyInfo, o.CSR.RawSubjectPublicKeyInfo) && sameNames(csr, o.CSR)
}

func sameNames(a, b *x509.CertificateRequest) bool {
	first, err := policy.RequestNames(a)
	if err != nil {
		return false
	}
	second, err := policy.RequestNames(b)
	return err == nil && first.Equal(second)
}
