package render

import (
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const dnsPort = 53

// everywhere is every address but those of the own link: a node's metadata service is
// there, and nothing that a server has to do with.
var everywhere = []struct{ cidr, linkLocal string }{
	{"0.0.0.0/0", "169.254.0.0/16"},
	{"::/0", "fe80::/10"},
}

// usualPorts are where servers go outside of the cluster: revocation lists and the
// endpoint's own URLs by HTTP, services and the URLs by HTTPS, and the API server, which is
// a node's port once its Service's address is resolved.
var usualPorts = []int32{80, 443, 6443}

// NetworkPolicy lets devices in and the servers out to what they need. Devices come from
// anywhere, through an ingress or not, and the ingress itself is a pod of the cluster.
func NetworkPolicy(ep *v1alpha1.ScepEndpoint) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(ChildName(ep.Name), ep.Namespace).
		WithLabels(Labels(ep.Name)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(ep.Name))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(
				networkingv1ac.NetworkPolicyIngressRule().WithPorts(policyPorts(openPorts(ep)...)...),
				networkingv1ac.NetworkPolicyIngressRule().WithFrom(podsOfTheCluster()).WithPorts(policyPort(raconfig.AdminPort))).
			WithEgress(
				networkingv1ac.NetworkPolicyEgressRule().WithPorts(policyPort(dnsPort), policyPort(dnsPort).WithProtocol(corev1.ProtocolUDP)),
				networkingv1ac.NetworkPolicyEgressRule().WithTo(podsOfTheCluster()),
				networkingv1ac.NetworkPolicyEgressRule().WithTo(outside()...).WithPorts(policyPorts(outsidePorts(ep)...)...)))
}

// openPorts are those of the servers at which anybody may come.
func openPorts(ep *v1alpha1.ScepEndpoint) []int32 {
	ports := []int32{raconfig.DevicePort}
	if serversEndTLS(ep) {
		ports = append(ports, raconfig.DeviceTLSPort)
	}
	if ep.Spec.Exposure.Admin != nil {
		ports = append(ports, raconfig.MintPort)
	}
	return ports
}

func podsOfTheCluster() *networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	return networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(metav1ac.LabelSelector())
}

func outside() []*networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	var peers []*networkingv1ac.NetworkPolicyPeerApplyConfiguration
	for _, e := range everywhere {
		peers = append(peers, networkingv1ac.NetworkPolicyPeer().WithIPBlock(networkingv1ac.IPBlock().WithCIDR(e.cidr).WithExcept(e.linkLocal)))
	}
	return peers
}

// outsidePorts are the usual ones and those of the URLs in the spec, in ascending order.
func outsidePorts(ep *v1alpha1.ScepEndpoint) []int32 {
	ports := slices.Clone(usualPorts)
	for _, u := range serviceURLs(ep) {
		if port, ok := portOf(u); ok {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// serviceURLs are those of the services that the servers call, and of the proxies on the way.
func serviceURLs(ep *v1alpha1.ScepEndpoint) []string {
	urls := append(recordingURLs(ep.Spec.Recording), proxyURLs(ep)...)
	for i := range ep.Spec.Challenges {
		c := &ep.Spec.Challenges[i]
		if c.Webhook != nil {
			urls = append(urls, c.Webhook.URL)
		}
		if c.Webhook != nil && c.Webhook.Notification != nil {
			urls = append(urls, c.Webhook.Notification.URL)
		}
		if c.Intune != nil && c.Intune.URLs != nil {
			urls = append(urls, c.Intune.URLs.Authority, c.Intune.URLs.Graph)
		}
	}
	return urls
}

func recordingURLs(r *v1alpha1.Recording) []string {
	if r == nil {
		return nil
	}
	var urls []string
	if r.Tracing != nil {
		urls = append(urls, r.Tracing.Endpoint)
	}
	if r.Sink != nil && r.Sink.OTLP != nil {
		urls = append(urls, r.Sink.OTLP.URL)
	}
	if r.Sink != nil && r.Sink.Webhook != nil {
		urls = append(urls, r.Sink.Webhook.URL)
	}
	return urls
}

// portOf is the port that a URL names; those that it implies are usual ones.
func portOf(address string) (int32, bool) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return int32(port), err == nil && port > 0
}

func policyPorts(ports ...int32) []*networkingv1ac.NetworkPolicyPortApplyConfiguration {
	out := make([]*networkingv1ac.NetworkPolicyPortApplyConfiguration, 0, len(ports))
	for _, port := range ports {
		out = append(out, policyPort(port))
	}
	return out
}

func policyPort(port int32) *networkingv1ac.NetworkPolicyPortApplyConfiguration {
	return networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(port))
}
