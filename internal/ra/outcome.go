package ra

import (
	"context"
	"errors"
	"log/slog"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

// tellSuccess tells the challenge that admitted a request that its certificate is
// about to be handed out. If that fails, the device is told to poll, and each poll
// tells it again.
func (b *backend) tellSuccess(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	outcome := e.outcome()
	if outcome == nil {
		return nil, nil
	}
	err := outcome.Succeeded(ctx, e.recorded(ctx), e.record.Certificates[0])
	if e.snapshot.Challenges.Outcome(outcome.Name()) == outcome {
		b.services.told(outcome, err)
	}
	if err == nil {
		return nil, nil
	}
	b.logUntold(ctx, e, err)
	if untold := (*challenge.UntoldError)(nil); errors.As(err, &untold) {
		return nil, nil
	}
	if refused, ok := refusal.As(err); ok {
		return nil, refused
	}
	return e.holdBack()
}

// tellFailure tells the challenge that admitted a request why it is refused all the same.
func (b *backend) tellFailure(ctx context.Context, e *enrolment, refused *refusal.Error) {
	outcome := e.outcome()
	if outcome == nil {
		return
	}
	if err := outcome.Failed(ctx, e.recorded(ctx), refused); err != nil {
		b.logUntold(ctx, e, err)
	}
}

// outcome is that of the challenge which admitted the request, now or when it was
// recorded; nil if it is not to be told. Where it has to be and is gone, nothing is
// handed out.
func (e *enrolment) outcome() challenge.Outcome {
	name, notify := "", false
	switch {
	case e.record != nil && e.record.Altered:
		return challenge.NewUnusable(e.record.Challenge, errAltered)
	case e.record != nil:
		name, notify = e.record.Challenge, e.record.Notify
	case e.admission != nil:
		name = e.admission.Challenge
	}
	if found := e.snapshot.Challenges.Outcome(name); found != nil || !notify {
		return found
	}
	return challenge.NewUnusable(name, errChallengeGone)
}

var errChallengeGone = errors.New("the challenge that has to be told is not configured any more: put it back, or let the request expire")

var errAltered = errors.New("somebody changed the labels or annotations of the CertificateRequest, so it is not known who has to be told: " +
	"let the request expire, or delete the object")

// recorded is the attempt as it was first recorded, if it was: polls bring no CSR,
// and retries may bring another.
func (e *enrolment) recorded(ctx context.Context) challenge.Attempt {
	attempt := e.attempt(ctx)
	if e.record != nil {
		attempt.CSR, attempt.Template = e.record.CSR, e.record.Template
	}
	return attempt
}

func (b *backend) logUntold(ctx context.Context, e *enrolment, err error) {
	b.recorder.log.Record(ctx, audit.OutcomeNotTold, append(e.attributes(ctx), slog.String("error", err.Error()))...)
}
