package ra

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// recorder writes the audit record and the metrics of each step.
type recorder struct {
	log     *audit.Log
	metrics *audit.Metrics
	now     func() time.Time
}

// step records one that went well; funnel is "" for one that is not part of the funnel.
func (r *recorder) step(ctx context.Context, e *enrolment, code audit.Code, funnel string) {
	if funnel != "" {
		r.metrics.Step(funnel)
	}
	r.log.Record(ctx, code, e.attributes(ctx)...)
}

// conclude turns what the pipeline came to into a reply, and records it.
func (b *backend) conclude(ctx context.Context, e *enrolment, reply *scep.Reply, err error) (*scep.Reply, error) {
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
	if end.result == audit.ResultSuccess {
		r.metrics.Step(audit.StepIssued)
	}
	attributes := append(e.attributes(ctx), slog.Duration("took", took))
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
	c := e.snapshot.Config
	out := []slog.Attr{
		slog.String("endpoint", c.Endpoint.Namespace+"/"+c.Endpoint.Name),
		slog.Int64("generation", c.Endpoint.Generation),
		slog.String("transaction", e.request.TransactionID),
		slog.String("messageType", e.request.MessageType.String()),
		slog.String("template", e.template.Name),
		slog.Any("client", clientFrom(ctx)),
		slog.String("signer", raconfig.Fingerprint(e.request.Signer)),
	}
	if e.admitted != "" {
		out = append(out, slog.String("admittedBy", e.admitted))
	}
	if e.record != nil {
		if e.record.Name != "" {
			out = append(out, slog.String("certificateRequest", e.record.Name))
		}
		out = append(out, slog.String("state", string(e.record.State)))
		if len(e.record.Certificates) > 0 {
			out = append(out, slog.String("certificate", raconfig.Fingerprint(e.record.Certificates[0])))
		}
	}
	return append(out, describeRequest(e.request.CSR)...)
}

// describeRequest lists what a CSR asks for, without its challenge.
func describeRequest(csr *x509.CertificateRequest) []slog.Attr {
	if csr == nil {
		return nil
	}
	var names []string
	names = append(append(names, csr.DNSNames...), csr.EmailAddresses...)
	for _, ip := range csr.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range csr.URIs {
		names = append(names, u.String())
	}
	return []slog.Attr{
		slog.String("subject", csr.Subject.String()),
		slog.Any("alternativeNames", names),
		slog.String("keyAlgorithm", csr.PublicKeyAlgorithm.String()),
	}
}

// observer records what package scep does before and after the backend.
type observer struct{ *recorder }

// Observe implements scep.Observer.
func (o observer) Observe(ctx context.Context, e scep.Event) {
	o.metrics.Step(string(e.Step))
	switch e.Step {
	case scep.StepPKIOperation:
		o.metrics.Target(e.TargetBytes)
	case scep.StepOpened:
		o.log.Record(ctx, audit.MessageOpened, messageAttributes(ctx, e)...)
	case scep.StepRefused:
		o.refused(ctx, e)
	}
}

// refused records a message that could not be opened. What the backend refused is
// recorded already.
func (o observer) refused(ctx context.Context, e scep.Event) {
	var message *scep.MessageError
	if !errors.As(e.Err, &message) {
		return
	}
	reason := "Message/" + message.FailInfo.String()
	o.metrics.Unopened(reason)
	o.log.Record(ctx, audit.MessageRefused, append(messageAttributes(ctx, e),
		slog.String("reason", reason), slog.String("error", message.Error()))...)
}

// messageAttributes describe a message before its enrolment begins.
func messageAttributes(ctx context.Context, e scep.Event) []slog.Attr {
	return []slog.Attr{
		slog.String("transaction", e.TransactionID),
		slog.String("messageType", e.MessageType.String()),
		slog.String("method", e.HTTPMethod),
		slog.Int("targetBytes", e.TargetBytes),
		slog.Any("client", clientFrom(ctx)),
	}
}
