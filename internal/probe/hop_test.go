package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
)

const host = "scep.example.com"

var (
	endpointKeys = probemark.NewKeys([]byte("0123456789abcdef0123456789abcdef"))
	endpointKey  = endpointKeys.Probe
	otherKey     = probemark.NewKey([]byte("fedcba9876543210fedcba9876543210"))
	ours         = Known{Capabilities: []byte("AES\nSHA-256\n"), CACertificates: []byte("certificates")}
)

// endpoint answers as a server of an endpoint does, with receipts for who knows its key.
func endpoint(key probemark.Key, answers Known) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mark := r.Header.Get(probemark.Header)
		answer := answers.Capabilities
		switch {
		case r.Method == http.MethodPost:
			answer = nil
		case strings.Contains(r.URL.RawQuery, "GetCACert"):
			answer = answers.CACertificates
			w.Header().Set("Content-Type", "application/x-x509-ca-ra-cert")
		}
		if !key.Knows(mark, time.Now()) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = w.Write(answer)
			return
		}
		w.Header().Set(probemark.Header, key.Sign(mark, probemark.Receipt{
			TargetBytes: len(r.RequestURI), Target: probemark.SumOf([]byte(r.RequestURI)),
			Body: probemark.SumOf(body), Answer: probemark.SumOf(answer),
		}))
		_, _ = w.Write(answer)
	})
}

func healthy() http.Handler { return endpoint(endpointKey, ours) }

// serve puts a handler behind an address of the loopback.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// serveTLS does so with a certificate.
func serveTLS(t *testing.T, h http.Handler, certificate tls.Certificate) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// serveRaw gives each connection to a function, which sees the request line first.
func serveRaw(t *testing.T, talk func(net.Conn, string)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's listener
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				line, _ := bufio.NewReader(c).ReadString('\n')
				talk(c, line)
			}()
		}
	}()
	return l.Addr().String()
}

// says answers every request with these bytes.
func says(answer string) func(net.Conn, string) {
	return func(c net.Conn, _ string) { _, _ = io.WriteString(c, answer) }
}

// reset cuts the connection.
func reset(c net.Conn, _ string) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// hop is a proxy that looks at a request as it came and may answer itself, change it,
// or pass it on. It reads nothing away from the target.
func hop(t *testing.T, next string, look func(target string, r *http.Request) (forward string, status int)) string {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "hop/1.0")
		forward, status := look(r.RequestURI, r)
		if status != 0 {
			w.Header().Set("Location", "https://"+host+forward)
			w.WriteHeader(status)
			return
		}
		pass(w, r, next, forward)
	}))
}

func pass(w http.ResponseWriter, r *http.Request, next, target string) {
	c, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", next)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = c.Close() }()
	body, _ := io.ReadAll(r.Body)
	raw := request{method: r.Method, target: target, body: body}.bytes(r.Host, r.Header.Get(probemark.Header))
	a, err := exchange(c, raw, r.Method)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// prober connects to the address instead of where the name leads.
func prober(key probemark.Key, address string) *Prober {
	return &Prober{
		Key: key,
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.7")}, nil
		},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
}

func target(t *testing.T, url string) Target {
	t.Helper()
	got, err := NewTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// certificateFor is good for a name from a time to another.
func certificateFor(t *testing.T, name string, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hop"}, DNSNames: []string{name}, NotBefore: from, NotAfter: to,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// longBody is more than a prober reads.
func longBody() string { return strings.Repeat("x", 2*maxAnswer) }

// rewriting changes the answers of a server.
func rewriting(next http.Handler, old, changed string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		next.ServeHTTP(recorded, r)
		for name, values := range recorded.Header() {
			w.Header()[name] = values
		}
		_, _ = w.Write(bytes.ReplaceAll(recorded.Body.Bytes(), []byte(old), []byte(changed)))
	})
}

// stripping keeps marks from a server.
func stripping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(probemark.Header)
		next.ServeHTTP(w, r)
	})
}
