package scependpoint

import (
	"context"
	"fmt"
	"reflect"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// requestsInterval is how often, at most, an endpoint's CertificateRequests wake
// its controller: a busy endpoint makes many a second, and none of them is urgent here.
const requestsInterval = 10 * time.Second

// maxConcurrent is how many endpoints are reconciled side by side; each spends
// its time waiting for its servers' status.
const maxConcurrent = 4

// SetupWithManager registers the controller and what wakes it: the endpoint, its
// children, and all that it refers to.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	probes := newProbeWatch(mgr.GetClient(), r.replicas, r.paced(probeWatchInterval))
	if err := mgr.Add(probes); err != nil {
		return fmt.Errorf("watch probes of ScepEndpoints: %w", err)
	}
	fleet := &fleetWatch{of: r, turns: make(chan event.GenericEvent, maxWaiting)}
	if err := mgr.Add(fleet); err != nil {
		return fmt.Errorf("watch all ScepEndpoints: %w", err)
	}
	c, err := ctrl.NewControllerManagedBy(mgr).
		Named("scependpoint").
		For(&v1alpha1.ScepEndpoint{}, builder.WithPredicates(specChanged())).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&rbacv1.RoleBinding{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&networkingv1.Ingress{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&certmanagerv1.Certificate{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(labelledEndpoint), builder.WithPredicates(podChanged())).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(labelledEndpoint), builder.WithPredicates(isRevoked())).
		Watches(&certmanagerv1.CertificateRequest{}, laterForLabelled(r.paced(requestsInterval))).
		Watches(&v1alpha1.ScepEndpoint{}, r.sharingHosts(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.RACredential{}, r.whoRefers(refersToCredential)).
		Watches(&v1alpha1.CertificateTemplate{}, r.whoRefers(refersToTemplate)).
		Watches(&certmanagerv1.Issuer{}, r.whoRefers(refersToIssuer(certmanagerv1.IssuerKind))).
		Watches(&certmanagerv1.ClusterIssuer{}, r.whoRefers(refersToIssuer(certmanagerv1.ClusterIssuerKind))).
		Watches(&networkingv1.IngressClass{}, r.whoRefers(usesIngress)).
		WatchesRawSource(source.Channel(probes.changed, &handler.EnqueueRequestForObject{})).
		WatchesRawSource(source.Channel(fleet.turns, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: maxConcurrent}).
		Build(r)
	if err != nil {
		return fmt.Errorf("controller of ScepEndpoints: %w", err)
	}
	if r.metrics != nil {
		if err := r.metrics.Register(&collector{ledger: r.ledger, reader: mgr.GetClient(), elected: mgr.Elected()}); err != nil {
			return fmt.Errorf("metrics of ScepEndpoints: %w", err)
		}
	}
	r.gateway.watch = func(kind schema.GroupVersionKind) error { return r.watchGatewayKind(mgr, c, kind) }
	for _, kind := range []string{"HTTPRoute", "TLSRoute", "ListenerSet", "Gateway", "GatewayClass"} {
		r.gateway.ensure(gatewayKind(kind))
	}
	return nil
}

// specChanged lets through changes of the spec, and of the annotations that force
// a reconcile or new keys; not the status, which only this controller writes.
func specChanged() predicate.Predicate {
	forced := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		return before[v1alpha1.AnnotationReconcile] != after[v1alpha1.AnnotationReconcile] ||
			before[v1alpha1.AnnotationRotate] != after[v1alpha1.AnnotationRotate]
	}}
	return predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, forced)
}

// watchGatewayKind watches a kind of the Gateway API: routes that an endpoint controls,
// and Gateways and their classes, which it refers to.
func (r *Reconciler) watchGatewayKind(mgr ctrl.Manager, c controller.Controller, kind schema.GroupVersionKind) error {
	made, err := mgr.GetScheme().New(kind)
	if err != nil {
		return fmt.Errorf("watch %s: %w", kind.Kind, err)
	}
	object, ok := made.(client.Object)
	if !ok {
		return fmt.Errorf("watch %s: %T is no object", kind.Kind, made)
	}
	if err := cacheFirst(mgr.GetCache(), object); err != nil {
		return fmt.Errorf("watch %s: %w", kind.Kind, err)
	}
	wakes := handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), &v1alpha1.ScepEndpoint{}, handler.OnlyControllerOwner())
	if kind.Kind == "Gateway" || kind.Kind == "GatewayClass" {
		wakes = r.usesGateway()
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), object, wakes)); err != nil {
		return fmt.Errorf("watch %s: %w", kind.Kind, err)
	}
	return nil
}

// syncLimit is how long a newly watched kind may take to be read once.
const syncLimit = 30 * time.Second

// cacheFirst has a kind in the cache before its watch begins: a controller starts
// its sources at its own time, and a read before that would fail.
func cacheFirst(c cache.Cache, object client.Object) error {
	ctx, cancel := context.WithTimeout(context.Background(), syncLimit)
	defer cancel()
	_, err := c.GetInformer(ctx, object)
	return err
}

// labelledEndpoint is the endpoint whose name an object carries as a label.
func labelledEndpoint(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[v1alpha1.LabelEndpoint]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}

// podChanged lets through what podFacts tells, but not our own nudge, nor the
// many heartbeats of a pod's status.
func podChanged() predicate.Predicate {
	facts := func(o client.Object) (replica, bool) {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			return replica{}, false
		}
		f := podFacts(pod)
		f.nudge = ""
		return f, stays(pod)
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, stayed := facts(e.ObjectOld)
		after, stays := facts(e.ObjectNew)
		return stayed != stays || !reflect.DeepEqual(before, after)
	}}
}

// isRevoked lets through lists of revoked certificates, which no endpoint owns.
func isRevoked() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetName() == render.RevokedName(o.GetLabels()[v1alpha1.LabelEndpoint])
	})
}

// laterForLabelled wakes a request's endpoint after a while: requests that come
// meanwhile are dealt with at the same time.
func laterForLabelled(after time.Duration) handler.EventHandler {
	later := func(ctx context.Context, o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, request := range labelledEndpoint(ctx, o) {
			q.AddAfter(request, after)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { later(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { later(ctx, e.ObjectNew, q) },
	}
}

// whoRefers wakes every endpoint that refers to the object. There are tens of
// endpoints in a cluster, so a look through the cache needs no index.
func (r *Reconciler) whoRefers(refers func(*v1alpha1.ScepEndpoint, client.Object) bool) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		var endpoints v1alpha1.ScepEndpointList
		if err := r.client.List(ctx, &endpoints, client.InNamespace(o.GetNamespace())); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list the endpoints that may refer to an object", "object", client.ObjectKeyFromObject(o))
			return nil
		}
		var out []reconcile.Request
		for i := range endpoints.Items {
			if refers(&endpoints.Items[i], o) {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&endpoints.Items[i])})
			}
		}
		return out
	})
}
