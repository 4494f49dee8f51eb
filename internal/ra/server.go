package ra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/access"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/clientprobe"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/mint"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/ra/revocation"
	"github.com/scepter-pki/scepter/internal/ra/serving"
	"github.com/scepter-pki/scepter/internal/ra/withdrawal"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// Options is what a server is made from.
type Options struct {
	Dirs reload.Dirs
	// Cluster is how the API server is reached, for CertificateRequests.
	Cluster *rest.Config
	// Issuer takes the place of CertificateRequests, and of the cluster; may be nil.
	Issuer issue.Issuer
	// Pod and Version are shown in the status.
	Pod, Version string
	Logger       *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Drain is how long the server goes on after its context ended, while it
	// reports that it is not ready. Negative: as the configuration says.
	Drain time.Duration
	// LogLevel is set to what the configuration says; may be nil.
	LogLevel *slog.LevelVar
	// AuditDir is where the newest audit records are kept, to be asked for; "": nowhere.
	AuditDir string
	// Prober tries the endpoint's URLs; nil: nobody does.
	Prober Prober
}

// Server is a registration authority.
type Server struct {
	options  Options
	reloader *reload.Reloader
	metrics  *audit.Metrics
	log      *audit.Log
	records  *recording
	admin    *admin
	device   http.Handler
	minter   *mint.Minter
	store    atomic.Pointer[issue.Store]
	claims   atomic.Pointer[issue.Claims]
	crls     *crls
	desk     *withdrawal.Desk
	clients  *clientprobe.Prober
	services *services
	// revocation tells of certificates that sign renewals.
	revocation *revocation.Checker
	trials     *trials
	// access reviews the server's rights; nil without a cluster.
	access *access.Reviewer
	// byRequests is given when the endpoint first issues by CertificateRequests.
	byRequests *signal
	started    time.Time
}

// New makes a server that has read nothing yet; Run starts it.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Prober == nil {
		o.Prober = noProber{}
	}
	test, err := newSelfTest(o.Now())
	if err != nil {
		return nil, err
	}
	s := &Server{
		options:  o,
		reloader: reload.New(o.Dirs, o.Pod, o.Logger, o.Now),
		metrics:  audit.NewMetrics(),
		started:  o.Now(),
	}
	s.records = newRecording(s)
	s.log = audit.NewLog(o.Logger, o.Now, s.records)
	s.reloader.Changed = s.reloaded
	s.byRequests = newSignal()
	s.crls = &crls{snapshot: s.reloader.Current, now: o.Now, ask: askForCRL}
	s.desk = s.newDesk()
	s.trials = &trials{snapshot: s.reloader.Current, store: s.store.Load, now: o.Now, logger: o.Logger}
	s.clients = clientprobe.New(o.Now, nil)
	s.services = newServices(o.Now)
	if s.access, err = s.newAccess(); err != nil {
		return nil, err
	}
	s.revocation = revocation.New(revocation.Options{Now: o.Now, Proxy: s.proxy})
	s.admin = &admin{
		pod: o.Pod, version: o.Version, status: s.reloader.Status, selfTest: test, logger: o.Logger,
		issuing: s.issuing, records: s.records, health: newHealth(o.Now, s.refused), issuingCA: &issuingCA{}, collection: &collection{},
		funnel: s.metrics.Funnel, paths: s.metrics.Paths, agents: s.metrics.Agents,
		rights: s.missingRights, trial: s.trials.report, wanted: s.desk.Wanted, prober: o.Prober, clientProbes: s.clients.Report,
		services: s.services.report, silent: func() []raconfig.Away { return silentSources(s.revocation) },
	}
	s.device = s.newDeviceHandler()
	s.admin.device = &deviceTest{handler: s.device, now: o.Now, key: func() probemark.Key { return s.keys().Probe }}
	if s.minter, err = s.newMinter(); err != nil {
		return nil, err
	}
	for _, c := range []prometheus.Collector{newExpiries(s.reloader.Current), s.records} {
		if err := s.metrics.Registry().Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return s, nil
}

func (s *Server) newDeviceHandler() http.Handler {
	r := &recorder{
		log: s.log, logger: s.options.Logger, metrics: s.metrics, snapshot: s.reloader.Current, now: s.options.Now, fairness: newFairness(s.options.Now),
	}
	b := &backend{
		snapshot: s.reloader.Current,
		direct:   s.options.Issuer,
		store:    s.store.Load,
		claims:   s.claims.Load,
		crl:      s.crls.get,
		waiting:  newBudget(maxWaiting, s.metrics.InFlight("issuer")),
		recorder: r,
		tracer:   s.records.tracer,
		health:   s.admin.health,
		services: s.services,
		issuing:  s.admin.issuingCA,

		collection: s.admin.collection,
		now:        s.options.Now,

		revocation: s.revocation,
	}
	guard := newProcessor(s.metrics.InFlight, r.fairness).run
	handler := scep.NewHandler(scep.HandlerConfig{
		Identity: s.identity,
		Settings: s.settings,
		Backend:  b,
		Observer: observer{r},
		BareURL:  newBareURL(s.reloader.Current),
		Logger:   s.options.Logger,
		Guard:    guard,
	})
	served := withoutAdmin(s.crls.serve(servePaths(s.reloader.Current, handler)))
	counted := countPaths(s.reloader.Current, s.metrics, served)
	devices := identifyClient(s.reloader.Current, counted)
	return s.parting(limitTarget(s.answerProbes(s.answerCanaries(s.newCanaryHandler(canaries{b}, guard), s.newCanaryHandler(fullCanaries{b}, guard), devices))))
}

// withoutAdmin hides what only the admin listeners serve.
func withoutAdmin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mint.IsPath(r.URL.Path) || isAdminPath(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// newMinter makes nothing where there is no cluster to ask who may mint.
func (s *Server) newMinter() (*mint.Minter, error) {
	if s.options.Cluster == nil {
		return nil, nil
	}
	client, err := kubernetes.NewForConfig(s.options.Cluster)
	if err != nil {
		return nil, fmt.Errorf("client for reviews: %w", err)
	}
	return mint.New(mint.Config{
		Snapshot: s.reloader.Current,
		Reviewer: mint.ClusterReviewer{Client: client},
		Log:      s.log,
		Now:      s.options.Now,
	}), nil
}

func (s *Server) identity() *scep.Identity {
	if snapshot := s.reloader.Current(); snapshot != nil {
		return snapshot.Identity
	}
	return nil
}

func (s *Server) settings() scep.Settings {
	if snapshot := s.reloader.Current(); snapshot != nil {
		return snapshot.Settings
	}
	return scep.Settings{}
}

// reloaded records what the files came to.
func (s *Server) reloaded(status *reload.Status) {
	ctx := context.Background()
	for _, problem := range status.Problems {
		s.log.Record(ctx, audit.ConfigurationProblem, slog.String("problem", problem))
	}
	s.setLogLevel(status.Snapshot)
	for _, warning := range status.Warnings {
		s.log.Record(ctx, audit.ConfigurationWarning, slog.String("warning", warning))
	}
	if c := status.Snapshot; c != nil {
		s.records.update(c)
		s.clients.Update(c.Services)
		s.services.keep(c.Challenges)
		watchRevocation(s.revocation, c)
		if s.needsStore(c) {
			s.byRequests.give()
		}
		s.log.Record(ctx, audit.ConfigurationLoaded,
			slog.String("hash", c.ConfigHash),
			slog.Int64("generation", c.Config.Endpoint.Generation),
			slog.String("active", c.Config.ActiveGeneration),
			slog.Any("held", status.Held))
	}
}

// DeviceHandler speaks SCEP.
func (s *Server) DeviceHandler() http.Handler { return s.device }

// AdminHandler serves /livez, /readyz, /healthz, /status and /metrics.
func (s *Server) AdminHandler() http.Handler { return s.admin.handler(s.metrics) }

// Ready is closed when the files were good enough to serve with.
func (s *Server) Ready() <-chan struct{} { return s.reloader.First() }

// syncPatience is how long a server that starts waits for the records of
// enrolments before it calls itself ready without them: it can then still answer
// what needs no record.
const syncPatience = 10 * time.Second

// issuing says whether what asks the issuer is set up.
func (s *Server) issuing() bool {
	if snapshot := s.reloader.Current(); snapshot != nil && !s.needsStore(snapshot) {
		return true
	}
	store := s.store.Load()
	return store != nil && (store.Synced() || s.options.Now().Sub(s.started) > syncPatience)
}

// Work reads the files and watches the cluster, if it needs one, until the context
// ends. It is Run without listeners.
func (s *Server) Work(ctx context.Context) error {
	defer s.records.close() //nolint:contextcheck // what waits is sent after the context has ended
	reloading := aside(ctx, s.reloader.Run)
	defer func() { <-reloading }()
	select {
	case <-s.Ready():
	case <-ctx.Done():
		return nil
	}
	probing := s.probe(ctx)
	defer func() { <-probing }()
	endpoint := s.reloader.Current().Config.Endpoint
	if err := s.makeClaims(endpoint.Namespace); err != nil {
		return err
	}
	if s.access != nil {
		reviewing := aside(ctx, s.access.Run)
		defer func() { <-reviewing }()
	}
	asking := aside(ctx, s.clients.Run)
	defer func() { <-asking }()
	askingAgain := aside(ctx, s.services.run)
	defer func() { <-askingAgain }()
	askingRevocation := aside(ctx, s.revocation.Run)
	defer func() { <-askingRevocation }()
	withdrawing := aside(ctx, s.desk.Run)
	defer func() { <-withdrawing }()
	select {
	case <-s.byRequests.c:
	case <-ctx.Done():
		return nil
	}
	store, err := issue.NewStore(s.options.Cluster, endpoint.Namespace, endpoint.Name)
	if err != nil {
		return fmt.Errorf("start issuing: %w", err)
	}
	s.store.Store(store)
	trying := aside(ctx, s.trials.run)
	defer func() { <-trying }()
	store.Run(ctx)
	return nil
}

// aside runs something beside the server; the channel is closed when it has ended.
func aside(ctx context.Context, run func(context.Context)) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	return ended
}

// MintHandler mints challenges for management systems; over TLS only.
func (s *Server) MintHandler() http.Handler { return s.answerAdminProbes(s.minter.Admin()) }

// LocalMintHandler mints challenges for port-forwards.
func (s *Server) LocalMintHandler() http.Handler { return s.minter.Local() }

// Listeners are where a server listens; all but Device and Admin may be nil.
type Listeners struct {
	Device, TLS, Admin net.Listener
	// Mint serves management systems, over TLS.
	Mint net.Listener
	// LocalMint serves port-forwards. It is to be on the loopback interface.
	LocalMint net.Listener
}

// shutdownTimeout is for what is still being answered after the drain.
const shutdownTimeout = 15 * time.Second

// Run serves until the context ends, and then for as long as the drain says.
func (s *Server) Run(ctx context.Context, l Listeners) error {
	// The work outlives ctx: requests are still served while the server drains.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed := make(chan error, 6) // each listener, and the work
	s.log.Record(ctx, audit.ServerStarted, slog.String("version", s.options.Version))
	running := s.serve(l, failed)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Work(work); err != nil {
			failed <- err
		}
	}()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = s.drain(work, failed)
	}
	serving.Shutdown(work, shutdownTimeout, running)
	stop()
	<-done
	return err
}

// drain goes on serving while the cluster takes notice that this server ends.
func (s *Server) drain(ctx context.Context, failed <-chan error) error {
	s.admin.draining.Store(true)
	delay := s.drainDelay()
	s.log.Record(ctx, audit.ServerStopped, slog.Duration("drain", delay))
	s.options.Logger.Info("draining", "for", delay)
	return serving.Drain(delay, failed)
}

func (s *Server) drainDelay() time.Duration {
	if s.options.Drain >= 0 {
		return s.options.Drain
	}
	if snapshot := s.reloader.Current(); snapshot != nil {
		return time.Duration(snapshot.Config.DrainSeconds) * time.Second
	}
	return 0
}

// parting tells clients of a server that drains not to come back on this connection:
// none is then cut off while it sends its next request.
func (s *Server) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.admin.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// serve starts the listeners that there are.
func (s *Server) serve(l Listeners, failed chan<- error) []*http.Server {
	var running []*http.Server
	start := func(listener net.Listener, handler http.Handler) {
		if listener == nil {
			return
		}
		server := s.newHTTPServer(handler)
		running = append(running, server)
		serving.Start(server, listener, failed)
	}
	start(l.Admin, s.AdminHandler())
	start(l.Device, s.device)
	if l.TLS != nil {
		start(tls.NewListener(l.TLS, tlsConfig(s.deviceCertificate)), s.device)
	}
	if l.Mint != nil {
		start(tls.NewListener(l.Mint, s.MintTLS()), s.MintHandler())
	}
	start(l.LocalMint, s.LocalMintHandler())
	return running
}

var errNoTLS = errors.New("no TLS certificate is loaded")

// tlsConfig takes the certificate that is current. Devices are never asked for a
// certificate: some cannot go on then.
func tlsConfig(current func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if certificate := current(); certificate != nil {
				return certificate, nil
			}
			return nil, errNoTLS
		},
	}
}

func (s *Server) deviceCertificate() *tls.Certificate {
	if snapshot := s.reloader.Current(); snapshot != nil {
		return snapshot.TLS
	}
	return nil
}

func (s *Server) mintCertificate() *tls.Certificate {
	if snapshot := s.reloader.Current(); snapshot != nil {
		return snapshot.Admin.TLS
	}
	return nil
}
