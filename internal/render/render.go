package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

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
}

// Input is all that the children depend on.
type Input struct {
	Endpoint *v1alpha1.ScepEndpoint
	Program  Program
	// Config for the servers. Nil while it cannot be known: then neither the
	// ConfigMap nor the Deployment is rendered, and existing ones stay as they are.
	Config *raconfig.Config
	// ServiceAccountUID is the UID of the service account that exists. Empty while
	// it is not known: then the Deployment is not rendered.
	ServiceAccountUID types.UID
}

// Children renders all children but the routes and the state Secret.
func Children(in Input) ([]runtime.ApplyConfiguration, error) {
	ep := in.Endpoint
	children := []runtime.ApplyConfiguration{
		ServiceAccount(ep),
		RoleBinding(ep, in.Program),
		Service(ep),
		PodDisruptionBudget(ep),
	}
	if ep.Spec.RACredentialRef == nil {
		children = append(children, RACredential(ep))
	}
	if admin := AdminService(ep); admin != nil {
		children = append(children, admin)
	}
	for _, certificate := range Certificates(ep) {
		children = append(children, certificate)
	}
	if in.Config == nil {
		return children, nil
	}
	config, err := ConfigMap(ep, in.Config)
	if err != nil {
		return nil, err
	}
	children = append(children, config)
	if in.ServiceAccountUID == "" {
		return children, nil
	}
	return append(children, Deployment(in)), nil
}

// serversEndTLS says whether the servers end TLS themselves.
func serversEndTLS(ep *v1alpha1.ScepEndpoint) bool { return ServerTLSSecretName(ep) != "" }

// passesTLSThrough says whether the Gateway passes TLS through.
func passesTLSThrough(ep *v1alpha1.ScepEndpoint) bool {
	gateway := ep.Spec.Exposure.Gateway
	return gateway != nil && gateway.Mode == v1alpha1.GatewayTLSPassthrough
}
