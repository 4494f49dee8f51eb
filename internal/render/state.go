package render

import (
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// StateKeyBytes is the length of the endpoint's own key.
const StateKeyBytes = 32

// StateSecret holds the key by which the servers name CertificateRequests. It is
// made once and immutable: another key would forget every running transaction.
func StateSecret(ep *v1alpha1.ScepEndpoint, key []byte) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(StateSecretName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithType(corev1.SecretTypeOpaque).
		WithImmutable(true).
		WithData(map[string][]byte{raconfig.HMACKeyFile: key})
}
