package audit

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Result is how a PKIOperation ended, as a label of metrics.
type Result string

// The results.
const (
	ResultSuccess     Result = "success"
	ResultPending     Result = "pending"
	ResultFailure     Result = "failure"
	ResultUnavailable Result = "unavailable"
	ResultError       Result = "error"
)

// Funnel steps beside those of package scep: a break between two of them shows
// where devices stop.
const (
	StepRecalled      = "recalled"
	StepAuthenticated = "authenticated"
	StepJudged        = "judged"
	StepIssued        = "issued"
)

// Metrics of a server. Labels have few values, all from constants.
type Metrics struct {
	registry   *prometheus.Registry
	funnel     *prometheus.CounterVec
	enrolments *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
	target     prometheus.Histogram
}

// durationBuckets in seconds: an issuer takes a fraction of one, a device waits up to sixty.
var durationBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60}

// targetBuckets in bytes: the limits that proxies are known for.
var targetBuckets = []float64{1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10}

// NewMetrics registers the metrics with a registry of their own.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		funnel:     counter("scepter_ra_funnel_total", "Requests by the step they came to.", "step"),
		enrolments: counter("scepter_ra_enrolments_total", "PKIOperations by result and reason.", "result", "reason"),
		refusals:   counter("scepter_ra_refusals_total", "Refused PKIOperations by reason.", "reason"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "scepter_ra_enrolment_duration_seconds", Help: "Time from opened message to answer.", Buckets: durationBuckets,
		}, []string{"result"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "scepter_ra_in_flight", Help: "Requests that are being worked on, by what they use.",
		}, []string{"resource"}),
		target: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "scepter_ra_request_target_bytes", Help: "Length of request targets as received.", Buckets: targetBuckets,
		}),
	}
	m.registry.MustRegister(m.funnel, m.enrolments, m.refusals, m.durations, m.inFlight, m.target,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Registry holds the metrics, for a handler and for further collectors.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Step counts a step of the funnel.
func (m *Metrics) Step(step string) { m.funnel.WithLabelValues(step).Inc() }

// Target observes the length of a request target in bytes.
func (m *Metrics) Target(bytes int) { m.target.Observe(float64(bytes)) }

// Ended counts a PKIOperation; reason is "" where there is none.
func (m *Metrics) Ended(result Result, reason string, took time.Duration) {
	m.count(result, reason)
	m.durations.WithLabelValues(string(result)).Observe(took.Seconds())
}

// Unopened counts a PKIOperation whose message could not be opened.
func (m *Metrics) Unopened(reason string) { m.count(ResultFailure, reason) }

func (m *Metrics) count(result Result, reason string) {
	m.enrolments.WithLabelValues(string(result), reason).Inc()
	if result == ResultFailure {
		m.refusals.WithLabelValues(reason).Inc()
	}
}

// InFlight is the gauge of one resource.
func (m *Metrics) InFlight(resource string) prometheus.Gauge {
	return m.inFlight.WithLabelValues(resource)
}
