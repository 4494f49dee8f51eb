package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// ManagedBy is the value of LabelManagedBy on every child: caches are scoped by it.
const ManagedBy = "scepter"

// The recommended labels of Kubernetes.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelComponent = "app.kubernetes.io/component"
	LabelManagedBy = "app.kubernetes.io/managed-by"
)

// Values of the labels of an endpoint's children.
const (
	appName   = "scepter-ra"
	component = "ra"
)

// maxCredentialName bounds the name of an RACredential (its own validation says so).
const maxCredentialName = 40

// ChildName is the name of an endpoint's Deployment, Service, ServiceAccount,
// RoleBinding, PodDisruptionBudget, Ingress, HTTPRoute and TLSRoute.
func ChildName(endpoint string) string { return endpoint + "-ra" }

// ListenerSetName is the name of the ListenerSet of the Gateway of this number, from 0.
func ListenerSetName(endpoint string, number int) string {
	return fmt.Sprintf("%s-ra-%d", endpoint, number)
}

// DirectRoleBindingName is the name of the RoleBinding where signers issue.
func DirectRoleBindingName(endpoint string) string { return endpoint + "-ra-direct" }

// TLSOnlyIngressName is the name of the Ingress of the hosts without plain HTTP.
func TLSOnlyIngressName(endpoint string) string { return endpoint + "-ra-https" }

// ConfigMapName is the name of the ConfigMap with the servers' configuration.
func ConfigMapName(endpoint string) string { return endpoint + "-ra-config" }

// FunnelName is the name of the ConfigMap that keeps what the endpoint's traffic is like.
func FunnelName(endpoint string) string { return endpoint + "-ra-funnel" }

// StateSecretName is the name of the Secret with the endpoint's own key.
func StateSecretName(endpoint string) string { return endpoint + "-ra-state" }

// ExposureServiceName is the name of the Service that devices reach without a proxy.
func ExposureServiceName(endpoint string) string { return endpoint + "-ra-public" }

// AdminServiceName is the name of the Service that leads to the minting of challenges.
func AdminServiceName(endpoint string) string { return endpoint + "-ra-admin" }

// AdminTLSName is the name of the Certificate, and of its Secret, for the admin exposure.
func AdminTLSName(endpoint string) string { return endpoint + "-tls-admin" }

// TLSName is the name of the Certificate, and of its Secret, for a host.
func TLSName(endpoint, host string) string { return endpoint + "-tls-" + shortHash(host) }

// CertificatesName names the ConfigMap with the certificates of an RACredential of
// purpose PolicyModule, for people who register them with services.
func CertificatesName(credential string) string { return credential + "-certificates" }

// CertificateKey is the key of a generation's certificate in that ConfigMap.
func CertificateKey(generation string) string { return generation + ".crt" }

// KeyringName is the name of an RACredential's keyring Secret.
func KeyringName(credential string) string { return credential + keyringSuffix }

const keyringSuffix = "-keyring"

// CredentialName is the name of the RACredential that an endpoint uses: the one
// it refers to, or else its own, with a hash where the name would be too long.
func CredentialName(ep *v1alpha1.ScepEndpoint) string {
	if ep.Spec.RACredentialRef != nil {
		return ep.Spec.RACredentialRef.Name
	}
	return OwnCredentialName(ep.Name)
}

// OwnCredentialName is the name of the RACredential that is made for an endpoint.
func OwnCredentialName(endpoint string) string {
	name := ChildName(endpoint)
	if len(name) <= maxCredentialName {
		return name
	}
	suffix := "-" + shortHash(name)
	return name[:maxCredentialName-len(suffix)] + suffix
}

// ServiceAccountUser is the user name as which an endpoint's servers act.
func ServiceAccountUser(ep *v1alpha1.ScepEndpoint) string {
	return "system:serviceaccount:" + ep.Namespace + ":" + ChildName(ep.Name)
}

// Labels are those of an endpoint's children.
func Labels(endpoint string) map[string]string {
	l := PodSelector(endpoint)
	l[LabelManagedBy] = ManagedBy
	l[v1alpha1.LabelEndpoint] = endpoint
	return l
}

// PodSelector selects an endpoint's pods; a Deployment's can never change.
func PodSelector(endpoint string) map[string]string {
	return map[string]string{LabelName: appName, LabelInstance: endpoint, LabelComponent: component}
}

// SelectorString is PodSelector in the form of the scale subresource.
func SelectorString(endpoint string) string {
	return labels.SelectorFromSet(PodSelector(endpoint)).String()
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}
