package ra

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/scepter-pki/scepter/internal/ra/reload"
)

// client is who sent a request, as far as it can be known.
type client struct {
	address   string
	userAgent string
	path      string
}

// LogValue implements slog.LogValuer.
func (c client) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("address", c.address),
		slog.String("userAgent", c.userAgent),
		slog.String("path", c.path),
	)
}

type clientKey struct{}

func clientFrom(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
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
		c := client{
			address:   clientAddress(r, trusted),
			userAgent: strings.ToValidUTF8(agent[:min(len(agent), maxUserAgent)], ""),
			path:      r.URL.Path,
		}
		r = r.WithContext(context.WithValue(r.Context(), clientKey{}, c))
		r.RemoteAddr = c.address
		next.ServeHTTP(w, r)
	})
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
