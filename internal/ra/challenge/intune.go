package challenge

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"

	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// Intune asks Microsoft Intune whether it caused a request, and tells it how the
// enrolment ended.
type Intune struct {
	IntuneOptions
	asking asking
	told   *memory
}

// IntuneOptions of an Intune.
type IntuneOptions struct {
	// Name of the entry.
	Name   string
	Client *intune.Client
	// Endpoint is what Intune knows this endpoint by: "namespace/name".
	Endpoint string
	// NotificationRequired holds certificates back until Intune has accepted the notification.
	NotificationRequired bool
}

// NewIntune makes a challenge of Microsoft Intune.
func NewIntune(o IntuneOptions) *Intune {
	return &Intune{IntuneOptions: o, asking: newAsking(), told: &memory{}}
}

// Name implements Verifier.
func (i *Intune) Name() string { return i.IntuneOptions.Name }

// Verify implements Verifier. A request without a password is not worth a question.
func (i *Intune) Verify(ctx context.Context, a Attempt) (*Admission, error) {
	if a.Password == "" {
		return nil, nil
	}
	err := i.asking.do(func() error { return i.Client.Validate(ctx, i.request(a)) })
	var refused *intune.Refused
	if errors.As(err, &refused) {
		return nil, refusalOf(refused)
	}
	if err != nil {
		return nil, err
	}
	return &Admission{Challenge: i.Name(), Notify: i.NotificationRequired}, nil
}

// Probe implements Prober: Intune judges and is told at one place.
func (i *Intune) Probe(ctx context.Context, _ bool) error {
	return i.Client.Probe(ctx) //nolint:wrapcheck // it says where it failed
}

func (i *Intune) request(a Attempt) intune.Request {
	return intune.Request{TransactionID: a.TransactionID, CSR: a.CSR}
}

// Succeeded implements Outcome. What Intune does not accept stays here until it does.
func (i *Intune) Succeeded(ctx context.Context, a Attempt, issued *x509.Certificate) error {
	ca := intune.CA{Configuration: i.Endpoint, Authority: issued.Issuer.String()}
	return i.told.once(successOf(a, issued), func() error {
		return tellWithin(ctx, i.NotificationRequired, func(ctx context.Context) error {
			return i.Client.NotifySuccess(ctx, i.request(a), issued, ca)
		})
	})
}

// Failed implements Outcome. Intune is told of refusals that are ours: those of
// its own it knows. After it was told, nothing may be issued, so what may pass is kept.
func (i *Intune) Failed(ctx context.Context, a Attempt, reason *refusal.Error) error {
	if mayPass[reason.Reason] {
		return nil
	}
	return i.told.once(failureOf(a, reason.Reason), func() error {
		return tellWithin(ctx, false, func(ctx context.Context) error {
			return i.Client.NotifyFailure(ctx, i.request(a), intune.EFail, describe(reason))
		})
	})
}

// verdict is what a device is told of a code of Intune's.
type verdict struct {
	reason refusal.Reason
	text   string
}

// notIntunes are the codes of challenges that Intune cannot read: those may be
// another entry's.
var notIntunes = verdict{refusal.ChallengeWrong, "challenge password refused"}

// verdicts hold a text for each code. What a device is told helps its administrator:
// the challenge was Intune's, so nobody learns anything who should not.
var verdicts = map[intune.Code]verdict{
	intune.Unknown:                                {refusal.IntuneRefused, "Intune refused the request without a reason"},
	intune.CertificateRequestDecodingFailed:       {refusal.IntuneRefused, "Intune cannot read the request"},
	intune.ChallengePasswordMissing:               {refusal.ChallengeMissing, "challenge password required"},
	intune.ChallengeDeserializationError:          notIntunes,
	intune.ChallengeDecryptionError:               notIntunes,
	intune.ChallengeDecodingError:                 notIntunes,
	intune.SignatureValidationFailed:              notIntunes,
	intune.ChallengeInvalidTimestamp:              {refusal.ChallengeExpired, "the challenge's time is wrong: check the clocks, then sync the device"},
	intune.ChallengeExpired:                       {refusal.ChallengeExpired, "the challenge has expired: sync the device to get another"},
	intune.SubjectNameMissing:                     {refusal.IntuneRefused, "the SCEP profile wants a subject name, and the request has none"},
	intune.SubjectNameMismatch:                    {refusal.IntuneRefused, "the subject name is not the SCEP profile's"},
	intune.SubjectAltNameMissing:                  {refusal.IntuneRefused, "the SCEP profile wants alternative names, and the request has none"},
	intune.SubjectAltNameMismatch:                 {refusal.IntuneRefused, "the alternative names are not the SCEP profile's"},
	intune.KeyUsageMismatch:                       {refusal.IntuneRefused, "the key usage is not the SCEP profile's"},
	intune.KeyLengthMismatch:                      {refusal.IntuneRefused, "the key length is not the SCEP profile's"},
	intune.EnhancedKeyUsageMissing:                {refusal.IntuneRefused, "the SCEP profile wants extended key usages, and the request has none"},
	intune.EnhancedKeyUsageMismatch:               {refusal.IntuneRefused, "the extended key usages are not the SCEP profile's"},
	intune.AadKeyIdentifierListMissing:            {refusal.IntuneRefused, "the device has no key registered in Microsoft Entra ID"},
	intune.RegisteredKeyMismatch:                  {refusal.IntuneRefused, "the key is not the one registered in Microsoft Entra ID"},
	intune.SigningCertThumbprintMismatch:          {refusal.IntuneRefused, "the request is signed by another certificate than Intune expects"},
	intune.ScepProfileNoLongerTargetedToTheClient: {refusal.IntuneRefused, "the SCEP profile is no longer assigned to the device"},
	intune.BadCertificateRequestIDInChallenge:     {refusal.IntuneRefused, "the challenge is for another request: sync the device"},
	intune.BadDeviceIDInChallenge:                 {refusal.IntuneRefused, "the challenge is for another device: sync the device"},
	intune.BadUserIDInChallenge:                   {refusal.IntuneRefused, "the challenge is for another user: sync the device"},
}

// unlisted is for codes that came up since.
var unlisted = verdict{refusal.IntuneRefused, "Intune refused the request"}

func refusalOf(r *intune.Refused) *refusal.Error {
	v := cmp.Or(verdicts[r.Code], unlisted)
	return refusal.New(v.reason, "%s", v.text).Because(r)
}
