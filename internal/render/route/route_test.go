package route

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/golden"
)

// goldenCase is the content of a testdata/<case>.in.yaml.
type goldenCase struct {
	Exposure   v1alpha1.Exposure `json:"exposure"`
	Controller string            `json:"controller"`
	Served     GatewayKinds      `json:"served"`
	Gateways   []goldenGateway   `json:"gateways"`
}

func TestChildrenGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	for _, in := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(in), ".in.yaml"), func(t *testing.T) {
			golden.Compare(t, strings.TrimSuffix(in, ".in.yaml")+".out.yaml", renderCase(t, in))
		})
	}
}

func renderCase(t *testing.T, in string) []byte {
	t.Helper()
	raw, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	var g goldenCase
	if err := yaml.UnmarshalStrict(raw, &g); err != nil {
		t.Fatal(err)
	}
	ep := exposed(g.Exposure)
	var out bytes.Buffer
	for _, url := range URLs(ep) {
		out.WriteString("# " + url + "\n")
	}
	for _, child := range Children(ep, ByIngressClass(Class{Controller: g.Controller}), g.Served, g.sets(ep)) {
		document(t, &out, child)
	}
	return out.Bytes()
}

// goldenGateway is a Gateway, and what its class says that it can do.
type goldenGateway struct {
	gatewayv1.Gateway
	Features []gatewayv1.FeatureName `json:"features"`
}

func (g goldenCase) sets(ep *v1alpha1.ScepEndpoint) []*ListenerSet {
	var out []*ListenerSet
	for number := range g.Gateways {
		if set := NewListenerSet(ep, number, &g.Gateways[number].Gateway, classWith(g.Gateways[number].Features...)); set != nil {
			out = append(out, set)
		}
	}
	return out
}

func classWith(names ...gatewayv1.FeatureName) *gatewayv1.GatewayClass {
	class := &gatewayv1.GatewayClass{}
	for _, name := range names {
		class.Status.SupportedFeatures = append(class.Status.SupportedFeatures, gatewayv1.SupportedFeature{Name: name})
	}
	return class
}

func exposed(e v1alpha1.Exposure) *v1alpha1.ScepEndpoint {
	ep := &v1alpha1.ScepEndpoint{}
	ep.Name, ep.Namespace = "corp", "pki"
	ep.Spec.Exposure = e
	return ep
}

func document(t *testing.T, out *bytes.Buffer, object any) {
	t.Helper()
	raw, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	out.WriteString("---\n")
	out.Write(raw)
}

func TestServiceURLs(t *testing.T) {
	ports := []corev1.ServicePort{{Port: 80, NodePort: 30080}, {Port: 443, NodePort: 30443}}
	at := []corev1.LoadBalancerIngress{{IP: "192.0.2.7"}, {IP: "2001:db8::7"}, {Hostname: "lb.example.net"}}
	hosts := []v1alpha1.Host{{Name: "scep.example.com"}}
	ingress := &v1alpha1.IngressExposure{}
	cases := map[string]struct {
		exposure v1alpha1.Exposure
		want     string
	}{
		"by the load balancer's addresses": {
			v1alpha1.Exposure{Service: &v1alpha1.ServiceExposure{Type: v1alpha1.ServiceLoadBalancer}},
			"http://192.0.2.7/scep https://192.0.2.7/scep http://[2001:db8::7]/scep https://[2001:db8::7]/scep",
		},
		"by the hosts' names": {
			v1alpha1.Exposure{Hosts: hosts, Service: &v1alpha1.ServiceExposure{Type: v1alpha1.ServiceLoadBalancer}},
			"http://scep.example.com/scep https://scep.example.com/scep",
		},
		"beside an Ingress by its own name": {
			v1alpha1.Exposure{Hosts: hosts, Ingress: ingress, Service: &v1alpha1.ServiceExposure{Type: v1alpha1.ServiceLoadBalancer, Host: "direct.example.com"}},
			"http://direct.example.com/scep https://direct.example.com/scep",
		},
		"by ports of the nodes": {
			v1alpha1.Exposure{Hosts: hosts, Service: &v1alpha1.ServiceExposure{Type: v1alpha1.ServiceNodePort}},
			"http://scep.example.com:30080/scep https://scep.example.com:30443/scep",
		},
		"not wanted": {v1alpha1.Exposure{Hosts: hosts, Ingress: ingress}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			service := &corev1.Service{Spec: corev1.ServiceSpec{Ports: ports}}
			if c.exposure.Service != nil && c.exposure.Service.Type == v1alpha1.ServiceLoadBalancer {
				service.Status.LoadBalancer.Ingress = at
			}
			if got := strings.Join(ServiceURLs(exposed(c.exposure), service), " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
