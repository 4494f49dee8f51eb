package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
)

// DefaultTimeout is for one exchange, from the resolver to the last byte.
const DefaultTimeout = 10 * time.Second

// Prober tries URLs. Its fields are not changed while it is used; it is then safe for
// concurrent use.
type Prober struct {
	// Key of the endpoint; nil where it is not known, as outside of the cluster.
	Key probemark.Key
	// CanaryKey of the endpoint; without it there are no canaries.
	CanaryKey probemark.CanaryKey
	// FullKey is that of canaries which get a certificate; without it there are none.
	FullKey probemark.CanaryKey
	// Timeout of one exchange; 0: DefaultTimeout.
	Timeout time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Lookup resolves a name; nil: as the system does.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects to an address; nil: as the system does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Target is a URL to try.
type Target struct {
	// URL as it was given.
	URL  string
	host string // as in the field Host
	name string // to be resolved
	port string
	path string
	tls  bool
	// own is true for the prober's own server, whose address may be a loopback one.
	own bool
}

var errURL = errors.New("not a URL with http or https, a host and a path")

// NewTarget reads the URL of a SCEP server.
func NewTarget(raw string) (Target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return Target{}, fmt.Errorf("%.100q: %w", raw, errURL)
	}
	t := Target{URL: raw, host: u.Host, name: u.Hostname(), port: u.Port(), path: u.EscapedPath(), tls: u.Scheme == "https"}
	switch {
	case t.port != "":
	case t.tls:
		t.port = "443"
	default:
		t.port = "80"
	}
	if t.path == "" {
		t.path = "/"
	}
	return t, nil
}

// OwnTarget is a server that is known, at an address ("127.0.0.1:8080"), with nothing
// before it.
func OwnTarget(address string) (Target, error) {
	t, err := NewTarget("http://" + address + customaryPath)
	t.own = true
	return t, err
}

func (p *Prober) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

func (p *Prober) timeout() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return DefaultTimeout
}

// mark is "" without a key.
func (p *Prober) mark() string {
	if len(p.Key) == 0 {
		return ""
	}
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return p.Key.Mark(p.now(), nonce)
}
