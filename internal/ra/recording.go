package ra

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/audit/otlp"
	"github.com/scepter-pki/scepter/internal/ra/audit/ring"
	"github.com/scepter-pki/scepter/internal/ra/audit/sink"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// auditPath answers questions about the newest audit records, on the admin listener.
const auditPath = "/audit"

// maxSinkAnswer bounds what is read of a webhook's answer, in bytes.
const maxSinkAnswer = 64 << 10

// traceTimeout is for one batch of spans.
const traceTimeout = 10 * time.Second

// recording is where audit records go beside the log, and traces.
type recording struct {
	server *Server
	ring   *ring.Ring // nil: there is no directory for it
	sink   atomic.Pointer[activeSink]
	traces atomic.Pointer[activeTraces]
	// lost are the records that former sinks have lost.
	lost atomic.Uint64
}

// activeSink is a sink and what it was made from.
type activeSink struct {
	*sink.Sink
	madeFrom [sha256.Size]byte
}

type activeTraces struct {
	*otlp.Traces
	tracer   trace.Tracer
	madeFrom [sha256.Size]byte
}

// newRecording opens the ring. What it cannot keep is in the log all the same, which
// says so.
func newRecording(s *Server) *recording {
	r := &recording{server: s}
	if s.options.AuditDir != "" {
		r.ring = ring.Open(ring.Options{Dir: s.options.AuditDir, Now: s.options.Now, Lost: r.ringLost})
	}
	return r
}

func (r *recording) ringLost(err error) {
	r.server.log.Record(context.Background(), audit.RingLost, slog.String("error", err.Error()))
}

func (r *recording) sinkChanged(err error, lost uint64) {
	count := slog.Uint64("lost", lost)
	if err == nil {
		r.server.log.Record(context.Background(), audit.SinkBack, count)
		return
	}
	r.server.log.Record(context.Background(), audit.SinkAway, count, slog.String("error", err.Error()))
}

// Keep implements audit.Keeper.
func (r *recording) Keep(e audit.Entry) {
	if r.ring != nil {
		r.ring.Keep(e)
	}
	if s := r.sink.Load(); s != nil {
		s.Keep(e)
	}
}

var errNoSink = errors.New("the audit sink cannot be used: see the problems in " + raconfig.StatusPath)

// Deliver implements audit.Deliverer: the record has to be with the sink.
func (r *recording) Deliver(ctx context.Context, e audit.Entry) error {
	if r.ring != nil {
		r.ring.Keep(e)
	}
	s := r.sink.Load()
	if s == nil {
		return errNoSink
	}
	return s.Deliver(ctx, e) //nolint:wrapcheck // it names the sink
}

// update takes up what the configuration says of recording. What is as it was goes on.
func (r *recording) update(s *reload.Snapshot) {
	r.updateSink(s)
	r.updateTraces(s)
}

func (r *recording) updateSink(s *reload.Snapshot) {
	wanted, have := s.Recording.Sink, r.sink.Load()
	if have != nil && wanted != nil && have.madeFrom == wanted.MadeFrom {
		return
	}
	r.sink.Store(r.newSink(s, wanted))
	if have != nil {
		r.lost.Add(have.Lost())
		go have.Close() // it may still wait for its service
	}
}

// newSink is nil where there is none, or it cannot be made.
func (r *recording) newSink(s *reload.Snapshot, c *reload.Sink) *activeSink {
	if c == nil || c.Err != nil {
		return nil
	}
	exporter, err := r.newExporter(s, c)
	if err != nil {
		r.sinkChanged(err, 0)
		return nil
	}
	timeout := time.Duration(c.TimeoutSeconds) * time.Second
	return &activeSink{sink.New(sink.Options{
		Exporter: exporter, Timeout: timeout, Changed: r.sinkChanged, NewID: rand.Text, Now: r.server.options.Now,
	}), c.MadeFrom}
}

func (r *recording) newExporter(s *reload.Snapshot, c *reload.Sink) (sink.Exporter, error) {
	timeout := time.Duration(c.TimeoutSeconds) * time.Second
	if c.Kind == raconfig.SinkOTLP {
		collector := otlp.Collector{URL: c.URL, Token: c.Token, Roots: c.Roots, Timeout: timeout, Proxy: c.Proxy.ForRequest}
		exporter, err := otlp.NewLogs(context.Background(), collector, r.resource(s))
		if err != nil {
			return nil, fmt.Errorf("audit sink: %w", err)
		}
		return exporter, nil
	}
	client := outbound.New(outbound.Options{Timeout: timeout, MaxAnswer: maxSinkAnswer, Roots: c.Roots, Proxy: c.Proxy.ForRequest})
	return &sink.Webhook{URL: c.URL, Key: c.SigningKey, Pod: r.server.options.Pod, Client: client}, nil
}

func (r *recording) updateTraces(s *reload.Snapshot) {
	wanted, have := s.Recording.Tracing, r.traces.Load()
	if have != nil && wanted != nil && have.madeFrom == wanted.MadeFrom {
		return
	}
	r.traces.Store(r.newTraces(s, wanted))
	if have != nil {
		go have.Close() // it may still wait for its collector
	}
}

// newTraces is nil where there are none, or they cannot be made.
func (r *recording) newTraces(s *reload.Snapshot, c *reload.Tracing) *activeTraces {
	if c == nil {
		return nil
	}
	collector := otlp.Collector{URL: c.URL, Roots: c.Roots, Timeout: traceTimeout, Proxy: c.Proxy.ForRequest}
	traces, err := otlp.NewTraces(context.Background(), collector, c.Share, r.resource(s))
	if err != nil {
		r.server.options.Logger.Warn("no traces are sent", "error", err)
		return nil
	}
	return &activeTraces{traces, traces.Tracer(), c.MadeFrom}
}

// resource says whose records and traces they are, in OpenTelemetry's words.
func (r *recording) resource(s *reload.Snapshot) *resource.Resource {
	return resource.NewSchemaless(
		attribute.String("service.name", "scepter-ra"),
		attribute.String("service.version", r.server.options.Version),
		attribute.String("k8s.namespace.name", s.Config.Endpoint.Namespace),
		attribute.String("k8s.pod.name", r.server.options.Pod),
		attribute.String("scepter.endpoint", s.Config.Endpoint.Namespace+"/"+s.Config.Endpoint.Name))
}

// away is the sink's outage, for the status.
func (r *recording) away() []raconfig.Away {
	s := r.sink.Load()
	if s == nil || s.Away() == nil {
		return nil
	}
	outage := s.Away()
	return []raconfig.Away{{Dependency: raconfig.DependencyAuditSink, Since: outage.Since, Failures: outage.Failures}}
}

func (r *recording) close() {
	if s := r.sink.Swap(nil); s != nil {
		s.Close()
	}
	if t := r.traces.Swap(nil); t != nil {
		t.Close()
	}
	if r.ring != nil {
		r.ring.Close()
	}
}

// recordOrder is the step before anything is consumed: where nothing is to be issued
// without its record, the sink has to have that first. What is recorded with the issuer
// already has been through this.
func (b *backend) recordOrder(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	wanted := e.snapshot.Recording.Sink
	if e.record != nil || wanted == nil || wanted.OnFailure != v1alpha1.SinkFailureRefuse {
		return nil, nil
	}
	if err := b.recorder.log.Deliver(ctx, audit.Ordered, e.attributes(ctx)...); err != nil {
		return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: fmt.Errorf("record the order: %w", err)}
	}
	return nil, nil
}
