package racredential

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// scrapeLimit bounds the list of a scrape, which comes from the cache.
const scrapeLimit = 5 * time.Second

var (
	ofCredential  = []string{"namespace", "name"}
	ofCertificate = []string{"namespace", "name", "role"}

	readyDesc = prometheus.NewDesc("scepter_racredential_ready",
		"1 if the RACredential is Ready, else 0.", ofCredential, nil)
	notBeforeDesc = prometheus.NewDesc("scepter_racredential_not_before_timestamp_seconds",
		"When a certificate of the newest generation begins, in seconds since 1970.", ofCertificate, nil)
	expirationDesc = prometheus.NewDesc("scepter_racredential_expiration_timestamp_seconds",
		"When a certificate of the newest generation ends, in seconds since 1970.", ofCertificate, nil)
	renewalDesc = prometheus.NewDesc("scepter_racredential_renewal_timestamp_seconds",
		"When a certificate of the newest generation is going to be renewed, in seconds since 1970.", ofCertificate, nil)
	reissuesDesc = prometheus.NewDesc("scepter_racredential_reissue_attempts",
		"How often certificates that failed a check were asked for anew, so far; 0 while none fails.", ofCredential, nil)
)

// collector lists the credentials at each scrape, so that no series outlives its object.
type collector struct {
	reader client.Reader
	// elected is closed when this operator leads; the others report nothing.
	elected <-chan struct{}
}

func newCollector(reader client.Reader, elected <-chan struct{}) *collector {
	return &collector{reader: reader, elected: elected}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{readyDesc, notBeforeDesc, expirationDesc, renewalDesc, reissuesDesc} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	var credentials v1alpha1.RACredentialList
	if err := c.reader.List(ctx, &credentials); err != nil {
		metrics <- prometheus.NewInvalidMetric(readyDesc, err)
		return
	}
	for i := range credentials.Items {
		collectOne(&credentials.Items[i], metrics)
	}
}

func collectOne(rc *v1alpha1.RACredential, metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		labels = append([]string{rc.Namespace, rc.Name}, labels...)
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	ready, reissues := 0.0, 0.0
	if conditions.IsTrue(rc.Status.Conditions, v1alpha1.ConditionReady, rc.Generation) {
		ready = 1
	}
	if rc.Status.Reissue != nil {
		reissues = float64(rc.Status.Reissue.Attempts)
	}
	gauge(readyDesc, ready)
	gauge(reissuesDesc, reissues)
	if len(rc.Status.Generations) == 0 {
		return
	}
	for _, c := range rc.Status.Generations[0].Certificates {
		role := string(c.Role)
		gauge(notBeforeDesc, float64(c.NotBefore.Unix()), role)
		gauge(expirationDesc, float64(c.NotAfter.Unix()), role)
		if c.RenewalTime != nil {
			gauge(renewalDesc, float64(c.RenewalTime.Unix()), role)
		}
	}
}
