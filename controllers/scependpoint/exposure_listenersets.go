package scependpoint

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1ac "sigs.k8s.io/gateway-api/applyconfiguration/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// listenerSets are those that the endpoint brings to its Gateways.
func listenerSets(ep *v1alpha1.ScepEndpoint, facts *exposureFacts) []*route.ListenerSet {
	if !facts.gatewayKinds.ListenerSet {
		return nil
	}
	var out []*route.ListenerSet
	for number, g := range facts.gateways {
		if g.gateway.value == nil {
			continue
		}
		if set := route.NewListenerSet(ep, number, g.gateway.value, g.class.value); set != nil {
			out = append(out, set)
		}
	}
	return out
}

func (r *Reconciler) observeListenerSets(ctx context.Context, ep *v1alpha1.ScepEndpoint, facts *exposureFacts) map[string]read[gatewayv1.ListenerSet] {
	out := map[string]read[gatewayv1.ListenerSet]{}
	for _, set := range listenerSets(ep, facts) {
		out[set.Name] = get(ctx, r.client, ep.Namespace, set.Name, &gatewayv1.ListenerSet{})
	}
	return out
}

// gatewaysUnread is true where it is not known what routes are to attach to: what is
// there stays as it is.
func gatewaysUnread(seen *observation) bool {
	return slices.ContainsFunc(seen.exposure.gateways, func(g gatewayFact) bool { return g.gateway.err != nil || g.class.err != nil })
}

func isGatewayChild(o apply.Object) bool {
	switch o.(type) {
	case *gatewayv1ac.HTTPRouteApplyConfiguration, *gatewayv1ac.TLSRouteApplyConfiguration, *gatewayv1ac.ListenerSetApplyConfiguration:
		return true
	default:
		return false
	}
}

// listenerSetProblem says what keeps a Gateway from the listeners that the endpoint brings.
func listenerSetProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	for _, set := range listenerSets(routed(ep, seen), &seen.exposure) {
		if verdict := listenerSetVerdict(seen, set); verdict != "" {
			return conditions.False(v1alpha1.ConditionExposed, v1alpha1.ReasonGatewayNotProgrammed, fmt.Sprintf(
				"ListenerSet %s for Gateway %s: %s; see its status, and status.exposure for listeners that do without it", set.Name, set.Gateway.Name, verdict)), true
		}
	}
	return metav1.Condition{}, false
}

// listenerSetVerdict is empty if a ListenerSet is accepted and programmed as it is now.
func listenerSetVerdict(seen *observation, set *route.ListenerSet) string {
	have := seen.exposure.listenerSets[set.Name]
	switch {
	case have.err != nil:
		return "it could not be read; " + tryAgain
	case have.value == nil:
		return "it is being made"
	}
	return programmedVerdict(have.value.Generation, have.value.Status.Conditions)
}

// broughtListeners is true where a ListenerSet has a Gateway serve what it lacked.
func broughtListeners(ep *v1alpha1.ScepEndpoint, seen *observation, g gatewayFact) bool {
	return slices.ContainsFunc(listenerSets(ep, &seen.exposure), func(set *route.ListenerSet) bool {
		return set.Gateway == g.gateway.value && listenerSetVerdict(seen, set) == ""
	})
}
