// Package certificatetemplate reconciles CertificateTemplates: it compiles each,
// says what is wrong with it, and counts the endpoints that use it. It writes
// nothing but the status.
package certificatetemplate

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

const (
	controllerName = "certificatetemplate"
	fieldOwner     = "scepter-certificatetemplate"
)

// +kubebuilder:rbac:groups=scepter.dev,resources=certificatetemplates,verbs=get;list;watch
// +kubebuilder:rbac:groups=scepter.dev,resources=certificatetemplates/status,verbs=get;patch
// +kubebuilder:rbac:groups=scepter.dev,resources=scependpoints,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler judges CertificateTemplates. SetupWithManager completes it.
type Reconciler struct {
	// Clock tells the time; nil is the real one.
	Clock clock.PassiveClock

	client   client.Client
	live     client.Reader
	recorder events.EventRecorder
	clock    clock.PassiveClock
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.client, r.live = mgr.GetClient(), mgr.GetAPIReader()
	r.recorder = mgr.GetEventRecorder(fieldOwner)
	if r.clock = r.Clock; r.clock == nil {
		r.clock = clock.RealClock{}
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha1.CertificateTemplate{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		// An endpoint that begins or ends to use a template; both its old and its new templates are asked.
		Watches(&v1alpha1.ScepEndpoint{}, handler.EnqueueRequestsFromMapFunc(templatesOfEndpoint),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller %s: %w", controllerName, err)
	}
	return nil
}

// Reconcile observes, judges and reports. The template itself is read from the
// API server: its status is the memory of when conditions changed.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var template v1alpha1.CertificateTemplate
	if err := r.live.Get(ctx, req.NamespacedName, &template); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !template.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	seen := r.observe(ctx, &template)
	return r.report(ctx, &template, seen, judge(template.Spec))
}

func templatesOfEndpoint(_ context.Context, obj client.Object) []ctrl.Request {
	ep, ok := obj.(*v1alpha1.ScepEndpoint)
	if !ok {
		return nil
	}
	var requests []ctrl.Request
	for name := range usedTemplates(ep) {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: ep.Namespace, Name: name}})
	}
	return requests
}

// usedTemplates are the names of the templates that an endpoint has on offer.
func usedTemplates(ep *v1alpha1.ScepEndpoint) sets.Set[string] {
	names := sets.New[string]()
	for _, offer := range ep.Spec.Templates {
		names.Insert(offer.TemplateRef.Name)
	}
	return names
}
