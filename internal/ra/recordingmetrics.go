package ra

import "github.com/prometheus/client_golang/prometheus"

var (
	auditLostDesc = prometheus.NewDesc("scepter_ra_audit_lost_total",
		"Audit records that could not be kept on disk or sent to the sink.", []string{"place"}, nil)
	sinkUpDesc = prometheus.NewDesc("scepter_ra_audit_sink_up",
		"Whether the audit sink took the latest batch.", nil, nil)
)

// Describe implements prometheus.Collector.
func (r *recording) Describe(out chan<- *prometheus.Desc) {
	out <- auditLostDesc
	out <- sinkUpDesc
}

// Collect implements prometheus.Collector.
func (r *recording) Collect(out chan<- prometheus.Metric) {
	if r.ring != nil {
		out <- prometheus.MustNewConstMetric(auditLostDesc, prometheus.CounterValue, float64(r.ring.Lost()), "ring")
	}
	s := r.sink.Load()
	if s == nil {
		return
	}
	up := 1.0
	if s.Away() != nil {
		up = 0
	}
	out <- prometheus.MustNewConstMetric(auditLostDesc, prometheus.CounterValue, float64(r.lost.Load()+s.Lost()), "sink")
	out <- prometheus.MustNewConstMetric(sinkUpDesc, prometheus.GaugeValue, up)
}
