package probe

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// needTimeout is for one look at a service, from the resolver to the last byte.
const needTimeout = 9 * time.Second

// trial is one look at a service: a connection to it, or to the proxy before it.
type trial struct {
	*visit
	need       *raconfig.Need
	connection net.Conn
	out        raconfig.ProbedDependency
}

// Try looks whether a service can be reached in the way in which the servers reach it:
// the name resolves, a connection and a TLS handshake come about. Of an answer to a
// question without credentials nothing counts but its field Date. Since is left out.
func (p *Prober) Try(ctx context.Context, n *raconfig.Need) raconfig.ProbedDependency {
	t := &trial{need: n, out: raconfig.ProbedDependency{Dependency: n.Dependency, Name: n.Name, Host: hostPort(n.URL)}}
	if n.Proxy != nil {
		t.out.Proxy = hostPort(n.Proxy)
	}
	ctx, cancel := context.WithTimeout(ctx, needTimeout)
	defer cancel()
	t.out.Failure, t.out.AtProxy = t.run(ctx, p.asCallersDo())
	return t.out
}

// asCallersDo resolves names as the servers' callers do: by search domains too.
func (p *Prober) asCallersDo() *Prober {
	caller := *p
	caller.Timeout = needTimeout
	if caller.Lookup == nil {
		caller.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host) //nolint:wrapcheck // becomes a fact
		}
	}
	return &caller
}

// run goes as far as it comes, and says whether a failure is the proxy's.
func (t *trial) run(ctx context.Context, p *Prober) (failure *raconfig.ProbeFailure, atProxy bool) {
	if failure = t.reach(ctx, p); failure != nil {
		return failure, t.need.Proxy != nil
	}
	defer func() { _ = t.connection.Close() }()
	plain := t.connection
	stop := context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if failure = t.passProxy(ctx); failure != nil {
		return failure, true
	}
	if t.need.URL.Scheme == "https" {
		if failure = t.shakeHands(ctx, t.need.URL.Hostname(), t.need.Roots); failure != nil {
			return failure, false
		}
	}
	return t.compareClocks()
}

// reach connects to the service, or to the proxy before it.
func (t *trial) reach(ctx context.Context, p *Prober) *raconfig.ProbeFailure {
	first := cmp.Or(t.need.Proxy, t.need.URL)
	_, port, _ := net.SplitHostPort(hostPort(first))
	target := Target{name: first.Hostname(), port: port, own: t.need.Own}
	var failure *raconfig.ProbeFailure
	t.visit, failure = p.arrive(ctx, target)
	if t.need.Proxy == nil {
		t.out.Addresses = t.addressTexts()
	}
	if failure != nil {
		return failure
	}
	t.connection, failure = t.connect(ctx)
	return failure
}

// passProxy asks a proxy to connect to a service with TLS.
func (t *trial) passProxy(ctx context.Context) *raconfig.ProbeFailure {
	proxy := t.need.Proxy
	if proxy == nil {
		return nil
	}
	if proxy.Scheme == "https" {
		if failure := t.shakeHands(ctx, proxy.Hostname(), nil); failure != nil {
			return failure
		}
	}
	if t.need.URL.Scheme != "https" {
		return nil
	}
	host := hostPort(t.need.URL)
	if _, err := fmt.Fprintf(t.connection, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n", host, host, userAgent); err != nil {
		return failureOf(err)
	}
	// Nothing follows the answer before the handshake begins, so that nothing is lost in the buffer.
	response, err := http.ReadResponse(bufio.NewReader(t.connection), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return failureOf(fmt.Errorf("%w: %w", errNotHTTP, err))
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: response.StatusCode, Server: bounded(response.Header.Get("Server"))}
	}
	return nil
}

// shakeHands trusts whom the servers trust. A service that wants a client certificate and
// ends the handshake for the lack of one was reached.
func (t *trial) shakeHands(ctx context.Context, name string, roots *x509.CertPool) *raconfig.ProbeFailure {
	asked := false
	secured := tls.Client(t.connection, &tls.Config{
		ServerName: name,
		MinVersion: tls.VersionTLS12,
		RootCAs:    roots,
		NextProtos: []string{"http/1.1"},
		Time:       t.now,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		},
	})
	err := secured.HandshakeContext(ctx)
	t.connection = secured
	var remote *net.OpError
	if err == nil || asked && errors.As(err, &remote) && remote.Op == "remote error" {
		return nil
	}
	return t.judgeHandshake(err, name)
}

func (t *trial) judgeHandshake(err error, name string) *raconfig.ProbeFailure {
	var bad *tls.CertificateVerificationError
	if !errors.As(err, &bad) {
		return failureOf(err)
	}
	v := *t.visit
	v.target.name = name
	if failure := v.judgeTLS(bad.UnverifiedCertificates[0]); failure != nil {
		return failure
	}
	return &raconfig.ProbeFailure{Kind: raconfig.FailureTLSUntrusted, Detail: "issued by " + bounded(cmp.Or(bad.UnverifiedCertificates[0].Issuer.String(), "nobody"))}
}

// proxyStatuses are those by which a proxy says that it does not get an answer.
var proxyStatuses = map[int]bool{
	http.StatusProxyAuthRequired: true, http.StatusBadGateway: true, http.StatusServiceUnavailable: true, http.StatusGatewayTimeout: true,
}

// compareClocks asks for something harmless. Whatever comes in place of an answer is no
// failure: the service was reached, and owes no answer to this.
func (t *trial) compareClocks() (failure *raconfig.ProbeFailure, atProxy bool) {
	u := t.need.URL
	if u.Scheme == "tcp" {
		return nil, false
	}
	r := request{method: http.MethodHead, target: "/"}
	if u.Path != "" {
		r = request{method: http.MethodGet, target: u.EscapedPath()}
	}
	plainByProxy := t.need.Proxy != nil && u.Scheme == "http"
	if plainByProxy {
		r.target = "http://" + u.Host + r.target
	}
	a, err := exchange(t.connection, r.bytes(u.Host, ""), r.method)
	switch {
	case err != nil && plainByProxy:
		return failureOf(err), true
	case err != nil:
		return nil, false
	case plainByProxy && proxyStatuses[a.status]:
		return a.failure(raconfig.FailureStatus, ""), true
	}
	t.out.ClockSkewSeconds = t.skew(a)
	return nil, false
}

// ports of the schemes.
var ports = map[string]string{"https": "443", "http": "80"}

// hostPort is where a URL leads, without anything else of it.
func hostPort(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), ports[u.Scheme]))
}
