package probe

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	// maxAddresses bounds how many addresses of a name are reported.
	maxAddresses = 8
	// maxTries bounds how many of them are connected to.
	maxTries = 3
)

// visit is one look at a target: the name is resolved once, and each exchange has a
// connection of its own.
type visit struct {
	*Prober
	target    Target
	addresses []netip.Addr
	tls       *raconfig.ProbeTLS // of the latest handshake
}

// arrive resolves the name.
func (p *Prober) arrive(ctx context.Context, t Target) (*visit, *raconfig.ProbeFailure) {
	v := &visit{Prober: p, target: t}
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	found, err := p.lookup(ctx, t.name)
	if err != nil {
		return v, resolverFailure(err)
	}
	for _, a := range found {
		v.addresses = append(v.addresses, a.Unmap())
	}
	slices.SortFunc(v.addresses, netip.Addr.Compare)
	v.addresses = slices.Compact(v.addresses)
	if len(v.addresses) == 0 {
		return v, &raconfig.ProbeFailure{Kind: raconfig.FailureNameUnknown}
	}
	v.addresses = v.addresses[:min(len(v.addresses), maxAddresses)]
	return v, nil
}

func (p *Prober) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{literal}, nil
	}
	if p.Lookup != nil {
		return p.Lookup(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, ".")+".") //nolint:wrapcheck // becomes a fact
}

func (v *visit) addressTexts() []string {
	var out []string
	for _, a := range v.addresses {
		out = append(out, a.String())
	}
	return out
}

// connect tries the addresses one after another, each for its part of the time.
func (v *visit) connect(ctx context.Context) (net.Conn, *raconfig.ProbeFailure) {
	var last *raconfig.ProbeFailure
	for _, address := range v.addresses[:min(len(v.addresses), maxTries)] {
		if !v.target.own && !usable(address) {
			last = &raconfig.ProbeFailure{Kind: raconfig.FailureAddress, Detail: address.String()}
			continue
		}
		connection, err := v.dial(ctx, net.JoinHostPort(address.String(), v.target.port))
		if err == nil {
			return connection, nil
		}
		last = failureOf(err)
	}
	return nil, last
}

func (p *Prober) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout()/maxTries)
	defer cancel()
	if p.Dial != nil {
		return p.Dial(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address) //nolint:wrapcheck // becomes a fact
}

// usable is false for addresses that lead to the cluster's own parts, or nowhere.
func usable(a netip.Addr) bool {
	return !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() && !a.IsUnspecified()
}

// secure shakes hands, whatever certificate is shown, and notes what is wrong with it.
func (v *visit) secure(ctx context.Context, connection net.Conn) (net.Conn, *raconfig.ProbeFailure) {
	if !v.target.tls {
		return connection, nil
	}
	secured := tls.Client(connection, &tls.Config{
		ServerName:         v.target.name,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		InsecureSkipVerify: true, //nolint:gosec // judged by judgeTLS: what is shown is a finding, not a reason to end
	})
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, failureOf(err)
	}
	shown := secured.ConnectionState().PeerCertificates
	v.tls = &raconfig.ProbeTLS{
		Fingerprint: fingerprint(shown[0]), NotAfter: shown[0].NotAfter.UTC(), Chain: isChain(shown),
	}
	return secured, v.judgeTLS(shown[0])
}

func (v *visit) judgeTLS(shown *x509.Certificate) *raconfig.ProbeFailure {
	now := v.now()
	switch {
	case now.After(shown.NotAfter):
		return &raconfig.ProbeFailure{Kind: raconfig.FailureTLSExpired, Detail: "ended " + shown.NotAfter.UTC().Format(time.RFC3339)}
	case now.Before(shown.NotBefore):
		return &raconfig.ProbeFailure{Kind: raconfig.FailureTLSNotYetValid, Detail: "begins " + shown.NotBefore.UTC().Format(time.RFC3339)}
	case shown.VerifyHostname(v.target.name) != nil:
		return &raconfig.ProbeFailure{Kind: raconfig.FailureTLSName, Detail: namesOf(shown)}
	}
	return nil
}

// maxNames bounds how many of a certificate's names are told.
const maxNames = 3

// namesOf are what a certificate is for, or says that it is for.
func namesOf(c *x509.Certificate) string {
	if len(c.DNSNames) == 0 {
		return bounded(fmt.Sprintf("no DNS name; subject %s", cmp.Or(c.Subject.String(), "empty")))
	}
	return bounded(strings.Join(c.DNSNames[:min(len(c.DNSNames), maxNames)], ", "))
}

func fingerprint(c *x509.Certificate) string {
	full := sha256.Sum256(c.Raw)
	return hex.EncodeToString(full[:])
}

// isChain says whether each certificate is signed by the next. Who is at its end is
// for devices to trust or not.
func isChain(shown []*x509.Certificate) bool {
	for i := range len(shown) - 1 {
		if shown[i].CheckSignatureFrom(shown[i+1]) != nil {
			return false
		}
	}
	return true
}
