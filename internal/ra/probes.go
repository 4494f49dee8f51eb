package ra

import (
	"context"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/mint"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// Prober tries the endpoint's URLs while it is the chosen one; package probe has one.
type Prober interface {
	// Run works until the context ends, with what order says at the time.
	Run(ctx context.Context, order func() (*raconfig.Probes, probemark.Keys))
	// Choose says whether this server is the one that probes, and whether it may send
	// canaries. When anew changes, everything is tried now.
	Choose(chosen, canaries bool, anew string)
	// Report is what was found last; nil if nothing was.
	Report() *raconfig.ProbeReport
	// RunNeeds tries what the server depends on until the context ends, as often as needs
	// says; 0: not at all.
	RunNeeds(ctx context.Context, needs func() ([]raconfig.Need, time.Duration))
	// Dependencies is what came of that; nil if nothing did.
	Dependencies() []raconfig.ProbedDependency
}

// noProber stands in where there is none.
type noProber struct{}

func (noProber) Run(context.Context, func() (*raconfig.Probes, probemark.Keys))    {}
func (noProber) Choose(bool, bool, string)                                         {}
func (noProber) Report() *raconfig.ProbeReport                                     { return nil }
func (noProber) RunNeeds(context.Context, func() ([]raconfig.Need, time.Duration)) {}
func (noProber) Dependencies() []raconfig.ProbedDependency                         { return nil }

// order is what the configuration says, and the keys to mark probes with.
func (s *Server) order() (*raconfig.Probes, probemark.Keys) {
	snapshot := s.reloader.Current()
	if snapshot == nil {
		return nil, probemark.Keys{}
	}
	return snapshot.Config.Probes, s.keys()
}

// keys are empty before there is anything to answer with.
func (s *Server) keys() probemark.Keys {
	if snapshot := s.reloader.Current(); snapshot != nil {
		return probemark.NewKeys(snapshot.StateKey)
	}
	return probemark.Keys{}
}

// probe runs the prober until the context ends; what it gives is then closed.
func (s *Server) probe(ctx context.Context) <-chan struct{} {
	return aside(ctx, func(ctx context.Context) {
		needing := aside(ctx, func(ctx context.Context) { s.options.Prober.RunNeeds(ctx, s.needs) })
		s.options.Prober.Run(ctx, s.order)
		<-needing
	})
}

// maxProbeBody bounds what a probe may POST, in bytes.
const maxProbeBody = 64 << 10

// answerProbes answers the probes of the endpoint's own servers, with a receipt of what
// arrived, and counts them nowhere: they are no devices. Everything else goes on.
func (s *Server) answerProbes(next http.Handler) http.Handler {
	quiet := servePaths(s.reloader.Current, scep.NewHandler(scep.HandlerConfig{
		Identity: s.identity, Settings: s.settings, Logger: s.options.Logger,
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mark := r.Header.Get(probemark.Header)
		if mark == "" || !isProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		key := s.keys().Probe
		if !key.Knows(mark, s.options.Now()) {
			next.ServeHTTP(w, r)
			return
		}
		answerProbe(w, r, key, quiet)
	})
}

// answerAdminProbes answers those that ask for the page of challenges without saying who asks.
func (s *Server) answerAdminProbes(next http.Handler) http.Handler {
	stranger := s.minter.Stranger()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mark, key := r.Header.Get(probemark.Header), s.keys().Probe
		if mark == "" || r.Method != http.MethodGet || !mint.IsPage(r.URL.Path) || !key.Knows(mark, s.options.Now()) {
			next.ServeHTTP(w, r)
			return
		}
		answerProbe(w, r, key, stranger)
	})
}

// isProbe says whether a request is one that a probe makes: none that could enrol.
func isProbe(r *http.Request) bool {
	operation, _ := scep.QueryParameter(r.URL.RawQuery, "operation")
	if r.Method == http.MethodPost {
		return strings.EqualFold(operation, "PKIOperation")
	}
	return r.Method == http.MethodGet && (strings.EqualFold(operation, "GetCACaps") || strings.EqualFold(operation, "GetCACert"))
}

func answerProbe(w http.ResponseWriter, r *http.Request, key probemark.Key, quiet http.Handler) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxProbeBody))
	if err != nil {
		http.Error(w, "the probe could not be read", http.StatusBadRequest)
		return
	}
	answer := &answerBuffer{header: http.Header{}, status: http.StatusOK}
	if r.Method == http.MethodGet {
		quiet.ServeHTTP(answer, r)
	}
	answer.send(w, r, body, key)
}

// send passes an answer on to a prober, with the receipt that goes with the request.
func (b *answerBuffer) send(w http.ResponseWriter, r *http.Request, body []byte, key interface {
	Sign(mark string, r probemark.Receipt) string
},
) {
	maps.Copy(w.Header(), b.header)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(probemark.Header, key.Sign(r.Header.Get(probemark.Header), probemark.Receipt{
		TargetBytes: len(r.RequestURI),
		Target:      probemark.SumOf([]byte(r.RequestURI)),
		Body:        probemark.SumOf(body),
		Answer:      probemark.SumOf(b.body.Bytes()),
	}))
	w.WriteHeader(b.status)
	_, _ = w.Write(b.body.Bytes()) // a prober that has gone needs no answer
}
