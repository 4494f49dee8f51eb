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
		Admin:            ep.Spec.Exposure.Admin != nil,
	}
	for i, entry := range ep.Spec.Templates {
		c.Templates = append(c.Templates, raconfig.Template{
			Name: entry.Name, Default: entry.Default, Spec: templates[i].Spec,
		})
	}
	for _, challenge := range challenges {
		c.Challenges = append(c.Challenges, configChallenge(challenge))
	}
	return c
}

func configChallenge(c v1alpha1.Challenge) raconfig.Challenge {
	out := raconfig.Challenge{Name: c.Name, Type: c.Type}
	switch {
	case c.Type == v1alpha1.ChallengeOneTime:
		out.OneTime = configOneTime(c.OneTime)
	case c.Webhook != nil:
		out.Webhook = configWebhook(c.Webhook)
	case c.Intune != nil:
		out.Intune = configIntune(c.Intune)
	}
	return out
}

// defaultValidity is that of the API, for a challenge without the field oneTime.
const defaultValidity = time.Hour

func configOneTime(c *v1alpha1.OneTimeChallenge) *raconfig.OneTime {
	if c == nil {
		return &raconfig.OneTime{ValiditySeconds: int64(defaultValidity / time.Second)}
	}
	out := &raconfig.OneTime{ValiditySeconds: int64(c.Validity.Duration / time.Second)}
	if c.RekeyWindow != nil {
		out.RekeySeconds = int64(c.RekeyWindow.Duration / time.Second)
	}
	if c.NDES != nil {
		out.NDES = &raconfig.NDES{Encoding: c.NDES.Encoding, Template: c.NDES.Template}
	}
	return out
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
