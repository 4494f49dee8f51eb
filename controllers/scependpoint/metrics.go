package scependpoint

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// collectTimeout bounds a scrape's look into the cache.
const collectTimeout = 5 * time.Second

var (
	conditionDesc = prometheus.NewDesc("scepter_endpoint_condition",
		"Whether a condition of a ScepEndpoint has a status (1) or not (0).", []string{"namespace", "name", "condition", "status"}, nil)
	credentialDesc = prometheus.NewDesc("scepter_endpoint_racredential_not_after_timestamp_seconds",
		"When the RA credential that a ScepEndpoint shows ends.", []string{"namespace", "name", "racredential"}, nil)
	replicasDesc = prometheus.NewDesc("scepter_endpoint_replicas",
		"Servers of a ScepEndpoint that exist.", []string{"namespace", "name"}, nil)
)

// collector lists the endpoints from the cache at each scrape, so that no series
// of an endpoint that is gone is left over. Only the leader answers.
type collector struct {
	reader  client.Reader
	elected <-chan struct{}
}

// Describe names the metrics.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	to <- conditionDesc
	to <- credentialDesc
	to <- replicasDesc
}

// Collect reports every endpoint as its status has it.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var list v1alpha1.ScepEndpointList
	if err := c.reader.List(ctx, &list); err != nil {
		to <- prometheus.NewInvalidMetric(conditionDesc, err)
		return
	}
	for i := range list.Items {
		collect(&list.Items[i], to)
	}
}

func collect(ep *v1alpha1.ScepEndpoint, to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{ep.Namespace, ep.Name}, labels...)...)
	}
	gauge(replicasDesc, float64(ep.Status.Replicas))
	for _, c := range ep.Status.Conditions {
		for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
			value := 0.0
			if c.Status == status {
				value = 1
			}
			gauge(conditionDesc, value, c.Type, string(status))
		}
	}
	if shown := ep.Status.RACredential; shown != nil && shown.NotAfter != nil {
		gauge(credentialDesc, float64(shown.NotAfter.Unix()), shown.Name)
	}
}
