package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const (
	serviceHost = "hook.example.com"
	proxyHost   = "proxy.example.com"
)

// network leads two names to listeners of the loopback; what it dials is counted.
type network struct{ service, proxy string }

func (n network) prober() *Prober {
	return &Prober{
		Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(map[string]string{serviceHost: "10.0.0.7", proxyHost: "10.0.0.8"}[name])}, nil
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := n.service
			if strings.HasPrefix(address, "10.0.0.8:") {
				to = n.proxy
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}
}

func parsed(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// needOf is a need of the service at a URL, by a proxy where one is named.
func needOf(t *testing.T, address, proxy string, roots *x509.CertPool) *raconfig.Need {
	t.Helper()
	n := &raconfig.Need{Dependency: raconfig.DependencyChallenge, Name: "mdm", URL: parsed(t, address), Roots: roots}
	if proxy != "" {
		n.Proxy = parsed(t, proxy)
	}
	return n
}

// issuedFor is a certificate of a CA for a name, from a time to another.
func issuedFor(t *testing.T, ca *sceptest.CA, name string, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "service"}, DNSNames: []string{name}, NotBefore: from, NotAfter: to,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{issued.Raw, ca.Certificate.Raw}, PrivateKey: key}
}

// harmless answers nothing but a question without credentials, and with the date of a clock.
func harmless(t *testing.T, ahead time.Duration) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.RequestURI != "/" || r.Header.Get("Authorization") != "" || r.ContentLength > 0 {
			t.Errorf("asked for %s %s with %v", r.Method, r.RequestURI, r.Header)
		}
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotFound)
	})
}

// TestTry shows every way in which a service may not be reached, without a proxy.
func TestTry(t *testing.T) {
	now := time.Now()
	ca := sceptest.NewCA(t)
	good := issuedFor(t, ca, serviceHost, now.Add(-time.Hour), now.Add(time.Hour))
	over := func(h http.Handler, c tls.Certificate) func(*testing.T) string {
		return func(t *testing.T) string { return serveTLS(t, h, c) }
	}
	fine := harmless(t, 0)
	cases := []struct {
		name  string
		serve func(t *testing.T) string
		kind  raconfig.FailureKind // "": reached
		says  string
	}{
		{"healthy", over(fine, good), "", ""},
		{"it answers nothing to this question", over(http.HandlerFunc(faults.Closed), good), "", ""},
		{"it breaks", over(http.HandlerFunc(faults.Status(http.StatusBadGateway)), good), "", ""},
		{"it wants a client certificate", func(t *testing.T) string { return serveMutual(t, good, 0) }, "", ""},
		{"it wants a client certificate, by TLS 1.2", func(t *testing.T) string { return serveMutual(t, good, tls.VersionTLS12) }, "", ""},
		{"nobody listens", func(*testing.T) string { return "127.0.0.1:1" }, raconfig.FailureRefused, ""},
		{"cut", func(t *testing.T) string { return serveRaw(t, reset) }, raconfig.FailureReset, ""},
		{"closed", func(t *testing.T) string { return serveRaw(t, says("")) }, raconfig.FailureClosed, ""},
		{"no TLS", func(t *testing.T) string { return serveRaw(t, says("HTTP/1.1 400 Bad Request\r\n\r\n")) }, raconfig.FailureTLS, "does not look like a TLS handshake"},
		{"another CA", over(fine, certificateFor(t, serviceHost, now.Add(-time.Hour), now.Add(time.Hour))), raconfig.FailureTLSUntrusted, "issued by "},
		{"another name", over(fine, issuedFor(t, ca, "other.example.com", now.Add(-time.Hour), now.Add(time.Hour))), raconfig.FailureTLSName, "other.example.com"},
		{"expired", over(fine, issuedFor(t, ca, serviceHost, now.Add(-2*time.Hour), now.Add(-time.Hour))), raconfig.FailureTLSExpired, "ended "},
		{"not yet valid", over(fine, issuedFor(t, ca, serviceHost, now.Add(time.Hour), now.Add(2*time.Hour))), raconfig.FailureTLSNotYetValid, "begins "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := network{service: c.serve(t)}.prober().Try(t.Context(), needOf(t, "https://"+serviceHost, "", ca.Pool()))
			wantNeed(t, got, c.kind, c.says)
			if got.AtProxy || got.Host != serviceHost+":443" || got.Name != "mdm" || len(got.Addresses) != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func wantNeed(t *testing.T, got raconfig.ProbedDependency, kind raconfig.FailureKind, says string) {
	t.Helper()
	switch {
	case kind == "" && got.Failure != nil, kind != "" && (got.Failure == nil || got.Failure.Kind != kind):
		t.Errorf("failure %+v", got.Failure)
	case kind != "" && !strings.Contains(got.Failure.Detail, says):
		t.Errorf("detail %q", got.Failure.Detail)
	}
}

// serveMutual serves nobody without a client certificate.
func serveMutual(t *testing.T, certificate tls.Certificate, newest uint16) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, MaxVersion: newest, ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestTryNetwork shows what the resolver and the system say of the way.
func TestTryNetwork(t *testing.T) {
	cases := []struct {
		name      string
		addresses []string
		lookup    error
		dial      error
		kind      raconfig.FailureKind
	}{
		{"no such name", nil, &net.DNSError{IsNotFound: true}, nil, raconfig.FailureNameUnknown},
		{"a name without address", nil, nil, nil, raconfig.FailureNameUnknown},
		{"no resolver", nil, &net.DNSError{IsTimeout: true}, nil, raconfig.FailureResolver},
		{"the node's metadata", []string{"169.254.169.254"}, nil, nil, raconfig.FailureAddress},
		{"dropped", []string{"10.0.0.7"}, nil, context.DeadlineExceeded, raconfig.FailureTimeout},
		{"dropped for long", []string{"10.0.0.7"}, nil, os.NewSyscallError("connect", syscall.ETIMEDOUT), raconfig.FailureTimeout},
		{"rejected", []string{"10.0.0.7"}, nil, os.NewSyscallError("connect", syscall.ECONNREFUSED), raconfig.FailureRefused},
		{"no route", []string{"10.0.0.7"}, nil, os.NewSyscallError("connect", syscall.EHOSTUNREACH), raconfig.FailureUnreachable},
		{"prohibited", []string{"10.0.0.7"}, nil, os.NewSyscallError("connect", syscall.EACCES), raconfig.FailureUnreachable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := &Prober{
				Lookup: func(context.Context, string) (out []netip.Addr, err error) {
					for _, a := range c.addresses {
						out = append(out, netip.MustParseAddr(a))
					}
					return out, c.lookup
				},
				Dial: func(context.Context, string, string) (net.Conn, error) { return nil, c.dial },
			}
			wantNeed(t, p.Try(t.Context(), needOf(t, "https://"+serviceHost, "", nil)), c.kind, "")
			byProxy := p.Try(t.Context(), needOf(t, "https://"+serviceHost, "http://"+proxyHost+":3128", nil))
			wantNeed(t, byProxy, c.kind, "")
			if !byProxy.AtProxy || byProxy.Addresses != nil {
				t.Errorf("the proxy is not blamed: %+v", byProxy)
			}
		})
	}
}

func TestClocksAreCompared(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		p := network{service: serve(t, harmless(t, ahead))}.prober()
		got := p.Try(t.Context(), needOf(t, "http://"+serviceHost, "", nil))
		if off := time.Duration(got.ClockSkewSeconds)*time.Second - ahead; off < -limit || off > limit || got.Failure != nil {
			t.Errorf("%v: %+v", ahead, got)
		}
	}
}

// TestAPIServerIsAskedForItsVersion: at the address that the server was given, a loopback one or not.
func TestAPIServerIsAskedForItsVersion(t *testing.T) {
	asked := ""
	address := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.Method + " " + r.RequestURI }))
	got := (&Prober{}).Try(t.Context(), &raconfig.Need{Dependency: raconfig.DependencyAPIServer, URL: parsed(t, "http://"+address+"/version"), Own: true})
	if got.Failure != nil || asked != "GET /version" || got.Host != address {
		t.Errorf("%q, %+v", asked, got)
	}
	if others := (&Prober{}).Try(t.Context(), needOf(t, "http://"+address, "", nil)); others.Failure == nil || others.Failure.Kind != raconfig.FailureAddress {
		t.Errorf("a user's URL led to the loopback: %+v", others)
	}
}

// TestNoMoreThanAConnection: where a service expects a client that it knows.
func TestNoMoreThanAConnection(t *testing.T) {
	got := network{service: serveRaw(t, func(_ net.Conn, line string) {
		if line != "" {
			t.Errorf("%q was sent", line)
		}
	})}.prober().Try(t.Context(), needOf(t, "tcp://"+serviceHost+":8445", "", nil))
	if got.Failure != nil || got.Host != serviceHost+":8445" {
		t.Errorf("%+v", got)
	}
}

// connecting is a proxy that connects to an address, whatever it is asked for.
func connecting(t *testing.T, to string) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" || r.Method == http.MethodConnect && r.RequestURI != serviceHost+":443" {
			t.Errorf("the proxy is asked for %s with %v", r.RequestURI, r.Header)
		}
		if r.Method != http.MethodConnect {
			r.RequestURI = strings.TrimPrefix(r.RequestURI, "http://"+serviceHost)
			harmless(t, time.Hour).ServeHTTP(w, r)
			return
		}
		next, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _, _ = client.Close(), next.Close() }()
		_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(next, client) }()
		_, _ = io.Copy(client, next)
	})
}

// TestTryByProxy lays each failure at the proxy's door or the service's.
func TestTryByProxy(t *testing.T) {
	now := time.Now()
	ca := sceptest.NewCA(t)
	good := issuedFor(t, ca, serviceHost, now.Add(-time.Hour), now.Add(time.Hour))
	expired := issuedFor(t, ca, serviceHost, now.Add(-2*time.Hour), now.Add(-time.Hour))
	refuses := func(code int) http.Handler { return http.HandlerFunc(faults.Status(code)) }
	through := func(c tls.Certificate) http.Handler { return connecting(t, serveTLS(t, harmless(t, 0), c)) }
	cases := []struct {
		name, url string
		proxy     http.Handler
		kind      raconfig.FailureKind
		status    int
		atProxy   bool
	}{
		{"through", "https://" + serviceHost, through(good), "", 0, false},
		{"refused", "https://" + serviceHost, refuses(403), raconfig.FailureStatus, 403, true},
		{"wants a password", "https://" + serviceHost, refuses(407), raconfig.FailureStatus, 407, true},
		{"does not reach it", "https://" + serviceHost, connecting(t, "127.0.0.1:1"), raconfig.FailureStatus, 502, true},
		{"no proxy at all", "https://" + serviceHost, http.HandlerFunc(faults.NotHTTP), raconfig.FailureNotHTTP, 0, true},
		{"hangs up", "https://" + serviceHost, http.HandlerFunc(faults.Closed), raconfig.FailureNotHTTP, 0, true},
		{"the service's certificate", "https://" + serviceHost, through(expired), raconfig.FailureTLSExpired, 0, false},
		{"plain", "http://" + serviceHost, connecting(t, ""), "", 0, false},
		{"plain, refused by the service or the proxy", "http://" + serviceHost, refuses(403), "", 0, false},
		{"plain, not reached", "http://" + serviceHost, refuses(503), raconfig.FailureStatus, 503, true},
		{"plain, wants a password", "http://" + serviceHost, refuses(407), raconfig.FailureStatus, 407, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := network{service: "127.0.0.1:1", proxy: serve(t, c.proxy)}.prober()
			got := p.Try(t.Context(), needOf(t, c.url, "http://"+proxyHost+":3128", ca.Pool()))
			wantNeed(t, got, c.kind, "")
			if got.AtProxy != c.atProxy || got.Proxy != proxyHost+":3128" || got.Addresses != nil {
				t.Errorf("%+v", got)
			}
			if got.Failure != nil && got.Failure.Status != c.status {
				t.Errorf("status %d", got.Failure.Status)
			}
		})
	}
}

// TestProxyOverTLS: the proxy's own certificate has to be of a CA that the system trusts.
func TestProxyOverTLS(t *testing.T) {
	ca := sceptest.NewCA(t)
	p := network{proxy: serveTLS(t, http.NotFoundHandler(), issuedFor(t, ca, proxyHost, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))}.prober()
	got := p.Try(t.Context(), needOf(t, "https://"+serviceHost, "https://"+proxyHost, ca.Pool()))
	wantNeed(t, got, raconfig.FailureTLSUntrusted, "")
	if !got.AtProxy || got.Proxy != proxyHost+":443" {
		t.Errorf("%+v", got)
	}
}
