package render

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Ports of the Service, and the names of the ports.
const (
	HTTPPort  = 80
	HTTPSPort = 443

	httpPortName  = "http"
	httpsPortName = "https"
	adminPortName = "admin"
	mintPortName  = "mint"
)

// Service sends devices to the servers. The admin port is not in it. The annotations
// are for implementations of Ingress that look there.
func Service(ep *v1alpha1.ScepEndpoint, annotations map[string]string) *corev1ac.ServiceApplyConfiguration {
	ports := []*corev1ac.ServicePortApplyConfiguration{servicePort(httpPortName, HTTPPort)}
	if serversEndTLS(ep) {
		ports = append(ports, servicePort(httpsPortName, HTTPSPort))
	}
	return corev1ac.Service(ChildName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithAnnotations(annotations).
		WithSpec(corev1ac.ServiceSpec().
			WithSelector(PodSelector(ep.Name)).
			WithPorts(ports...))
}

// ExposureService leads devices to the servers without a proxy; nil if that is not
// wanted. It is not the Service of the Ingress, so that its type can come and go.
func ExposureService(ep *v1alpha1.ScepEndpoint) *corev1ac.ServiceApplyConfiguration {
	exposure := ep.Spec.Exposure.Service
	if exposure == nil {
		return nil
	}
	spec := corev1ac.ServiceSpec().
		WithType(corev1.ServiceType(exposure.Type)).
		WithSelector(PodSelector(ep.Name)).
		WithExternalTrafficPolicy(corev1.ServiceExternalTrafficPolicy(exposure.ExternalTrafficPolicy)).
		WithLoadBalancerSourceRanges(exposure.LoadBalancerSourceRanges...).
		WithPorts(exposedPorts(ep)...)
	spec.LoadBalancerClass = exposure.LoadBalancerClass
	annotations := map[string]string{}
	for name, value := range exposure.Annotations {
		annotations[name] = string(value)
	}
	return corev1ac.Service(ExposureServiceName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithAnnotations(annotations).
		WithSpec(spec)
}

func exposedPorts(ep *v1alpha1.ScepEndpoint) []*corev1ac.ServicePortApplyConfiguration {
	ports := v1alpha1.NodePorts{}
	if given := ep.Spec.Exposure.Service.NodePorts; given != nil {
		ports = *given
	}
	var out []*corev1ac.ServicePortApplyConfiguration
	if ServesPlainHTTP(ep) {
		out = append(out, nodePort(servicePort(httpPortName, HTTPPort), ports.HTTP))
	}
	if serversEndTLS(ep) {
		out = append(out, nodePort(servicePort(httpsPortName, HTTPSPort), ports.HTTPS))
	}
	return out
}

// ServesPlainHTTP says whether any host is served by plain HTTP; without hosts: yes.
func ServesPlainHTTP(ep *v1alpha1.ScepEndpoint) bool {
	hosts := ep.Spec.Exposure.Hosts
	return len(hosts) == 0 || slices.ContainsFunc(hosts, func(h v1alpha1.Host) bool { return h.HTTP != v1alpha1.PlainHTTPDisabled })
}

func nodePort(port *corev1ac.ServicePortApplyConfiguration, number int32) *corev1ac.ServicePortApplyConfiguration {
	if number != 0 {
		port.WithNodePort(number)
	}
	return port
}

// AdminService sends management systems to where challenges are minted; nil if
// there is no admin exposure.
func AdminService(ep *v1alpha1.ScepEndpoint) *corev1ac.ServiceApplyConfiguration {
	admin := ep.Spec.Exposure.Admin
	if admin == nil {
		return nil
	}
	return corev1ac.Service(AdminServiceName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithSpec(corev1ac.ServiceSpec().
			WithType(corev1.ServiceType(admin.ServiceType)).
			WithSelector(PodSelector(ep.Name)).
			WithPorts(corev1ac.ServicePort().
				WithName(httpsPortName).
				WithPort(HTTPSPort).
				WithProtocol(corev1.ProtocolTCP).
				WithTargetPort(intstr.FromString(mintPortName))))
}

func servicePort(name string, port int32) *corev1ac.ServicePortApplyConfiguration {
	return corev1ac.ServicePort().
		WithName(name).
		WithPort(port).
		WithProtocol(corev1.ProtocolTCP).
		WithTargetPort(intstr.FromString(name))
}
