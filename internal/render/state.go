package render

import (
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// StateKeyBytes is the length of each of the endpoint's own keys.
const StateKeyBytes = 32

// StateKeys are the endpoint's own keys.
type StateKeys struct {
	// HMAC names CertificateRequests: with another, every running transaction would be forgotten.
	HMAC []byte
	// Challenge signs one-time challenges.
	Challenge []byte
}

// StateSecret holds the endpoint's own keys. It is made once and immutable.
func StateSecret(ep *v1alpha1.ScepEndpoint, keys StateKeys) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(StateSecretName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithType(corev1.SecretTypeOpaque).
		WithImmutable(true).
		WithData(map[string][]byte{raconfig.HMACKeyFile: keys.HMAC, raconfig.ChallengeKeyFile: keys.Challenge})
}
