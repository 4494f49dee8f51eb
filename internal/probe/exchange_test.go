package probe

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const plain, secure = "http://" + host + "/scep", "https://" + host + "/scep"

func redirect(code int, to string) http.Handler { return http.HandlerFunc(faults.Redirect(code, to)) }

// TestExchange shows every way in which the first questions can fail, and what is said of it.
func TestExchange(t *testing.T) {
	now := time.Now()
	good := certificateFor(t, host, now.Add(-time.Hour), now.Add(time.Hour))
	cases := []struct {
		name, url string
		serve     func(t *testing.T) string
		kind      raconfig.FailureKind // "": passes
		status    int
		says      string
		proved    bool
	}{
		{"healthy", plain, func(t *testing.T) string { return serve(t, healthy()) }, "", 0, "", true},
		{"healthy over TLS", secure, func(t *testing.T) string { return serveTLS(t, healthy(), good) }, "", 0, "", true},
		{"marks are stripped", plain, func(t *testing.T) string { return serve(t, stripping(healthy())) }, "", 0, "", false},
		{"to https", plain, func(t *testing.T) string { return serve(t, redirect(308, secure+"?operation=x")) }, raconfig.FailureRedirect, 308, secure, false},
		{"to a folder", plain, func(t *testing.T) string { return serve(t, redirect(301, "/scep/")) }, raconfig.FailureRedirect, 301, "/scep/", false},
		{"not modified", plain, func(t *testing.T) string { return serve(t, redirect(304, "")) }, raconfig.FailureRedirect, 304, "", false},
		{"not found", plain, func(t *testing.T) string { return serve(t, http.NotFoundHandler()) }, raconfig.FailureStatus, 404, "", false},
		{"throttled", plain, func(t *testing.T) string {
			return serve(t, http.HandlerFunc(faults.Throttled(http.StatusTooManyRequests, 7)))
		}, raconfig.FailureStatus, 429, "", false},
		{"bad gateway", plain, func(t *testing.T) string { return serve(t, http.HandlerFunc(faults.Status(http.StatusBadGateway))) }, raconfig.FailureStatus, 502, "", false},
		{"a page for people", plain, func(t *testing.T) string { return serve(t, http.HandlerFunc(faults.Says("text/html", "<html>"))) }, raconfig.FailureForeign, 200, "", false},
		{"another endpoint", plain, func(t *testing.T) string {
			return serve(t, endpoint(otherKey, Known{Capabilities: []byte("AES\n"), CACertificates: []byte("others")}))
		}, raconfig.FailureForeign, 200, "", false},
		{"another CA behind the same capabilities", plain, func(t *testing.T) string {
			return serve(t, endpoint(otherKey, Known{Capabilities: ours.Capabilities, CACertificates: []byte("others")}))
		}, raconfig.FailureForeign, 200, "", false},
		{"answers are rewritten", plain, func(t *testing.T) string { return serve(t, rewriting(healthy(), "SHA-256", "SHA-1")) }, raconfig.FailureAltered, 200, "changed on the way", true},
		{"closed", plain, func(t *testing.T) string { return serve(t, http.HandlerFunc(faults.Closed)) }, raconfig.FailureClosed, 0, "", false},
		{"torn", plain, func(t *testing.T) string { return serve(t, http.HandlerFunc(faults.Torn)) }, raconfig.FailureClosed, 0, "", false},
		{"reset", plain, func(t *testing.T) string { return serveRaw(t, reset) }, raconfig.FailureReset, 0, "", false},
		{"not HTTP", plain, func(t *testing.T) string { return serve(t, http.HandlerFunc(faults.NotHTTP)) }, raconfig.FailureNotHTTP, 0, "", false},
		{"huge", plain, func(t *testing.T) string { return serve(t, http.HandlerFunc(faults.Says("text/plain", longBody()))) }, raconfig.FailureNotHTTP, 0, "", false},
		{"a header without an end", plain, func(t *testing.T) string { return serveRaw(t, says("HTTP/1.1 200 OK\r\nX: "+longBody())) }, raconfig.FailureNotHTTP, 0, "", false},
		{"interim answers without an end", plain, func(t *testing.T) string {
			return serveRaw(t, says(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 99)))
		}, raconfig.FailureNotHTTP, 0, "", false},
		{"slow", plain, func(t *testing.T) string { return serve(t, http.HandlerFunc(faults.Slow)) }, raconfig.FailureTimeout, 0, "", false},
		{"nothing listens", plain, closedPort, raconfig.FailureRefused, 0, "", false},
		{"another name", secure, func(t *testing.T) string {
			return serveTLS(t, healthy(), certificateFor(t, "ingress.local", now.Add(-time.Hour), now.Add(time.Hour)))
		}, raconfig.FailureTLSName, 0, "ingress.local", false},
		{"expired", secure, func(t *testing.T) string {
			return serveTLS(t, healthy(), certificateFor(t, host, now.Add(-2*time.Hour), now.Add(-time.Hour)))
		}, raconfig.FailureTLSExpired, 0, "ended 20", false},
		{"not yet valid", secure, func(t *testing.T) string {
			return serveTLS(t, healthy(), certificateFor(t, host, now.Add(time.Hour), now.Add(2*time.Hour)))
		}, raconfig.FailureTLSNotYetValid, 0, "begins 20", false},
		{"HTTP where TLS should be", secure, func(t *testing.T) string { return serve(t, healthy()) }, raconfig.FailureTLS, 0, "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := prober(endpointKey, c.serve(t))
			if c.kind == raconfig.FailureTimeout {
				p.Timeout = time.Second
			}
			got, known := p.Exchange(t.Context(), target(t, c.url), ours)
			wantFailure(t, got.Failure, c.kind, c.status, c.says)
			if got.Proved != c.proved || got.URL != c.url || len(got.Addresses) != 1 {
				t.Errorf("%+v", got)
			}
			if passed := bytes.Equal(known.Capabilities, ours.Capabilities) && bytes.Equal(known.CACertificates, ours.CACertificates); passed != (c.kind == "") {
				t.Errorf("known: %q", known)
			}
			if shown := got.TLS != nil; shown != (c.url == secure && c.kind != raconfig.FailureTLS) {
				t.Errorf("TLS: %+v", got.TLS)
			}
		})
	}
}

func wantFailure(t *testing.T, got *raconfig.ProbeFailure, kind raconfig.FailureKind, status int, says string) {
	t.Helper()
	switch {
	case got == nil && kind == "":
	case got == nil || kind == "":
		t.Errorf("failure %+v, want %q", got, kind)
	case got.Kind != kind || got.Status != status || !strings.Contains(got.Detail, says):
		t.Errorf("failure %+v, want %s %d %q", *got, kind, status, says)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's listener
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestNames(t *testing.T) {
	address := serve(t, healthy())
	cases := []struct {
		name   string
		lookup func() ([]netip.Addr, error)
		kind   raconfig.FailureKind
	}{
		{"unknown", func() ([]netip.Addr, error) { return nil, &net.DNSError{Err: "no such host", IsNotFound: true} }, raconfig.FailureNameUnknown},
		{"without an address", func() ([]netip.Addr, error) { return nil, nil }, raconfig.FailureNameUnknown},
		{"not answered for", func() ([]netip.Addr, error) { return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true} }, raconfig.FailureResolver},
		{"to the loopback", func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil }, raconfig.FailureAddress},
		{"to the loopback, mapped", func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil }, raconfig.FailureAddress},
		{"to a cloud's metadata", func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil }, raconfig.FailureAddress},
		{"to nothing", func() ([]netip.Addr, error) { return []netip.Addr{netip.IPv6Unspecified()}, nil }, raconfig.FailureAddress},
		{"to a private address", func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.168.1.1")}, nil }, ""},
		{"to a good one after a bad one", func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("169.254.0.1"), netip.MustParseAddr("192.168.1.1")}, nil
		}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := prober(endpointKey, address)
			p.Lookup = func(context.Context, string) ([]netip.Addr, error) { return c.lookup() }
			got, _ := p.Exchange(t.Context(), target(t, plain), ours)
			wantFailure(t, got.Failure, c.kind, 0, "")
		})
	}
}

// TestAddresses: reported sorted, once, and not without an end.
func TestAddresses(t *testing.T) {
	p := prober(endpointKey, serve(t, healthy()))
	p.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		var many []netip.Addr
		for i := range 20 {
			many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(20 - i)}), netip.MustParseAddr("10.0.0.1"))
		}
		return many, nil
	}
	got, _ := p.Exchange(t.Context(), target(t, plain), ours)
	if len(got.Addresses) != maxAddresses || got.Addresses[0] != "10.0.0.1" || got.Addresses[1] != "10.0.0.2" {
		t.Errorf("%v", got.Addresses)
	}
}

// TestOutside: without the key, answers are looked at for what they are.
func TestOutside(t *testing.T) {
	p := prober(nil, serve(t, healthy()))
	got, known := p.Exchange(t.Context(), target(t, plain), Known{})
	if got.Failure != nil || got.Proved || !bytes.Equal(known.Capabilities, ours.Capabilities) {
		t.Errorf("%+v", got)
	}
	shape := p.Shape(t.Context(), target(t, plain), known)
	if shape.MaxTargetBytes != 65534 || shape.Target != nil || shape.Post != nil || shape.Query != nil || shape.HTTP10 != nil || shape.Path != nil {
		t.Errorf("%+v", shape)
	}
	for _, page := range []string{"<html>not found</html>", "", "OK\n", "this is a sentence about sha-1\n"} {
		p := prober(nil, serve(t, http.HandlerFunc(faults.Says("text/plain", page))))
		if got, _ := p.Exchange(t.Context(), target(t, plain), Known{}); got.Failure == nil || got.Failure.Kind != raconfig.FailureForeign {
			t.Errorf("%q: %+v", page, got.Failure)
		}
	}
}

func TestClock(t *testing.T) {
	p := prober(endpointKey, serve(t, healthy()))
	for _, c := range []struct{ ahead, want time.Duration }{{0, 0}, {time.Hour, -time.Hour}, {-time.Hour, time.Hour}} {
		ahead := time.Now().Add(c.ahead) // marks are good for an hour by the server's clock
		p.Now = func() time.Time { return ahead }
		p.Key = nil
		got, _ := p.Exchange(t.Context(), target(t, plain), ours)
		if off := time.Duration(got.ClockSkewSeconds)*time.Second - c.want; off.Abs() > time.Minute {
			t.Errorf("clock %v ahead: %ds", c.ahead, got.ClockSkewSeconds)
		}
	}
}

func TestNewTarget(t *testing.T) {
	for _, good := range []string{"http://a/scep", "https://a:8443/scep", "http://10.0.0.1", "http://[fd00::1]:80/x"} {
		if _, err := NewTarget(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a/scep", "ftp://a/", "http://", "http://u:p@a/", "http://a/?operation=x", "http://a b/", ":"} {
		if got, err := NewTarget(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
