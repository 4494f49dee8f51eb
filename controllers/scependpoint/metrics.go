package scependpoint

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/remedy"
)

// collectTimeout bounds a scrape's look into the cache.
const collectTimeout = 5 * time.Second

var (
	conditionDesc = prometheus.NewDesc("scepter_endpoint_condition",
		"Whether a condition of a ScepEndpoint has a status (1) or not (0).", []string{"namespace", "name", "condition", "status"}, nil)
	credentialDesc = prometheus.NewDesc("scepter_endpoint_racredential_not_after_timestamp_seconds",
		"When the RA credential that a ScepEndpoint shows ends.", []string{"namespace", "name", "racredential"}, nil)
	caDesc = prometheus.NewDesc("scepter_endpoint_ca_expiration_timestamp_seconds",
		"When a certificate ends that devices of a ScepEndpoint are asked to trust.", []string{"namespace", "name", "role", "fingerprint"}, nil)
	canaryDesc = prometheus.NewDesc("scepter_endpoint_canary_passed",
		"Whether the exchanges like a device's that the servers of a ScepEndpoint try came to their end (1) or not (0).", []string{"namespace", "name", "level"}, nil)
	brokenDesc = prometheus.NewDesc("scepter_endpoint_funnel_broken",
		"Whether enrolments of a family of clients end at a hop (1) that they came to before.", []string{"namespace", "name", "family", "hop"}, nil)
	uncollectedDesc = prometheus.NewDesc("scepter_endpoint_uncollected_certificates",
		"Certificates of a ScepEndpoint that were issued and that no device has collected, at least.", []string{"namespace", "name"}, nil)
	systemicDesc = prometheus.NewDesc("scepter_systemic_stop",
		"1 while so many ScepEndpoints are not Ready for one reason that no servers are replaced to mend something, else 0.", nil, nil)
	remediesDesc = prometheus.NewDesc("scepter_remedies",
		"ScepEndpoints whose servers are being replaced to mend something.", nil, nil)
	behindDesc = prometheus.NewDesc("scepter_rollout_endpoints_behind",
		"ScepEndpoints whose servers run another image than they are to.", nil, nil)
	stoppedDesc = prometheus.NewDesc("scepter_rollout_stopped",
		"1 for each ScepEndpoint that does not serve with another image, so that no other gets it; absent where there is none.", []string{"namespace", "name"}, nil)
	replicasDesc = prometheus.NewDesc("scepter_endpoint_replicas",
		"Servers of a ScepEndpoint that exist.", []string{"namespace", "name"}, nil)
)

// collector lists the endpoints from the cache at each scrape, so that no series
// of an endpoint that is gone is left over. Only the leader answers.
type collector struct {
	ledger  *remedy.Ledger
	reader  client.Reader
	elected <-chan struct{}
}

// Describe names the metrics.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	to <- conditionDesc
	to <- credentialDesc
	to <- caDesc
	to <- brokenDesc
	to <- uncollectedDesc
	to <- replicasDesc
	to <- canaryDesc
	to <- systemicDesc
	to <- remediesDesc
	to <- behindDesc
	to <- stoppedDesc
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
	collectOutlook(c.ledger.Last(), to)
	var list v1alpha1.ScepEndpointList
	if err := c.reader.List(ctx, &list); err != nil {
		to <- prometheus.NewInvalidMetric(conditionDesc, err)
		return
	}
	for i := range list.Items {
		collect(&list.Items[i], to)
	}
}

// collectOutlook tells what concerns more than one endpoint. Of a roll-out that stopped
// there is a series for each endpoint that stops it.
func collectOutlook(seen remedy.Outlook, to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	systemic := 0
	if seen.Systemic.Active() {
		systemic = 1
	}
	gauge(systemicDesc, systemic)
	gauge(remediesDesc, seen.Remedies)
	gauge(behindDesc, seen.Behind)
	if !seen.Stopped {
		return
	}
	for _, key := range seen.Wave {
		namespace, name, _ := strings.Cut(key, "/")
		gauge(stoppedDesc, 1, namespace, name)
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
	if probes := ep.Status.Probes; probes != nil && probes.Canary != nil {
		passed := 0.0
		if probes.Canary.Result == v1alpha1.CanaryPassed {
			passed = 1
		}
		gauge(canaryDesc, passed, string(probes.Canary.Level))
	}
	if funnel := ep.Status.Funnel; funnel != nil {
		for _, b := range funnel.Breaks {
			gauge(brokenDesc, 1, b.Family, string(b.Hop))
		}
	}
	if owed := ep.Status.Uncollected; owed != nil {
		gauge(uncollectedDesc, float64(owed.Count))
	}
	for _, c := range ep.Status.CA {
		gauge(caDesc, float64(c.NotAfter.Unix()), string(c.Role), c.Fingerprints.SHA256)
	}
	if shown := ep.Status.RACredential; shown != nil && shown.NotAfter != nil {
		gauge(credentialDesc, float64(shown.NotAfter.Unix()), shown.Name)
	}
}
