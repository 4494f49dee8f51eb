package route

import (
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// maxAddresses is how many addresses of a Service are made into URLs.
const maxAddresses = 2

// ServiceURLs lists what devices use that come by the Service of exposure.service: by
// its own name, or those of the hosts where nothing else has them, or the addresses
// that its load balancer has been given.
func ServiceURLs(ep *v1alpha1.ScepEndpoint, service *corev1.Service) []string {
	exposure := ep.Spec.Exposure.Service
	if exposure == nil || service == nil {
		return nil
	}
	var out []string
	for _, name := range serviceNames(ep, service) {
		for _, port := range service.Spec.Ports {
			out = append(out, serviceURL(name, port, exposure.Type))
		}
	}
	return out
}

func serviceNames(ep *v1alpha1.ScepEndpoint, service *corev1.Service) []string {
	exposure := ep.Spec.Exposure
	if exposure.Service.Host != "" {
		return []string{exposure.Service.Host}
	}
	if !Proxied(ep) && len(exposure.Hosts) > 0 {
		var out []string
		for _, host := range exposure.Hosts {
			out = append(out, host.Name)
		}
		return out
	}
	addresses := LoadBalancerAddresses(service)
	return addresses[:min(len(addresses), maxAddresses)]
}

// LoadBalancerAddresses are the IP addresses and names that a Service's load balancer
// has been given, in order.
func LoadBalancerAddresses(service *corev1.Service) []string {
	var out []string
	for _, at := range service.Status.LoadBalancer.Ingress {
		for _, address := range []string{at.IP, at.Hostname} {
			if address != "" && !slices.Contains(out, address) {
				out = append(out, address)
			}
		}
	}
	slices.Sort(out)
	return out
}

func serviceURL(name string, port corev1.ServicePort, kind v1alpha1.ServiceExposureType) string {
	scheme, number, usual := "http", port.Port, int32(render.HTTPPort)
	if port.Port == render.HTTPSPort {
		scheme, usual = "https", render.HTTPSPort
	}
	if kind == v1alpha1.ServiceNodePort {
		number = port.NodePort
	}
	host := name
	if number != usual {
		host = net.JoinHostPort(name, strconv.Itoa(int(number)))
	} else if ip := net.ParseIP(name); ip != nil && ip.To4() == nil {
		host = "[" + name + "]"
	}
	return scheme + "://" + host + "/scep"
}
