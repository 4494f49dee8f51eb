package ra

import (
	"context"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

var (
	errSignerKey = refusal.New(refusal.SignerKeyUnfit, "the key that signs the request cannot decrypt the answer: sign with an RSA key; "+
		"other keys need a one-time challenge password, and this endpoint has none")
	errNotOneTime = refusal.New(refusal.SignerKeyUnfit, "the key that signs the request cannot decrypt the answer: sign with an RSA key, "+
		"or bring a one-time challenge password")
	errNoGetCert = refusal.New(refusal.QueryNotAnswered, "GetCert is not answered: a certificate is given to the device that enrolled, "+
		"which can repeat its request")
	errNoGetCRL = refusal.New(refusal.QueryNotAnswered, "GetCRL is not answered: see the CRL distribution point of the certificate")
)

// checkAnswerable refuses devices whose answer could only be encrypted with their
// challenge password (RFC 8894, section 3.1) where none is good for one enrolment
// only: static ones many know, and who records the answer can guess them at leisure.
func (b *backend) checkAnswerable(_ context.Context, e *enrolment) (*scep.Reply, error) {
	if e.request.NeedsPassword() && !e.snapshot.Challenges.HasSingleUse() {
		return nil, errSignerKey
	}
	return nil, nil
}

// takePassword wants the challenge that admitted such a device to be a one-time one.
func (b *backend) takePassword(_ context.Context, e *enrolment) (*scep.Reply, error) {
	if !e.request.NeedsPassword() {
		return nil, nil
	}
	if e.admission == nil || e.admission.ID == nil {
		return nil, errNotOneTime
	}
	e.password = e.request.ChallengePassword
	return nil, nil
}

// recallPassword finds the password of the request that is polled for: a poll brings none.
func (b *backend) recallPassword(_ context.Context, e *enrolment) (*scep.Reply, error) {
	if !e.request.NeedsPassword() {
		return nil, nil
	}
	password, err := scep.ChallengePassword(e.record.CSR)
	if err != nil || !e.snapshot.Challenges.SingleUse(e.record.Challenge) {
		return nil, errNotOneTime.Because(err)
	}
	e.password = password
	return nil, nil
}

// refuseAll is the step that answers messages this server has nothing to say to.
func refuseAll(err *refusal.Error) func(*backend, context.Context, *enrolment) (*scep.Reply, error) {
	return func(*backend, context.Context, *enrolment) (*scep.Reply, error) { return nil, err }
}
