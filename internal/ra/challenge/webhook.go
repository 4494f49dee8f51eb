package challenge

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// Webhook asks a service whether a password is good, and may tell it, or another
// one, how the enrolment ended.
type Webhook struct {
	WebhookOptions
	asking asking
	told   *memory
}

// WebhookOptions of a Webhook.
type WebhookOptions struct {
	// Name of the entry.
	Name string
	// Ask decides.
	Ask *webhook.Hook
	// Notify is told how enrolments end; nil: nobody is.
	Notify *webhook.Hook
	// NotificationRequired holds certificates back until Notify has accepted the notification.
	NotificationRequired bool
}

// NewWebhook makes a challenge of a webhook.
func NewWebhook(o WebhookOptions) *Webhook {
	return &Webhook{WebhookOptions: o, asking: newAsking(), told: &memory{}}
}

// Name implements Verifier.
func (w *Webhook) Name() string { return w.WebhookOptions.Name }

// Verify implements Verifier. A request without a password is not worth a question.
func (w *Webhook) Verify(ctx context.Context, a Attempt) (*Admission, error) {
	if a.Password == "" {
		return nil, nil
	}
	var decision *webhook.Decision
	err := w.asking.do(func() (err error) {
		decision, err = w.Ask.Ask(ctx, w.enrolment(a))
		return err
	})
	if err != nil {
		return nil, err
	}
	if !decision.Allow {
		return nil, errNotAllowed.Because(errors.New("webhook: " + decision.Reason))
	}
	return &Admission{
		Challenge: w.Name(), Data: decision.Data,
		Notify: w.Notify != nil && w.NotificationRequired,
	}, nil
}

var errNotAllowed = refusal.New(refusal.ChallengeWrong, "challenge password refused")

func (w *Webhook) enrolment(a Attempt) webhook.Enrolment {
	return webhook.Enrolment{TransactionID: a.TransactionID, Challenge: a.Password, CSR: a.CSR, Template: a.Template}
}

// Succeeded implements Outcome.
func (w *Webhook) Succeeded(ctx context.Context, a Attempt, issued *x509.Certificate) error {
	return w.tell(ctx, successOf(a, issued), w.NotificationRequired, func(ctx context.Context) error {
		return w.Notify.NotifySuccess(ctx, w.enrolment(a), issued)
	})
}

// Failed implements Outcome.
func (w *Webhook) Failed(ctx context.Context, a Attempt, reason *refusal.Error) error {
	if mayPass[reason.Reason] {
		return nil
	}
	return w.tell(ctx, failureOf(a, reason.Reason), false, func(ctx context.Context) error {
		return w.Notify.NotifyFailure(ctx, w.enrolment(a), int(reason.FailInfo()), describe(reason))
	})
}

// Probe implements Prober.
func (w *Webhook) Probe(ctx context.Context, notification bool) error {
	hook := w.Ask
	if notification {
		hook = w.Notify
	}
	if hook == nil || hook.ProbeBy == v1alpha1.ClientProbeNone {
		return ErrNotProbed
	}
	answer, err := hook.Probe(ctx, hook.Client, webhook.ForRecovery)
	if err != nil {
		return err //nolint:wrapcheck // it names the host and the fault
	}
	if answer.Refuses() {
		return answer.StatusError()
	}
	return nil
}

// describe is what a service is told of a refusal: what the device is told, and the reason's code.
func describe(reason *refusal.Error) string { return string(reason.Reason) + ": " + reason.Text }

func (w *Webhook) tell(ctx context.Context, what string, required bool, tell func(context.Context) error) error {
	if w.Notify == nil {
		return nil
	}
	return w.told.once(what, func() error { return tellWithin(ctx, required, tell) })
}

// tellWithin tells, but without holding the device up for what nothing depends on.
func tellWithin(ctx context.Context, required bool, tell func(context.Context) error) error {
	if required {
		return tell(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, optionalTimeout)
	defer cancel()
	if err := tell(ctx); err != nil {
		return &UntoldError{err}
	}
	return nil
}
