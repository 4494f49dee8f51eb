package route

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1ac "sigs.k8s.io/gateway-api/applyconfiguration/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// Kinds of what a route attaches to.
const (
	kindGateway     = "Gateway"
	kindListenerSet = "ListenerSet"
)

// ListenerSet brings a Gateway the listeners that an endpoint needs and it lacks.
type ListenerSet struct {
	Name      string
	Gateway   *gatewayv1.Gateway
	Listeners []*Listener
	// Whole is true where the Gateway has no listener of its own for the endpoint: a route
	// that attached to it would be refused there.
	Whole bool
}

// Parent is what a route attaches to: a Gateway or a ListenerSet.
type Parent struct {
	Kind, Namespace, Name string
	SectionName           string // "" for all listeners
}

// NewListenerSet is nil where a Gateway lacks nothing, or its administrator or its
// implementation takes no ListenerSets from the endpoint's namespace. The number keeps
// the sets of several Gateways apart. Without its class a Gateway is asked alone.
func NewListenerSet(ep *v1alpha1.ScepEndpoint, number int, gateway *gatewayv1.Gateway, class *gatewayv1.GatewayClass) *ListenerSet {
	missing := MissingListeners(ep, gateway)
	if len(missing) == 0 || !letsIn(gateway, ep.Namespace) || !servesListenerSets(class) {
		return nil
	}
	return &ListenerSet{
		Name: render.ListenerSetName(ep.Name, number), Gateway: gateway, Listeners: missing,
		Whole: len(missing) == len(wantedListeners(ep)),
	}
}

// letsIn says whether a Gateway takes ListenerSets from a namespace. Of the labels that a
// selector may ask for only the name is known here: the operator reads no Namespaces.
func letsIn(gateway *gatewayv1.Gateway, namespace string) bool {
	allowed := gateway.Spec.AllowedListeners
	if allowed == nil || allowed.Namespaces == nil || allowed.Namespaces.From == nil {
		return false
	}
	switch *allowed.Namespaces.From {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return namespace == gateway.Namespace
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
		return err == nil && selector.Matches(labels.Set{corev1.LabelMetadataName: namespace})
	default:
		return false
	}
}

// servesListenerSets believes a class that lists what it can do; one that lists nothing
// is believed to do what its Gateways allow.
func servesListenerSets(class *gatewayv1.GatewayClass) bool {
	if class == nil || len(class.Status.SupportedFeatures) == 0 {
		return true
	}
	return slices.ContainsFunc(class.Status.SupportedFeatures, func(f gatewayv1.SupportedFeature) bool {
		return string(f.Name) == string(features.SupportListenerSet)
	})
}

// Apply renders a ListenerSet. It lies beside the endpoint, and so may name its Secrets.
func (s *ListenerSet) Apply(ep *v1alpha1.ScepEndpoint) *gatewayv1ac.ListenerSetApplyConfiguration {
	parent := gatewayv1ac.ParentGatewayReference().
		WithGroup(gatewayv1.GroupName).WithKind(kindGateway).WithName(gatewayv1.ObjectName(s.Gateway.Name))
	if s.Gateway.Namespace != ep.Namespace {
		parent.WithNamespace(gatewayv1.Namespace(s.Gateway.Namespace))
	}
	return gatewayv1ac.ListenerSet(s.Name, ep.Namespace).
		WithLabels(render.Labels(ep.Name)).
		WithSpec(gatewayv1ac.ListenerSetSpec().WithParentRef(parent).WithListeners(s.Listeners...))
}

// Parents lists what an endpoint's routes attach to: the Gateways that it names, and the
// ListenerSets that it brings, in the place of Gateways that have nothing for it.
func Parents(ep *v1alpha1.ScepEndpoint, sets []*ListenerSet) []Parent {
	if ep.Spec.Exposure.Gateway == nil {
		return nil
	}
	var out []Parent
	for _, ref := range ep.Spec.Exposure.Gateway.ParentRefs {
		parent := Parent{Kind: kindGateway, Namespace: ref.Namespace, Name: ref.Name, SectionName: ref.SectionName}
		if parent.Namespace == "" {
			parent.Namespace = ep.Namespace
		}
		if !slices.ContainsFunc(sets, func(s *ListenerSet) bool { return s.replaces(parent) }) {
			out = append(out, parent)
		}
	}
	for _, set := range sets {
		out = append(out, Parent{Kind: kindListenerSet, Namespace: ep.Namespace, Name: set.Name})
	}
	return out
}

func (s *ListenerSet) replaces(p Parent) bool {
	return s.Whole && p.Namespace == s.Gateway.Namespace && p.Name == s.Gateway.Name
}

// String is as people write it.
func (p Parent) String() string { return fmt.Sprintf("%s %s", p.Kind, p.Name) }

// wantedListeners are those for all hosts.
func wantedListeners(ep *v1alpha1.ScepEndpoint) []*Listener {
	var out []*Listener
	for n, host := range ep.Spec.Exposure.Hosts {
		out = append(out, listenersOf(ep, n, host)...)
	}
	return out
}
