package route

import (
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// GatewayKinds says which kinds of the Gateway API the cluster serves.
type GatewayKinds struct {
	HTTPRoute bool `json:"httpRoute"`
	TLSRoute  bool `json:"tlsRoute"`
}

// Children renders every route that is wanted and whose kind the cluster serves.
func Children(ep *v1alpha1.ScepEndpoint, i Implementation, served GatewayKinds) []runtime.ApplyConfiguration {
	var out []runtime.ApplyConfiguration
	for _, ingress := range Ingresses(ep, i) {
		out = append(out, ingress)
	}
	if r := HTTPRoute(ep); r != nil && served.HTTPRoute {
		out = append(out, r)
	}
	if r := TLSRoute(ep); r != nil && served.TLSRoute {
		out = append(out, r)
	}
	return out
}

// URLs lists what devices use, plain HTTP before HTTPS within each host. A host
// belongs to the endpoint whole, so any path serves: this is the customary one.
func URLs(ep *v1alpha1.ScepEndpoint) []string {
	exposure := ep.Spec.Exposure
	if exposure.Ingress == nil && exposure.Gateway == nil {
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
