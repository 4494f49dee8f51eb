package audit

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/scepter-pki/scepter/internal/ra/audit/family"
	"github.com/scepter-pki/scepter/internal/ra/audit/pathform"
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

// Took is how long a step of an enrolment took.
type Took struct {
	Step     string
	Duration time.Duration
}

// Metrics of a server. Labels have few values, all from constants.
type Metrics struct {
	registry   *prometheus.Registry
	funnel     *funnel
	paths      *paths
	agents     *agents
	enrolments *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	lost       prometheus.Counter
	durations  *prometheus.HistogramVec
	steps      *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
	target     prometheus.Histogram
}

// durationBuckets in seconds: an issuer takes a fraction of one, a device waits up to sixty.
var durationBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60}

// stepBuckets in seconds: judging takes a thousandth of one, a service that is asked seconds.
var stepBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// targetBuckets in bytes: the limits that proxies are known for.
var targetBuckets = []float64{1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10}

// NewMetrics registers the metrics with a registry of their own.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		funnel:     newFunnel(),
		paths:      newPaths(),
		agents:     newAgents(),
		enrolments: counter("scepter_ra_enrolments_total", "PKIOperations by result and reason.", "result", "reason"),
		refusals:   counter("scepter_ra_refusals_total", "Refused PKIOperations by reason.", "reason"),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "scepter_ra_answers_lost_total", Help: "Certificates that could not be sent, because the client was gone.",
		}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "scepter_ra_enrolment_duration_seconds", Help: "Time from opened message to answer.", Buckets: durationBuckets,
		}, []string{"result"}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "scepter_ra_step_duration_seconds", Help: "Time that a step of an enrolment took.", Buckets: stepBuckets,
		}, []string{"step"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "scepter_ra_in_flight", Help: "Requests that are being worked on, by what they use.",
		}, []string{"resource"}),
		target: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "scepter_ra_request_target_bytes", Help: "Length of request targets as received.", Buckets: targetBuckets,
		}),
	}
	m.registry.MustRegister(m.funnel, m.paths.total, m.agents.total, m.enrolments, m.refusals, m.lost, m.durations, m.steps, m.inFlight, m.target,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Registry holds the metrics, for a handler and for further collectors.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Step counts a step of the funnel. Steps and families that are not known are not counted.
func (m *Metrics) Step(of family.Family, step string) { m.funnel.count(of, step) }

// Arrived observes the length of a request target in bytes.
func (m *Metrics) Arrived(from family.Family, bytes int) { m.funnel.target(from, bytes) }

// Target observes the length of a PKIOperation's request target in bytes.
func (m *Metrics) Target(bytes int) { m.target.Observe(float64(bytes)) }

// Funnel is how far clients came, since the server started: a row for each family
// that was seen.
func (m *Metrics) Funnel() []FunnelRow { return m.funnel.report() }

// Path counts a request by the form of its path.
func (m *Metrics) Path(from family.Family, form pathform.Form) { m.paths.count(from, form) }

// Paths are how many requests came by each form of path, since the server started.
func (m *Metrics) Paths() map[string]uint64 { return m.paths.report() }

// Agent counts a request by the program that its User-Agent names.
func (m *Metrics) Agent(from family.Family, userAgent string) { m.agents.count(from, userAgent) }

// Agents are how many requests came by each program and its version's first number, since
// the server started.
func (m *Metrics) Agents() map[string]uint64 { return m.agents.report() }

// Took observes how long the steps of an enrolment took.
func (m *Metrics) Took(steps []Took) {
	for _, s := range steps {
		m.steps.WithLabelValues(s.Step).Observe(s.Duration.Seconds())
	}
}

// Ended counts a PKIOperation; reason is "" where there is none.
func (m *Metrics) Ended(result Result, reason string, took time.Duration) {
	m.count(result, reason)
	m.durations.WithLabelValues(string(result)).Observe(took.Seconds())
}

// Lost counts a certificate that could not be sent.
func (m *Metrics) Lost() { m.lost.Inc() }

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
