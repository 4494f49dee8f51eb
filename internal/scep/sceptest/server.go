package sceptest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
)

// Options is what a Server is made from; the zero value is an RA with a pair of
// credentials that asks for no challenge.
type Options struct {
	CA        *CA            // nil: a new one
	Identity  *scep.Identity // nil: a new one of Layout
	Layout    Layout
	Settings  scep.Settings
	Challenge string       // for requests that no certificate of the CA signed
	OneTime   []string     // challenges that are good for one enrolment each, and so for EC devices
	Pending   int          // how often each transaction is told PENDING
	Backend   scep.Backend // nil: one that issues from CA
	Observer  scep.Observer
	BareURL   http.Handler
	Paths     []string
}

// Server is an RA and its CA behind a loopback URL.
type Server struct {
	URL     string
	CA      *CA
	Handler http.Handler

	identity atomic.Pointer[scep.Identity]
	issuer   *issuer
}

// NewServer starts a Server that ends with the test.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	s := newServer(t, o)
	s.listen(t)
	return s
}

// newServer is a Server without a URL.
func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.CA == nil {
		o.CA = NewCA(t)
	}
	if o.Identity == nil {
		o.Identity = NewIdentity(t, o.CA, o.Layout)
	}
	s := &Server{CA: o.CA, issuer: newIssuer(o)}
	s.identity.Store(o.Identity)
	if o.Backend == nil {
		o.Backend = s.issuer
	}
	s.Handler = scep.NewHandler(scep.HandlerConfig{
		Identity: s.identity.Load,
		Settings: func() scep.Settings { return o.Settings },
		Backend:  o.Backend,
		Observer: o.Observer,
		BareURL:  o.BareURL,
		Paths:    o.Paths,
		Logger:   slog.New(slog.DiscardHandler),
	})
	return s
}

func (s *Server) listen(t testing.TB) {
	t.Helper()
	server := httptest.NewServer(s.Handler)
	t.Cleanup(server.Close)
	s.URL = server.URL + "/scep"
}

// Identity is what the RA is now.
func (s *Server) Identity() *scep.Identity { return s.identity.Load() }

// SetIdentity replaces what the RA is; nil is an RA without a credential.
func (s *Server) SetIdentity(id *scep.Identity) { s.identity.Store(id) }

// Issued is how many certificates the CA made for devices.
func (s *Server) Issued() int {
	s.issuer.mu.Lock()
	defer s.issuer.mu.Unlock()
	return s.issuer.issued
}
