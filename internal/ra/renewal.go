package ra

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/ra/revocation"
	"github.com/scepter-pki/scepter/internal/scep"
)

// What a template says of renewals beside their content, which policy.JudgeRenewal judges.

var (
	errSignerRevoked     = refusal.New(refusal.SignerRevoked, "renewal refused: the certificate that signs it is revoked")
	errRevocationUnknown = refusal.New(refusal.RevocationUnknown, "renewal refused: nothing tells whether the certificate that signs it is revoked; "+
		"enrol with a challenge password")
)

// signerTime is when the signing certificate has to be valid: now or, where the
// template lets it renew itself for a while after its end, that end.
func (e *enrolment) signerTime(now time.Time) time.Time {
	end, after := e.request.Signer.NotAfter, e.template.Policy.Renewal().AfterExpiry
	if after != nil && now.After(end) && !now.After(end.Add(after.Duration)) {
		return end
	}
	return now
}

func (e *enrolment) checkRenewalPolicy(now time.Time) error {
	if !reload.Renews(e.template.Policy) {
		return errRenewalNotAllowed
	}
	window := e.template.Policy.Renewal().Window
	if window == nil {
		return nil
	}
	if opens := e.request.Signer.NotAfter.Add(-window.Duration); now.Before(opens) {
		return refusal.New(refusal.RenewalTooEarly, "renewal refused: it is possible from %s", opens.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkRevoked asks whether the signing certificate is revoked, where the template
// wants that. It comes last: only certificates that are good in all else make this
// server call anybody. Signers of the endpoint know by themselves what is revoked.
func (b *backend) checkRevoked(ctx context.Context, e *enrolment, issuer *x509.Certificate) error {
	if !asksRevocation(e.snapshot, e.template) {
		return nil
	}
	b.revocation.Watch(e.request.Signer, issuer)
	err := b.revocation.Check(ctx, e.request.Signer, issuer, staleness(e.template))
	var revoked *revocation.RevokedError
	var unknown *revocation.UnknownError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return errSignerRevoked.Because(err)
	case errors.As(err, &unknown):
		return &scep.UnavailableError{RetryAfter: retryAfter, Err: err}
	default:
		return errRevocationUnknown.Because(err)
	}
}

// limitSubject refuses what would give a subject more certificates than the template
// allows. What is known already was counted when it came first.
func (b *backend) limitSubject(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	limit := e.template.Policy.MaxPerSubject()
	if limit == 0 || e.record != nil {
		return nil, nil
	}
	return nil, issue.CheckSubject(ctx, e.issuer, e.identification(), limit)
}
