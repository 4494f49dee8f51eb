package ra

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// noSpan is what there is where nothing is traced.
var noSpan = trace.SpanFromContext(context.Background())

// tracer is nil where nothing is traced.
func (r *recording) tracer() trace.Tracer {
	if t := r.traces.Load(); t != nil {
		return t.tracer
	}
	return nil
}

// span begins one, if the enrolment is traced.
func (e *enrolment) span(ctx context.Context, name string) (context.Context, trace.Span) {
	if e.tracer == nil {
		return ctx, noSpan
	}
	return e.tracer.Start(ctx, name)
}

// endStep ends the span of a step. Of an error it tells the reason alone: its text may
// hold names.
func endStep(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetStatus(codes.Error, spanReason(err))
	}
	span.End()
}

func spanReason(err error) string {
	if refused, ok := refusal.As(err); ok {
		return string(refused.Reason)
	}
	return endingOf(nil, err).reason
}

// endTrace ends the span of an enrolment. It says what is asked for in general, and no names.
func (e *enrolment) endTrace(ctx context.Context, span trace.Span, err error) {
	if !span.IsRecording() {
		span.End()
		return
	}
	span.SetAttributes(
		attribute.String("scepter.endpoint", e.snapshot.Config.Endpoint.Namespace+"/"+e.snapshot.Config.Endpoint.Name),
		attribute.String("scepter.message_type", e.request.MessageType.String()),
		attribute.String("scepter.transaction", e.request.TransactionID),
		attribute.String("scepter.template", e.template.Name),
		attribute.String("scepter.admitted_by", e.admitted),
		attribute.String("scepter.client.family", string(clientFrom(ctx).family)))
	endStep(span, err)
}
