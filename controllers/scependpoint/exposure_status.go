package scependpoint

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// maxAddresses is how many addresses of one object the status lists.
const maxAddresses = 8

// exposureStatus lists the ways by which devices come: Ingress, Gateways, Service.
func exposureStatus(ep *v1alpha1.ScepEndpoint, seen *observation) []v1alpha1.ExposureStatus {
	var out []v1alpha1.ExposureStatus
	if ep.Spec.Exposure.Ingress != nil {
		i := implementation(ep, seen)
		status := wayThrough(v1alpha1.ExposureIngress, render.ChildName(ep.Name), controllerOf(seen), i)
		status.Addresses = firstAddresses(ingressAddresses(seen))
		if seen.exposure.raised {
			status.LongURLs, status.Advice = v1alpha1.LongURLsPass, nil
		}
		out = append(out, status)
	}
	for _, g := range seen.exposure.gateways {
		status := wayThrough(v1alpha1.ExposureGateway, g.name(ep), g.controller(), g.implementation())
		status.Addresses = firstAddresses(gatewayAddresses(g))
		if passesThrough(ep) {
			status.LongURLs, status.LimitBytes, status.Advice = v1alpha1.LongURLsPass, 0, nil
		}
		status.Advice = append(status.Advice, listenerAdvice(routed(ep, seen), seen, g)...)
		out = append(out, status)
	}
	if ep.Spec.Exposure.Service != nil {
		out = append(out, v1alpha1.ExposureStatus{
			Kind: v1alpha1.ExposureService, Name: render.ExposureServiceName(ep.Name),
			LongURLs: v1alpha1.LongURLsPass, Addresses: firstAddresses(serviceAddresses(seen)),
		})
	}
	return out
}

func wayThrough(kind v1alpha1.ExposureKind, name, controller string, i route.Implementation) v1alpha1.ExposureStatus {
	status := v1alpha1.ExposureStatus{
		Kind: kind, Name: name, Controller: controller, LongURLs: i.URLs, LimitBytes: i.LimitBytes,
	}
	if i.Known() {
		status.Implementation = i.Name
	}
	if i.URLs == v1alpha1.LongURLsNeedSetting {
		status.Advice = i.Advice()
	}
	return status
}

func controllerOf(seen *observation) string {
	if class := seen.exposure.ingressClass.value; class != nil {
		return class.Spec.Controller
	}
	return ""
}

func ingressAddresses(seen *observation) []string {
	var out []string
	for _, ingress := range seen.exposure.ingresses {
		if ingress.value == nil {
			continue
		}
		for _, at := range ingress.value.Status.LoadBalancer.Ingress {
			out = append(out, at.IP, at.Hostname)
		}
	}
	return out
}

func gatewayAddresses(g gatewayFact) []string {
	if g.gateway.value == nil {
		return nil
	}
	var out []string
	for _, at := range g.gateway.value.Status.Addresses {
		out = append(out, at.Value)
	}
	return out
}

// serviceAddresses are those of the load balancer, or the ports that every node has open.
func serviceAddresses(seen *observation) []string {
	service := seen.exposure.service.value
	if service == nil {
		return nil
	}
	if service.Spec.Type == corev1.ServiceTypeLoadBalancer {
		return route.LoadBalancerAddresses(service)
	}
	var out []string
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			out = append(out, fmt.Sprintf(":%d", port.NodePort))
		}
	}
	return out
}

// firstAddresses are few, sorted, each once, and never empty.
func firstAddresses(all []string) []string {
	out := slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a == "" })
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxAddresses)]
}

func passesThrough(ep *v1alpha1.ScepEndpoint) bool {
	return ep.Spec.Exposure.Gateway != nil && ep.Spec.Exposure.Gateway.Mode == v1alpha1.GatewayTLSPassthrough
}

// foreignProblem finds settings of others that break SCEP, on our Ingresses and their class.
func foreignProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	if ep.Spec.Exposure.Ingress == nil {
		return metav1.Condition{}, false
	}
	i := implementation(ep, seen)
	for _, ingress := range seen.exposure.ingresses {
		if ingress.value == nil {
			continue
		}
		if found := i.Foreign(ingress.value.Annotations, ours(ep, i, ingress.value)); len(found) > 0 {
			return foreign("Ingress "+ingress.value.Name, found[0]), true
		}
	}
	if class := seen.exposure.ingressClass.value; class != nil {
		if found := i.Foreign(class.Annotations, nil); len(found) > 0 {
			return foreign("IngressClass "+class.Name, found[0]), true
		}
	}
	return metav1.Condition{}, false
}

func foreign(object, what string) metav1.Condition {
	return conditions.False(v1alpha1.ConditionExposed, v1alpha1.ReasonForeignSetting, fmt.Sprintf(
		"%s: %s; somebody else set it: take it away, the operator leaves it alone", object, what))
}

// ours are the annotations that we render for an Ingress.
func ours(ep *v1alpha1.ScepEndpoint, i route.Implementation, ingress *networkingv1.Ingress) map[string]string {
	for _, rendered := range route.Ingresses(ep, i) {
		if *rendered.GetName() == ingress.Name {
			return rendered.Annotations
		}
	}
	return nil
}

// serviceProblem says what keeps devices from the Service of exposure.service.
func serviceProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	const exposed = v1alpha1.ConditionExposed
	wanted, service := ep.Spec.Exposure.Service, seen.exposure.service
	switch {
	case wanted == nil:
		return metav1.Condition{}, false
	case service.err != nil:
		return conditions.Unknown(exposed, v1alpha1.ReasonReadFailed, "the Service of exposure.service could not be read; "+tryAgain), true
	case service.value == nil:
		return conditions.False(exposed, v1alpha1.ReasonProgressing, "the Service of exposure.service is being made"), true
	case wanted.Type == v1alpha1.ServiceLoadBalancer && len(route.LoadBalancerAddresses(service.value)) == 0:
		return conditions.False(exposed, v1alpha1.ReasonAddressPending, fmt.Sprintf(
			"Service %s has been given no address: see its Events, and whether the cluster has a controller for load balancers", service.value.Name)), true
	}
	return metav1.Condition{}, false
}
