// Package signer is the process that holds a CA's key and issues certificates for the
// servers of one endpoint. It trusts a server to have authenticated a request, and
// nothing else: it applies the endpoint's template again, by its own configuration.
// What it issues follows from the request, so it keeps no record, and any of several
// signers answers a repeated request with the same bytes. It needs no API server.
//
//	wire     the protocol
//	mutual   how servers and signers know each other
//	client   a server's side
package signer

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"golang.org/x/time/rate"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/serving"
	"github.com/scepter-pki/scepter/internal/ra/signer/mutual"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Options is what a signer is made from.
type Options struct {
	Dirs Dirs
	// Pod and Version are shown in the status.
	Pod, Version string
	Logger       *slog.Logger
	// LogLevel is set to what the configuration says; may be nil.
	LogLevel *slog.LevelVar
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Drain is how long the signer goes on after its context ended, while it reports
	// that it is not ready.
	Drain time.Duration
}

// Server is a signer.
type Server struct {
	options Options
	loader  *loader
	log     *audit.Log
	metrics *metrics
	admin   *admin
	crls    crlCache
	places  chan struct{}
	// strangers limits what the log says of those.
	strangers *rate.Limiter
}

// signaturesPerCPU is how many orders are worked on at once, for each processor.
const signaturesPerCPU = 4

// strangersEvery is how often the log tells of connections that were refused.
const strangersEvery = 10 * time.Second

// New makes a signer that has read nothing yet; Run starts it.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	test, err := newSelfTest(o.Now())
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: o,
		log:     audit.NewLog(o.Logger, o.Now),
		metrics: newMetrics(),
		places:  make(chan struct{}, runtime.GOMAXPROCS(0)*signaturesPerCPU),

		strangers: rate.NewLimiter(rate.Every(strangersEvery), 1),
	}
	s.loader = newLoader(o.Dirs, o.Pod, o.Logger, s.loaded)
	s.admin = &admin{
		pod: o.Pod, version: o.Version, parts: s.loader.current.Load, now: o.Now, selfTest: test, logger: o.Logger,
	}
	return s, s.metrics.watch(s.loader.current.Load)
}

// loaded records what the files came to.
func (s *Server) loaded(p *parts) {
	ctx := context.Background()
	for _, problem := range p.problems {
		s.log.Record(ctx, audit.ConfigurationProblem, slog.String("problem", problem))
	}
	if p.config != nil {
		p.config.Config.SetLogLevel(s.options.LogLevel)
	}
	if p.missing() == "" {
		s.log.Record(ctx, audit.ConfigurationLoaded,
			slog.String("hash", p.config.Hash),
			slog.Int64("generation", p.config.Config.Endpoint.Generation),
			slog.String("ca", p.ca.certificate.Subject.String()),
			slog.Int("revoked", len(p.revocations.Revoked)))
	}
}

// Listeners are where a signer listens.
type Listeners struct {
	// Signer speaks the protocol; TLS is the signer's own affair.
	Signer net.Listener
	// Admin serves the kubelet, the operator and Prometheus.
	Admin net.Listener
}

// Time limits of connections and of the end.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 20 * time.Second
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 10 * time.Second
)

// Run serves until the context ends, and then for as long as the drain says.
func (s *Server) Run(ctx context.Context, l Listeners) error {
	// The files are followed while the signer drains.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	loading := make(chan struct{})
	go func() {
		defer close(loading)
		s.loader.run(work)
	}()
	defer func() {
		stop()
		<-loading
	}()
	failed := make(chan error, 2)
	running := []*http.Server{
		s.serve(l.Admin, s.AdminHandler(), failed),
		s.serve(tls.NewListener(l.Signer, mutual.ServerConfig(s.credential, s.refusedStranger)), s.Handler(), failed),
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = s.drain(failed)
	}
	serving.Shutdown(work, shutdownTimeout, running)
	return err
}

// refusedStranger counts those who connect with another certificate than a peer's. The
// log tells of them once in a while: they are not known, and may come often.
func (s *Server) refusedStranger() {
	s.metrics.orders.WithLabelValues(string(wire.UnknownPeer)).Inc()
	if s.strangers.Allow() {
		s.options.Logger.Warn("a connection was refused: its certificate is not in " + raconfig.PeersFile)
	}
}

func (s *Server) credential() *mutual.Credential { return s.loader.current.Load().credential }

func (s *Server) serve(l net.Listener, handler http.Handler, failed chan<- error) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
	}
	serving.Start(server, l, failed)
	return server
}

// drain goes on serving while the servers' connections move to other signers.
func (s *Server) drain(failed <-chan error) error {
	s.admin.draining.Store(true)
	s.options.Logger.Info("draining", "for", s.options.Drain)
	return serving.Drain(s.options.Drain, failed)
}
