package render

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// AnnotationWrittenAt is the RFC 3339 time at which a Secret of the signers or their
// clients was written last: a rotation waits until every pod must have seen it.
const AnnotationWrittenAt = v1alpha1.GroupName + "/written-at"

// SignerServerSecretName is the name of the Secret that signers show themselves with.
func SignerServerSecretName(endpoint string) string { return endpoint + "-signer-server" }

// SignerClientSecretName is the name of the Secret that servers show themselves with to signers.
func SignerClientSecretName(endpoint string) string { return endpoint + "-signer-client" }

// PeerSecret is one of the two Secrets by which servers and signers know each other.
func PeerSecret(ep *v1alpha1.ScepEndpoint, name string, data map[string][]byte, written time.Time) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(name, ep.Namespace).
		WithLabels(SignerLabels(ep.Name)).
		WithAnnotations(map[string]string{AnnotationWrittenAt: written.UTC().Format(time.RFC3339)}).
		WithType(corev1.SecretTypeTLS).
		WithData(data)
}

// RevokedName is the name of the ConfigMap with the certificates that an endpoint has revoked.
func RevokedName(endpoint string) string { return endpoint + "-revoked" }

// RevokedConfigMap holds the certificates that an endpoint has revoked, as made by
// raconfig.EncodeRevocations. It has no owner: what is revoked stays so when the
// endpoint is deleted and made again.
func RevokedConfigMap(namespace, endpoint string, list []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: RevokedName(endpoint), Labels: SignerLabels(endpoint)},
		Data:       map[string]string{raconfig.RevocationsFile: string(list)},
	}
}
