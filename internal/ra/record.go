package ra

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// recorder writes the audit record and the metrics of each step.
type recorder struct {
	log      *audit.Log
	logger   *slog.Logger
	metrics  *audit.Metrics
	snapshot func() *reload.Snapshot
	now      func() time.Time
	fairness *fairness
}

// step records one that went well; funnel is "" for one that is not part of the funnel.
func (r *recorder) step(ctx context.Context, e *enrolment, code audit.Code, funnel string) {
	if funnel != "" {
		r.metrics.Step(clientFrom(ctx).family, funnel)
	}
	r.log.Record(ctx, code, e.attributes(ctx)...)
}

// conclude turns what the pipeline came to into a reply, and records it.
func (b *backend) conclude(ctx context.Context, e *enrolment, reply *scep.Reply, err error) (*scep.Reply, error) {
	b.health.see(e, reply, err)
	b.recorder.fairness.judge(clientFrom(ctx).fair, reply, err)
	if refused, ok := refusal.As(err); ok {
		b.tellFailure(ctx, e, refused)
		b.recorder.ended(ctx, e, ending{audit.AnsweredFailure, audit.ResultFailure, string(refused.Reason), err})
		return scep.Fail(refused.FailInfo(), refused.Text), nil
	}
	b.recorder.ended(ctx, e, endingOf(reply, err))
	return reply, err
}

// ending is how an enrolment ended.
type ending struct {
	code   audit.Code
	result audit.Result
	reason string
	err    error
}

func endingOf(reply *scep.Reply, err error) ending {
	var unavailable *scep.UnavailableError
	switch {
	case errors.Is(err, onetime.ErrGuessing):
		return ending{audit.ChallengeGuessing, audit.ResultUnavailable, "ChallengeGuessing", err}
	case errors.As(err, &unavailable):
		return ending{audit.Unavailable, audit.ResultUnavailable, "Unavailable", err}
	case err != nil:
		return ending{audit.InternalError, audit.ResultError, "Internal", err}
	case reply.Status == scep.StatusPending:
		return ending{audit.AnsweredPending, audit.ResultPending, "", nil}
	default:
		return ending{audit.AnsweredSuccess, audit.ResultSuccess, "", nil}
	}
}

func (r *recorder) ended(ctx context.Context, e *enrolment, end ending) {
	took := r.now().Sub(e.started)
	r.metrics.Ended(end.result, end.reason, took)
	r.metrics.Took(e.took)
	if end.result == audit.ResultSuccess {
		r.metrics.Step(clientFrom(ctx).family, audit.StepIssued)
	}
	attributes := append(e.attributes(ctx),
		slog.String("outcome", string(end.result)), slog.Duration("took", took), e.describeTook())
	if end.reason != "" {
		attributes = append(attributes, slog.String("reason", end.reason))
	}
	if end.err != nil {
		attributes = append(attributes, slog.String("error", end.err.Error()))
	}
	r.log.Record(ctx, end.code, attributes...)
}

// attributes describe an enrolment in audit records.
func (e *enrolment) attributes(ctx context.Context) []slog.Attr {
	out := append(describeEndpoint(e.snapshot),
		slog.String("transaction", e.request.TransactionID),
		slog.String("messageType", e.request.MessageType.String()),
		slog.Any("client", clientFrom(ctx)),
		slog.String("signer", raconfig.Fingerprint(e.request.Signer)),
		slog.String("signerSubject", e.request.Signer.Subject.String()))
	out = append(out, e.describeTemplate()...)
	if e.admitted != "" {
		out = append(out, slog.String("admittedBy", e.admitted))
	}
	if e.record != nil {
		if e.record.Name != "" {
			out = append(out, slog.String("certificateRequest", e.record.Name))
		}
		out = append(out, slog.String("state", string(e.record.State)))
		if len(e.record.Certificates) > 0 {
			out = append(out, describeIssued(e.record.Certificates[0])...)
		}
	}
	return append(out, describeRequest(e.request.CSR)...)
}

// observer records what package scep does before and after the backend.
type observer struct{ *recorder }

// arrivals are the steps with which a request begins. Audit records begin with a message
// that was opened; at level Debug the log has what came before, and whatever else came.
var arrivals = map[scep.Step]bool{
	scep.StepGetCACaps: true, scep.StepGetCACert: true, scep.StepGetNextCACert: true, scep.StepPKIOperation: true, scep.StepOther: true,
}

// Observe implements scep.Observer.
func (o observer) Observe(ctx context.Context, e scep.Event) {
	if e.Step == scep.StepOpened {
		refine(ctx, e)
	}
	if arrivals[e.Step] {
		o.logger.DebugContext(ctx, "request arrived", "operation", string(e.Step),
			"method", e.HTTPMethod, "targetBytes", e.TargetBytes, "client", clientFrom(ctx))
	}
	from := clientFrom(ctx).family
	o.metrics.Step(from, string(e.Step))
	o.metrics.Arrived(from, e.TargetBytes)
	switch e.Step {
	case scep.StepPKIOperation:
		o.metrics.Target(e.TargetBytes)
	case scep.StepOpened:
		o.log.Record(ctx, audit.MessageOpened, append(o.messageAttributes(ctx, e),
			slog.String("cipher", e.Cipher.String()), slog.String("digest", e.Digest.String()))...)
	case scep.StepRefused:
		o.refused(ctx, e)
	}
}

// refused records a message that could not be opened. What the backend refused is
// recorded already.
func (o observer) refused(ctx context.Context, e scep.Event) {
	reason := unopened(e)
	if reason == "" {
		return
	}
	o.metrics.Unopened(reason)
	o.fairness.count(clientFrom(ctx).fair, true)
	o.log.Record(ctx, audit.MessageRefused, append(o.messageAttributes(ctx, e),
		slog.String("outcome", string(audit.ResultFailure)),
		slog.String("reason", reason), slog.String("error", e.Err.Error()))...)
}

// unopened is why a message could not be opened; "" if it was.
func unopened(e scep.Event) string {
	var message *scep.MessageError
	switch {
	case errors.Is(e.Err, scep.ErrUnreadable):
		return "Message/unreadable"
	case errors.As(e.Err, &message):
		return "Message/" + message.FailInfo.String()
	case errors.Is(e.Err, scep.ErrNotDecoded):
		return "Message/undecoded"
	default:
		return ""
	}
}

// messageAttributes describe a message before its enrolment begins.
func (o observer) messageAttributes(ctx context.Context, e scep.Event) []slog.Attr {
	return append(describeEndpoint(o.snapshot()),
		slog.String("transaction", e.TransactionID),
		slog.String("messageType", e.MessageType.String()),
		slog.String("method", e.HTTPMethod),
		slog.Int("targetBytes", e.TargetBytes),
		slog.Any("client", clientFrom(ctx)))
}
