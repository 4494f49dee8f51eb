package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/cert-manager/cert-manager/pkg/controller"
	// Controllers and kinds of issuer register themselves. ACME, Vault and
	// Venafi are left out: nothing here can reach such a service.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

const (
	leaseName     = "cert-manager-controller"
	leaseDuration = 60 * time.Second
	renewDeadline = 40 * time.Second
	retryPeriod   = 15 * time.Second
)

type controllerOptions struct {
	kubeconfig               string
	clusterResourceNamespace string
	leaderElectionNamespace  string
	solverImage              string
	controllers              []string
	maxConcurrentChallenges  int
	workers                  int
	metricsAddress           string
	healthzAddress           string
	certificateOwnerRef      bool
}

// controllerCommand runs the controllers that turn Certificates into
// CertificateRequests and those into Secrets.
func controllerCommand() *cobra.Command {
	var o controllerOptions
	return program("controller", o.addFlags, o.run)
}

func (o *controllerOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file; empty: the pod's own")
	fs.StringVar(&o.clusterResourceNamespace, "cluster-resource-namespace", "cert-manager", "where ClusterIssuers find their Secrets")
	fs.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "kube-system", "namespace of the leader's Lease")
	fs.StringVar(&o.solverImage, "acme-http01-solver-image", "", "accepted for the chart's sake; there is no ACME here")
	fs.StringSliceVar(&o.controllers, "controllers", nil, "controllers to leave out, each as -NAME")
	fs.IntVar(&o.maxConcurrentChallenges, "max-concurrent-challenges", 60, "accepted for the chart's sake")
	fs.IntVar(&o.workers, "concurrent-workers", 5, "workers of each controller")
	fs.StringVar(&o.metricsAddress, "metrics-listen-address", "0.0.0.0:9402", "address of /metrics")
	fs.StringVar(&o.healthzAddress, "internal-healthz-listen-address", "0.0.0.0:9403", "address of /livez")
	fs.BoolVar(&o.certificateOwnerRef, "enable-certificate-owner-ref", false, "a Certificate owns its Secret")
}

func (o *controllerOptions) run(ctx context.Context) error {
	factory, err := controller.NewContextFactory(ctx, o.contextOptions())
	if err != nil {
		return fmt.Errorf("controller context: %w", err)
	}
	shared, err := factory.Build()
	if err != nil {
		return fmt.Errorf("controller context: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	health := healthz.NewServer(20 * time.Second)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.serveHealth(ctx, health) })
	group.Go(func() error { return o.serveMetrics(ctx, shared) })
	group.Go(func() error {
		defer stop()
		return o.lead(ctx, shared, health, func(ctx context.Context) error { return o.control(ctx, factory, shared) })
	})
	return group.Wait()
}

func (o *controllerOptions) contextOptions() controller.ContextOptions {
	return controller.ContextOptions{
		Kubeconfig:         o.kubeconfig,
		KubernetesAPIQPS:   20,
		KubernetesAPIBurst: 50,
		IssuerOptions: controller.IssuerOptions{
			ClusterResourceNamespace:        o.clusterResourceNamespace,
			ClusterIssuerAmbientCredentials: true,
		},
		ACMEOptions: o.acmeOptions(),
		IngressShimOptions: controller.IngressShimOptions{
			DefaultIssuerKind:                 "Issuer",
			DefaultIssuerGroup:                "cert-manager.io",
			DefaultAutoCertificateAnnotations: []string{"kubernetes.io/tls-acme"},
		},
		CertificateOptions: controller.CertificateOptions{
			EnableOwnerRef:                           o.certificateOwnerRef,
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"},
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
		SchedulerOptions: controller.SchedulerOptions{MaxConcurrentChallenges: o.maxConcurrentChallenges},
	}
}

// acmeOptions are wanted whole by the context, though nothing uses them.
func (o *controllerOptions) acmeOptions() controller.ACMEOptions {
	cpu, memory := resource.MustParse("10m"), resource.MustParse("64Mi")
	return controller.ACMEOptions{
		HTTP01SolverImage:                 o.solverImage,
		HTTP01SolverResourceRequestCPU:    cpu,
		HTTP01SolverResourceRequestMemory: memory,
		HTTP01SolverResourceLimitsCPU:     cpu,
		HTTP01SolverResourceLimitsMemory:  memory,
		ACMEHTTP01SolverRunAsNonRoot:      true,
		DNS01CheckRetryPeriod:             10 * time.Second,
	}
}

// lead runs work while this replica is the leader.
func (o *controllerOptions) lead(ctx context.Context, shared *controller.Context, health *healthz.Server, work func(context.Context) error) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("leader's identity: %w", err)
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, o.leaderElectionNamespace, leaseName,
		shared.Client.CoreV1(), shared.Client.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: host})
	if err != nil {
		return fmt.Errorf("leader's lock: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   leaseDuration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		Name:            leaseName,
		WatchDog:        health.LeaderHealthzAdaptor,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) { stop(work(leading)) },
			OnStoppedLeading: func() { logf.FromContext(ctx).Info("no longer the leader") },
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	elector.Run(ctx)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// control runs every controller that is not left out, until ctx ends.
func (o *controllerOptions) control(ctx context.Context, factory *controller.ContextFactory, shared *controller.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, construct := range controller.Known() {
		if slices.Contains(o.controllers, "-"+name) {
			continue
		}
		c, err := construct(factory)
		if err != nil {
			return fmt.Errorf("controller %s: %w", name, err)
		}
		group.Go(func() error { return c.Run(o.workers, ctx) })
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return group.Wait()
}

func (o *controllerOptions) serveHealth(ctx context.Context, health *healthz.Server) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.healthzAddress)
	if err != nil {
		return fmt.Errorf("health endpoint: %w", err)
	}
	return health.Start(ctx, listener)
}

func (o *controllerOptions) serveMetrics(ctx context.Context, shared *controller.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.metricsAddress)
	if err != nil {
		return fmt.Errorf("metrics endpoint: %w", err)
	}
	server := shared.Metrics.NewServer(listener)
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics endpoint: %w", err)
	}
	return nil
}
