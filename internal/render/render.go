package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Program is what the operator's flags say of the servers.
type Program struct {
	// Image of the servers.
	Image string
	// PullPolicy of the image; empty for the default of Kubernetes.
	PullPolicy corev1.PullPolicy
	// ClusterRole bound to the servers' service account in the endpoint's namespace.
	ClusterRole string
	// DirectClusterRole is bound in its place where signers issue.
	DirectClusterRole string
}

// Input is all that the children depend on.
type Input struct {
	Endpoint *v1alpha1.ScepEndpoint
	Program  Program
	// Config for the servers. Nil while it cannot be known: then neither the
	// ConfigMap nor the Deployment is rendered, and existing ones stay as they are.
	Config *raconfig.Config
	// LastGood is the newest configuration that every server used.
	LastGood raconfig.LastGood
	// Keyrings are the RACredentials whose keyrings the servers mount, first the one whose
	// newest generation is shown or is going to be; empty: the one that is referred to.
	Keyrings []string
	// ServiceAccountUID is the UID of the service account that exists. Empty while
	// it is not known: then the Deployment is not rendered.
	ServiceAccountUID types.UID
	// CASecret is the Secret with the CA's key, where signers issue. Empty while it
	// cannot be known: then the signers' Deployment is not rendered.
	CASecret string
	// ServiceAnnotations are for the implementations of Ingress or Gateway in front.
	ServiceAnnotations map[string]string
}

// Children renders all children but the routes and the state Secret.
func Children(in Input) ([]runtime.ApplyConfiguration, error) {
	ep := in.Endpoint
	children := []runtime.ApplyConfiguration{
		ServiceAccount(ep),
		RoleBinding(ep, in.Program),
		Service(ep, in.ServiceAnnotations),
		PodDisruptionBudget(ep),
	}
	if ep.Spec.RACredentialRef == nil {
		children = append(children, RACredential(ep))
	}
	for _, service := range []*corev1ac.ServiceApplyConfiguration{ExposureService(ep), AdminService(ep)} {
		if service != nil {
			children = append(children, service)
		}
	}
	for _, certificate := range Certificates(ep) {
		children = append(children, certificate)
	}
	if ep.Spec.Server.NetworkPolicy == v1alpha1.NetworkPolicyGenerated {
		children = append(children, NetworkPolicy(ep))
	}
	if IsDirect(ep) {
		children = append(children, SignerServiceAccount(ep), SignerService(ep), SignerPodDisruptionBudget(ep), SignerNetworkPolicy(ep))
	}
	if in.Config == nil {
		return children, nil
	}
	config, err := ConfigMap(ep, in.Config, in.LastGood)
	if err != nil {
		return nil, err
	}
	children = append(children, config)
	if IsDirect(ep) && in.CASecret != "" {
		children = append(children, SignerDeployment(ep, in.Program, in.CASecret))
	}
	if in.ServiceAccountUID == "" {
		return children, nil
	}
	return append(children, Deployment(in)), nil
}

// serversEndTLS says whether the servers end TLS themselves.
func serversEndTLS(ep *v1alpha1.ScepEndpoint) bool { return ServerTLSSecretName(ep) != "" }

// tlsReachesServers says whether TLS comes to the servers as devices send it: a
// Gateway passes it through, or devices come by a Service.
func tlsReachesServers(ep *v1alpha1.ScepEndpoint) bool {
	exposure := ep.Spec.Exposure
	return exposure.Service != nil || exposure.Gateway != nil && exposure.Gateway.Mode == v1alpha1.GatewayTLSPassthrough
}
