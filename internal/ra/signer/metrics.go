package signer

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// resultIssued is the result of an order that went well; others are the codes of package wire.
const resultIssued = "Issued"

// metrics of a signer. Labels have few values, all from constants.
type metrics struct {
	registry  *prometheus.Registry
	orders    *prometheus.CounterVec
	durations prometheus.Histogram
}

// durationBuckets in seconds: a signature takes a few milliseconds.
var durationBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		orders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scepter_signer_orders_total", Help: "Orders by result.",
		}, []string{"result"}),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "scepter_signer_order_duration_seconds", Help: "Time from order to answer.", Buckets: durationBuckets,
		}),
	}
	m.registry.MustRegister(m.orders, m.durations,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) ended(result string, took time.Duration) {
	m.orders.WithLabelValues(result).Inc()
	m.durations.Observe(took.Seconds())
}

// watch adds what the files say.
func (m *metrics) watch(current func() *parts) error {
	if err := m.registry.Register(&fileMetrics{
		parts: current,
		notAfter: prometheus.NewDesc("scepter_signer_ca_not_after_timestamp_seconds",
			"End of the CA certificate's validity, as Unix time.", nil, nil),
		revoked: prometheus.NewDesc("scepter_signer_revoked", "Certificates on the revocation list.", nil, nil),
		problems: prometheus.NewDesc("scepter_signer_file_problems",
			"Directories whose newest files cannot be used.", nil, nil),
	}); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// fileMetrics are read from the parts when they are asked for.
type fileMetrics struct {
	parts                       func() *parts
	notAfter, revoked, problems *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (x *fileMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- x.notAfter
	out <- x.revoked
	out <- x.problems
}

// Collect implements prometheus.Collector.
func (x *fileMetrics) Collect(out chan<- prometheus.Metric) {
	p := x.parts()
	gauge := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	gauge(x.problems, float64(len(p.problems)))
	if p.ca != nil {
		gauge(x.notAfter, float64(p.ca.certificate.NotAfter.Unix()))
	}
	if p.revocations != nil {
		gauge(x.revoked, float64(len(p.revocations.Revoked)))
	}
}
