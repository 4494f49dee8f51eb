package ra

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/scep"
)

// byCertificate is what authenticated a renewal, in audit records.
const byCertificate = "certificate"

// authenticate wants a challenge password or a certificate that speaks for its
// renewal. Either suffices, so a spent password in a renewal does no harm (RFC
// 8894, section 2.4).
func (b *backend) authenticate(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	if e.record != nil {
		return nil, nil
	}
	if err := b.admit(ctx, e); err != nil {
		return nil, err
	}
	b.recorder.step(ctx, e, audit.Authenticated, audit.StepAuthenticated)
	return nil, nil
}

// admit asks the challenges first, because those that are told how an enrolment
// ends have to be told of renewals too. But where a certificate suffices, no
// one-time challenge is spent, unless the answer needs it.
func (b *backend) admit(ctx context.Context, e *enrolment) error {
	attempt := e.attempt(ctx)
	attempt.Password = e.request.ChallengePassword
	admission, err := e.snapshot.Challenges.Verify(ctx, attempt, b.services.judged)
	refused, isRefusal := refusal.As(err)
	if err != nil && !isRefusal {
		return &scep.UnavailableError{RetryAfter: max(retryAfter, challenge.RetryAfter(err)), Err: fmt.Errorf("%w: %w", errChallengeAway, err)}
	}
	if admission != nil && (admission.ID == nil || e.request.NeedsPassword()) {
		e.admission, e.admitted = admission, admission.Challenge
		return nil
	}
	unfit := b.authenticateByCertificate(ctx, e)
	switch {
	case unfit == nil:
		e.admitted = byCertificate
	case admission != nil:
		e.admission, e.admitted = admission, admission.Challenge
	case isRefusal && reasonOf(unfit) == refusal.ChallengeWrong:
		return refused
	default:
		return unfit
	}
	return nil
}

// errChallengeAway is wrapped by errors about challenges that could not be judged.
var errChallengeAway = errors.New("the challenge cannot be judged now")

func reasonOf(err error) refusal.Reason {
	if refused, ok := refusal.As(err); ok {
		return refused.Reason
	}
	return ""
}

// attempt is what challenges are shown of the request, but for its password.
func (e *enrolment) attempt(ctx context.Context) challenge.Attempt {
	from := clientFrom(ctx)
	return challenge.Attempt{
		TransactionID: e.request.TransactionID,
		CSR:           e.request.CSR,
		Signer:        e.request.Signer,
		Template:      e.template.Name,
		Client:        challenge.Client{Address: from.address, UserAgent: from.userAgent},
	}
}

func (b *backend) authenticateByCertificate(ctx context.Context, e *enrolment) error {
	if e.selfSign {
		return e.refuseSelfSigned()
	}
	now := b.now()
	issuer, err := verifySigner(e.request.Signer, e.snapshot, e.signerTime(now))
	if refused, ok := refusal.As(err); ok && refused.Reason == refusal.SignerUnknown && e.request.ChallengePassword != "" {
		return errChallengeWrong.Because(err)
	}
	if err != nil {
		return err
	}
	if err := e.checkRenewalPolicy(now); err != nil {
		return err
	}
	if err := e.template.Policy.JudgeRenewal(e.request.Signer, e.request.CSR); err != nil {
		return err
	}
	return b.checkRevoked(ctx, e, issuer)
}

var (
	errChallengeWrong     = refusal.New(refusal.ChallengeWrong, "challenge password refused")
	errChallengeMissing   = refusal.New(refusal.ChallengeMissing, "challenge password required")
	errSelfSigned         = refusal.New(refusal.SignerUnknown, "renewal refused: it is signed by a self-signed certificate")
	errSignerUnknown      = refusal.New(refusal.SignerUnknown, "renewal refused: it is not signed by a certificate of this CA")
	errSignerExpired      = refusal.New(refusal.SignerExpired, "renewal refused: the certificate that signs it has expired; enrol with a challenge password")
	errSignerIsRA         = refusal.New(refusal.SignerUnfit, "renewal refused: it is signed by a certificate of the registration authority")
	errRenewalNotAllowed  = refusal.New(refusal.RenewalNotAllowed, "renewal refused: a challenge password is required each time")
	errTransactionUnknown = refusal.New(refusal.TransactionUnknown, "no such transaction of this signer")
)

// refuseSelfSigned: a self-signed certificate authenticates nobody (RFC 8894, section 2.4).
func (e *enrolment) refuseSelfSigned() error {
	switch {
	case e.request.ChallengePassword != "":
		return errChallengeWrong
	case e.request.Renews():
		return errSelfSigned
	default:
		return errChallengeMissing
	}
}

// verifySigner wants a certificate of the endpoint's CA, present, past or to come, that
// is within its validity and not the RA's own. It returns the CA that issued it.
func verifySigner(signer *x509.Certificate, s *reload.Snapshot, now time.Time) (*x509.Certificate, error) {
	chains, err := signer.Verify(x509.VerifyOptions{
		Roots:         pkifacts.PoolOf(s.RenewalCAs),
		Intermediates: x509.NewCertPool(), // none of the sender's: this CA's certificates only
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return nil, errSignerExpired.Because(err)
	}
	if err != nil {
		return nil, errSignerUnknown.Because(err)
	}
	if len(chains[0]) < 2 {
		return nil, errSignerUnknown // it is one of the CA's own
	}
	if isOwn(signer, s) {
		return nil, errSignerIsRA
	}
	return chains[0][1], nil
}

// isOwn says whether the RA itself has the certificate's key.
func isOwn(c *x509.Certificate, s *reload.Snapshot) bool {
	for i := range s.Keyring.Generations {
		for _, own := range s.Keyring.Generations[i].Certificates {
			if bytes.Equal(own.Certificate.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
				return true
			}
		}
	}
	return false
}
