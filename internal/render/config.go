package render

import (
	"fmt"
	"time"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Config makes the servers' configuration from an endpoint and its resolved
// templates, which are in the order of the endpoint. Challenges are those whose
// passwords exist: one that is missing must not keep the others from serving.
func Config(ep *v1alpha1.ScepEndpoint, templates []v1alpha1.CertificateTemplate, challenges []v1alpha1.Challenge, activeGeneration string) *raconfig.Config {
	c := &raconfig.Config{
		Version: raconfig.Version,
		Endpoint: raconfig.Endpoint{
			Namespace: ep.Namespace, Name: ep.Name, UID: ep.UID, Generation: ep.Generation,
		},
		ActiveGeneration: activeGeneration,
		Issuance: raconfig.Issuance{
			Mode:                ep.Spec.Issuance.Mode,
			IssuerRef:           ep.Spec.Issuance.IssuerRef,
			ServiceAccount:      ServiceAccountUser(ep),
			PendingAfterSeconds: int32(ep.Spec.Issuance.PendingAfter.Duration / time.Second),
		},
		TrustedProxies:   ep.Spec.Exposure.TrustedProxies,
		LegacyAlgorithms: ep.Spec.Compatibility.LegacyAlgorithms,
		CAChain:          ep.Spec.Compatibility.CAChain,
		ReplyChain:       ep.Spec.Compatibility.ReplyChain,
		TLS:              serversEndTLS(ep),
	}
	for i, entry := range ep.Spec.Templates {
		c.Templates = append(c.Templates, raconfig.Template{
			Name: entry.Name, Default: entry.Default, Spec: templates[i].Spec,
		})
	}
	for _, challenge := range challenges {
		c.Challenges = append(c.Challenges, raconfig.Challenge{Name: challenge.Name, Type: challenge.Type})
	}
	return c
}

// ConfigMap holds the servers' configuration.
func ConfigMap(ep *v1alpha1.ScepEndpoint, c *raconfig.Config) (*corev1ac.ConfigMapApplyConfiguration, error) {
	file, err := raconfig.Encode(c)
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", ep.Name, err)
	}
	return corev1ac.ConfigMap(ConfigMapName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithData(map[string]string{raconfig.ConfigFile: string(file)}), nil
}
