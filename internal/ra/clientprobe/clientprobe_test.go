package clientprobe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/ra/clientprobe"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// patience is for calls that are answered; machines may be busy.
const patience = time.Minute

// far is a service, and who is let in.
type far struct {
	*httptest.Server
	url string
	// trusted makes the client trust the service's own certificate.
	trusted bool
	method  v1alpha1.ClientProbe
}

func clientOf(t *testing.T, ca *sceptest.CA, key int) *tls.Certificate {
	t.Helper()
	signer := sceptest.RSAKey(t, key)
	c, err := ca.Issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	out := &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: signer, Leaf: c}
	for _, above := range ca.Chain() {
		out.Certificate = append(out.Certificate, above.Raw)
	}
	return out
}

func start(t *testing.T, config *tls.Config, handler http.HandlerFunc) *far {
	t.Helper()
	f := &far{Server: httptest.NewUnstartedServer(handler), trusted: true}
	f.TLS = config
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	t.Cleanup(f.Close)
	f.url = f.URL + "/hook?token=secret"
	return f
}

func (f *far) service(certificates ...clientprobe.Certificate) clientprobe.Service {
	hook := &webhook.Hook{URL: f.url, ID: "hook", ProbeBy: f.method, Now: time.Now}
	return clientprobe.Service{
		Credential: "policy", Challenge: "hook", MadeFrom: "1",
		Certificates: func() []clientprobe.Certificate { return certificates },
		Call: func(ctx context.Context, c *tls.Certificate) (*outbound.Answer, error) {
			o := outbound.Options{Timeout: patience, MaxAnswer: webhook.MaxAnswer}
			if f.trusted {
				o.Roots = x509.NewCertPool()
				o.Roots.AddCert(f.Certificate())
			}
			if c != nil {
				o.ClientCertificate = func() (*tls.Certificate, error) { return c, nil }
			}
			client := outbound.New(o)
			defer client.Close()
			return hook.Probe(ctx, client, webhook.ForCertificate)
		},
	}
}

// watch is a clock that moves when it is told to, and a prober that goes by it.
type watch struct {
	now time.Time
	*clientprobe.Prober
}

func newWatch(services ...clientprobe.Service) *watch {
	w := &watch{now: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.Prober = clientprobe.New(func() time.Time { return w.now }, func() float64 { return 0.5 })
	w.Update(services)
	w.now = w.now.Add(time.Minute)
	return w
}

func (w *watch) text() string {
	var out []string
	for _, p := range w.Report() {
		out = append(out, strings.TrimRight(fmt.Sprintf("%s %s %s %d", p.Generation, p.Result, p.Reason, p.HTTPStatus), " "))
	}
	return strings.Join(out, "; ")
}

// status answers those who show a certificate and those who do not.
func status(with, without int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			w.WriteHeader(with)
			return
		}
		w.WriteHeader(without)
	}
}

// TestAnswers has every kind of service asked about a certificate.
func TestAnswers(t *testing.T) {
	t.Parallel()
	ca, nobody := sceptest.NewCA(t), x509.NewCertPool()
	demand := func(pool *x509.CertPool, version uint16) *tls.Config {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12, MaxVersion: version}
	}
	ask := &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	pinned := func() *tls.Config {
		c := demand(ca.Pool(), tls.VersionTLS13)
		c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("not registered") }
		return c
	}
	certificate := clientOf(t, ca, 3)
	for _, c := range []struct {
		name    string
		config  *tls.Config
		handler http.HandlerFunc
		change  func(*far)
		want    string
	}{
		{"mutual TLS", demand(ca.Pool(), tls.VersionTLS13), status(http.StatusMethodNotAllowed, 0), nil, "Accepted  405"},
		{"mutual TLS 1.2", demand(ca.Pool(), tls.VersionTLS12), status(http.StatusOK, 0), nil, "Accepted  200"},
		{"another CA", demand(nobody, tls.VersionTLS13), status(http.StatusOK, 0), nil, "Refused TLS 0"},
		{"another CA by TLS 1.2", demand(nobody, tls.VersionTLS12), status(http.StatusOK, 0), nil, "Refused TLS 0"},
		{"a thumbprint pinned in TLS", pinned(), status(http.StatusOK, 0), nil, "Refused TLS 0"},
		{"HTTP 401", ask, status(http.StatusUnauthorized, 0), nil, "Refused Unauthenticated 401"},
		{"HTTP 403", ask, status(http.StatusForbidden, http.StatusOK), nil, "Refused Forbidden 403"},
		{"HTTP 401 without", ask, status(http.StatusNotFound, http.StatusUnauthorized), nil, "Accepted  404"},
		{"400 for good and bad", ask, status(http.StatusBadRequest, http.StatusBadRequest), nil, "Unclear NoDifference 400"},
		{"400 for bad", ask, status(http.StatusNotImplemented, http.StatusBadRequest), nil, "Accepted  501"},
		{"no difference", ask, status(http.StatusMethodNotAllowed, http.StatusMethodNotAllowed), nil, "Unclear NoDifference 405"},
		{"behind a hop", ask, status(http.StatusBadGateway, http.StatusOK), nil, "Unreachable Network 502"},
		{"nobody there", ask, status(http.StatusOK, http.StatusOK), func(f *far) { f.Close() }, "Unreachable Network 0"},
		{"untrusted", ask, status(http.StatusOK, http.StatusOK), func(f *far) { f.trusted = false }, "Unreachable ServerCertificate 0"},
		{"by POST", ask, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && len(r.TLS.PeerCertificates) == 0 {
				w.WriteHeader(http.StatusForbidden)
			}
		}, func(f *far) { f.method = v1alpha1.ClientProbePost }, "Accepted  200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, c.config, c.handler)
			if c.change != nil {
				c.change(f)
			}
			w := newWatch(f.service(clientprobe.Certificate{Generation: "g", TLS: certificate}))
			w.Round(t.Context())
			if got := w.text(); got != "g "+c.want {
				t.Errorf("got %q, want %q", got, "g "+c.want)
			}
		})
	}
}

// TestNothingIsSent: a probe is no question, and shows which it is.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	var seen []string
	f := start(t, &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}, func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, fmt.Sprintf("%s %d %s", r.Method, r.ContentLength, r.Header.Get("X-Scepter-Probe")))
	})
	w := newWatch(f.service(clientprobe.Certificate{Generation: "g", TLS: clientOf(t, sceptest.NewCA(t), 3)}))
	w.Round(t.Context())
	if got := strings.Join(seen, ";"); got != "HEAD 0 client-certificate;HEAD 0 client-certificate" {
		t.Errorf("seen %q", got)
	}
}

// desk counts the calls of a service that answers what it is told to.
type desk struct {
	with, without int
	calls         []string
}

func (d *desk) service(certificates func() []clientprobe.Certificate) clientprobe.Service {
	return clientprobe.Service{
		Credential: "policy", Challenge: "hook", MadeFrom: "1", Certificates: certificates,
		Call: func(_ context.Context, c *tls.Certificate) (*outbound.Answer, error) {
			if c == nil {
				d.calls = append(d.calls, "none")
				return &outbound.Answer{Status: d.without}, nil
			}
			d.calls = append(d.calls, string(c.Certificate[0]))
			return &outbound.Answer{Status: d.with}, nil
		},
	}
}

// expect goes on by some time and compares who was asked about.
func (d *desk) expect(t *testing.T, w *watch, after time.Duration, calls string) {
	t.Helper()
	w.now = w.now.Add(after)
	d.calls = nil
	w.Round(t.Context())
	if got := strings.Join(d.calls, " "); got != calls {
		t.Errorf("at %s asked about %q, want %q (%s)", w.now, got, calls, w.text())
	}
}

func generation(id string) clientprobe.Certificate {
	return clientprobe.Certificate{Generation: id, TLS: &tls.Certificate{Certificate: [][]byte{[]byte(id)}}}
}

func TestHowOftenIsAsked(t *testing.T) {
	t.Parallel()
	d := &desk{with: http.StatusForbidden, without: http.StatusUnauthorized}
	list := []clientprobe.Certificate{generation("g1")}
	w := newWatch(d.service(func() []clientprobe.Certificate { return list }))
	d.expect(t, w, 0, "g1")
	since := w.Report()[0].Since
	d.expect(t, w, 9*time.Second, "")
	d.expect(t, w, time.Second, "g1")
	d.expect(t, w, time.Hour, "g1")
	d.expect(t, w, 4*time.Minute, "") // ever less often
	d.expect(t, w, time.Minute, "g1")
	if !w.Report()[0].Since.Equal(since) {
		t.Error("the same answer began anew")
	}
	d.with = http.StatusOK
	d.expect(t, w, 5*time.Minute, "g1 none")
	d.expect(t, w, 14*time.Minute, "")
	d.expect(t, w, time.Minute, "g1") // what comes without is known for a day
	// Another generation is asked about at once; one that is gone is forgotten.
	list = []clientprobe.Certificate{generation("g2"), generation("g1")}
	d.expect(t, w, 5*time.Second, "")
	d.expect(t, w, 5*time.Second, "g2")
	list = list[:1]
	d.expect(t, w, time.Second, "")
	if got := w.text(); got != "g2 Accepted  200" {
		t.Errorf("known is %q", got)
	}
	d.expect(t, w, 25*time.Hour, "g2 none")
	// A service that is called in another way is another service.
	again := d.service(func() []clientprobe.Certificate { return list })
	again.MadeFrom = "2"
	w.Update([]clientprobe.Service{again})
	if got := w.text(); got != "" {
		t.Errorf("known is %q", got)
	}
	d.expect(t, w, 5*time.Second, "g2 none")
}

// TestRun asks by the real clock, and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	d := &desk{with: http.StatusOK, without: http.StatusUnauthorized}
	p := clientprobe.New(time.Now, func() float64 { return 0 })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx)
	}()
	p.Update([]clientprobe.Service{d.service(func() []clientprobe.Certificate { return []clientprobe.Certificate{generation("g")} })})
	limit := time.After(patience)
	for len(p.Report()) == 0 {
		select {
		case <-limit:
			t.Fatal("nothing was asked")
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop()
	<-ended
	want := raconfig.ClientProbe{Credential: "policy", Generation: "g", Challenge: "hook", Result: v1alpha1.ClientAccepted, HTTPStatus: http.StatusOK}
	got := p.Report()[0]
	got.Since = time.Time{}
	if got != want {
		t.Errorf("got %+v", got)
	}
}
