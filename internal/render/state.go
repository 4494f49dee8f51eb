package render

import (
	"maps"

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
	// Challenge mints one-time challenges.
	Challenge []byte
	// Verify are keys and what is remembered of them, by the names of their files: keys that
	// verify one-time challenges and do not mint. An empty one is none: what belongs to
	// another field manager, as after a restore, does not go away by being left out.
	Verify map[string][]byte
}

// StateSecret holds the endpoint's own keys. It is not immutable: a key can be added or
// replaced, and what replaces one keeps the other.
func StateSecret(ep *v1alpha1.ScepEndpoint, keys StateKeys) *corev1ac.SecretApplyConfiguration {
	data := map[string][]byte{raconfig.HMACKeyFile: keys.HMAC, raconfig.ChallengeKeyFile: keys.Challenge}
	maps.Copy(data, keys.Verify)
	return corev1ac.Secret(StateSecretName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithType(corev1.SecretTypeOpaque).
		WithData(data)
}
