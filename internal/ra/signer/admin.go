package signer

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Paths of the admin listener, beside raconfig.StatusPath.
const (
	livePath    = "/livez"
	readyPath   = "/readyz"
	metricsPath = "/metrics"
)

// admin serves the kubelet, the operator and Prometheus.
type admin struct {
	pod, version string
	parts        func() *parts
	now          func() time.Time
	selfTest     *selfTest
	draining     atomic.Bool
	logger       *slog.Logger
}

// AdminHandler serves /livez, /readyz, /status and /metrics.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+livePath, s.admin.live)
	mux.HandleFunc("GET "+readyPath, s.admin.ready)
	mux.HandleFunc("GET "+raconfig.StatusPath, s.admin.report)
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

func (a *admin) live(w http.ResponseWriter, r *http.Request) {
	if err := a.selfTest.run(r.Context()); err != nil {
		a.logger.ErrorContext(r.Context(), "self-test failed", "error", err)
		http.Error(w, "the self-test failed: see the log", http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (a *admin) ready(w http.ResponseWriter, _ *http.Request) {
	if why := a.notReady(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// notReady is why the signer cannot issue; "" if it can.
func (a *admin) notReady() string {
	p := a.parts()
	missing := p.missing()
	switch {
	case a.draining.Load():
		return "shutting down"
	case missing != "":
		return missing + " is not loaded: see " + raconfig.StatusPath
	case a.now().After(p.ca.certificate.NotAfter):
		return "the CA's certificate has expired: have it renewed"
	default:
		return ""
	}
}

func (a *admin) report(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(a.status()); err != nil {
		a.logger.Debug("status was not sent", "error", err)
	}
}

func (a *admin) status() *raconfig.SignerStatus {
	p := a.parts()
	out := &raconfig.SignerStatus{Pod: a.pod, Version: a.version, Problems: p.problems}
	if p.config != nil {
		out.ConfigHash, out.ConfigGeneration = p.config.Hash, p.config.Config.Endpoint.Generation
	}
	if p.ca != nil {
		out.CA, out.CANotAfter = raconfig.Fingerprint(p.ca.certificate), p.ca.certificate.NotAfter.UTC()
		if err := checkCRL(p.ca.certificate); err != nil {
			out.CRLProblem = err.Error()
		}
	}
	if p.credential != nil {
		out.Certificate = raconfig.Fingerprint(p.credential.Pair.Leaf)
		for _, peer := range p.credential.Peers {
			out.Peers = append(out.Peers, raconfig.Fingerprint(peer))
		}
	}
	if p.revocations != nil {
		out.RevocationsUpdated, out.Revoked = p.revocations.Updated, len(p.revocations.Revoked)
	}
	return out
}
