package route

import (
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// GatewayKinds says which kinds of the Gateway API the cluster serves.
type GatewayKinds struct {
	HTTPRoute bool `json:"httpRoute"`
	TLSRoute  bool `json:"tlsRoute"`
	// ListenerSet is no route: routes attach to it.
	ListenerSet bool `json:"listenerSet"`
}

// Children renders every route that is wanted and whose kind the cluster serves, and the
// ListenerSets that routes attach to.
func Children(ep *v1alpha1.ScepEndpoint, i Implementation, served GatewayKinds, sets []*ListenerSet) []runtime.ApplyConfiguration {
	var out []runtime.ApplyConfiguration
	for _, ingress := range Ingresses(ep, i) {
		out = append(out, ingress)
	}
	for _, set := range sets {
		out = append(out, set.Apply(ep))
	}
	if r := HTTPRoute(ep, sets); r != nil && served.HTTPRoute {
		out = append(out, r)
	}
	if r := TLSRoute(ep, sets); r != nil && served.TLSRoute {
		out = append(out, r)
	}
	return out
}

// Proxied says whether devices come by an Ingress or a Gateway.
func Proxied(ep *v1alpha1.ScepEndpoint) bool {
	return ep.Spec.Exposure.Ingress != nil || ep.Spec.Exposure.Gateway != nil
}

// URLs lists what devices use that come by an Ingress or a Gateway, plain HTTP before
// HTTPS within each host. A host belongs to the endpoint whole, so any path serves:
// this is the customary one.
func URLs(ep *v1alpha1.ScepEndpoint) []string {
	exposure := ep.Spec.Exposure
	if !Proxied(ep) {
		return nil
	}
	var out []string
	for _, host := range exposure.Hosts {
		if host.HTTP != v1alpha1.PlainHTTPDisabled {
			out = append(out, "http://"+host.Name+"/scep")
		}
		if host.TLS != nil {
			out = append(out, "https://"+host.Name+"/scep")
		}
	}
	return out
}
