// Package peers keeps the two key pairs by which an endpoint's servers and its
// signers know each other. Each end has a Secret with its own key, its self-signed
// certificate, and the certificates of the other end: exactly those are trusted, so
// no CA can vouch for anybody else.
//
// A certificate is replaced without a moment in which the two do not know each other:
//
//	next     a third of its life before a certificate's end the other end is told of
//	         the next one; its key waits in the own Secret
//	switch   when the other end has known it for Settle, it is used
//	retire   when it has been used for Settle, the other end forgets the one before
//
// Each step follows from the two Secrets and the time alone, so a crash between any
// two of them changes nothing but the time.
package peers

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

const (
	// Validity of a certificate, which is replaced when a third of it is left.
	Validity    = 90 * 24 * time.Hour
	renewBefore = Validity / 3
	// Settle is how long a change of a Secret may take to be used in every pod. The
	// kubelet needs two minutes at most.
	Settle = 15 * time.Minute
	// backdated is how far clocks may be apart.
	backdated = 5 * time.Minute
)

// Side is one end's Secret.
type Side struct {
	// Active is the key pair in use; nil if there is none, or if it cannot be read.
	Active *Pair
	// Next will be; nil between rotations.
	Next *Pair
	// Previous is the certificate in use before; nil if nobody uses it any more.
	Previous *x509.Certificate
	// Trusted are the certificates of the other end, the oldest first.
	Trusted []*x509.Certificate
	// Changed is when the Secret was written last; zero if that is not known.
	Changed time.Time
}

// shown are the certificates that the other end has to know, the oldest first.
func (s Side) shown() []*x509.Certificate {
	var out []*x509.Certificate
	for _, p := range []*Pair{s.Active, s.Next} {
		if p != nil {
			out = append(out, p.Certificate)
		}
	}
	if s.Previous != nil {
		out = append(out, s.Previous)
	}
	slices.SortFunc(out, func(a, b *x509.Certificate) int {
		if c := a.NotBefore.Compare(b.NotBefore); c != 0 {
			return c
		}
		return bytes.Compare(a.Raw, b.Raw)
	})
	return out
}

func (s Side) settled(now time.Time) bool { return !s.Changed.IsZero() && now.Sub(s.Changed) >= Settle }

func (s Side) trusts(c *x509.Certificate) bool { return slices.ContainsFunc(s.Trusted, c.Equal) }

// Maker makes a key pair for a role, which is good from a time on.
type Maker func(role Role, now time.Time) (*Pair, error)

// Rotate takes the next step of both ends, as far as there is one: what it returns
// differs from what it was given only where there is something to write. Changed is
// left as it was. The error is the Maker's.
func Rotate(server, client Side, now time.Time, maker Maker) (nextServer, nextClient Side, err error) {
	if nextServer, err = advance(Server, server, client, now, maker); err != nil {
		return server, client, err
	}
	if nextClient, err = advance(Client, client, server, now, maker); err != nil {
		return server, client, err
	}
	nextServer.Trusted, nextClient.Trusted = nextClient.shown(), nextServer.shown()
	return nextServer, nextClient, nil
}

// advance takes the next step of one end's own certificates.
func advance(role Role, own, other Side, now time.Time, maker Maker) (Side, error) {
	var err error
	switch {
	case own.Active == nil || !now.Before(own.Active.Certificate.NotAfter):
		own.Next, own.Previous = nil, nil
		own.Active, err = maker(role, now)
	case own.Next != nil && other.trusts(own.Next.Certificate) && other.settled(now):
		own.Active, own.Next, own.Previous = own.Next, nil, own.Active.Certificate
	case own.Next == nil && own.Active.renewAt().Before(now):
		own.Next, err = maker(role, now)
	case own.Next == nil && own.Previous != nil && own.settled(now):
		own.Previous = nil
	}
	return own, err
}

// NextStep is when to look again: when the next step of either end may be due.
func NextStep(server, client Side, now time.Time) time.Duration {
	soonest := Validity
	for _, s := range []Side{server, client} {
		if s.Next != nil || s.Previous != nil {
			soonest = min(soonest, Settle)
		}
		if s.Active != nil {
			soonest = min(soonest, max(s.Active.renewAt().Sub(now), 0)+time.Second)
		}
	}
	return soonest
}
