package otlp

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Traces makes spans and sends them, in batches from a bounded queue.
type Traces struct {
	provider  *sdktrace.TracerProvider
	transport *transport
}

// closeTimeout is for what is still waiting at the end.
const closeTimeout = 5 * time.Second

// NewTraces makes a source of spans of a part of all traces, from 0 to 1. What a
// client says of tracing has no influence.
func NewTraces(ctx context.Context, c Collector, ratio float64, from *resource.Resource) (*Traces, error) {
	t := &Traces{transport: c.transport()}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(c.URL),
		otlptracehttp.WithHeaders(c.headers()),
		otlptracehttp.WithHTTPClient(t.transport.client(c.Timeout)))
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter: %w", err)
	}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(from),
		sdktrace.WithSampler(sdktrace.TraceIDRatioBased(ratio)),
		sdktrace.WithBatcher(exporter))
	return t, nil
}

// Tracer makes spans.
func (t *Traces) Tracer() trace.Tracer { return t.provider.Tracer(scope) }

// Close sends what is waiting, within a limit.
func (t *Traces) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // a collector that is away misses these
	t.transport.next.CloseIdleConnections()
}
