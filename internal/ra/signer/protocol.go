package signer

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// statuses of the problems' codes.
var statuses = map[wire.Code]int{
	wire.Malformed:   http.StatusBadRequest,
	wire.UnknownPeer: http.StatusForbidden,
	wire.Outdated:    http.StatusConflict,
	wire.Refused:     http.StatusUnprocessableEntity,
	wire.NotReady:    http.StatusServiceUnavailable,
	wire.Busy:        http.StatusServiceUnavailable,
	wire.CAExpired:   http.StatusServiceUnavailable,
}

// leaves are codes after which a server had better ask another signer: the
// connection is closed.
var leaves = map[wire.Code]bool{wire.UnknownPeer: true, wire.Outdated: true, wire.NotReady: true, wire.Busy: true}

// Handler speaks the protocol with peers.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.IssuePath, s.serveIssue)
	mux.HandleFunc("GET "+wire.CRLPath, s.serveCRL)
	mux.HandleFunc("GET "+wire.StatusPath, s.admin.report)
	return s.onlyPeers(mux)
}

// onlyPeers looks at the peer of every request: who is taken off the list is cut off,
// also where the connection is older than that.
func (s *Server) onlyPeers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := s.credential(); c == nil || c.Verify(r.TLS) != nil {
			s.refuse(w, &wire.Problem{Code: wire.UnknownPeer, Text: "the certificate of the connection is not in " + raconfig.PeersFile})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ready is the problem that keeps the signer from working; nil if none does.
func (p *parts) ready() error {
	if missing := p.missing(); missing != "" {
		return &wire.Problem{Code: wire.NotReady, Text: missing + " is not loaded"}
	}
	return nil
}

func (s *Server) serveIssue(w http.ResponseWriter, r *http.Request) {
	started := s.options.Now()
	o, err := wire.DecodeOrder(r.Body)
	if err != nil {
		s.refuse(w, &wire.Problem{Code: wire.Malformed, Text: err.Error()})
		return
	}
	p := s.loader.current.Load()
	certificate, err := s.work(r.Context(), p, o)
	s.record(r.Context(), p, o, certificate, err, s.options.Now().Sub(started))
	if err != nil {
		s.refuse(w, problemOf(p, o, err))
		return
	}
	body, err := wire.Encode(&wire.Issued{Certificate: certificate.Raw, Generation: p.config.Config.Endpoint.Generation})
	if err != nil {
		s.refuse(w, problemOf(p, o, err))
		return
	}
	answer(w, wire.JSON, body)
}

// maxQueueTime is how long an order waits for a processor.
const maxQueueTime = 2 * time.Second

// work issues when there is room for it.
func (s *Server) work(ctx context.Context, p *parts, o *wire.Order) (*x509.Certificate, error) {
	if err := p.ready(); err != nil {
		return nil, err
	}
	timer := time.NewTimer(maxQueueTime)
	defer timer.Stop()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-timer.C:
		return nil, &wire.Problem{Code: wire.Busy, Text: "too many orders"}
	case <-ctx.Done():
		return nil, &wire.Problem{Code: wire.Busy, Text: "the server has gone"}
	}
	return p.issue(ctx, o, s.options.Now())
}

// problemOf is what a server is told of an error. A refusal by an older
// configuration than the server's is not final.
func problemOf(p *parts, o *wire.Order, err error) *wire.Problem {
	var problem *wire.Problem
	refused, isRefusal := refusal.As(err)
	switch {
	case errors.As(err, &problem):
		return problem
	case !isRefusal:
		return &wire.Problem{Code: wire.NotReady, Text: "issuing failed: see the signer's log"}
	case o.Generation > p.config.Config.Endpoint.Generation:
		return &wire.Problem{Code: wire.Outdated, Text: "refused by the configuration of generation " +
			strconv.FormatInt(p.config.Config.Endpoint.Generation, 10) + ": " + refused.Text}
	default:
		return &wire.Problem{Code: wire.Refused, Reason: string(refused.Reason), Text: refused.Text}
	}
}

// record writes the audit record of an order.
func (s *Server) record(ctx context.Context, p *parts, o *wire.Order, certificate *x509.Certificate, err error, took time.Duration) {
	attributes := []slog.Attr{
		slog.String("transaction", o.TransactionID), slog.String("template", o.Template),
		slog.Int64("orderGeneration", o.Generation), slog.Duration("took", took),
	}
	if p.config != nil {
		e := p.config.Config.Endpoint
		attributes = append(attributes, slog.String("endpoint", e.Namespace+"/"+e.Name), slog.Int64("generation", e.Generation))
	}
	if o.Challenge != nil {
		attributes = append(attributes, slog.String("admittedBy", o.Challenge.Name))
	}
	if err != nil {
		code := problemOf(p, o, err).Code
		s.metrics.ended(string(code), took)
		s.log.Record(ctx, audit.SignerRefused, append(attributes, slog.String("problem", string(code)), slog.String("error", err.Error()))...)
		return
	}
	s.metrics.ended(resultIssued, took)
	s.log.Record(ctx, audit.SignerIssued, append(attributes,
		slog.String("subject", certificate.Subject.String()),
		slog.String("serial", raconfig.SerialText(certificate.SerialNumber)),
		slog.String("certificate", raconfig.Fingerprint(certificate)))...)
}

func (s *Server) serveCRL(w http.ResponseWriter, r *http.Request) {
	p := s.loader.current.Load()
	if err := p.ready(); err != nil {
		s.refuse(w, problemOf(p, nil, err))
		return
	}
	crl, made, err := s.crls.get(p, s.options.Now())
	if err != nil {
		s.refuse(w, &wire.Problem{Code: wire.NotReady, Text: err.Error()})
		return
	}
	if made {
		s.log.Record(r.Context(), audit.CRLMade, slog.Int("revoked", len(p.revocations.Revoked)), slog.Time("updated", p.revocations.Updated))
	}
	answer(w, wire.CRL, crl)
}

// refuse answers with a problem.
func (s *Server) refuse(w http.ResponseWriter, problem *wire.Problem) {
	if leaves[problem.Code] {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Content-Type", wire.JSON)
	w.WriteHeader(statuses[problem.Code])
	if err := json.NewEncoder(w).Encode(problem); err != nil {
		s.options.Logger.Debug("a problem was not sent", "error", err)
	}
}

func answer(w http.ResponseWriter, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a server that has gone asks again
}
