package racredential

import (
	"context"
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
)

const (
	controllerName  = "racredential"
	fieldOwner      = "scepter-racredential"
	defaultInterval = time.Minute
)

// +kubebuilder:rbac:groups=scepter.dev,resources=racredentials,verbs=get;list;watch
// +kubebuilder:rbac:groups=scepter.dev,resources=racredentials/status,verbs=get;patch
// +kubebuilder:rbac:groups=scepter.dev,resources=racredentials/finalizers,verbs=update
// +kubebuilder:rbac:groups=scepter.dev,resources=scependpoints,verbs=get;list;watch
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates/status,verbs=patch
// +kubebuilder:rbac:groups=cert-manager.io,resources=issuers;clusterissuers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler brings RACredentials about. SetupWithManager completes it.
//
// It reads Secrets by name and never lists or watches them: cert-manager tells of
// new key material in the Certificate's status, and a keyring that somebody touched
// is found at the next look. The manager's client must not cache Secrets.
type Reconciler struct {
	// Clock tells the time; nil is the real one.
	Clock clock.PassiveClock
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Interval is how often the keyring is looked at; zero is a minute.
	Interval time.Duration

	client   client.Client
	live     client.Reader
	applier  *apply.Applier
	recorder events.EventRecorder
	clock    clock.PassiveClock
}

// SetupWithManager registers the controller and its metrics.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.client, r.live = mgr.GetClient(), mgr.GetAPIReader()
	r.recorder = mgr.GetEventRecorder(fieldOwner)
	if r.clock = r.Clock; r.clock == nil {
		r.clock = clock.RealClock{}
	}
	r.applier = apply.New(r.client, r.live, fieldOwner, r.clock)
	if r.Registerer != nil {
		if err := r.Registerer.Register(newCollector(mgr.GetClient(), mgr.Elected())); err != nil {
			return fmt.Errorf("register metrics of %s: %w", controllerName, err)
		}
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName).
		For(&v1alpha1.RACredential{}, builder.WithPredicates(specOrAnnotationsChanged())).
		// A source that is issued, renewed, failed, edited or deleted.
		Owns(&certmanagerv1.Certificate{}).
		// The published certificates of a client credential.
		Owns(&corev1.ConfigMap{}).
		// An issuer that appears, breaks or recovers.
		Watches(&certmanagerv1.Issuer{}, handler.EnqueueRequestsFromMapFunc(r.credentialsOfIssuer)).
		Watches(&certmanagerv1.ClusterIssuer{}, handler.EnqueueRequestsFromMapFunc(r.credentialsOfIssuer)).
		// An endpoint that shows or loads another generation, or whose issuer has another CA.
		Watches(&v1alpha1.ScepEndpoint{}, handler.EnqueueRequestsFromMapFunc(credentialsOfEndpoint),
			builder.WithPredicates(usesChanged())).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller %s: %w", controllerName, err)
	}
	return nil
}

func specOrAnnotationsChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
}

// Reconcile observes, plans, acts and reports. The credential itself is read from
// the API server: its status is the memory of when conditions changed.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var rc v1alpha1.RACredential
	if err := r.live.Get(ctx, req.NamespacedName, &rc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !rc.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // the children are owned: they go with it
	}
	seen := r.observe(ctx, &rc)
	plan := planCredential(&rc, seen, r.clock.Now())
	done := r.act(ctx, &rc, seen, plan)
	return r.report(ctx, &rc, seen, plan, done)
}
