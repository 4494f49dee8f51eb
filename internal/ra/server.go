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

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/mint"
	"github.com/scepter-pki/scepter/internal/ra/reload"
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
	// reports that it is not ready.
	Drain time.Duration
}

// Server is a registration authority.
type Server struct {
	options  Options
	reloader *reload.Reloader
	metrics  *audit.Metrics
	log      *audit.Log
	admin    *admin
	device   http.Handler
	minter   *mint.Minter
	store    atomic.Pointer[issue.Store]
}

// New makes a server that has read nothing yet; Run starts it.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	test, err := newSelfTest(o.Now())
	if err != nil {
		return nil, err
	}
	s := &Server{
		options:  o,
		reloader: reload.New(o.Dirs, o.Logger, o.Now),
		metrics:  audit.NewMetrics(),
		log:      audit.NewLog(o.Logger),
	}
	s.reloader.Changed = s.reloaded
	s.admin = &admin{
		pod: o.Pod, version: o.Version, status: s.reloader.Status, selfTest: test, logger: o.Logger,
		issuing: func() bool { return o.Issuer != nil || s.store.Load() != nil },
	}
	s.device = s.newDeviceHandler()
	if s.minter, err = s.newMinter(); err != nil {
		return nil, err
	}
	if err := s.metrics.Registry().Register(newExpiries(s.reloader.Current)); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return s, nil
}

func (s *Server) newDeviceHandler() http.Handler {
	r := &recorder{log: s.log, metrics: s.metrics, now: s.options.Now}
	handler := scep.NewHandler(scep.HandlerConfig{
		Identity: s.identity,
		Settings: s.settings,
		Backend: &backend{
			snapshot: s.reloader.Current,
			direct:   s.options.Issuer,
			store:    s.store.Load,
			waiting:  newBudget(maxWaiting, s.metrics.InFlight("issuer")),
			recorder: r,
			now:      s.options.Now,
		},
		Observer: observer{r},
		BareURL:  http.HandlerFunc(serveBareURL),
		Logger:   s.options.Logger,
		Guard:    newProcessor(s.metrics.InFlight).run,
	})
	return identifyClient(s.reloader.Current, withoutAdmin(handler))
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
	if c := status.Snapshot; c != nil {
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

// Work reads the files and watches the cluster, if it needs one, until the context
// ends. It is Run without listeners.
func (s *Server) Work(ctx context.Context) error {
	reloading := make(chan struct{})
	go func() {
		defer close(reloading)
		s.reloader.Run(ctx)
	}()
	defer func() { <-reloading }()
	select {
	case <-s.Ready():
	case <-ctx.Done():
		return nil
	}
	if s.options.Issuer != nil {
		<-ctx.Done()
		return nil
	}
	endpoint := s.reloader.Current().Config.Endpoint
	store, err := issue.NewStore(s.options.Cluster, endpoint.Namespace, endpoint.Name)
	if err != nil {
		return fmt.Errorf("start issuing: %w", err)
	}
	s.store.Store(store)
	store.Run(ctx)
	return nil
}

// MintHandler mints challenges for management systems; over TLS only.
func (s *Server) MintHandler() http.Handler { return s.minter.Admin() }

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

// Time limits of connections. Answers may take as long as a device waits for the
// issuer, which is a minute at most.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 120 * time.Second
	idleTimeout       = 60 * time.Second
	// shutdownTimeout is for what is still being answered after the drain.
	shutdownTimeout = 15 * time.Second
	// maxHeaderBytes leaves room for a request target of 65,534 bytes and 16 KiB of headers.
	maxHeaderBytes = 1 << 20
)

// Run serves until the context ends, and then for as long as the drain says.
func (s *Server) Run(ctx context.Context, l Listeners) error {
	// The work outlives ctx: requests are still served while the server drains.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed := make(chan error, 6) // each listener, and the work
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
		err = s.drain(failed)
	}
	shutdown(work, running)
	stop()
	<-done
	return err
}

// drain goes on serving while the cluster takes notice that this server ends.
func (s *Server) drain(failed <-chan error) error {
	s.admin.draining.Store(true)
	s.options.Logger.Info("draining", "for", s.options.Drain)
	timer := time.NewTimer(s.options.Drain)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	}
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
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", listener.Addr(), err)
			}
		}()
	}
	start(l.Admin, s.AdminHandler())
	start(l.Device, s.device)
	if l.TLS != nil {
		start(tls.NewListener(l.TLS, tlsConfig(s.deviceCertificate)), s.device)
	}
	if l.Mint != nil {
		start(tls.NewListener(l.Mint, tlsConfig(s.mintCertificate)), s.MintHandler())
	}
	start(l.LocalMint, s.LocalMintHandler())
	return running
}

func (s *Server) newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
	}
}

var errNoTLS = errors.New("no TLS certificate is loaded")

// tlsConfig takes the certificate that is current. Devices are never asked for a
// certificate: some cannot go on then.
func tlsConfig(current func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
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

// shutdown lets what is being answered come to its end.
func shutdown(ctx context.Context, running []*http.Server) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	for _, server := range running {
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close()
		}
	}
}
