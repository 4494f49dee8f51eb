package route

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// TestWhoTakesListenerSets: a ListenerSet is for Gateways that lack something, whose
// administrator lets it in and whose implementation knows it.
func TestWhoTakesListenerSets(t *testing.T) {
	ep := exposed(v1alpha1.Exposure{
		Hosts:   []v1alpha1.Host{{Name: "scep.example.com"}},
		Gateway: &v1alpha1.GatewayExposure{ParentRefs: []v1alpha1.GatewayParentReference{{Name: "edge"}}},
	})
	from := func(from gatewayv1.FromNamespaces, labels map[string]string) *gatewayv1.AllowedListeners {
		n := &gatewayv1.ListenerNamespaces{From: &from}
		if labels != nil {
			n.Selector = &metav1.LabelSelector{MatchLabels: labels}
		}
		return &gatewayv1.AllowedListeners{Namespaces: n}
	}
	any80 := gatewayv1.Listener{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}
	name := func(namespace string) map[string]string {
		return map[string]string{"kubernetes.io/metadata.name": namespace}
	}
	cases := map[string]struct {
		namespace string
		allowed   *gatewayv1.AllowedListeners
		listeners []gatewayv1.Listener
		class     *gatewayv1.GatewayClass
		want      bool
	}{
		"the same namespace":        {"pki", from(gatewayv1.NamespacesFromSame, nil), nil, nil, true},
		"another namespace":         {"infra", from(gatewayv1.NamespacesFromSame, nil), nil, nil, false},
		"all namespaces":            {"infra", from(gatewayv1.NamespacesFromAll, nil), nil, nil, true},
		"none":                      {"pki", from(gatewayv1.NamespacesFromNone, nil), nil, nil, false},
		"nothing is said":           {"pki", nil, nil, nil, false},
		"nothing is said of whom":   {"pki", &gatewayv1.AllowedListeners{}, nil, nil, false},
		"it is selected":            {"infra", from(gatewayv1.NamespacesFromSelector, name("pki")), nil, nil, true},
		"another one is selected":   {"infra", from(gatewayv1.NamespacesFromSelector, name("hr")), nil, nil, false},
		"a label that is not known": {"infra", from(gatewayv1.NamespacesFromSelector, map[string]string{"team": "pki"}), nil, nil, false},
		"no selector":               {"infra", from(gatewayv1.NamespacesFromSelector, nil), nil, nil, false},
		"nothing is missing":        {"pki", from(gatewayv1.NamespacesFromAll, nil), []gatewayv1.Listener{any80}, nil, false},
		"the class can":             {"pki", from(gatewayv1.NamespacesFromAll, nil), nil, classWith("HTTPRoute", "ListenerSet"), true},
		"the class cannot":          {"pki", from(gatewayv1.NamespacesFromAll, nil), nil, classWith("HTTPRoute"), false},
		"the class does not say":    {"pki", from(gatewayv1.NamespacesFromAll, nil), nil, classWith(), true},
	}
	for say, c := range cases {
		gateway := &gatewayv1.Gateway{
			ObjectMeta: metav1.ObjectMeta{Name: "edge", Namespace: c.namespace},
			Spec:       gatewayv1.GatewaySpec{AllowedListeners: c.allowed, Listeners: c.listeners},
		}
		if got := NewListenerSet(ep, 0, gateway, c.class) != nil; got != c.want {
			t.Errorf("%s: %v", say, got)
		}
	}
	chosen := ep.DeepCopy()
	chosen.Spec.Exposure.Gateway.ParentRefs[0].SectionName = "web"
	gateway := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Name: "edge", Namespace: "pki"}, Spec: gatewayv1.GatewaySpec{AllowedListeners: from(gatewayv1.NamespacesFromAll, nil)}}
	gateway.Spec.Listeners = []gatewayv1.Listener{{Name: "web", Port: 80, Protocol: gatewayv1.HTTPProtocolType, Hostname: ptr.To(gatewayv1.Hostname("other.example.com"))}}
	if NewListenerSet(chosen, 0, gateway, nil) != nil {
		t.Error("a listener is named, and another one brought")
	}
}
