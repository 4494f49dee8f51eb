package render

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Config makes the servers' configuration from an endpoint and its resolved
// templates, which are in the order of the endpoint. Challenges are those whose
// passwords exist: one that is missing must not keep the others from serving.
func Config(ep *v1alpha1.ScepEndpoint, templates []v1alpha1.CertificateTemplate, challenges []v1alpha1.Challenge, activeGeneration string) *raconfig.Config {
	c := &raconfig.Config{
		Version:  raconfig.Version,
		Requires: raconfig.Restricting,
		Endpoint: raconfig.Endpoint{
			Namespace: ep.Namespace, Name: ep.Name, UID: ep.UID, Generation: ep.Generation,
		},
		ActiveGeneration: activeGeneration,
		Issuance: raconfig.Issuance{
			Mode:                   ep.Spec.Issuance.Mode,
			IssuerRef:              ep.Spec.Issuance.IssuerRef,
			ServiceAccount:         ServiceAccountUser(ep),
			WaitSeconds:            int32(ep.Spec.Issuance.Wait.Duration / time.Second),
			PendingDeadlineSeconds: int64(ep.Spec.Issuance.PendingDeadline.Duration / time.Second),
			Signer:                 configSigner(ep),
		},
		TrustedProxies:   ep.Spec.Exposure.TrustedProxies,
		LegacyAlgorithms: ep.Spec.Compatibility.LegacyAlgorithms,
		CAChain:          ep.Spec.Compatibility.CAChain,
		ReplyChain:       ep.Spec.Compatibility.ReplyChain,
		LogLevel:         ep.Spec.Logging.Level,
		DrainSeconds:     int64(DrainDelay(ep) / time.Second),
		TLS:              serversEndTLS(ep),
		Admin:            ep.Spec.Exposure.Admin != nil,
	}
	c.AdminClients = adminClients(ep)
	c.Recording = configRecording(ep)
	c.Needs = Needs(ep)
	c.Proxy = configProxy(ep)
	for i, entry := range ep.Spec.Templates {
		c.Templates = append(c.Templates, raconfig.Template{
			Name: entry.Name, Default: entry.Default, KeyUsage: entry.KeyUsage, Spec: templates[i].Spec,
		})
	}
	for _, challenge := range challenges {
		c.Challenges = append(c.Challenges, configChallenge(challenge))
	}
	return c
}

func adminClients(ep *v1alpha1.ScepEndpoint) []string {
	admin := ep.Spec.Exposure.Admin
	if admin == nil || admin.ClientCertificates == nil {
		return nil
	}
	var names []string
	for _, name := range admin.ClientCertificates.Names {
		names = append(names, string(name))
	}
	return names
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

// defaultCRLValidity is that of the API, for an endpoint without the field direct.
const defaultCRLValidity = 24 * time.Hour

// configSigner is nil where no signers issue.
func configSigner(ep *v1alpha1.ScepEndpoint) *raconfig.Signer {
	if !IsDirect(ep) {
		return nil
	}
	crl := v1alpha1.RevocationList{Validity: metav1.Duration{Duration: defaultCRLValidity}}
	if direct := ep.Spec.Issuance.Direct; direct != nil {
		crl = direct.CRL
	}
	return &raconfig.Signer{
		Address: SignerAddress(ep),
		CRL:     raconfig.CRL{ValiditySeconds: int64(crl.Validity.Duration / time.Second), URLs: crl.URLs},
	}
}

// maxConfigBytes is what a ConfigMap may hold, less its metadata.
const maxConfigBytes = 1000 << 10

// ConfigMap holds the servers' configuration, and the last good one if there is room for both.
func ConfigMap(ep *v1alpha1.ScepEndpoint, c *raconfig.Config, good raconfig.LastGood) (*corev1ac.ConfigMapApplyConfiguration, error) {
	file, err := raconfig.Encode(c)
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", ep.Name, err)
	}
	out := corev1ac.ConfigMap(ConfigMapName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithData(map[string]string{raconfig.ConfigFile: string(file)})
	if len(file)+len(good.Config) <= maxConfigBytes {
		out.WithData(good.Files())
	}
	return out, nil
}
