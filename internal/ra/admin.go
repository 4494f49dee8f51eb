package ra

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Paths of the admin listener, beside raconfig.StatusPath.
const (
	livePath    = "/livez"
	readyPath   = "/readyz"
	healthPath  = "/healthz"
	metricsPath = "/metrics"
)

func isAdminPath(path string) bool {
	return slices.Contains([]string{livePath, readyPath, metricsPath, auditPath, raconfig.StatusPath}, path)
}

// admin serves the kubelet, the operator and Prometheus; never devices.
type admin struct {
	pod, version string
	status       func() *reload.Status
	issuing      func() bool // whether what asks the issuer is set up
	selfTest     *selfTest
	device       *deviceTest
	draining     atomic.Bool
	wanted       func() []string // serial numbers to be revoked
	clientProbes func() []raconfig.ClientProbe
	services     func() []raconfig.Away // which failed
	silent       func() []raconfig.Away // sources of revocation
	rights       func() []string        // that are missing
	trial        func() *raconfig.TrialProblem
	health       *health
	issuingCA    *issuingCA
	collection   *collection
	funnel       func() []audit.FunnelRow
	paths        func() map[string]uint64
	agents       func() map[string]uint64
	logger       *slog.Logger
	records      *recording
	prober       Prober
}

func (a *admin) handler(metrics *audit.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+livePath, a.live)
	mux.HandleFunc("GET "+readyPath, a.ready)
	mux.HandleFunc("GET "+healthPath, a.healthy)
	mux.HandleFunc("GET "+raconfig.StatusPath, a.report)
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(metrics.Registry(), promhttp.HandlerOpts{}))
	if kept := a.records.ring; kept != nil {
		mux.Handle("GET "+auditPath, kept)
	}
	return mux
}

func (a *admin) live(w http.ResponseWriter, r *http.Request) {
	if err := errors.Join(a.selfTest.run(r.Context()), a.device.run(r.Context())); err != nil {
		a.logger.ErrorContext(r.Context(), "self-test failed", "error", err)
		http.Error(w, "the self-test failed: see the log", http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// ready says what this server can do by itself; it does not ask the issuer.
func (a *admin) ready(w http.ResponseWriter, _ *http.Request) {
	if why := a.notReady(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// healthy is ready and alive, for those who ask one question only.
func (a *admin) healthy(w http.ResponseWriter, r *http.Request) {
	if why := a.notReady(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	a.live(w, r)
}

func (a *admin) notReady() string {
	switch {
	case a.draining.Load():
		return "shutting down"
	case a.status().Snapshot == nil:
		return "configuration or keyring is not loaded: see " + raconfig.StatusPath
	case !a.issuing():
		return "starting"
	default:
		return ""
	}
}

func (a *admin) report(w http.ResponseWriter, r *http.Request) {
	if query := r.URL.Query(); query.Has(raconfig.ProberParameter) {
		a.prober.Choose(query.Get(raconfig.ProberParameter) == a.pod, !query.Has(raconfig.NoCanariesParameter), query.Get(raconfig.AnewParameter))
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(a.replicaStatus()); err != nil {
		a.logger.Debug("status was not sent", "error", err)
	}
}

// expiries are metrics of the RA certificates, as times, so that alerts need no
// knowledge of the server's clock.
type expiries struct {
	snapshot func() *reload.Snapshot
	notAfter *prometheus.Desc
}

func newExpiries(snapshot func() *reload.Snapshot) *expiries {
	return &expiries{snapshot: snapshot, notAfter: prometheus.NewDesc(
		"scepter_ra_certificate_not_after_timestamp_seconds",
		"End of the RA certificates' validity, as Unix time.",
		[]string{"generation", "role", "active"}, nil,
	)}
}

// Describe implements prometheus.Collector.
func (x *expiries) Describe(out chan<- *prometheus.Desc) { out <- x.notAfter }

// Collect implements prometheus.Collector.
func (x *expiries) Collect(out chan<- prometheus.Metric) {
	s := x.snapshot()
	if s == nil {
		return
	}
	for _, g := range s.Keyring.Generations {
		active := "false"
		if g.ID == s.Config.ActiveGeneration {
			active = "true"
		}
		for _, c := range g.Certificates {
			end := float64(c.Certificate.NotAfter.Unix())
			out <- prometheus.MustNewConstMetric(x.notAfter, prometheus.GaugeValue, end, g.ID, string(c.Role), active)
		}
	}
}
