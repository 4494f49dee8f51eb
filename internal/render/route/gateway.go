package route

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1ac "sigs.k8s.io/gateway-api/applyconfiguration/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// HTTPRoute routes whole hosts to an endpoint. In mode HTTP it carries every
// host; in mode TLSPassthrough those with plain HTTP. It attaches to all
// listeners of its Gateways that fit: to keep a host with http Disabled off a
// plain listener, name the HTTPS listener in the parentRef's sectionName. It is
// nil if there is nothing to route.
func HTTPRoute(ep *v1alpha1.ScepEndpoint, sets []*ListenerSet) *gatewayv1ac.HTTPRouteApplyConfiguration {
	gateway := ep.Spec.Exposure.Gateway
	if gateway == nil {
		return nil
	}
	hosts := ep.Spec.Exposure.Hosts
	if gateway.Mode == v1alpha1.GatewayTLSPassthrough {
		hosts = hostsWith(ep, v1alpha1.PlainHTTPEnabled)
	}
	if len(hosts) == 0 {
		return nil
	}
	return gatewayv1ac.HTTPRoute(render.ChildName(ep.Name), ep.Namespace).
		WithLabels(render.Labels(ep.Name)).
		WithSpec(gatewayv1ac.HTTPRouteSpec().
			WithParentRefs(parentRefs(ep, sets)...).
			WithHostnames(hostnames(hosts)...).
			WithRules(gatewayv1ac.HTTPRouteRule().
				WithMatches(gatewayv1ac.HTTPRouteMatch().WithPath(gatewayv1ac.HTTPPathMatch().
					WithType(gatewayv1.PathMatchPathPrefix).
					WithValue("/"))).
				WithBackendRefs(httpBackend(ep))))
}

// TLSRoute routes the TLS of whole hosts to an endpoint's servers, which end it.
// It is nil if there is nothing to route.
func TLSRoute(ep *v1alpha1.ScepEndpoint, sets []*ListenerSet) *gatewayv1ac.TLSRouteApplyConfiguration {
	gateway := ep.Spec.Exposure.Gateway
	if gateway == nil || gateway.Mode != v1alpha1.GatewayTLSPassthrough {
		return nil
	}
	var hosts []v1alpha1.Host
	for _, host := range ep.Spec.Exposure.Hosts {
		if host.TLS != nil {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	return gatewayv1ac.TLSRoute(render.ChildName(ep.Name), ep.Namespace).
		WithLabels(render.Labels(ep.Name)).
		WithSpec(gatewayv1ac.TLSRouteSpec().
			WithParentRefs(parentRefs(ep, sets)...).
			WithHostnames(hostnames(hosts)...).
			WithRules(gatewayv1ac.TLSRouteRule().WithBackendRefs(gatewayv1ac.BackendRef().
				WithName(gatewayv1.ObjectName(render.ChildName(ep.Name))).
				WithPort(render.HTTPSPort))))
}

func httpBackend(ep *v1alpha1.ScepEndpoint) *gatewayv1ac.HTTPBackendRefApplyConfiguration {
	return gatewayv1ac.HTTPBackendRef().
		WithName(gatewayv1.ObjectName(render.ChildName(ep.Name))).
		WithPort(render.HTTPPort)
}

func parentRefs(ep *v1alpha1.ScepEndpoint, sets []*ListenerSet) []*gatewayv1ac.ParentReferenceApplyConfiguration {
	var out []*gatewayv1ac.ParentReferenceApplyConfiguration
	for _, p := range Parents(ep, sets) {
		parent := gatewayv1ac.ParentReference().
			WithGroup(gatewayv1.GroupName).
			WithKind(gatewayv1.Kind(p.Kind)).
			WithName(gatewayv1.ObjectName(p.Name))
		if p.Namespace != ep.Namespace {
			parent.WithNamespace(gatewayv1.Namespace(p.Namespace))
		}
		if p.SectionName != "" {
			parent.WithSectionName(gatewayv1.SectionName(p.SectionName))
		}
		out = append(out, parent)
	}
	return out
}

func hostnames(hosts []v1alpha1.Host) []gatewayv1.Hostname {
	out := make([]gatewayv1.Hostname, 0, len(hosts))
	for _, host := range hosts {
		out = append(out, gatewayv1.Hostname(host.Name))
	}
	return out
}
