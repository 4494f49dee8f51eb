package otlp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/scepter-pki/scepter/internal/ra/audit"
)

// scope is the instrumentation's name.
const scope = "github.com/scepter-pki/scepter/internal/ra/audit"

// Logs sends audit records as log records. It implements sink.Exporter.
type Logs struct {
	exporter  *otlploghttp.Exporter
	provider  *sdklog.LoggerProvider
	transport *transport
	batch     *batch
}

// NewLogs makes an exporter, which connects when it is used. The resource says whose
// records they are.
func NewLogs(ctx context.Context, c Collector, from *resource.Resource) (*Logs, error) {
	l := &Logs{transport: c.transport(), batch: &batch{}}
	var err error
	l.exporter, err = otlploghttp.New(ctx,
		otlploghttp.WithEndpointURL(c.URL),
		otlploghttp.WithHeaders(c.headers()),
		otlploghttp.WithHTTPClient(l.transport.client(c.Timeout)),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{Enabled: false})) // the sink tries again
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter: %w", err)
	}
	l.provider = sdklog.NewLoggerProvider(sdklog.WithResource(from), sdklog.WithProcessor(l.batch))
	return l, nil
}

// Export implements sink.Exporter.
func (l *Logs) Export(ctx context.Context, id string, entries []audit.Entry) error {
	l.batch.records = l.batch.records[:0]
	logger := l.provider.Logger(scope)
	for i := range entries {
		logger.Emit(ctx, newRecord(id, entries[i]))
	}
	if err := l.exporter.Export(ctx, l.batch.records); err != nil {
		return fmt.Errorf("collector: %w", l.transport.reason()) // err quotes the answer
	}
	return nil
}

// Close implements sink.Exporter.
func (l *Logs) Close() {
	_ = l.exporter.Shutdown(context.Background()) // nothing waits in it
	l.transport.next.CloseIdleConnections()
}

// batch collects what the provider makes of records. One goroutine uses it.
type batch struct{ records []sdklog.Record }

// Enabled implements sdklog.Processor.
func (*batch) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit implements sdklog.Processor.
func (b *batch) OnEmit(_ context.Context, r *sdklog.Record) error {
	b.records = append(b.records, r.Clone())
	return nil
}

// Shutdown implements sdklog.Processor.
func (*batch) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdklog.Processor.
func (*batch) ForceFlush(context.Context) error { return nil }

// severities of OpenTelemetry's logs data model.
var severities = map[slog.Level]log.Severity{
	slog.LevelDebug: log.SeverityDebug,
	slog.LevelInfo:  log.SeverityInfo,
	slog.LevelWarn:  log.SeverityWarn,
	slog.LevelError: log.SeverityError,
}

// newRecord has the line as its body, and what it is looked for by as attributes.
func newRecord(id string, e audit.Entry) log.Record {
	var r log.Record
	r.SetTimestamp(e.Time)
	r.SetEventName(string(e.Code))
	r.SetSeverity(severities[e.Level])
	r.SetSeverityText(e.Level.String())
	r.SetBody(attribute.StringValue(string(e.JSON)))
	r.AddAttributes(attribute.String("scepter.batch", id))
	var fields map[string]any
	if json.Unmarshal(e.JSON, &fields) == nil {
		r.AddAttributes(attributes(fields)...)
	}
	return r
}

// attributeKeys are the fields that become attributes; the body has them all.
var attributeKeys = []string{"code", "endpoint", "transaction", "template", "messageType", "outcome", "reason", "serial"}

func attributes(fields map[string]any) []attribute.KeyValue {
	var out []attribute.KeyValue
	for _, key := range attributeKeys {
		if value, ok := fields[key].(string); ok {
			out = append(out, attribute.String("scepter."+key, value))
		}
	}
	if client, ok := fields["client"].(map[string]any); ok {
		if family, ok := client["family"].(string); ok {
			out = append(out, attribute.String("scepter.client.family", family))
		}
	}
	return out
}
