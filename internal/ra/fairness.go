package ra

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

// fairness knows which clients' requests keep failing. When there is more work than
// processors, theirs are turned away first; volume alone makes nobody guilty. See
// docs/design/limits.md. It is safe for concurrent use.
type fairness struct {
	now func() time.Time

	mu                sync.Mutex
	current, previous map[netip.Prefix]tally
	since             time.Time // of current
}

// tally of a client's requests.
type tally struct{ failed, succeeded int }

const (
	// fairWindow is how long a tally is kept at least; twice that at most.
	fairWindow = time.Minute
	// maxTallies bounds the clients that are remembered, in each of two windows.
	maxTallies = 4096
	// minFailures and failuresPerSuccess are what makes a client one that keeps failing.
	minFailures        = 10
	failuresPerSuccess = 4
)

func newFairness(now func() time.Time) *fairness {
	return &fairness{now: now, current: map[netip.Prefix]tally{}, since: now()}
}

// count remembers how a client's request ended. Nobody is blamed for an address that
// is not known to be the client's own.
func (f *fairness) count(from netip.Prefix, failed bool) {
	if !from.IsValid() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn()
	t, known := f.current[from]
	if !known && len(f.current) >= maxTallies {
		f.previous, f.current, f.since = f.current, map[netip.Prefix]tally{}, f.now()
	}
	if failed {
		t.failed++
	} else {
		t.succeeded++
	}
	f.current[from] = t
}

// failing says whether a client's requests keep failing.
func (f *fairness) failing(from netip.Prefix) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn()
	now, before := f.current[from], f.previous[from]
	failed := now.failed + before.failed
	return failed >= minFailures && failed >= failuresPerSuccess*(now.succeeded+before.succeeded)
}

// turn begins a new window when it is time.
func (f *fairness) turn() {
	age := f.now().Sub(f.since)
	if age < fairWindow {
		return
	}
	f.previous = f.current
	if age >= 2*fairWindow {
		f.previous = nil
	}
	f.current, f.since = map[netip.Prefix]tally{}, f.now()
}

// IPv6 networks are given to sites whole; one site is one client.
const siteBits = 64

// fairKey is what a client is known by, the zero value if its address may be that of
// a proxy which many share.
func fairKey(r *http.Request, address string, trusted []netip.Prefix) netip.Prefix {
	addr, err := netip.ParseAddr(address)
	if err != nil || isTrusted(address, trusted) {
		return netip.Prefix{}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || peer.Addr().Unmap() == addr && forwarded(r) {
		return netip.Prefix{} // by a proxy that is not trusted, or somebody who says so
	}
	bits := addr.BitLen()
	if addr.Is6() {
		bits = siteBits
	}
	key, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return key
}

// forwarded says whether a request calls itself one that a proxy handed on.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// blameless are the refusals that say nothing against the client.
var blameless = map[refusal.Reason]bool{
	refusal.Denied: true, refusal.InvalidRequest: true, refusal.IssuerFailed: true, refusal.AttemptsExhausted: true,
	refusal.IssuedMismatch: true, refusal.PendingExpired: true, refusal.QueryNotAnswered: true,
}

// judge counts how an enrolment ended, unless it says nothing about the client.
func (f *fairness) judge(from netip.Prefix, reply *scep.Reply, err error) {
	refused, isRefusal := refusal.As(err)
	switch {
	case isRefusal && !blameless[refused.Reason]:
		f.count(from, true)
	case err == nil && reply != nil:
		f.count(from, false)
	}
}
