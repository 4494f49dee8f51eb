package route

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1ac "sigs.k8s.io/gateway-api/applyconfiguration/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// Listener is one that an endpoint needs: in a Gateway's spec.listeners it reads as in a ListenerSet.
type Listener = gatewayv1ac.ListenerEntryApplyConfiguration

// MissingListeners are those that an endpoint needs and a Gateway has not, by protocol
// and host name. Where a parentRef names a listener of it there is none missing: the
// user has chosen.
func MissingListeners(ep *v1alpha1.ScepEndpoint, gateway *gatewayv1.Gateway) []*Listener {
	if ep.Spec.Exposure.Gateway == nil || listenerChosen(ep, gateway) {
		return nil
	}
	var out []*Listener
	for _, wanted := range wantedListeners(ep) {
		serves := func(have gatewayv1.Listener) bool { return servedBy(wanted, have) }
		if !slices.ContainsFunc(gateway.Spec.Listeners, serves) {
			out = append(out, wanted)
		}
	}
	return out
}

func listenerChosen(ep *v1alpha1.ScepEndpoint, gateway *gatewayv1.Gateway) bool {
	return slices.ContainsFunc(ep.Spec.Exposure.Gateway.ParentRefs, func(ref v1alpha1.GatewayParentReference) bool {
		return ref.Name == gateway.Name && (ref.Namespace == "" || ref.Namespace == gateway.Namespace) && ref.SectionName != ""
	})
}

// listenersOf are those for one host: plain HTTP, and HTTPS or TLS passed through.
func listenersOf(ep *v1alpha1.ScepEndpoint, n int, host v1alpha1.Host) []*Listener {
	var out []*Listener
	named := func(kind string, port int32, protocol gatewayv1.ProtocolType) *Listener {
		return gatewayv1ac.ListenerEntry().
			WithName(gatewayv1.SectionName(fmt.Sprintf("%s-%d-%s", ep.Name, n, kind))).
			WithHostname(gatewayv1.Hostname(host.Name)).
			WithPort(port).
			WithProtocol(protocol)
	}
	if host.HTTP != v1alpha1.PlainHTTPDisabled {
		out = append(out, named("http", render.HTTPPort, gatewayv1.HTTPProtocolType))
	}
	switch {
	case host.TLS == nil:
		return out
	case ep.Spec.Exposure.Gateway.Mode == v1alpha1.GatewayTLSPassthrough:
		return append(out, named("tls", render.HTTPSPort, gatewayv1.TLSProtocolType).
			WithTLS(gatewayv1ac.ListenerTLSConfig().WithMode(gatewayv1.TLSModePassthrough)))
	}
	return append(out, named("https", render.HTTPSPort, gatewayv1.HTTPSProtocolType).
		WithTLS(gatewayv1ac.ListenerTLSConfig().
			WithMode(gatewayv1.TLSModeTerminate).
			WithCertificateRefs(gatewayv1ac.SecretObjectReference().
				WithName(gatewayv1.ObjectName(render.TLSSecretName(ep, host))))))
}

// servedBy says whether a listener that is there does for one that is wanted.
func servedBy(wanted *Listener, have gatewayv1.Listener) bool {
	if have.Protocol != *wanted.Protocol {
		return false
	}
	if have.Protocol == gatewayv1.TLSProtocolType && (have.TLS == nil || have.TLS.Mode == nil || *have.TLS.Mode != gatewayv1.TLSModePassthrough) {
		return false
	}
	if have.Hostname == nil || *have.Hostname == "" {
		return true
	}
	if suffix, wild := strings.CutPrefix(string(*have.Hostname), "*"); wild {
		return strings.HasSuffix(string(*wanted.Hostname), suffix)
	}
	return *have.Hostname == *wanted.Hostname
}

// ListenerSnippet is what an administrator adds to a Gateway's spec.listeners. In
// another namespace the listeners let in the endpoint's routes and name its Secrets,
// which takes a ReferenceGrant besides.
func ListenerSnippet(ep *v1alpha1.ScepEndpoint, gatewayNamespace string, missing []*Listener) (string, error) {
	if gatewayNamespace != ep.Namespace {
		for _, listener := range missing {
			letIn(listener, ep.Namespace)
		}
	}
	raw, err := yaml.Marshal(map[string]any{"listeners": missing})
	if err != nil {
		return "", fmt.Errorf("encode listeners: %w", err)
	}
	return string(raw), nil
}

// letIn has a listener take routes and certificates of a namespace that is not its own.
func letIn(l *Listener, namespace string) {
	l.WithAllowedRoutes(gatewayv1ac.AllowedRoutes().WithNamespaces(gatewayv1ac.RouteNamespaces().
		WithFrom(gatewayv1.NamespacesFromSelector).
		WithSelector(namespaceSelector(namespace))))
	if l.TLS == nil {
		return
	}
	for i := range l.TLS.CertificateRefs {
		l.TLS.CertificateRefs[i].WithNamespace(gatewayv1.Namespace(namespace))
	}
}

// namespaceSelector selects one namespace by the label that each has.
func namespaceSelector(namespace string) *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: namespace})
}
