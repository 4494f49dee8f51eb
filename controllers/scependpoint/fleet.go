package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/telling"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/remedy"
	"github.com/scepter-pki/scepter/internal/render"
)

// fleetInterval is between two looks at all endpoints, which cost no request: the caches
// have all that there is to see.
const fleetInterval = 2 * time.Second

// notSystemic are the reasons that say nothing about the cluster: something was set in
// motion, or somebody wants it so.
var notSystemic = sets.New(v1alpha1.ReasonProgressing, v1alpha1.ReasonSuspended, v1alpha1.ReasonScaledToZero)

// fleetWatch looks at all endpoints: it says whose turn it is to get another image, and
// tells of what is systemic, once when it begins and once when it ends.
type fleetWatch struct {
	of    *Reconciler
	turns chan event.GenericEvent
	last  remedy.Outlook
}

// Start implements manager.Runnable: it looks until the context ends.
func (w *fleetWatch) Start(ctx context.Context) error {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := w.of.look(ctx); err != nil {
			return // the cache is not ready
		}
		now := w.of.ledger.Last()
		w.tell(ctx, now)
		w.wake(ctx, now)
		w.last = now
	}, w.of.fleetInterval)
	return nil
}

// wake wakes the endpoints that have their turn, when it comes, and all that wait when
// they begin or cease to wait for something else.
func (w *fleetWatch) wake(ctx context.Context, now remedy.Outlook) {
	whom := slices.DeleteFunc(slices.Clone(now.Wave), func(key string) bool { return slices.Contains(w.last.Wave, key) })
	if now.Stopped != w.last.Stopped || now.Systemic.Active() != w.last.Systemic.Active() || now.Remedies < w.last.Remedies {
		whom = now.Held
	}
	for _, key := range whom {
		namespace, name, _ := strings.Cut(key, "/")
		select {
		case w.turns <- event.GenericEvent{Object: &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}}:
		case <-ctx.Done():
		}
	}
}

func (w *fleetWatch) tell(ctx context.Context, now remedy.Outlook) {
	log := ctrl.LoggerFrom(ctx)
	was, is := w.last.Systemic, now.Systemic
	switch {
	case is.Active() && is.Reason != was.Reason:
		w.event(corev1.EventTypeWarning, v1alpha1.ReasonSystemicStop, fmt.Sprintf(
			"%d of %d ScepEndpoints are not Ready for the reason %s: no servers are replaced until that is mended", is.Count, is.Of, is.Reason))
		log.Info("too many endpoints are not ready for one reason: no servers are replaced", "reason", is.Reason, "endpoints", is.Count, "of", is.Of)
	case was.Active() && !is.Active():
		w.event(corev1.EventTypeNormal, v1alpha1.ReasonSystemicStop, fmt.Sprintf("%s is not the reason of many ScepEndpoints any more: servers are replaced again where it is needed", was.Reason))
		log.Info("servers are replaced again where it is needed", "reason", was.Reason)
	}
	if now.Stopped && !w.last.Stopped {
		log.Info("endpoints do not serve with another image, so no more endpoints get it", "endpoints", now.Wave, "image", w.of.program.Image)
	}
}

// event is about the operator itself: there is one, not one for each endpoint.
func (w *fleetWatch) event(kind, reason, note string) {
	if w.of.self != nil {
		w.of.events.Eventf(w.of.self, nil, kind, reason, telling.Action, "%s", note)
	}
}

// look shows the ledger all endpoints as the caches have them.
func (r *Reconciler) look(ctx context.Context) error {
	var endpoints v1alpha1.ScepEndpointList
	var deployments appsv1.DeploymentList
	if err := r.client.List(ctx, &endpoints, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list ScepEndpoints: %w", err)
	}
	if err := r.client.List(ctx, &deployments, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list Deployments: %w", err)
	}
	behind := sets.New[string]()
	for i := range deployments.Items {
		if d := &deployments.Items[i]; d.Labels[render.LabelManagedBy] == render.ManagedBy && interrupts(d) && imageOf(d) != r.program.Image {
			behind.Insert(d.Namespace + "/" + d.Labels[v1alpha1.LabelEndpoint])
		}
	}
	fleet := make([]remedy.Endpoint, 0, len(endpoints.Items))
	for i := range endpoints.Items {
		if ep := &endpoints.Items[i]; ep.DeletionTimestamp == nil {
			fleet = append(fleet, remedy.Endpoint{
				Key: keyOf(ep), Suspended: ep.Spec.Suspend, NotReady: notReady(ep), Behind: behind.Has(keyOf(ep)), Record: recordOf(ep.Status.Remedy),
			})
		}
	}
	r.ledger.Look(fleet, r.clock.Now())
	return nil
}

// notReady is why an endpoint is not Ready; "" where it is, or where that says nothing
// about the cluster.
func notReady(ep *v1alpha1.ScepEndpoint) string {
	ready := conditions.Find(ep.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue || notSystemic.Has(ready.Reason) {
		return ""
	}
	return ready.Reason
}
