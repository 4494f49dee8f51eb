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
	notAfterDesc = prometheus.NewDesc("scepter_racredential_not_after_timestamp_seconds",
		"When the first certificate of the newest generation ends, in seconds since 1970.", []string{"namespace", "name"}, nil)
	readyDesc = prometheus.NewDesc("scepter_racredential_ready",
		"1 if the RACredential is Ready, else 0.", []string{"namespace", "name"}, nil)
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
	descs <- notAfterDesc
	descs <- readyDesc
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
	ready := 0.0
	if conditions.IsTrue(rc.Status.Conditions, v1alpha1.ConditionReady, rc.Generation) {
		ready = 1
	}
	metrics <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, ready, rc.Namespace, rc.Name)
	if rc.Status.NotAfter != nil {
		metrics <- prometheus.MustNewConstMetric(notAfterDesc, prometheus.GaugeValue, float64(rc.Status.NotAfter.Unix()), rc.Namespace, rc.Name)
	}
}
