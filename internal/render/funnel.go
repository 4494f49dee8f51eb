package render

import (
	"time"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// The keys of the ConfigMap that keeps what an endpoint's traffic is like.
const (
	FunnelBaselineKey = "baseline.json"
	// FunnelKeptKey holds when it was written, in RFC 3339.
	FunnelKeptKey = "kept"
)

// Funnel is the ConfigMap that keeps what an endpoint's traffic is like. It is for the
// operator alone: no server mounts it.
func Funnel(ep *v1alpha1.ScepEndpoint, baseline []byte, kept time.Time) *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(FunnelName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithData(map[string]string{FunnelBaselineKey: string(baseline), FunnelKeptKey: kept.UTC().Format(time.RFC3339)})
}
