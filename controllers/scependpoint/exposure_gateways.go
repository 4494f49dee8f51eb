package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// gatewayFact is what was read of a Gateway that the endpoint names.
type gatewayFact struct {
	key client.ObjectKey
	// hidden: it is in a namespace that the operator does not serve, or its kind is not watched.
	hidden  bool
	gateway read[gatewayv1.Gateway]
	class   read[gatewayv1.GatewayClass]
}

// implementation is known as soon as the class is.
func (g gatewayFact) implementation() route.Implementation {
	return route.ByGatewayController(g.controller())
}

func (g gatewayFact) controller() string {
	if g.class.value == nil {
		return ""
	}
	return string(g.class.value.Spec.ControllerName)
}

// name is that of status.exposure.
func (g gatewayFact) name(ep *v1alpha1.ScepEndpoint) string {
	if g.key.Namespace == ep.Namespace {
		return g.key.Name
	}
	return g.key.String()
}

// observeGateways reads each Gateway once, however many of its listeners are named.
func (r *Reconciler) observeGateways(ctx context.Context, ep *v1alpha1.ScepEndpoint) []gatewayFact {
	watched := r.gateway.ensure(gatewayKind("Gateway"))
	classes := r.gateway.ensure(gatewayKind("GatewayClass"))
	var out []gatewayFact
	for _, key := range gatewaysOf(ep) {
		fact := gatewayFact{key: key, hidden: !watched || !r.serves(key.Namespace)}
		if !fact.hidden {
			fact.gateway = get(ctx, r.client, key.Namespace, key.Name, &gatewayv1.Gateway{})
		}
		if fact.gateway.value != nil && classes {
			fact.class = get(ctx, r.client, "", string(fact.gateway.value.Spec.GatewayClassName), &gatewayv1.GatewayClass{})
		}
		out = append(out, fact)
	}
	return out
}

// serves says whether the operator sees a namespace.
func (r *Reconciler) serves(namespace string) bool {
	return len(r.namespaces) == 0 || slices.Contains(r.namespaces, namespace)
}

func gatewaysOf(ep *v1alpha1.ScepEndpoint) []client.ObjectKey {
	if ep.Spec.Exposure.Gateway == nil {
		return nil
	}
	var out []client.ObjectKey
	for _, ref := range ep.Spec.Exposure.Gateway.ParentRefs {
		key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
		if key.Namespace == "" {
			key.Namespace = ep.Namespace
		}
		if !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

// programmedProblem reads back what the Gateways themselves say: a route that one has
// accepted leads nowhere until it is programmed as it is now.
func programmedProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	for _, g := range seen.exposure.gateways {
		switch {
		case g.gateway.err != nil || g.class.err != nil:
			return conditions.Unknown(v1alpha1.ConditionExposed, v1alpha1.ReasonReadFailed, fmt.Sprintf(
				"Gateway %s or its class could not be read; %s", g.key.Name, tryAgain)), true
		case g.hidden:
			continue
		case g.gateway.value == nil:
			return notAccepted(fmt.Sprintf("Gateway %s does not exist", g.key)), true
		}
		if verdict := programmedVerdict(g.gateway.value.Generation, g.gateway.value.Status.Conditions); verdict != "" {
			return conditions.False(v1alpha1.ConditionExposed, v1alpha1.ReasonGatewayNotProgrammed, fmt.Sprintf(
				"Gateway %s: %s; see its status and its controller", g.key.Name, verdict)), true
		}
	}
	return listenerSetProblem(ep, seen)
}

// listenerAdvice is what a Gateway's administrator adds for the endpoint's hosts, unless
// a ListenerSet does it.
func listenerAdvice(ep *v1alpha1.ScepEndpoint, seen *observation, g gatewayFact) []v1alpha1.ExposureAdvice {
	if g.gateway.value == nil || broughtListeners(ep, seen, g) {
		return nil
	}
	missing := route.MissingListeners(ep, g.gateway.value)
	if len(missing) == 0 {
		return nil
	}
	snippet, err := route.ListenerSnippet(ep, g.key.Namespace, missing)
	if err != nil {
		return nil
	}
	return []v1alpha1.ExposureAdvice{{
		About: v1alpha1.AdviceListener, Copy: snippet,
		Do: fmt.Sprintf("Gateway %s has no listener for some hosts: add these to its spec.listeners", g.key),
	}}
}

// programmedVerdict is empty if a Gateway or a ListenerSet is accepted and programmed as
// it is now; both kinds call that by the same names.
func programmedVerdict(generation int64, said []metav1.Condition) string {
	for _, want := range []gatewayv1.GatewayConditionType{gatewayv1.GatewayConditionAccepted, gatewayv1.GatewayConditionProgrammed} {
		c := conditions.Find(said, string(want))
		switch {
		case c == nil || c.ObservedGeneration < generation:
			return "its controller has not looked at it as it is now"
		case c.Status != metav1.ConditionTrue:
			return fmt.Sprintf("%s is %s: %s", want, c.Status, strings.TrimRight(c.Message, ". "))
		}
	}
	return ""
}

// usesGateway wakes the endpoints whose Gateway, or whose Gateway's class, changed.
func (r *Reconciler) usesGateway() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		var all v1alpha1.ScepEndpointList
		if err := r.client.List(ctx, &all); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list the endpoints that may use a Gateway", "object", client.ObjectKeyFromObject(o))
			return nil
		}
		_, isGateway := o.(*gatewayv1.Gateway)
		var out []reconcile.Request
		for i := range all.Items {
			named := gatewaysOf(&all.Items[i])
			if slices.Contains(named, client.ObjectKeyFromObject(o)) || !isGateway && len(named) > 0 {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
			}
		}
		return out
	})
}
