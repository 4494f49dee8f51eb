package route

import (
	"maps"

	networkingv1 "k8s.io/api/networking/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// Ingresses routes whole hosts to an endpoint: one Ingress for the hosts with
// plain HTTP (and HTTPS where they have TLS), and one for those without plain
// HTTP, because implementations take that as an annotation of the Ingress. There
// is no rewriting and no redirect.
func Ingresses(ep *v1alpha1.ScepEndpoint, i Implementation) []*networkingv1ac.IngressApplyConfiguration {
	if ep.Spec.Exposure.Ingress == nil {
		return nil
	}
	var out []*networkingv1ac.IngressApplyConfiguration
	if hosts := hostsWith(ep, v1alpha1.PlainHTTPEnabled); len(hosts) > 0 {
		out = append(out, ingress(ep, render.ChildName(ep.Name), hosts, i, i.HTTPAndHTTPS))
	}
	if hosts := hostsWith(ep, v1alpha1.PlainHTTPDisabled); len(hosts) > 0 {
		out = append(out, ingress(ep, render.TLSOnlyIngressName(ep.Name), hosts, i, i.HTTPSOnly))
	}
	return out
}

// annotationIngressClass names the class for implementations without IngressClass.
const annotationIngressClass = "kubernetes.io/ingress.class"

func ingress(
	ep *v1alpha1.ScepEndpoint, name string, hosts []v1alpha1.Host, i Implementation, switches map[string]string,
) *networkingv1ac.IngressApplyConfiguration {
	spec := networkingv1ac.IngressSpec()
	annotations := map[string]string{}
	maps.Copy(annotations, i.Always)
	maps.Copy(annotations, switches)
	if class := ep.Spec.Exposure.Ingress.ClassName; class != nil && i.Classless {
		annotations[annotationIngressClass] = *class
	} else {
		spec.IngressClassName = class
	}
	for _, host := range hosts {
		spec.WithRules(rule(ep, host))
		if secret := render.TLSSecretName(ep, host); secret != "" {
			spec.WithTLS(networkingv1ac.IngressTLS().WithHosts(host.Name).WithSecretName(secret))
		}
	}
	return networkingv1ac.Ingress(name, ep.Namespace).
		WithLabels(render.Labels(ep.Name)).
		WithAnnotations(annotations).
		WithSpec(spec)
}

func rule(ep *v1alpha1.ScepEndpoint, host v1alpha1.Host) *networkingv1ac.IngressRuleApplyConfiguration {
	backend := networkingv1ac.IngressBackend().WithService(networkingv1ac.IngressServiceBackend().
		WithName(render.ChildName(ep.Name)).
		WithPort(networkingv1ac.ServiceBackendPort().WithNumber(render.HTTPPort)))
	return networkingv1ac.IngressRule().
		WithHost(host.Name).
		WithHTTP(networkingv1ac.HTTPIngressRuleValue().WithPaths(networkingv1ac.HTTPIngressPath().
			WithPath("/").
			WithPathType(networkingv1.PathTypePrefix).
			WithBackend(backend)))
}

func hostsWith(ep *v1alpha1.ScepEndpoint, plain v1alpha1.PlainHTTP) []v1alpha1.Host {
	var out []v1alpha1.Host
	for _, host := range ep.Spec.Exposure.Hosts {
		if (host.HTTP == v1alpha1.PlainHTTPDisabled) == (plain == v1alpha1.PlainHTTPDisabled) {
			out = append(out, host)
		}
	}
	return out
}
