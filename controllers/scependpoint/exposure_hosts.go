package scependpoint

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// observeLostHosts finds the hosts of an endpoint that older endpoints have, in all
// namespaces that the operator serves.
func (r *Reconciler) observeLostHosts(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[map[string]types.NamespacedName] {
	if !claimsHosts(ep) {
		return read[map[string]types.NamespacedName]{value: &map[string]types.NamespacedName{}}
	}
	var all v1alpha1.ScepEndpointList
	if err := r.client.List(ctx, &all); err != nil {
		return read[map[string]types.NamespacedName]{err: fmt.Errorf("list ScepEndpoints: %w", err)}
	}
	lost := lostHosts(ep, all.Items)
	return read[map[string]types.NamespacedName]{value: &lost}
}

// lostHosts says for each contested host who has it: the oldest endpoint, and of
// equally old ones that with the first UID.
func lostHosts(ep *v1alpha1.ScepEndpoint, all []v1alpha1.ScepEndpoint) map[string]types.NamespacedName {
	owners := map[string]*v1alpha1.ScepEndpoint{}
	for _, host := range ep.Spec.Exposure.Hosts {
		owners[host.Name] = ep
	}
	for i := range all {
		other := &all[i]
		if other.UID == ep.UID || !claimsHosts(other) {
			continue
		}
		for _, host := range other.Spec.Exposure.Hosts {
			if owner := owners[host.Name]; owner != nil && older(other, owner) {
				owners[host.Name] = other
			}
		}
	}
	lost := map[string]types.NamespacedName{}
	for host, owner := range owners {
		if owner != ep {
			lost[host] = client.ObjectKeyFromObject(owner)
		}
	}
	return lost
}

// claimsHosts says whether an endpoint does anything with its hosts.
func claimsHosts(ep *v1alpha1.ScepEndpoint) bool {
	return route.Proxied(ep) || ep.Spec.Exposure.Service != nil
}

func older(a, b *v1alpha1.ScepEndpoint) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}

// routed is the endpoint with the hosts that are to be routed to it: all but those
// that it has lost. Everything else of a lost host stays, for the day it comes back.
func routed(ep *v1alpha1.ScepEndpoint, seen *observation) *v1alpha1.ScepEndpoint {
	lost := seen.exposure.lost.value
	if lost == nil || len(*lost) == 0 {
		return ep
	}
	out := ep.DeepCopy()
	out.Spec.Exposure.Hosts = slices.DeleteFunc(out.Spec.Exposure.Hosts, func(h v1alpha1.Host) bool {
		_, gone := (*lost)[h.Name]
		return gone
	})
	return out
}

func hostProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	const exposed = v1alpha1.ConditionExposed
	if seen.exposure.lost.err != nil {
		return conditions.Unknown(exposed, v1alpha1.ReasonReadFailed, "the other endpoints' hosts could not be read; "+tryAgain), true
	}
	if seen.exposure.lost.value == nil {
		return metav1.Condition{}, false
	}
	for _, host := range ep.Spec.Exposure.Hosts {
		if owner, gone := (*seen.exposure.lost.value)[host.Name]; gone {
			return conditions.False(exposed, v1alpha1.ReasonHostConflict, fmt.Sprintf(
				"host %s is that of ScepEndpoint %s, which is older, and is not routed here: take it out of exposure.hosts here or there", host.Name, owner)), true
		}
	}
	return metav1.Condition{}, false
}

// sharingHosts wakes the endpoints that share a host with one that changed or went.
func (r *Reconciler) sharingHosts() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		changed, ok := o.(*v1alpha1.ScepEndpoint)
		if !ok || len(changed.Spec.Exposure.Hosts) == 0 {
			return nil
		}
		var all v1alpha1.ScepEndpointList
		if err := r.client.List(ctx, &all); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list the endpoints that may share a host", "object", client.ObjectKeyFromObject(o))
			return nil
		}
		var out []reconcile.Request
		for i := range all.Items {
			if other := &all.Items[i]; other.UID != changed.UID && shareHost(changed, other) {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(other)})
			}
		}
		return out
	})
}

func shareHost(a, b *v1alpha1.ScepEndpoint) bool {
	return slices.ContainsFunc(a.Spec.Exposure.Hosts, func(host v1alpha1.Host) bool {
		return slices.ContainsFunc(b.Spec.Exposure.Hosts, func(other v1alpha1.Host) bool { return host.Name == other.Name })
	})
}
