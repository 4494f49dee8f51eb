package ra

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/scepter-pki/scepter/internal/ra/audit/family"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/scep"
)

// client is who sent a request, as far as it can be known.
type client struct {
	address   string
	userAgent string
	path      string
	tls       bool
	// fair is what the client is known by; zero where many may share the address.
	fair netip.Prefix
	// family is a guess; that of a PKIOperation is made again when the message is open.
	family family.Family
	shape  family.Shape
}

// variable is what a template's rules see of it.
func (c client) variable() policy.Client {
	return policy.Client{Address: c.address, UserAgent: c.userAgent, Family: string(c.family), Path: c.path, TLS: c.tls}
}

// LogValue implements slog.LogValuer.
func (c client) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("address", c.address),
		slog.String("userAgent", c.userAgent),
		slog.String("family", string(c.family)),
		slog.String("path", c.path),
	)
}

type clientKey struct{}

func clientFrom(ctx context.Context) client {
	if c, ok := ctx.Value(clientKey{}).(*client); ok {
		return *c
	}
	return client{family: family.Other}
}

// refine guesses the family anew from the message that was opened. The goroutine that
// serves the request calls it, before any other sees the context.
func refine(ctx context.Context, e scep.Event) {
	c, ok := ctx.Value(clientKey{}).(*client)
	if !ok {
		return
	}
	c.shape.TransactionID = e.TransactionID
	c.shape.Cipher, c.shape.Digest = e.Cipher.String(), e.Digest.String()
	c.family = family.Of(c.userAgent, c.shape)
}

// maxUserAgent bounds what of a header is kept, in bytes.
const maxUserAgent = 256

// identifyClient finds out who sent a request and replaces its RemoteAddr.
func identifyClient(snapshot func() *reload.Snapshot, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var trusted []netip.Prefix
		if s := snapshot(); s != nil {
			trusted = s.TrustedProxies
		}
		agent := r.UserAgent()
		c := &client{
			address:   clientAddress(r, trusted),
			userAgent: strings.ToValidUTF8(agent[:min(len(agent), maxUserAgent)], ""),
			path:      r.URL.Path,
			tls:       r.TLS != nil,
			shape:     shapeOf(r),
		}
		c.fair = fairKey(r, c.address, trusted)
		c.family = family.Of(c.userAgent, c.shape)
		r = r.WithContext(context.WithValue(r.Context(), clientKey{}, c))
		r.RemoteAddr = c.address
		next.ServeHTTP(w, r)
	})
}

// maxCAName bounds what is looked at of the parameter "message", in bytes.
const maxCAName = 256

// shapeOf is what can be told before the message is read.
func shapeOf(r *http.Request) family.Shape {
	s := family.Shape{
		Method:      r.Method,
		Path:        r.URL.Path,
		HTTP10:      !r.ProtoAtLeast(1, 1),
		Accept:      r.Header.Get("Accept"),
		ContentType: r.Header.Get("Content-Type"),
	}
	s.Operation, _ = scep.QueryParameter(r.URL.RawQuery, "operation")
	if strings.EqualFold(s.Operation, string(scep.StepPKIOperation)) {
		return s
	}
	name, _ := scep.QueryParameter(r.URL.RawQuery, "message")
	if name, err := url.QueryUnescape(name[:min(len(name), maxCAName)]); err == nil {
		s.Message = name
	}
	return s
}

// clientAddress goes back through the proxies that are trusted, from the nearest,
// to the first address that is not one of them.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(host, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		host = hop.Unmap().String()
	}
	return host
}

func isTrusted(host string, trusted []netip.Prefix) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range trusted {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}
