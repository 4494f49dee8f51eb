package render

import (
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

// Service sends devices to the servers. The admin port is not in it.
func Service(ep *v1alpha1.ScepEndpoint) *corev1ac.ServiceApplyConfiguration {
	ports := []*corev1ac.ServicePortApplyConfiguration{servicePort(httpPortName, HTTPPort)}
	if serversEndTLS(ep) {
		ports = append(ports, servicePort(httpsPortName, HTTPSPort))
	}
	return corev1ac.Service(ChildName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithSpec(corev1ac.ServiceSpec().
			WithSelector(PodSelector(ep.Name)).
			WithPorts(ports...))
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
