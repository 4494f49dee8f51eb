package sceptest

import (
	"bytes"
	"context"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
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
	if o.CA == nil {
		o.CA = NewCA(t)
	}
	if o.Identity == nil {
		o.Identity = NewIdentity(t, o.CA, o.Layout)
	}
	s := &Server{CA: o.CA, issuer: &issuer{ca: o.CA, challenge: o.Challenge, pending: o.Pending}}
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
	server := httptest.NewServer(s.Handler)
	t.Cleanup(server.Close)
	s.URL = server.URL + "/scep"
	return s
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

// issuer is a Backend that remembers transactions and answers each with one
// certificate, however often it is asked.
type issuer struct {
	ca        *CA
	challenge string
	pending   int

	mu           sync.Mutex
	transactions []*transaction
	issued       int
}

// transaction is one enrolment.
type transaction struct {
	id     string
	csr    *x509.CertificateRequest
	signer *x509.Certificate
	polls  int // how often PENDING was told
	cert   *x509.Certificate
}

// PKIOperation implements scep.Backend.
func (i *issuer) PKIOperation(_ context.Context, r *scep.Request) (*scep.Reply, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.MessageType == scep.CertPoll {
		return i.poll(r)
	}
	if text := i.refusal(r); text != "" {
		return scep.Fail(scep.BadRequest, text), nil
	}
	// With the same key many clients have the same transactionID again when they
	// renew: the signer tells that from a repetition.
	tx := i.find(func(tx *transaction) bool {
		return tx.id == r.TransactionID && tx.signer.Equal(r.Signer) && bytes.Equal(tx.csr.Raw, r.CSR.Raw)
	})
	if tx == nil {
		tx = &transaction{id: r.TransactionID, csr: r.CSR, signer: r.Signer}
		i.transactions = append(i.transactions, tx)
	}
	return i.answer(tx)
}

// poll finds the latest transaction of the same signer key: whoever knows an id
// only is told nothing.
func (i *issuer) poll(r *scep.Request) (*scep.Reply, error) {
	tx := i.find(func(tx *transaction) bool {
		return tx.id == r.TransactionID &&
			bytes.Equal(tx.signer.RawSubjectPublicKeyInfo, r.Signer.RawSubjectPublicKeyInfo)
	})
	if tx == nil {
		return scep.Fail(scep.BadCertID, "no such transaction"), nil
	}
	return i.answer(tx)
}

func (i *issuer) find(is func(*transaction) bool) *transaction {
	for _, tx := range slices.Backward(i.transactions) {
		if is(tx) {
			return tx
		}
	}
	return nil
}

// refusal says why a request is not authorised, "" if it is.
func (i *issuer) refusal(r *scep.Request) string {
	if i.ca.Issued(r.Signer) {
		return ""
	}
	if r.MessageType == scep.RenewalReq {
		return "the certificate is not one of ours"
	}
	if subtle.ConstantTimeCompare([]byte(r.ChallengePassword), []byte(i.challenge)) != 1 {
		return "wrong challenge password"
	}
	return ""
}

func (i *issuer) answer(tx *transaction) (*scep.Reply, error) {
	if tx.polls < i.pending {
		tx.polls++
		return scep.Pending(), nil
	}
	if tx.cert != nil {
		return scep.Success(tx.cert), nil
	}
	template := &x509.Certificate{
		RawSubject:  tx.csr.RawSubject,
		DNSNames:    tx.csr.DNSNames,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := i.ca.Issue(template, tx.csr.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issuing: %w", err)
	}
	tx.cert = cert
	i.issued++
	return scep.Success(cert), nil
}
