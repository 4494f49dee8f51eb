package scependpoint

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/remedy"
	"github.com/scepter-pki/scepter/internal/render"
)

// fieldOwner owns what this controller writes.
const fieldOwner = "scepter-endpoint"

// Rights of the operator that this controller needs. Secrets are read by name
// and never listed; of ClusterRoles only the servers' own may be bound.
//
// +kubebuilder:rbac:groups=scepter.dev,resources=scependpoints,verbs=get;list;watch
// +kubebuilder:rbac:groups=scepter.dev,resources=scependpoints/status,verbs=get;patch
// +kubebuilder:rbac:groups=scepter.dev,resources=scependpoints/finalizers,verbs=update
// +kubebuilder:rbac:groups=scepter.dev,resources=certificatetemplates,verbs=get;list;watch
// +kubebuilder:rbac:groups=scepter.dev,resources=racredentials,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts;configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=rolebindings,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles,resourceNames=scepter-ra;scepter-ra-direct,verbs=bind
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses;networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingressclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes;tlsroutes;listenersets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways;gatewayclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificaterequests,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=issuers;clusterissuers,verbs=get;list;watch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=list;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Options are what a Reconciler needs beyond a manager.
type Options struct {
	// Program says what the servers run.
	Program render.Program
	// Replicas asks the servers for their status.
	Replicas ReplicaStatusReader
	// Namespaces that the operator serves; none for all.
	Namespaces []string
	// Raised says whether the operator keeps the limit of an implementation raised, by
	// its ID; nil: it keeps none.
	Raised func(implementation string) bool
	// Limits say for how many endpoints servers may be replaced at a time.
	Limits remedy.Limits
	// Self is the operator's own object, for Events about all endpoints; nil for none.
	Self client.Object
	// Clock tells the time; the system's if nil.
	Clock clock.PassiveClock
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Reconciler brings about what a ScepEndpoint says.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	applier  *apply.Applier
	events   events.EventRecorder
	replicas ReplicaStatusReader
	program  render.Program
	clock    clock.PassiveClock
	random   io.Reader
	gateway  *gatewayWatch
	metrics  prometheus.Registerer
	// namespaces that the caches hold; none for all.
	namespaces []string
	raised     func(implementation string) bool
	claims     claimSweep
	funnels    funnelMemory
	owed       owedMemory
	ledger     *remedy.Ledger
	self       client.Object
	// fleetInterval is between two looks at all endpoints.
	fleetInterval time.Duration
	// pace divides the time between looks at what no watch tells of; 1 but in tests.
	pace time.Duration
}

// New makes a Reconciler; SetupWithManager registers it.
func New(mgr ctrl.Manager, o Options) *Reconciler {
	if o.Raised == nil {
		o.Raised = func(string) bool { return false }
	}
	if o.Limits == (remedy.Limits{}) {
		o.Limits = remedy.Limits{Budget: remedy.DefaultShare, Wave: remedy.DefaultShare}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return &Reconciler{
		client:   mgr.GetClient(),
		live:     mgr.GetAPIReader(),
		applier:  apply.New(mgr.GetClient(), mgr.GetAPIReader(), fieldOwner, o.Clock),
		events:   mgr.GetEventRecorder(fieldOwner),
		replicas: o.Replicas,
		program:  o.Program,
		clock:    o.Clock,
		random:   rand.Reader,
		metrics:  o.Registerer,

		ledger: remedy.NewLedger(o.Limits),
		self:   o.Self,

		fleetInterval: fleetInterval,
		pace:          1,

		namespaces: o.Namespaces,
		raised:     o.Raised,
		gateway:    &gatewayWatch{mapper: mgr.GetRESTMapper(), watched: map[string]bool{}},
	}
}

// Reconcile observes, plans, acts and reports, in this order, once. Between plan and act
// stands what no endpoint can decide for itself: whether its servers may be replaced now. The endpoint
// itself is read from the API server: its status is the memory of when conditions changed.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var ep v1alpha1.ScepEndpoint
	if err := r.live.Get(ctx, req.NamespacedName, &ep); err != nil {
		r.claims.forget(req.NamespacedName)
		r.funnels.forget(req.NamespacedName)
		r.owed.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if ep.DeletionTimestamp != nil {
		return ctrl.Result{}, nil // the children go with it: it owns them
	}
	seen := r.observe(ctx, &ep)
	p := planEndpoint(&ep, seen, r.program, r.gateway.known(), r.clock.Now())
	r.admit(ctx, &ep, seen, p)
	d := r.act(ctx, &ep, seen, p)
	next := endpointStatus(&ep, seen, p, d, r.clock.Now())
	return r.report(ctx, &ep, seen, p, d, next)
}
