package main

import (
	"fmt"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/certificatetemplate"
	"github.com/scepter-pki/scepter/controllers/ingresslimit"
	"github.com/scepter-pki/scepter/controllers/racredential"
	"github.com/scepter-pki/scepter/controllers/scependpoint"
)

// leaderElectionID is the name of the leader's Lease.
const leaderElectionID = "scepter-operator"

// deploymentName is that of the operator's own Deployment, in chart and kustomization.
const deploymentName = "scepter-operator"

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, certmanagerv1.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	return scheme, nil
}

// newManager makes a manager with every controller.
func newManager(config *rest.Config, o *options) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   cacheOptions(o.namespaces),
		Client:                  clientOptions(),
		Metrics:                 metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:  o.healthAddress,
		LeaderElection:          o.leaderElection,
		LeaderElectionID:        leaderElectionID,
		LeaderElectionNamespace: o.leaderElectionNamespace,
		// The program ends when the manager does, so the next leader need not wait.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	return mgr, setUp(mgr, o)
}

// self is the operator's own Deployment, for Events about all endpoints; nil where the
// operator does not know its namespace.
func self(namespace string) client.Object {
	if namespace == "" {
		return nil
	}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: deploymentName},
	}
}

func setUp(mgr ctrl.Manager, o *options) error {
	var limit *ingresslimit.Keeper
	if o.ingressLimit != nil {
		limit = ingresslimit.New(*o.ingressLimit, mgr.GetAPIReader(), mgr.GetClient())
		if err := mgr.Add(limit); err != nil {
			return fmt.Errorf("add the keeper of the ingress controller's limit: %w", err)
		}
	}
	endpoints := scependpoint.New(mgr, scependpoint.Options{
		Program:    o.program,
		Replicas:   scependpoint.NewHTTPStatusReader(),
		Namespaces: o.namespaces,
		Raised:     limit.Keeps,
		Limits:     o.limits,
		Self:       self(o.leaderElectionNamespace),
		Registerer: metrics.Registry,
	})
	for _, controller := range []interface{ SetupWithManager(ctrl.Manager) error }{
		&certificatetemplate.Reconciler{},
		&racredential.Reconciler{Registerer: metrics.Registry},
		endpoints,
	} {
		if err := controller.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("set up %T: %w", controller, err)
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", cachesSynced(mgr)); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	return nil
}
